/** The place where faults are done: the servers of a rig, their state, and the applications' connections to them. */
import { eventually, until } from '../../test/support/wait.js'
import type { RigSettings, Shard, Target, Topology } from './contract.js'
import type { Fleet, FleetNode } from './fleet.js'
import { MASTER_NAME } from './layout.js'
import { type Observed, observe } from './observation.js'
import { resolveTarget, shardsOf } from './shards.js'
import { Wires } from './wires.js'

export class Site {
  readonly topology: Topology
  readonly settings: RigSettings
  readonly nodes: readonly FleetNode[]
  readonly wires: Wires
  readonly #halted = new Set<string>()

  constructor(topology: Topology, settings: RigSettings, { nodes }: Fleet) {
    this.topology = topology
    this.settings = settings
    this.nodes = nodes
    this.wires = new Wires(nodes)
  }

  get data(): readonly FleetNode[] {
    return this.nodes.filter(({ kind }) => kind === 'redis')
  }

  get sentinels(): readonly FleetNode[] {
    return this.nodes.filter(({ kind }) => kind === 'sentinel')
  }

  /** Those that run, as far as we have not stopped them. */
  running(nodes: readonly FleetNode[] = this.nodes): FleetNode[] {
    return nodes.filter(({ name }) => !this.#halted.has(name))
  }

  node(name: string): FleetNode {
    const found = this.nodes.find((node) => node.name === name)
    if (found === undefined) throw new RangeError(`there is no node ${name}`)
    return found
  }

  named(names: readonly string[]): FleetNode[] {
    return names.map((name) => this.node(name))
  }

  /** Remembers who was stopped or paused by us, and is not to be asked. */
  halt(names: readonly string[]): void {
    for (const name of names) this.#halted.add(name)
  }

  unhalt(names: readonly string[]): void {
    for (const name of names) this.#halted.delete(name)
  }

  observe(): Promise<Observed[]> {
    return Promise.all(this.nodes.map((node) => observe(node, !this.#halted.has(node.name))))
  }

  /** Waits out an election: there is a moment in which nobody knows who is master. */
  shards(): Promise<Shard[]> {
    return until(
      async () => {
        const shards = shardsOf(this.topology, await this.observe())
        return shards.length > 0 && shards
      },
      { timeoutMs: 10_000, intervalMs: 50, what: 'somebody to know the masters' },
    )
  }

  async resolve(target: Target): Promise<string[]> {
    const asked =
      typeof target !== 'object'
        ? undefined
        : 'key' in target
          ? target.key
          : 'shardOf' in target
            ? target.shardOf
            : undefined
    const slot = asked === undefined ? 0 : await this.slotOf(asked)
    // A node by its name is known even while nobody knows the masters.
    const isNamed = typeof target === 'object' && 'node' in target
    return resolveTarget(this.topology, isNamed ? [] : await this.shards(), target, () => slot)
  }

  /** Sends one command to several nodes. */
  async all(nodes: readonly FleetNode[], ...words: readonly (string | number)[]): Promise<void> {
    await Promise.all(nodes.map((node) => node.cli(...words)))
  }

  async setConfig(node: FleetNode, config: Readonly<Record<string, unknown>>): Promise<void> {
    for (const [name, value] of Object.entries(config)) await node.cli('CONFIG', 'SET', name, String(value))
  }

  async getConfig(node: FleetNode, name: string): Promise<string> {
    const [, value = ''] = (await node.cli('CONFIG', 'GET', name)) as string[]
    return value
  }

  /**
   * Has the Sentinels look more often while the rig settles, so that a returned master is turned into a replica after
   * about 1 s, not 10. Faults run with the usual periods. Servers before Redis 7 have no such command.
   */
  async hurrySentinels(on: boolean): Promise<void> {
    const periods = on ? ['info-period', 500, 'publish-period', 200] : ['info-period', 10_000, 'publish-period', 2_000]
    await Promise.allSettled(this.running(this.sentinels).map((node) => node.cli('SENTINEL', 'DEBUG', ...periods)))
  }

  /** Where the Sentinels that run say the master is. */
  async masterAddress(): Promise<readonly [string, string]> {
    const [sentinel] = this.running(this.sentinels)
    if (sentinel === undefined) throw new Error('no Sentinel runs')
    return eventually(
      async () => (await sentinel.cli('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER_NAME)) as [string, string],
    )
  }

  async slotOf(key: string): Promise<number> {
    if (this.topology !== 'cluster') return 0
    const [node] = this.running(this.data)
    if (node === undefined) throw new Error('no node runs that could tell the slot')
    return Number(await node.cli('CLUSTER', 'KEYSLOT', key))
  }
}
