import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AdminChannel } from '../../test/support/redis-admin.js'
import { ADMIN_USER } from '../../test/support/redis-config.js'
import { RespError, type RespValue } from '../../test/support/resp.js'
import { until } from '../../test/support/wait.js'
import type { Address } from './contract.js'
import type { DockerEngine } from './docker-engine.js'
import type { FleetNode, NodeSpec } from './fleet.js'

const START_MS = 30_000
const COMMAND_MS = 10_000
const GRACE_SECONDS = '5'

/** Where and how a node's container is reached. */
export interface Berth {
  readonly engine: DockerEngine
  readonly container: string
  /** By which it reaches its peers. */
  readonly network: string
  readonly announced: Address
  readonly reach: Address
  readonly password: string
}

/** A server in a container of its own, which stays the same over every restart. */
export class ContainerNode implements FleetNode {
  readonly name: string
  readonly kind: 'redis' | 'sentinel'
  readonly announced: Address
  readonly reach: Address
  readonly #berth: Berth
  readonly #admin: AdminChannel

  constructor({ name, kind }: NodeSpec, berth: Berth) {
    this.name = name
    this.kind = kind
    this.announced = berth.announced
    this.reach = berth.reach
    this.#berth = berth
    this.#admin = new AdminChannel(berth.reach, [ADMIN_USER, berth.password])
  }

  async start(goal: 'ready' | 'answering' = 'ready'): Promise<void> {
    await this.#docker('start')
    const answers = async (): Promise<boolean> => {
      const reply = await this.#ping()
      return reply !== undefined && (goal === 'answering' || reply !== 'LOADING')
    }
    await until(answers, { timeoutMs: START_MS, intervalMs: 20, what: `${this.name} to be ${goal}` })
  }

  async kill(): Promise<void> {
    await this.#docker('kill')
    await this.#docker('wait')
    this.#admin.drop()
  }

  async stop(): Promise<void> {
    await this.#docker('stop', '--time', GRACE_SECONDS)
    this.#admin.drop()
  }

  pause(): Promise<void> {
    return this.#docker('pause')
  }

  resume(): Promise<void> {
    return this.#docker('unpause')
  }

  /** The container does it itself, as it starts. */
  async wipe(): Promise<void> {
    const { engine, container } = this.#berth
    const directory = await mkdtemp(join(tmpdir(), 'rss-rig-'))
    try {
      await writeFile(join(directory, 'empty'), '')
      await engine.run('cp', join(directory, 'empty'), `${container}:/data/empty`)
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  }

  async cut(): Promise<void> {
    const { engine, network, container } = this.#berth
    await engine.run('network', 'disconnect', network, container)
  }

  async rejoin(): Promise<void> {
    const { engine, network, container, announced } = this.#berth
    await engine.run('network', 'connect', '--ip', announced.host, network, container)
  }

  cli(...words: readonly (string | number)[]): Promise<RespValue> {
    return this.#admin.command(words, COMMAND_MS)
  }

  /** Gives up its connection. */
  forget(): void {
    this.#admin.drop()
  }

  async #docker(verb: string, ...words: readonly string[]): Promise<void> {
    await this.#berth.engine.run(verb, ...words, this.#berth.container)
  }

  /** `PONG`, or the code of an error reply, or nothing when no reply came. */
  async #ping(): Promise<string | undefined> {
    try {
      return String(await this.#admin.command(['PING'], 1_000))
    } catch (error) {
      return error instanceof RespError ? error.code : undefined
    }
  }
}
