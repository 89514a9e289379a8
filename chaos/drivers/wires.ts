/** The applications' connections: for each application process one proxy before every node, and what is wrong on them. */
import type { Fault as ArmedFault } from '../../test/support/proxy-faults.js'
import { startProxy, type TcpProxy } from '../../test/support/tcp-proxy.js'
import type { Address } from './contract.js'
import type { FleetNode } from './fleet.js'

/** What is wrong on some connections. Effects add up. */
export interface Effect {
  /** One application process. @default all */
  readonly app?: string | undefined
  readonly nodes: readonly string[]
  readonly silent?: boolean
  readonly refused?: boolean
  /** Ms each way, and so much more or less. */
  readonly delay?: { readonly ms: number; readonly jitter: number }
  /** Share of the messages. */
  readonly loss?: number
  /** Arms a fault for single messages. */
  readonly arm?: (proxy: TcpProxy) => ArmedFault
}

/** Which connections. */
export type Reach = Pick<Effect, 'app' | 'nodes'>

interface Wire {
  readonly app: string
  readonly node: string
  readonly proxy: TcpProxy
  readonly armed: Map<Effect, ArmedFault>
}

/** All proxies of a rig. */
export class Wires {
  readonly #nodes: readonly FleetNode[]
  readonly #apps = new Map<string, Promise<readonly Wire[]>>()
  readonly #wires: Wire[] = []
  readonly #effects = new Set<Effect>()
  readonly #down = new Set<string>()
  #applied: Promise<void> = Promise.resolve()

  constructor(nodes: readonly FleetNode[]) {
    this.#nodes = nodes
  }

  /** Where an application process reaches each node, by the node's name; its proxies are made at the first call. */
  async addresses(app: string): Promise<ReadonlyMap<string, Address>> {
    let wires = this.#apps.get(app)
    if (wires === undefined) {
      wires = this.#string(app)
      this.#apps.set(app, wires)
    }
    return new Map((await wires).map(({ node, proxy }) => [node, { host: proxy.host, port: proxy.port }]))
  }

  async add(effect: Effect): Promise<void> {
    this.#effects.add(effect)
    await this.#apply()
  }

  async remove(effect: Effect): Promise<void> {
    this.#effects.delete(effect)
    await this.#apply()
  }

  /** A node that does not run refuses connections; without this, its proxies would take them. */
  async mark(nodes: readonly string[], state: 'up' | 'down'): Promise<void> {
    for (const node of nodes) {
      if (state === 'down') this.#down.add(node)
      else this.#down.delete(node)
    }
    await this.#apply()
  }

  /** Does something once to every proxy that there is. */
  each(reach: Reach, act: (proxy: TcpProxy) => void): void {
    for (const wire of this.#wires) if (reaches(reach, wire)) act(wire.proxy)
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#apps.values())
    await Promise.all(this.#wires.map(({ proxy }) => proxy.close()))
  }

  async #string(app: string): Promise<readonly Wire[]> {
    const made: Wire[] = []
    for (const { name, reach } of this.#nodes) {
      const wire = { app, node: name, proxy: await startProxy({ target: reach }), armed: new Map() }
      this.#wires.push(wire)
      made.push(wire)
    }
    await this.#apply()
    return made
  }

  /** One after the other: a proxy cannot begin to listen twice at a time. */
  #apply(): Promise<void> {
    const apply = async (): Promise<void> => {
      await Promise.all(this.#wires.map((wire) => this.#applyTo(wire)))
    }
    this.#applied = this.#applied.then(apply, apply)
    return this.#applied
  }

  async #applyTo({ app, node, proxy, armed }: Wire): Promise<void> {
    const effects = [...this.#effects].filter((effect) => reaches(effect, { app, node }))
    const sum = (numbers: number[]): number => numbers.reduce((all, one) => all + one, 0)
    proxy.delay(sum(effects.map(({ delay }) => delay?.ms ?? 0)), sum(effects.map(({ delay }) => delay?.jitter ?? 0)))
    proxy.lose(Math.max(0, ...effects.map(({ loss }) => loss ?? 0)))
    for (const [effect, fault] of armed) {
      if (effects.includes(effect)) continue
      fault.disarm()
      armed.delete(effect)
      proxy.resetDeaf()
    }
    for (const effect of effects) {
      if (effect.arm !== undefined && !armed.has(effect)) armed.set(effect, effect.arm(proxy))
    }
    const silent = effects.some((effect) => effect.silent)
    proxy.blackhole(silent ? 'both' : 'none')
    // In a silence nobody hears a refusal.
    if (!silent && (this.#down.has(node) || effects.some(({ refused }) => refused))) proxy.refuse()
    else await proxy.accept()
  }
}

function reaches({ app, nodes }: Reach, wire: Pick<Wire, 'app' | 'node'>): boolean {
  return (app === undefined || app === wire.app) && nodes.includes(wire.node)
}
