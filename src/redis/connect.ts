/**
 * The connection to Redis: made here to fail fast, or supplied and checked. Knows whether commands can be sent, the
 * server's clock, its `run_id` and whether it may evict; all are read anew at every `ready`, before the first command
 * is let through.
 */
import { Redis, type RedisOptions } from 'ioredis'
import { RedisFailure } from '../errors.js'
import type { LaneConnection } from '../lanes.js'
import { BACKOFF, jittered } from './backoff.js'
import { classify, toFailure } from './failures.js'

/** One server, as commands see it. */
export interface Link {
  readonly client: Redis
  /** A monotonic deadline in ms of Redis's own clock, for a script's not-after; '' while that clock is unknown. */
  notAfter(deadline: number): string
  /** Reads Redis's clock again: it was set, or was read while the loop was blocked. */
  measure(): Promise<void>
}

/** A connection as `health()` shows it. */
export type ConnectionState = 'connecting' | 'ready' | 'lost' | 'closed'

export interface ConnectionOptions {
  readonly client: Redis | undefined
  readonly redis: string | RedisOptions
  /** The store's deadline in ms. */
  readonly timeout: number
  /** Commands can be sent (again). `sameServer` is false when another `run_id` answers than before. */
  readonly onReady: (sameServer: boolean) => void
  readonly onLost: (failure: RedisFailure) => void
}

/** Least time for TCP, TLS and the handshake, ms: they may take several round trips. */
const HANDSHAKE = 1_000
/** The same under Sentinel, which names a silent master until another is promoted: each try on it comes on top of that. */
const SENTINEL_HANDSHAKE = 500
/** Least time between two reconnects for READONLY, ms. */
const RECONNECT_ON_READONLY = 1_000

export class Connection implements LaneConnection, Link {
  readonly client: Redis
  readonly #options: ConnectionOptions
  readonly #own: boolean
  #state: ConnectionState = 'connecting'
  #failure = new RedisFailure('not-connected', 'not connected yet')
  /** What went wrong since the last `connect`. */
  #cause: RedisFailure | undefined
  #synchronizing: Promise<void> | undefined
  #waiting: { resolve: () => void; reject: (failure: RedisFailure) => void; promise: Promise<void> } | undefined
  /** Redis's clock minus ours (monotonic), ms, rounded down so that a not-after is never too late. */
  #offset: number | undefined
  #runId: string | undefined
  #warnedAboutEviction = false
  #watchdog: NodeJS.Timeout | undefined
  #revival: NodeJS.Timeout | undefined
  #demotedAt = Number.NEGATIVE_INFINITY
  /** The socket was dropped, and no other has been connected since. */
  #isCut = false

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#own = options.client === undefined
    this.client = options.client ?? open(options.redis, options.timeout)
    if (!this.#own) warnAboutDangerousSettings(this.client)
  }

  /** Begins to follow the client; whoever is told of changes must be there by now. */
  start(): void {
    this.client.on('error', this.#onError)
    this.client.on('connect', this.#onConnect)
    this.client.on('ready', this.#onReady)
    this.client.on('close', this.#onClose)
    this.client.on('end', this.#onEnd)
    const { status } = this.client
    if (status === 'ready') this.#onReady()
    else if (status === 'wait') this.client.connect().catch(() => {})
    else if (status === 'end' || status === 'close' || status === 'reconnecting') this.#lost()
  }

  /** Which server answers: its `run_id`, where it may be asked. */
  get runId(): string | undefined {
    return this.#runId
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** Why commands cannot be sent. */
  get failure(): RedisFailure {
    return this.#failure
  }

  usable(): Promise<void> | undefined {
    if (this.#state === 'ready') return undefined
    if (this.#state === 'lost' || this.#state === 'closed') {
      // Connected, but the first questions were refused (NOAUTH, MASTERDOWN): whoever asks now tries them again.
      if (this.#state === 'lost' && this.client.status === 'ready' && !this.#isCut) return this.#synchronize()
      return Promise.reject(this.#failure)
    }
    if (this.#waiting === undefined) {
      let resolve!: () => void
      let reject!: (failure: RedisFailure) => void
      const promise = new Promise<void>((onResolve, onReject) => {
        resolve = onResolve
        reject = onReject
      })
      promise.catch(() => {})
      this.#waiting = { resolve, reject, promise }
    }
    return this.#waiting.promise
  }

  stalled(): void {
    if (!this.#own || this.#state !== 'ready') return
    this.#cause = new RedisFailure('timeout', 'no answer to a probe')
    this.#cut()
    // At once: until ioredis hears of it, it would still call itself ready.
    this.#lost()
  }

  /**
   * The server is a replica now. Sentinel knows who is master: the connection is made anew, but not over and over, which
   * would cut healthy reads. ioredis's own reconnectOnError does not see what a script replies.
   */
  demoted(): void {
    const now = performance.now()
    const { sentinels } = this.client.options
    if (!this.#own || !sentinels || now - this.#demotedAt < RECONNECT_ON_READONLY) return
    this.#demotedAt = now
    this.client.disconnect(true)
  }

  notAfter(deadline: number): string {
    return this.#offset === undefined ? '' : String(Math.floor(deadline + this.#offset))
  }

  async measure(): Promise<void> {
    const before = performance.now()
    const [seconds, micros] = (await this.client.time()) as unknown as [string, string]
    const redis = Number(seconds) * 1000 + Number(micros) / 1000
    // Redis read its clock at some moment between the two: the later one makes not-after earlier, never too late. What
    // was known before and agrees with both was measured better.
    const least = redis - performance.now()
    const known = this.#offset ?? least
    this.#offset = known > redis - before ? least : Math.max(known, least)
  }

  /** Lets go of the client, and closes it if the store opened it. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return
    const wasReady = this.#state === 'ready'
    this.#state = 'closed'
    this.#failure = new RedisFailure('not-connected', 'the store was closed')
    this.#waiting?.reject(this.#failure)
    clearTimeout(this.#watchdog)
    this.client.off('connect', this.#onConnect)
    this.client.off('ready', this.#onReady)
    this.client.off('close', this.#onClose)
    this.client.off('end', this.#onEnd)
    clearTimeout(this.#revival)
    if (!this.#own) {
      this.client.off('error', this.#onError)
      return
    }
    if (wasReady) {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, this.#options.timeout)
      })
      await Promise.race([late, this.client.quit().then(noop, noop)])
      clearTimeout(timer)
    }
    this.client.disconnect()
    this.#cut()
  }

  get #patience(): number {
    const { timeout } = this.#options
    return this.client.options.sentinels ? Math.max(SENTINEL_HANDSHAKE, 2 * timeout) : Math.max(HANDSHAKE, timeout)
  }

  /** Drops the socket. ioredis's own disconnect ends it, which a silent peer never answers. */
  #cut(): void {
    const { stream } = this.client as { stream?: { destroy(): void } }
    this.#isCut = true
    stream?.destroy()
  }

  /** For CLIENT LIST. After the first question, and for its own sake alone. */
  #introduce(): Promise<unknown> {
    return this.client.client('SETNAME', 'resilient-session-store').catch(noop)
  }

  /** Tells once that Redis may drop what nobody has asked it to drop. */
  #warnAboutEviction(policy: string | undefined): void {
    if (this.#warnedAboutEviction || policy === undefined || policy === 'noeviction') return
    this.#warnedAboutEviction = true
    process.emitWarning(`Redis may evict what the session store keeps: its maxmemory-policy is '${policy}'`, {
      type: 'SessionStoreWarning',
      code: 'SESSION_STORE_EVICTION',
      detail:
        'When it is full it drops sessions, and with them the markers that keep destroyed sessions from coming back. Set maxmemory-policy to noeviction.',
    })
  }

  readonly #onError = (error: unknown): void => {
    const reason = classify(error)
    this.#cause = toFailure(error, reason ?? 'not-connected')
  }

  readonly #onConnect = (): void => {
    this.#cause = undefined
    this.#isCut = false
    if (!this.#own) return
    // A paused Redis accepts TCP and then says nothing, and no client option bounds that for a handshake alone.
    clearTimeout(this.#watchdog)
    this.#watchdog = setTimeout(() => {
      this.#cause = new RedisFailure('timeout', 'no answer to the handshake')
      this.#cut()
    }, this.#patience).unref()
  }

  readonly #onReady = (): void => {
    this.#synchronize().catch(noop)
  }

  readonly #onClose = (): void => {
    clearTimeout(this.#watchdog)
    this.#synchronizing = undefined
    // Another server may answer next.
    this.#offset = undefined
    this.#lost()
  }

  /** A client gives up where its Sentinels tell it of a failover while it is connecting. One of our own never does. */
  readonly #onEnd = (): void => {
    this.#onClose()
    if (!this.#own || this.#state === 'closed') return
    clearTimeout(this.#revival)
    this.#revival = setTimeout(() => this.client.connect().catch(noop), jittered(BACKOFF.last)).unref()
  }

  #lost(failure = this.#cause ?? new RedisFailure('reset', 'the connection was closed')): void {
    if (this.#state === 'closed') return
    this.#state = 'lost'
    this.#failure = failure
    this.#waiting?.reject(failure)
    this.#waiting = undefined
    this.#options.onLost(failure)
  }

  #synchronize(): Promise<void> {
    if (this.#synchronizing === undefined) {
      const asking = this.#askServer().finally(() => {
        if (this.#synchronizing === asking) this.#synchronizing = undefined
      })
      this.#synchronizing = asking
    }
    return this.#synchronizing
  }

  async #askServer(): Promise<void> {
    const { client } = this
    const before = this.#runId
    try {
      // In one write: a Redis with too many clients has hung up by then, and a second one would cost us its answer.
      const [server, memory] = await corked(client, true, () =>
        Promise.all([
          (client.info('server') as Promise<string>).catch(ifDenied),
          (client.info('memory') as Promise<string>).catch(ifDenied),
          this.measure().catch(ifDenied),
          this.#own && this.#introduce(),
        ]),
      )
      this.#runId = infoField(server, 'run_id') ?? this.#runId
      this.#warnAboutEviction(infoField(memory, 'maxmemory_policy'))
    } catch (error) {
      const failure = toFailure(error, classify(error) ?? 'not-connected')
      if (failure.reason !== 'reset') this.#cause = failure
      if (client.status === 'ready') this.#lost(failure)
      throw failure
    }
    if (client.status !== 'ready' || this.#state === 'closed') throw this.#failure
    clearTimeout(this.#watchdog)
    this.#cause = undefined
    this.#state = 'ready'
    this.#waiting?.resolve()
    this.#waiting = undefined
    this.#options.onReady(before === undefined || before === this.#runId)
  }
}

/** A client that fails fast: nothing waits in it, nothing is sent twice, and it never gives up reconnecting. */
function open(redis: string | RedisOptions, timeout: number): Redis {
  const given: RedisOptions = typeof redis === 'string' ? {} : redis
  const sentinel = given.sentinels !== undefined
  const options: Omit<RedisOptions, 'replyMapping'> = {
    connectTimeout: Math.max(HANDSHAKE, timeout),
    // What a Redis with too many clients answers goes to whatever was sent first: our own question, not this one.
    disableClientInfo: true,
    keepAlive: 10_000,
    retryStrategy: (attempt) => jittered(Math.min(BACKOFF.first * 2 ** (attempt - 1), BACKOFF.last)),
    // With the ready check a loading Redis looks like a silent one; without it every command says LOADING. Sentinel
    // needs it: it also makes sure that a master answers.
    enableReadyCheck: sentinel,
    maxLoadingRetryTime: BACKOFF.last,
    ...(sentinel && {
      sentinelRetryStrategy: () => jittered(BACKOFF.last),
      // They demote an old master that still answers only after ten seconds; what it takes until then is lost.
      failoverDetector: true,
      // It ends the connection, which a silent master never answers.
      disconnectTimeout: 100,
    }),
    ...given,
    lazyConnect: false,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
  }
  return typeof redis === 'string' ? new Redis(redis, options) : new Redis(options)
}

/** Several commands in one write to the socket: the write is what costs. ioredis writes each command by itself. */
export function corked<T>(client: Redis, several: boolean, send: () => T): T {
  const stream = several ? (client as { stream?: { cork?(): void; uncork?(): void } }).stream : undefined
  stream?.cork?.()
  try {
    return send()
  } finally {
    stream?.uncork?.()
  }
}

/** A field of INFO, without its name. */
export function infoField(info: string | undefined, name: string): string | undefined {
  return new RegExp(`^${name}:([\\w-]+)`, 'm').exec(info ?? '')?.[1]
}

/** Rights are checked by `ready()`; here a missing one costs a feature, not the connection. */
function ifDenied(error: unknown): undefined {
  if (error instanceof Error && error.message.startsWith('NOPERM')) return undefined
  throw error
}

/**
 * Refuses what is not an ioredis client. Duck-typed: several copies and versions of ioredis may be installed.
 *
 * @throws TypeError that says what to do
 */
export function assertClient(client: unknown): void {
  const candidate = client as Partial<Redis> & { isOpen?: unknown; sendCommand?: unknown }
  if (typeof candidate?.status === 'string' && typeof candidate.mget === 'function') return
  if (typeof candidate?.sendCommand === 'function' && 'isOpen' in candidate) {
    throw new TypeError(
      "option 'client' is a node-redis client, but must be one of ioredis: install ioredis and pass `new Redis(url)`, or drop 'client' and give option 'redis' the URL",
    )
  }
  throw new TypeError("option 'client' must be an ioredis client (Redis or Cluster)")
}

/** Tells once per client what in its settings undermines the store. */
function warnAboutDangerousSettings(client: Redis): void {
  if (warned.has(client)) return
  warned.add(client)
  const { options } = client
  const changes: string[] = []
  if (options.enableOfflineQueue !== false) {
    changes.push('enableOfflineQueue: false (commands wait in the client while Redis is away and run when it returns)')
  }
  if (options.autoResendUnfulfilledCommands !== false) {
    changes.push('autoResendUnfulfilledCommands: false (commands that already failed are sent again)')
  }
  if (options.commandTimeout === undefined) {
    changes.push('commandTimeout (a silent Redis keeps commands in the client for good)')
  }
  if (changes.length === 0) return
  process.emitWarning('The ioredis client given to the session store is not set to fail fast', {
    type: 'SessionStoreWarning',
    code: 'SESSION_STORE_CLIENT',
    detail: `Set on the client: ${changes.join('; ')}. Or give the store option 'redis' and let it open its own.`,
  })
}

const warned = new WeakSet<object>()

function noop(): void {}
