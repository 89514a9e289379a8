// A TCP proxy in front of a real Redis, with the faults of a network as verbs. It needs no privileges and works on every
// system. It reads the Redis protocol, so that a fault can be aimed at one command or one reply.
import { connect, createServer, type NetConnectOpts, type Server } from 'node:net'
import { type ReservedPort, reservePort } from './ports.js'
import { type CutOptions, type Ending, Fault, type FaultOptions, Hold, type Match } from './proxy-faults.js'
import type { Direction } from './proxy-flow.js'
import { type LinkOwner, ProxyLink } from './proxy-link.js'
import { type Random, seededRandom } from './random.js'
import type { Command } from './resp.js'
import { until } from './wait.js'

/** What the proxy stands in front of; a `RedisServer` fits. */
export interface ProxyTarget {
  readonly port: number
  /** @default '127.0.0.1' */
  readonly host?: string
  /** Used instead of the port when that is 0. */
  readonly socketPath?: string
  /** The proxy's own {@link TcpProxy.url} keeps scheme and credentials of this one. */
  readonly url?: string
}

/** How to set up a proxy. */
export interface ProxyOptions {
  readonly target: ProxyTarget
  /** A port for the caller to keep free. @default a reserved free one */
  readonly port?: number
  /** Passes on bytes that are not the Redis protocol (TLS). Faults aimed at commands and replies never bite then. */
  readonly opaque?: boolean
  /** Where jitter comes from. @default numbers of seed 1 */
  readonly random?: Random
}

/** Milliseconds a message is late, per direction. */
export interface Delay {
  readonly up?: number
  readonly down?: number
  /** Each message is up to so much earlier or later; the order stays. @default 0 */
  readonly jitter?: number
}

/** How long to wait for messages that are to pass the proxy. */
export interface SeenOptions {
  /** @default 1 */
  readonly nth?: number
  /** @default 5000 */
  readonly timeoutMs?: number
}

/** In ms: the least that Linux waits before it sends a segment again. */
const FIRST_RETRANSMISSION = 200
/** Nobody waits for more; without an end, one unlucky message in many would be late by minutes. */
const LAST_RETRANSMISSION = 1_600

/**
 * Starts a proxy that does nothing yet but pass on bytes and count messages.
 *
 * @example
 * ```ts
 * await using redis = await startRedis()
 * await using proxy = await startProxy({ target: redis })
 * const cut = proxy.cutBeforeReply('SET') // Redis carries out the next SET, its client never learns of it
 * await client.set('key', 'value').catch(() => {})
 * await cut.hit()
 * ```
 */
export async function startProxy(options: ProxyOptions): Promise<TcpProxy> {
  const reserved = options.port === undefined ? await reservePort() : { port: options.port, release: () => undefined }
  const proxy = new TcpProxy(options, reserved)
  await proxy.accept()
  return proxy
}

/** A running proxy. Faults add up until {@link TcpProxy.heal}. */
export class TcpProxy implements AsyncDisposable {
  readonly host = '127.0.0.1'
  /** Stays the same while connections are refused. */
  readonly port: number
  readonly #target: ProxyTarget
  readonly #reserved: ReservedPort
  readonly #random: Random
  readonly #links = new Set<ProxyLink>()
  readonly #owner: LinkOwner
  readonly #tallies: Readonly<Record<Direction, Map<string, number>>> = { up: new Map(), down: new Map() }
  readonly #silent: Record<Direction, boolean> = { up: false, down: false }
  readonly #faults: Record<Direction, Fault[]> = { up: [], down: [] }
  #delay: Delay = {}
  #loss = 0
  #sliceBytes = Number.POSITIVE_INFINITY
  #server: Server | undefined

  /** For {@link startProxy}. */
  constructor({ target, opaque = false, random = seededRandom(1) }: ProxyOptions, reserved: ReservedPort) {
    this.port = reserved.port
    this.#target = target
    this.#reserved = reserved
    this.#random = random
    const sliceBytes = (): number => this.#sliceBytes
    this.#owner = {
      opaque,
      get sliceBytes() {
        return sliceBytes()
      },
      delayOf: (direction) => this.#delayOf(direction),
      isSilent: (direction) => this.#silent[direction],
      arrived: (direction, command) => this.#arrived(direction, command),
      ended: (link) => this.#links.delete(link),
    }
  }

  /** The target's URL with the proxy's port. */
  get url(): string {
    const url = new URL(this.#target.url?.includes('://') ? this.#target.url : 'redis://127.0.0.1')
    url.port = String(this.port)
    return url.href
  }

  /** How many clients are connected now. */
  get connections(): number {
    return this.#links.size
  }

  // The network

  /** Makes every message late, each way the same or as told; 0 ends it. What is on its way keeps its time. */
  delay(milliseconds: number | Delay, jitter = 0): void {
    this.#delay =
      typeof milliseconds === 'number' ? { up: milliseconds, down: milliseconds, jitter } : { jitter, ...milliseconds }
  }

  /**
   * Loses such a share (below 1) of the messages; 0 ends it. TCP sends a lost one again after 200 ms, then 400 ms, and so
   * on (here up to 3 s in all): it is late, and so is what comes behind it.
   */
  lose(share: number): void {
    if (!(share >= 0 && share < 1)) throw new RangeError(`a share is from 0 to below 1, got ${share}`)
    this.#loss = share
  }

  /**
   * Silence: connections stay open, new ones are accepted (a proxy cannot prevent that, and neither does a paused
   * Redis), and nothing comes through. It is kept, and delivered by {@link heal} or `'none'`, even what a client has sent
   * that has given up meanwhile, as TCP would.
   */
  blackhole(direction: 'both' | 'none' | Direction = 'both'): void {
    if (direction === 'none') {
      this.#silent.up = this.#silent.down = false
      this.#drain()
      return
    }
    if (direction !== 'down') this.#silent.up = true
    if (direction !== 'up') this.#silent.down = true
  }

  /** Writes no more than so many bytes at once, one write in each turn of the event loop. */
  slice(bytes: number): void {
    if (!(bytes >= 1)) throw new RangeError(`a slice has at least 1 byte, got ${bytes}`)
    this.#sliceBytes = bytes
  }

  /** New connections get ECONNREFUSED. Those that exist go on. */
  refuse(): void {
    this.#server?.close()
    this.#server = undefined
  }

  /** Takes new connections again. */
  async accept(): Promise<void> {
    if (this.#server !== undefined) return
    const server = createServer({ allowHalfOpen: true }, (client) => {
      const upstream = connect({ ...this.#address(), allowHalfOpen: true })
      this.#links.add(new ProxyLink(client, upstream, this.#owner))
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.port, this.host, resolve)
    })
    this.#server = server
  }

  /** Resets all connections. */
  resetAll(): void {
    this.#cutAll('reset')
  }

  /** Ends all connections in an orderly way. */
  finAll(): void {
    this.#cutAll('fin')
  }

  /**
   * Half-open connections: the server's side of each is closed, its client is told nothing. New ones are whole.
   */
  forsakeAll(): void {
    for (const link of [...this.#links]) link.forsake()
  }

  /** Resets the connections that lost something, by {@link forsakeAll} or a swallowed reply: nobody can use them. */
  resetDeaf(): void {
    for (const link of [...this.#links]) if (link.deaf) link.cut('reset')
  }

  /** Ends every fault: disarms, lets go, delivers. Connections that lost a reply are reset. */
  async heal(): Promise<void> {
    this.#delay = {}
    this.#loss = 0
    this.#sliceBytes = Number.POSITIVE_INFINITY
    for (const fault of [...this.#faults.up.splice(0), ...this.#faults.down.splice(0)]) {
      if (fault instanceof Hold) fault.release()
      else fault.disarm()
    }
    this.resetDeaf()
    this.blackhole('none')
    await this.accept()
  }

  // Single commands and replies. A client's own commands (INFO, CLIENT SETINFO…) count too: name the one that is meant.

  /** The command never reaches Redis, its connection is cut. */
  cutBeforeCommand(match?: Match, options: CutOptions = {}): Fault {
    return this.#arm('up', 'cut before a command', match, options, 0)
  }

  /** The command reaches Redis, its connection is cut at once. */
  cutAfterCommand(match?: Match, options: CutOptions = {}): Fault {
    return this.#arm('up', 'cut after a command', match, options, Number.POSITIVE_INFINITY)
  }

  /** Redis has carried out the command, its reply does not get through: the connection is cut. */
  cutBeforeReply(match?: Match, options: CutOptions = {}): Fault {
    return this.#arm('down', 'cut before a reply', match, options, 0)
  }

  /** The client gets the reply, then the connection is cut. */
  cutAfterReply(match?: Match, options: CutOptions = {}): Fault {
    return this.#arm('down', 'cut after a reply', match, options, Number.POSITIVE_INFINITY)
  }

  /** The client gets the first bytes of the reply, then the connection is cut. */
  cutMidReply(match?: Match, { bytes = 1, ...options }: CutOptions & { readonly bytes?: number } = {}): Fault {
    return this.#arm('down', 'cut amid a reply', match, options, bytes)
  }

  /**
   * Redis has carried out the command, its reply is lost, and so is everything after it on that connection, which stays
   * open: a TCP stream cannot have a hole, and a later reply in its place would answer the wrong command.
   */
  swallowReply(match?: Match, options: FaultOptions = {}): Fault {
    return this.#add('down', new Fault('swallow a reply', { kind: 'swallow' }, match, options))
  }

  /** All replies are lost from now on, on every connection, until {@link heal}. */
  swallowReplies(): Fault {
    return this.swallowReply(undefined, { times: Number.POSITIVE_INFINITY })
  }

  /** Stops the command at the proxy, and what comes behind it on its connection, until it is released. */
  holdCommand(match?: Match, options: FaultOptions = {}): Hold {
    return this.#add('up', new Hold('hold a command', match, options, () => this.#drain()))
  }

  /** Stops the reply to the command, and what comes behind it, until it is released. */
  holdReply(match?: Match, options: FaultOptions = {}): Hold {
    return this.#add('down', new Hold('hold a reply', match, options, () => this.#drain()))
  }

  // What has passed, since the start or the last `forget()`

  /** How many commands have reached the proxy, of one name or of all. */
  commandCount(name?: string): number {
    return this.#count('up', name)
  }

  /** How many replies have reached the proxy, to commands of one name or to all. */
  replyCount(name?: string): number {
    return this.#count('down', name)
  }

  /** Starts counting anew. */
  forget(): void {
    this.#tallies.up.clear()
    this.#tallies.down.clear()
  }

  /** Resolves once so many commands have reached the proxy. @throws {WaitTimeoutError} telling which have. */
  seen(count: number, { timeoutMs = 5_000 }: { readonly timeoutMs?: number } = {}): Promise<void> {
    return this.#untilCounted('up', undefined, count, timeoutMs)
  }

  /** Resolves once the nth command of this name has reached the proxy. @throws {WaitTimeoutError} telling which have. */
  command(name: string, { nth = 1, timeoutMs = 5_000 }: SeenOptions = {}): Promise<void> {
    return this.#untilCounted('up', name, nth, timeoutMs)
  }

  /** Resolves once the nth reply to commands of this name has reached the proxy. */
  reply(name: string, { nth = 1, timeoutMs = 5_000 }: SeenOptions = {}): Promise<void> {
    return this.#untilCounted('down', name, nth, timeoutMs)
  }

  /** Ends the proxy and all connections. */
  async close(): Promise<void> {
    this.refuse()
    for (const link of [...this.#links]) link.destroy()
    this.#reserved.release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #address(): NetConnectOpts {
    const { port, host = this.host, socketPath } = this.#target
    return port === 0 && socketPath !== undefined ? { path: socketPath } : { port, host }
  }

  #delayOf(direction: Direction): number {
    const { jitter = 0 } = this.#delay
    const late = (this.#delay[direction] ?? 0) + (this.#loss === 0 ? 0 : this.#retransmission())
    return jitter === 0 ? late : Math.max(0, late + (this.#random() * 2 - 1) * jitter)
  }

  #retransmission(): number {
    let late = 0
    for (let timeout = FIRST_RETRANSMISSION; this.#random() < this.#loss; timeout *= 2) {
      late += timeout
      if (timeout === LAST_RETRANSMISSION) break
    }
    return late
  }

  #arrived(direction: Direction, command: Command): readonly Fault[] {
    const tally = this.#tallies[direction]
    tally.set(command.name, (tally.get(command.name) ?? 0) + 1)
    return this.#faults[direction].filter((fault) => fault.claims(command))
  }

  #arm(direction: Direction, what: string, match: Match | undefined, options: CutOptions, pass: number): Fault {
    const { ending = 'reset' } = options
    return this.#add(direction, new Fault(what, { kind: 'cut', pass, ending }, match, options))
  }

  #add<F extends Fault>(direction: Direction, fault: F): F {
    this.#faults[direction] = [...this.#faults[direction].filter((armed) => !armed.spent), fault]
    return fault
  }

  #drain(): void {
    for (const link of [...this.#links]) link.drain()
  }

  #cutAll(ending: Ending): void {
    for (const link of [...this.#links]) link.cut(ending)
  }

  #count(direction: Direction, name: string | undefined): number {
    const tally = this.#tallies[direction]
    if (name !== undefined) return tally.get(name.toUpperCase()) ?? 0
    return [...tally.values()].reduce((sum, count) => sum + count, 0)
  }

  async #untilCounted(direction: Direction, name: string | undefined, count: number, timeoutMs: number): Promise<void> {
    const kind = direction === 'up' ? 'commands' : 'replies'
    const what = `${count} ${name ?? ''} ${kind} at the proxy`
    await until(() => this.#count(direction, name) >= count, { timeoutMs, what }).catch((error: unknown) => {
      const seen = [...this.#tallies[direction]].map(([word, times]) => `${word} ${times}`).join(', ')
      throw new Error(`${error instanceof Error ? error.message : error}; it has seen: ${seen || 'none'}`)
    })
  }
}
