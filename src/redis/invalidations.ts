/**
 * The connection on which Redis announces changed sessions: a second one to the same server, in RESP2, whose invalidation
 * messages are redirected to itself. Broadcast by prefix (BCAST), not by what a connection has read: then nothing hangs
 * on the data connection, which may be the application's own, and a session stays covered after its first change. Never
 * with NOLOOP: Redis then keeps quiet about a foreign change when an own command on the same key follows in the same
 * turn of its event loop (an EXPIRE is enough), and tells what an own script has changed all the same.
 */
import type { Socket } from 'node:net'
import type { Redis, RedisOptions } from 'ioredis'
import type { Clock } from '../clock.js'
import type { Tracking, TrackingObstacle } from '../tracking.js'
import { jittered } from './backoff.js'
import { infoField } from './connect.js'
import { classify, isReply } from './failures.js'

export interface InvalidationsOptions {
  /** The data connection: a second one is opened the same way. */
  readonly client: Redis
  /** What the keys of sessions begin with. */
  readonly prefix: string
  /** How old a proof may be, ms; asked for four times as often. */
  readonly maxSilence: number
  readonly clock: Clock
  readonly tracking: Tracking
  /** The `run_id` of the server that sessions are read from, where known. */
  readonly server: () => string | undefined
  /** Finds out on the data connection whether that server would answer a read. */
  readonly probe: () => Promise<unknown>
  /** These sessions have changed, or are gone. */
  readonly onChanged: (sids: readonly string[]) => void
  readonly onRefused: (reason: TrackingObstacle) => void
}

/** Least time from TCP to the first invalidation message that may come, ms. */
const HANDSHAKE = 1_000
/** Between two attempts to connect, ms: doubles from the first to the last. */
const BACKOFF = Object.freeze({ first: 50, last: 1_000 })
/** Pings in `maxSilence`. */
const BEATS = 4
/** Pings without an answer after which the connection is given up: twice `maxSilence`. */
const MAX_UNANSWERED = 2 * BEATS
/** Where Redis sends invalidation messages in RESP2 (Redis manual, "Client-side caching", "Two connections mode"). */
const CHANNEL = '__redis__:invalidate'

export class Invalidations {
  readonly #options: InvalidationsOptions
  readonly #client: Redis
  readonly #prefix: string
  #beat: NodeJS.Timeout | undefined
  #watchdog: NodeJS.Timeout | undefined
  #revival: NodeJS.Timeout | undefined
  #attempts = 0
  #unanswered = 0
  #probing = false
  /** It is to be connected; not after a refusal, nor without the data connection. */
  #wanted = false
  #closed = false

  constructor(options: InvalidationsOptions) {
    this.#options = options
    const { client } = options
    this.#prefix = (client.options.keyPrefix ?? '') + options.prefix
    this.#client = client.duplicate(overrides(client.options))
    this.#client.on('error', noop)
    this.#client.on('connect', () => this.#watch())
    client.on('end', this.#pause)
    this.#client.on('ready', () => void this.#begin())
    this.#client.on('close', () => this.#end())
    this.#client.on('end', () => this.#revive())
    this.#client.on('messageBuffer', (_channel: unknown, keys: unknown) => this.#heard(keys))
  }

  /** Connects, or tries again what was refused; no more than that. */
  start(): void {
    const { status } = this.#client
    if (this.#closed) return
    this.#wanted = true
    // Not only at its end: disconnected while it waits to reconnect, ioredis says that it does so for ever.
    if (status === 'connecting' || status === 'connect' || status === 'ready') return
    this.#options.tracking.end()
    this.#client.connect().catch(noop)
  }

  close(): void {
    this.#closed = true
    this.#options.client.off('end', this.#pause)
    this.#pause()
  }

  /** The data connection was closed for good, or until somebody connects it again. */
  readonly #pause = (): void => {
    this.#wanted = false
    clearTimeout(this.#revival)
    this.#end()
    this.#client.disconnect()
    this.#cut()
  }

  /** ioredis gives up where Sentinels tell it of a failover while it connects. */
  #revive(): void {
    if (!this.#wanted) return
    clearTimeout(this.#revival)
    this.#revival = setTimeout(() => this.start(), BACKOFF.last).unref()
  }

  async #begin(): Promise<void> {
    const { clock, tracking } = this.#options
    const client = this.#client
    const attempt = ++this.#attempts
    try {
      const [id, info] = await Promise.all([client.client('ID'), client.info('server')])
      const server = infoField(info, 'run_id')
      if (server === undefined) return this.#refuse('unsupported')
      await client.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', String(id), 'BCAST', 'PREFIX', this.#prefix)
      const sentAt = clock.monotonic()
      await client.subscribe(CHANNEL)
      if (attempt !== this.#attempts || client.status !== 'ready' || this.#closed) return
      clearTimeout(this.#watchdog)
      this.#unanswered = 0
      tracking.begin(server, sentAt)
      this.#ping()
    } catch (error) {
      if (attempt !== this.#attempts) return
      const reason = classify(error)
      if (reason === 'auth') this.#refuse('auth')
      else if (reason === undefined && isReply(error)) this.#refuse('unsupported')
      else this.#drop()
    }
  }

  #refuse(reason: TrackingObstacle): void {
    if (this.#closed) return
    this.#wanted = false
    this.#client.disconnect()
    this.#end()
    this.#options.tracking.refuse(reason)
    this.#options.onRefused(reason)
  }

  #ping(): void {
    const { clock, tracking, maxSilence } = this.#options
    const sentAt = clock.monotonic()
    this.#unanswered++
    const heard = this.#client.ping().then(() => {
      this.#unanswered = 0
    })
    Promise.all([heard, this.#probe()]).then(() => tracking.prove(sentAt), noop)
    this.#beat = setTimeout(() => this.#next(), maxSilence / BEATS).unref()
  }

  /** One at a time: where Redis is silent, they would pile up. */
  #probe(): Promise<unknown> {
    if (this.#probing) return Promise.reject(new Error('the last probe is not answered yet'))
    this.#probing = true
    return this.#options.probe().finally(() => {
      this.#probing = false
    })
  }

  #next(): void {
    const { tracking, server } = this.#options
    // After a failover this connection may stand on the old server: what that one announces is of no use.
    const isElsewhere = tracking.epoch(server()) === undefined
    if (isElsewhere || this.#unanswered >= MAX_UNANSWERED) this.#drop()
    else this.#ping()
  }

  /** A list of keys, or nothing: all of them. */
  #heard(keys: unknown): void {
    const { tracking, onChanged } = this.#options
    if (Array.isArray(keys)) onChanged(keys.map((key) => String(key).slice(this.#prefix.length)))
    else tracking.renew()
  }

  /** A peer that accepts and then says nothing is not waited for for ever. Nor does the process wait for this connection. */
  #watch(): void {
    this.#stream?.unref()
    clearTimeout(this.#watchdog)
    this.#watchdog = setTimeout(() => this.#drop(), HANDSHAKE).unref()
  }

  #end(): void {
    clearTimeout(this.#beat)
    clearTimeout(this.#watchdog)
    if (this.#options.tracking.state.state === 'tracking') this.#options.tracking.end()
  }

  /** Gives the connection up and lets the client make another one. */
  #drop(): void {
    this.#end()
    if (this.#closed || this.#client.status === 'end') return
    this.#client.disconnect(true)
    this.#cut()
  }

  /** ioredis's own disconnect ends the socket, which a silent peer never answers. */
  #cut(): void {
    this.#stream?.destroy()
  }

  get #stream(): Socket | undefined {
    return (this.#client as { stream?: Socket }).stream
  }
}

function overrides(given: RedisOptions): RedisOptions {
  return {
    // ioredis drops the invalidation messages of RESP3. (ioredis 5 has no such option, and RESP2 alone.)
    ...({ protocol: 2 } as object),
    keyPrefix: '',
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResubscribe: false,
    // The data connection is told of failovers, and this one follows it.
    failoverDetector: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    enableReadyCheck: given.sentinels !== undefined,
    retryStrategy: (attempt) => jittered(Math.min(BACKOFF.first * 2 ** (attempt - 1), BACKOFF.last)),
  }
}

function noop(): void {}
