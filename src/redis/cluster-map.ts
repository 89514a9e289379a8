/**
 * Which master has which slots. ioredis's Cluster client finds that out (start-up nodes, DNS, NAT, TLS) and is asked
 * for nothing else: sessions go over connections of the store's own, one to each master, which fail fast whatever the
 * client is set to. ioredis forces the offline queue of a Cluster's connections on.
 */
import { Cluster, type RedisOptions } from 'ioredis'
import { RedisFailure } from '../errors.js'
import type { LaneConnection } from '../lanes.js'
import type { RedisClusterOptions } from '../options.js'
import { BACKOFF, jittered } from './backoff.js'
import type { ConnectionState } from './connect.js'
import { classify, toFailure } from './failures.js'
import { SLOTS } from './slots.js'

export interface ClusterMapOptions {
  readonly client: Cluster | undefined
  readonly redis: RedisClusterOptions | undefined
  /** The store's deadline, ms. */
  readonly timeout: number
  /** The map was read: the address (`host:port`) of each slot's master, `undefined` where none is known. */
  readonly onMap: (owners: readonly (string | undefined)[]) => void
  /** No node answers, and none ever has. */
  readonly onLost: (failure: RedisFailure) => void
  /** Whether every master answers: otherwise the map is read more often. */
  readonly isWell: () => boolean
}

/** Between two readings of the map while all is well, ms. */
const CALM = 5_000

export class ClusterMap implements LaneConnection {
  readonly #options: ClusterMapOptions
  readonly #client: Cluster
  readonly #own: boolean
  #state: ConnectionState = 'connecting'
  #failure = new RedisFailure('not-connected', 'the masters of the Cluster are not known yet')
  #waiting = new Waiter()
  #timer: NodeJS.Timeout | undefined
  #isSoon = false

  constructor(options: ClusterMapOptions) {
    this.#options = options
    this.#own = options.client === undefined
    this.#client = options.client ?? open(options.redis as RedisClusterOptions, options.timeout)
  }

  get state(): ConnectionState {
    return this.#state
  }

  get failure(): RedisFailure {
    return this.#failure
  }

  start(): void {
    this.#client.on('error', this.#onError)
    this.#client.on('node error', this.#onNodeError)
    this.#client.on('refresh', this.#onRefresh)
    if (this.#client.status === 'wait') this.#client.connect().catch(() => {})
    else if (this.#client.status === 'ready') this.#onRefresh()
    this.#schedule()
  }

  /** Settles when the map is known. */
  usable(): Promise<void> | undefined {
    if (this.#state === 'ready') return undefined
    if (this.#state !== 'connecting') return Promise.reject(this.#failure)
    return this.#waiting.promise
  }

  stalled(): void {}

  /** Reads the map again soon: something in it is wrong. */
  refresh(): void {
    // Not put off by whoever asks for it once more.
    if (this.#state === 'closed' || this.#isSoon) return
    this.#isSoon = true
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#read(), jittered(BACKOFF.first)).unref()
  }

  /** The options of a connection to a node, as the client would make it. */
  nodeOptions(address: string): RedisOptions {
    const at = address.lastIndexOf(':')
    const host = address.slice(0, at)
    const port = Number(address.slice(at + 1))
    const { redisOptions } = this.#client.options
    // A start-up node may have credentials of its own.
    const known = this.#client.nodes().find(({ options }) => options.host === host && options.port === port)
    const { username, password, tls, family } = known?.options ?? redisOptions ?? {}
    const own = { username, password, tls, family }
    const given = Object.entries(own).filter(([, value]) => value != null)
    return { ...(redisOptions as RedisOptions), ...Object.fromEntries(given), host, port }
  }

  /** Where a node's own name for another one (in a MOVED or ASK) is to be found from here. */
  translate(address: string): string {
    const { natMap } = this.#client.options
    const mapped = typeof natMap === 'function' ? natMap(address) : natMap?.[address]
    return mapped ? `${mapped.host}:${mapped.port}` : address
  }

  async close(): Promise<void> {
    this.#state = 'closed'
    this.#failure = new RedisFailure('not-connected', 'the store was closed')
    this.#waiting.reject(this.#failure)
    clearTimeout(this.#timer)
    this.#client.off('refresh', this.#onRefresh)
    this.#client.off('node error', this.#onNodeError)
    if (this.#own) this.#client.disconnect()
    else this.#client.off('error', this.#onError)
  }

  readonly #onRefresh = (): void => {
    if (this.#state === 'closed') return
    const { slots } = this.#client
    this.#state = 'ready'
    this.#options.onMap(Array.from({ length: SLOTS }, (_, slot) => slots[slot]?.[0]))
    this.#waiting.resolve()
  }

  readonly #onError = (error: unknown): void => {
    // Masters that were known once are lost one by one, each by its own connection.
    if (this.#state === 'ready' || this.#state === 'closed') return
    this.#note(error)
    this.#state = 'lost'
    this.#waiting.reject(this.#failure)
    this.#waiting = new Waiter()
    this.#options.onLost(this.#failure)
  }

  readonly #onNodeError = (error: unknown): void => {
    if (this.#state !== 'ready') this.#note(error)
  }

  #note(error: unknown): void {
    const failure = toFailure(error, classify(error) ?? 'not-connected')
    // "All nodes failed" says less than why the last one did.
    if (failure.reason !== 'unreachable' || this.#failure.reason === 'not-connected') this.#failure = failure
  }

  #schedule(): void {
    if (this.#state === 'closed') return
    clearTimeout(this.#timer)
    const wait = this.#options.isWell() ? CALM : BACKOFF.last
    this.#timer = setTimeout(() => this.#read(), jittered(wait)).unref()
  }

  #read(): void {
    this.#isSoon = false
    this.#client.refreshSlotsCache(() => this.#schedule())
  }
}

/** A client that goes on looking for its nodes, and bounds every step of that. */
function open({ cluster, ...given }: RedisClusterOptions, timeout: number): Cluster {
  const options = {
    clusterRetryStrategy: () => jittered(BACKOFF.last),
    slotsRefreshTimeout: Math.max(BACKOFF.last, timeout),
    ...given,
    lazyConnect: false,
    enableOfflineQueue: false,
    // It asks whether every slot is served: no reason not to read those that are.
    enableReadyCheck: false,
    redisOptions: {
      connectTimeout: Math.max(1_000, timeout),
      disableClientInfo: true,
      ...given.redisOptions,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
    },
  }
  return new Cluster([...cluster], options as ConstructorParameters<typeof Cluster>[1])
}

/** A promise and its ends; whoever does not wait need not catch. */
class Waiter {
  resolve!: () => void
  reject!: (failure: RedisFailure) => void
  readonly promise: Promise<void> = new Promise<void>((resolve, reject) => {
    this.resolve = resolve
    this.reject = reject
  })

  constructor() {
    this.promise.catch(() => {})
  }
}
