/** What a row of the suite works with: a rig, two applications, a key on the master that is to suffer. */
import { eventually } from '../../../test/support/wait.js'
import type { Address, Fault, Injected, Rig } from '../contract.js'
import { Caller, type Seen } from './caller.js'

/** The key that faults are aimed at: served by the first shard of a cluster, whose slots begin at 0. */
export const KEY = '{1bz}key'

/** How a fault is done; a suite that is tested itself is given one that does nothing. */
export type Inject = (fault: Fault) => Promise<Injected>

export interface BenchOptions {
  readonly rig: Rig
  readonly password: string | undefined
  /** How long to wait for an election, in ms. */
  readonly patience: number
  readonly inject: Inject
}

export class Bench implements AsyncDisposable {
  readonly rig: Rig
  /** A connection of application `a` to the master that is to suffer, made before. */
  held!: Caller
  /** That master's name. */
  master!: string
  readonly #options: BenchOptions
  readonly #injected: Injected[] = []
  readonly #callers: Caller[] = []

  private constructor(options: BenchOptions) {
    this.rig = options.rig
    this.#options = options
  }

  /** Checks that all is well, and writes the key. */
  static async ready(options: BenchOptions): Promise<Bench> {
    const bench = new Bench(options)
    // A row that failed may have left it otherwise.
    await bench.rig.settled()
    bench.master = await bench.masterOf(KEY)
    bench.held = await bench.#call('a', bench.master)
    for (const app of ['a', 'b']) await bench.expect('a healthy rig', app, ['SET', KEY, 'before'], 'OK')
    await bench.held.expect('before', ['GET', KEY], 'a healthy rig')
    return bench
  }

  async inject(fault: Fault): Promise<void> {
    this.#injected.push(await this.#options.inject(fault))
  }

  /** @throws {Error} when a new connection of an application to a node sees something else. */
  async expect(
    when: string,
    app: string,
    words: readonly (string | number)[],
    expected: Seen,
    node: string = this.master,
  ): Promise<void> {
    const caller = await this.#call(app, node)
    await caller.expect(expected, words, `${when}, ${app} at ${node}`)
  }

  /** Repeats a check until it holds, for as long as an election may take. */
  change<T>(what: string, step: () => Promise<T>): Promise<T> {
    return eventually(step, { timeoutMs: this.#options.patience, intervalMs: 50, what })
  }

  async masters(): Promise<string[]> {
    const { nodes } = await this.rig.state()
    return nodes.filter(({ role }) => role === 'master').map(({ name }) => name)
  }

  /** The master that holds a key; one that is cut off may still believe it does, and is not meant. */
  async masterOf(key: string, not?: string): Promise<string> {
    const others = (await this.masters()).filter((name) => name !== not)
    for (const node of others) if (await this.#serves(node, key)) return node
    throw new Error(`no master holds ${key}${not === undefined ? '' : `, but for ${not} at best`}`)
  }

  /** A key that a master of a cluster holds. */
  async keyOf(master: string): Promise<string> {
    for (let number = 0; ; number++) if (await this.#serves(master, `key:${number}`)) return `key:${number}`
  }

  /** Ends the faults, the last one first. */
  async heal(): Promise<void> {
    for (const injected of this.#injected.splice(0).reverse()) await injected.heal()
  }

  /** Ends the faults, and checks that all is well again. */
  async recover(): Promise<void> {
    await this.heal()
    await this.rig.settled()
    const master = await this.masterOf(KEY)
    await this.expect('after the end', 'a', ['SET', KEY, 'after'], 'OK', master)
    await this.expect('after the end', 'a', ['GET', KEY], 'after', master)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.heal()
    for (const caller of this.#callers) caller.close()
  }

  async #call(app: string, node: string): Promise<Caller> {
    const caller = Caller.open(await this.#address(app, node), this.#options.password)
    this.#callers.push(caller)
    return caller
  }

  /** Where an application reaches a node. */
  async #address(app: string, node: string): Promise<Address> {
    const connection = await this.rig.connection(app)
    if (connection.topology === 'standalone') return connection
    const announced = this.rig.announced(node)
    const address = connection.natMap[`${announced.host}:${announced.port}`]
    if (address === undefined) throw new Error(`the connection of ${app} does not say where ${node} is`)
    return address
  }

  async #serves(node: string, key: string): Promise<boolean> {
    return this.rig.command(node, 'EXISTS', key).then(
      () => true,
      () => false,
    )
  }
}
