import type { IncomingMessage } from 'node:http'
import type { SessionData } from 'express-session'
import type { Cluster, ClusterNode, ClusterOptions, Redis, RedisOptions } from 'ioredis'
import type { RedisDownError } from './errors.js'
import type { Degradation, DegradationPreset, DegradationWord } from './policy.js'
import type { Serializer } from './serializers/contract.js'
import type { SerializerName } from './serializers/index.js'

/**
 * Called once for each operation that Redis could not carry out, dropped touches included.
 * May return, synchronously, one of the words valid for that operation to decide for this one request; anything else
 * means the configured policy. What it throws or rejects with is ignored.
 *
 * @param error what failed; `error.operation` and `error.reason` say it in one word each
 * @param req the HTTP request it belongs to: the very object Node made (Express hands the same one to its handlers,
 *   Fastify calls it `request.raw`); `undefined` outside a request
 * @param sid the session id, a secret: do not log it; `undefined` for `all`, `ids`, `length` and `clear`
 */
export type OnRedisDown = (
  error: RedisDownError,
  req: IncomingMessage | undefined,
  sid: string | undefined,
) => DegradationWord | undefined | void | Promise<unknown>

/**
 * Called when a stored session cannot be parsed. The session is then deleted, unless somebody replaced the value
 * meanwhile, and the visitor counts as having none. Not so where the error is a {@link SessionKeyUnknownError}: the
 * session stays, and whoever asked for it gets that error; `all()` leaves it out, and a save that would have to be compared
 * with it fails. What the handler throws or rejects with is ignored.
 *
 * @param error what the serializer threw; may quote session data
 * @param sid the session id: a secret, do not log it
 */
export type OnSessionLoadError = (error: unknown, sid: string) => unknown

/** How far the near cache trusts the connection on which Redis announces changes. */
export interface NearOptions {
  /**
   * How long that connection may be silent, in ms, before reads go to Redis again: while it hangs, a session may be
   * served that was changed or destroyed elsewhere this long ago. It is asked for a sign of life four times as often.
   * 100 to 60_000. @default 1_000
   */
  maxSilence?: number
}

/** Bounds of the in-process cache. */
export interface CacheOptions {
  /** Sessions at most; the least recently used goes first. @default 10_000 */
  max?: number
  /** Bytes at most, counting two a character; the least recently used goes first. @default 67_108_864 (64 MiB) */
  maxBytes?: number
  /** How long after Redis last confirmed a session it may be served without Redis, in ms. @default 30_000 */
  maxStale?: number
  /**
   * Serve sessions from the cache while Redis is up, too, as long as Redis announces (CLIENT TRACKING, Redis 6 or newer,
   * on a second connection) that nobody has changed them. Each process is told of each change of any session under the
   * prefix. Where Redis cannot or may not do that, reads go to Redis as without it, and a warning says so.
   * @default false
   */
  near?: boolean | NearOptions
}

/** Bounds of the queue that holds saves while Redis is down. */
export interface QueueOptions {
  /** Sessions at most with a save waiting; at the bound further saves fail with reason `queue-full`. @default 10_000 */
  max?: number
  /** Bytes at most; at the bound further saves fail with reason `queue-full`. @default 67_108_864 (64 MiB) */
  maxBytes?: number
  /** How long an unwritten change may be served, from when Redis last confirmed what it changed, in ms. @default 600_000 */
  maxAge?: number
}

/** When a lane's breaker opens and how soon it tries again. opossum's names and units; its own defaults do not apply. */
export interface BreakerOptions {
  /** Opens when more than this percentage of the batches in the window failed. @default 50 */
  errorThresholdPercentage?: number
  /** The percentage counts only from this many batches in the window on. @default 10 */
  volumeThreshold?: number
  /** Length of the window, in ms. @default 10_000 */
  rollingCountTimeout?: number
  /** Buckets of the window. @default 10 */
  rollingCountBuckets?: number
  /** How long an open breaker waits before it tries Redis again by itself, in ms. @default 500 */
  resetTimeout?: number
  /** Opens at once after this many failed batches in a row. @default 3 */
  consecutiveFailures?: number
}

/** See option `concurrency`. */
export type Concurrency = 'last-write' | 'reject' | 'merge'

/**
 * A Redis Cluster for the store to connect to: `cluster` has some of its nodes, from which the others are found; the rest
 * is ioredis's own. Credentials and TLS go into `redisOptions`. Reads always go to masters.
 */
export interface RedisClusterOptions extends Omit<ClusterOptions, 'keyPrefix' | 'lazyConnect' | 'scaleReads'> {
  cluster: readonly ClusterNode[]
}

/** Options of `ResilientStore`. All are optional; durations are in milliseconds unless they say seconds. */
export interface ResilientStoreOptions {
  /**
   * An ioredis client of your own, standalone, Sentinel or Cluster. The store never closes it. From a Cluster it takes the
   * map of slots and `redisOptions`, and opens one connection to each master itself. Not together with `redis`.
   */
  client?: Redis | Cluster
  /**
   * Where Redis is: a URL (`redis://`, `rediss://`, or the path of a unix socket), ioredis's options (with `sentinels` and
   * `name` for Sentinel), or `{ cluster: [{ host, port }] }`. The store opens the connections itself, made to fail fast,
   * and closes them in `close()`.
   * @default 'redis://127.0.0.1:6379'
   */
  redis?: string | RedisOptions | RedisClusterOptions
  /** What every key begins with. @default 'sess:' */
  prefix?: string
  /**
   * Expiry in Redis, in seconds, for sessions whose cookie has none; or a function of the session, which then decides
   * for all sessions. @default 86_400 (one day)
   */
  ttl?: number | ((session: SessionData) => number)
  /** Whether reading a session starts its expiry anew, as a background EXPIRE. @default false */
  resetOnRead?: boolean
  /**
   * A touch is skipped while it would move the expiry by at most this much, in ms; 0 turns skipping off.
   * @default the smaller of 60_000 and 5 % of the session's ttl
   */
  touchAfter?: number
  /** Do nothing on `touch`: a session then lives from its last save. @default false */
  disableTouch?: boolean
  /** Store sessions without expiry in Redis: you delete old ones yourself. @default false */
  disableTTL?: boolean
  /** COUNT of each SCAN round trip in `all`, `ids`, `length` and `clear`. @default 100 */
  scanCount?: number
  /** How sessions are written: `'json'`, `'v8'`, `'hybrid'` (reads both, writes JSON), your own, or what `encrypted()` makes of one. @default 'json' */
  serializer?: SerializerName | Serializer
  /** Deadline of each operation in ms, whatever round trips it takes: 1 to 60_000. @default 250 */
  timeout?: number
  /** The lanes' circuit breakers. */
  breaker?: BreakerOptions
  /** Operations under way at most in each lane; beyond it they fail with reason `overloaded`. @default 10_000 */
  maxInFlight?: number
  /** Keep a copy of each session in this process, to be served while Redis is down. `true` takes the defaults. @default false */
  cache?: boolean | CacheOptions
  /**
   * What to do while Redis is down: a preset, or words by operation (those left out are the default preset's).
   * @default 'read-only' with `cache`, otherwise 'strict'
   */
  degradation?: DegradationPreset | Partial<Degradation>
  /**
   * What a save does when the stored session is no longer the one it was loaded from.
   *
   * - `'last-write'`: overwrites it, as other stores do
   * - `'reject'`: fails with `SessionConflictError`
   * - `'merge'`: takes over the top-level keys that the other side changed; a key that both changed keeps this request's
   *   value (told by a `conflict` event)
   *
   * A session that was served stale or from the queue is always compared. The cookie never counts.
   * @default 'last-write'
   */
  concurrency?: Concurrency
  /**
   * Write a session again when Redis came back without it: another server answers (its `run_id` differs), the key is
   * gone, and nobody is known to have destroyed it. Otherwise such a save is refused.
   * @default true where saves are queued (`'available'`), otherwise false
   */
  restoreLost?: boolean
  /** Bounds of the queue behind the word `'queue'`. */
  queue?: QueueOptions
  /**
   * How long a destroyed session is remembered as destroyed, here and by a marker in Redis, in ms: a save on its way
   * does not bring it back. 1_000 to 86_400_000. @default 600_000 (ten minutes)
   */
  revokeFor?: number
  /** Told of every operation that Redis could not carry out, and may decide for the request. */
  onRedisDown?: OnRedisDown
  /** Told of every stored session that cannot be read. */
  onSessionLoadError?: OnSessionLoadError
}
