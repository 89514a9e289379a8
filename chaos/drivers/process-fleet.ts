/** The `process` driver: redis-server processes of this machine. */
import { findRedis, type RedisDescriptor } from '../../test/support/find-redis.js'
import { type ReservedPort, reservePort } from '../../test/support/ports.js'
import type { RedisConfig } from '../../test/support/redis-config.js'
import { type RedisServer, startRedis } from '../../test/support/redis-server.js'
import type { RespValue } from '../../test/support/resp.js'
import type { Address, Fault, RigSettings, Topology } from './contract.js'
import type { Fleet, FleetNode, NodeSpec, Shipyard } from './fleet.js'
import { cutOff, cutRefusal, ownAddress } from './loopback.js'

/** The driver for the Redis that was found; one in containers will do where they share this machine's network. */
export async function processShipyard(): Promise<Shipyard> {
  const server = await findRedis()
  const major = Number.parseInt(server.version, 10)
  const noCut = cutRefusal(major)
  return {
    name: 'process',
    description: `${server.kind === 'binary' ? server.path : server.image} ${server.version}`,
    refusal: (_topology: Topology, fault: Fault) =>
      fault.kind === 'partition' && fault.from !== 'apps' ? noCut : undefined,
    async raise(topology, specs, settings): Promise<Fleet> {
      if (topology !== 'standalone' && server.kind === 'container' && server.network !== 'host') {
        throw new Error(
          `${topology} needs a redis-server on this machine, or the docker driver: behind published ports servers cannot reach each other`,
        )
      }
      const ports = await reserveAll(specs.length)
      const addresses = ports.map(({ port }, index): Address => {
        return { host: noCut === undefined ? ownAddress(ports[0]!.port, index) : '127.0.0.1', port }
      })
      const addressOf = (name: string): Address => addresses[specs.findIndex((spec) => spec.name === name)]!
      const nodes = specs.map((spec, index) => {
        const announced = addresses[index]!
        const config = { ...spec.config(addressOf), ...bindConfig(announced) }
        return new ProcessNode(spec, announced, { server, settings, config })
      })
      return {
        version: server.version,
        nodes,
        async close() {
          await Promise.all(nodes.map((node) => node.remove()))
          for (const port of ports) port.release()
        },
      }
    },
    async close() {},
  }
}

async function reserveAll(count: number): Promise<ReservedPort[]> {
  const ports: ReservedPort[] = []
  while (ports.length < count) ports.push(await reservePort())
  return ports
}

/** It listens on both addresses: its own for its peers, the usual one for this machine. */
function bindConfig({ host }: Address): RedisConfig {
  return host === '127.0.0.1' ? {} : { bind: `127.0.0.1 ${host}`, 'bind-source-addr': host }
}

interface Launch {
  readonly server: RedisDescriptor
  readonly settings: RigSettings
  readonly config: RedisConfig
}

class ProcessNode implements FleetNode {
  readonly name: string
  readonly kind: 'redis' | 'sentinel'
  readonly announced: Address
  readonly reach: Address
  readonly #launch: Launch
  #redis: RedisServer | undefined
  #rejoin: (() => Promise<void>) | undefined

  constructor({ name, kind }: NodeSpec, announced: Address, launch: Launch) {
    this.name = name
    this.kind = kind
    this.announced = announced
    this.reach = { host: '127.0.0.1', port: announced.port }
    this.#launch = launch
  }

  async start(until: 'ready' | 'answering' = 'ready'): Promise<void> {
    if (this.#redis !== undefined) return this.#redis.start({ until })
    const { server, config, settings } = this.#launch
    const { appendonly = true, maxmemory, password } = settings
    this.#redis = await startRedis({
      ...{ server, config, port: this.announced.port, sentinel: this.kind === 'sentinel' },
      ...(this.kind === 'redis' && { appendonly }),
      ...(this.kind === 'redis' && maxmemory !== undefined && { maxmemory }),
      ...(this.kind === 'redis' && password !== undefined && { requirepass: password }),
    })
  }

  kill(): Promise<void> {
    return this.#started.kill()
  }

  stop(): Promise<void> {
    return this.#started.shutdown()
  }

  pause(): Promise<void> {
    return this.#started.pause()
  }

  resume(): Promise<void> {
    return this.#started.resume()
  }

  wipe(): Promise<void> {
    return this.#started.wipe()
  }

  async cut(): Promise<void> {
    if (this.#rejoin !== undefined) throw new Error(`${this.name} is cut off already`)
    this.#rejoin = await cutOff(this.announced.host)
  }

  async rejoin(): Promise<void> {
    if (this.#rejoin === undefined) throw new Error(`${this.name} is not cut off`)
    const rejoin = this.#rejoin
    this.#rejoin = undefined
    await rejoin()
  }

  cli(...words: readonly (string | number)[]): Promise<RespValue> {
    return this.#started.cli<RespValue>(...words)
  }

  /** Ends it for good. */
  async remove(): Promise<void> {
    await this.#rejoin?.()
    await this.#redis?.stop()
  }

  get #started(): RedisServer {
    if (this.#redis === undefined) throw new Error(`${this.name} was not started yet`)
    return this.#redis
  }
}
