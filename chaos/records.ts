/**
 * The kinds of records that a history is made of: what visitors sent and got, what each application process's store did
 * and said, and what was done to Redis. Saved as JSONL by {@link ./history-file.ts}: a {@link Header}, then the records;
 * a record's number is its place after the header, from 0 on, and evidence names records by it.
 *
 * All times are milliseconds of the machine's monotonic clock since the traffic began. Processes on one machine share
 * that clock, so times of different processes can be compared. Sessions are named by a short hash of their id, never by
 * the id.
 */
import type { DriverName, Topology } from './drivers/contract.js'

/** Changes whenever a reader of the one before would misread a file. */
export const FORMAT = 1

/** What a visitor can do in the shop; `return`: come back with the cookie of a session that was logged out. */
export type Action = 'login' | 'view' | 'add' | 'logout' | 'admin' | 'return'

/** The stores a shop can be built on. `connect-redis-8` is the last one that takes ioredis. */
export type StoreName = 'resilient' | 'connect-redis' | 'connect-redis-8' | 'memory'

/** The library's presets for an outage. */
export type Policy = 'strict' | 'read-only' | 'available'

/** What a deliberately broken store lacks: the checkers must find out ({@link ./app/broken-store.ts}). */
export type Defect = 'guard' | 'absence' | 'queue-bound' | 'deadline'

export type FrontName = 'round-robin' | 'sticky'

/** The limits the stores were given, and how long sessions live: all times in ms. */
export interface Settings {
  readonly timeout: number
  readonly maxStale: number
  readonly queueMaxAge: number
  readonly cacheMax: number
  readonly cacheMaxBytes: number
  readonly queueMax: number
  readonly queueMaxBytes: number
  readonly revokeFor: number
  readonly maxInFlight: number
  /** `maxAge` of the sessions' cookies. */
  readonly cookieMaxAge: number
}

/**
 * What Redis itself loses in a scenario, which no store can keep. `unreplicated`: a failover loses what was acknowledged
 * up to `lag` ms before the fault, and what a master that was replaced still took during it and for as long after; `everything`: Redis comes back
 * empty.
 */
export type Losses =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'unreplicated'; readonly lag: number }
  | { readonly kind: 'everything' }

/** The first line of a file. */
export interface Header {
  readonly kind: 'header'
  readonly format: typeof FORMAT
  readonly scenario: string
  /** The scenario in one sentence. */
  readonly title: string
  readonly topology: Topology
  readonly driver: DriverName
  readonly store: StoreName
  readonly defect?: Defect
  readonly policy: Policy
  readonly front: FrontName
  readonly seed: number
  /** Length of the traffic. */
  readonly seconds: number
  /** Arrivals a second, and visitors in the shop at a time. */
  readonly rate: number
  readonly visitors: number
  /** Names of the application processes. */
  readonly processes: readonly string[]
  readonly settings: Settings
  readonly loses: Losses
  /** What must be seen to suffer under the faults, or else the run proves nothing. */
  readonly bites: 'everything' | 'writes' | 'some' | 'nothing'
  /** How long after the last fault's end every process must have written and read through Redis again, in ms. */
  readonly recoverWithin: number
  /** Of everything that takes part: `node`, `redis`, `ioredis`, ... */
  readonly versions: Readonly<Record<string, string>>
  /** Processors and memory, for whoever reads figures. */
  readonly machine: string
  /** When the run was started, ISO 8601: for people only. */
  readonly started: string
}

/** What came back over HTTP, reduced to what a verdict needs. */
export interface Answer {
  readonly status: number
  /** The shop's own word for where the session came from (`x-session-source`); none with a store that has no such word. */
  readonly source: string | undefined
  /** Whether the answer said when to try again. */
  readonly retryAfter: boolean
  /** Whom the shop took the visitor for; `null` when it knew nobody, `undefined` when the answer was not a page. */
  readonly visitor: string | null | undefined
  /** The answer replaced or removed the visitor's cookie, or changed its attributes, without being asked to. */
  readonly cookieChanged: boolean
  /** Items acknowledged before this request began and absent from the cart it shows. */
  readonly missing: number
  /** The numbers of the items in the cart it shows, in their order; none where it shows no cart. */
  readonly cart?: readonly number[]
  /** Items in that cart which another visitor had put into theirs. */
  readonly foreign?: number
  /** The session the shop had in hand, and the one that the data said it was written under. */
  readonly session?: string
  readonly home?: string
  /**
   * Of a logout: the shop called `destroy`, whatever came of it; and if it answered well, whether `onRedisDown` had been
   * called for it (`queued`) or not (`confirmed`).
   */
  readonly destroy?: 'called' | 'queued' | 'confirmed'
}

/** One request and all that is known about it. */
export interface RequestRecord {
  readonly kind: 'request'
  /** Also sent to the shop: operations and notes name it. */
  readonly id: number
  readonly visitor: string
  readonly action: Action
  /** The application process it was sent to. */
  readonly process: string
  readonly start: number
  /** The session whose cookie was sent; none where there was no cookie. */
  readonly session?: string
  /** For `add`: the number of what was put into the cart. */
  readonly item?: number
  /** For `add`: the shop was asked to take so long between loading the session and saving it, in ms. */
  readonly busyFor?: number
  /**
   * The visitor was logged in for certain, from before the request until its answer: nothing that could have logged
   * them in or out was on its way. Known only at the end.
   */
  loggedIn: boolean
  end?: number
  /** Present when an answer came. */
  answer?: Answer
  /** Present when none came: a socket's error code, or `gave-up`. */
  failure?: string
}

/** What the store did for one call of the shop or of express-session. */
export interface OperationRecord {
  readonly kind: 'operation'
  readonly process: string
  readonly request: number
  readonly session: string
  readonly operation: 'get' | 'set' | 'touch' | 'destroy'
  readonly start: number
  /** Absent: it had not settled when the process ended or the run did. */
  readonly end?: number
  /**
   * `get`: where the session came from, `none` for no session, `session` with a store that does not say; `set`: `redis` or
   * `queued`, `done` with a store that does not say; `touch` and `destroy`: `done`. `failed` with `code` and `reason`. `answered`: a save that nobody awaited, at a
   * response's end; no acknowledgement.
   */
  readonly outcome?:
    | 'redis'
    | 'near'
    | 'stale'
    | 'queued'
    | 'blank'
    | 'session'
    | 'none'
    | 'done'
    | 'answered'
    | 'failed'
  readonly code?: string
  readonly reason?: string
}

/** One call of `onRedisDown`. Evidence for P9, and for nothing else. */
export interface ToldRecord {
  readonly kind: 'told'
  readonly process: string
  readonly at: number
  readonly operation: string
  readonly reason: string
  /** Of the request object the handler got. */
  readonly request?: number
  readonly session?: string
}

/** An event of a store or of its client. Evidence for what P8 calls reported, and for nothing else. */
export interface EventRecord {
  readonly kind: 'event'
  readonly process: string
  readonly at: number
  /** `down`, `up`, `queued`, `replayed`, `dropped`, `conflict`, `revoked`, `restored`, `client-error`, ... */
  readonly name: string
  /** The event's own record. */
  readonly detail: Readonly<Record<string, string | number | boolean | undefined>>
}

/** Something done to Redis or to the way to it; `at` is when it began. */
export interface FaultRecord {
  readonly kind: 'fault'
  readonly fault: string
  /** What it was done to: `master`, `shard 2`, `process A`, ... */
  readonly target: string
  readonly at: number
  /** When it was done: Redis was gone, paused, cut off, ... */
  bites?: number
  /** When undoing it began. */
  ending?: number
  /** When the driver, not the store, first saw another master in place of the one that the fault was aimed at. */
  successor?: number
  /** When Redis answered as before again: seen by the driver, not by the store. A momentary fault ends as it bites. */
  end?: number
}

/** An application process began to listen, ended by itself (`exited`), or was ended by the runner (`stopped`). */
export interface ProcessRecord {
  readonly kind: 'process'
  readonly process: string
  readonly event: 'listening' | 'exited' | 'stopped'
  readonly at: number
  /** How it ended: an exit code or a signal. */
  readonly how?: string
}

export type LaneName = 'read' | 'save' | 'lifetime'
export type LaneState = 'closed' | 'open' | 'half-open'

/** What a process, or the runner itself (`process` is `runner`), said about itself: every 100 ms. */
export interface SampleRecord {
  readonly kind: 'sample'
  readonly process: string
  readonly at: number
  /** The longest time its event loop stood still since the last sample, in ms. */
  readonly stall: number
  /** Resident memory, in bytes. */
  readonly rss: number
  /** Requests under way. */
  readonly requests: number
  /** What the store says of itself, as far as it has such words. */
  readonly store?: StoreSample
}

export interface StoreSample {
  readonly status?: 'up' | 'degraded' | 'down'
  /** Circuit breakers; none in a store that has none. */
  readonly lanes?: Readonly<Record<LaneName, LaneState>>
  /** One word on the connection to Redis. */
  readonly connection: string
  readonly cache?: { readonly sessions: number; readonly bytes: number }
  readonly queue?: { readonly saves: number; readonly destroys: number; readonly bytes: number }
  readonly revocations?: number
  readonly inFlight?: number
}

/** What one visitor found after everything had come to rest, at every process that runs. */
export interface AuditRecord {
  readonly kind: 'audit'
  readonly visitor: string
  readonly session: string
  readonly at: number
  /** How the visitor's stay ended before the audit. */
  readonly stay: Stay
  /** Whether the visitor's cookie still opened their session; `undefined` when no answer could be had. */
  readonly found: boolean | undefined
  /** Cart items the shop had acknowledged, by number. */
  readonly acknowledged: readonly number[]
  /** Those of them that were not there. */
  readonly missing: readonly number[]
}

/**
 * How a visitor's stay ended: still logged in, logged out with the shop's acknowledgement, logged out without a clear
 * answer (it may have happened), or logged out against their will.
 */
export type Stay = 'in' | 'out' | 'maybe-out' | 'lost'

/** The last record: nothing is missing from the file. */
export interface EndRecord {
  readonly kind: 'end'
  readonly at: number
  /** Arrivals that found every visitor waiting for an earlier answer and therefore sent nothing. */
  readonly skipped: number
}

export type HistoryRecord =
  | RequestRecord
  | OperationRecord
  | ToldRecord
  | EventRecord
  | FaultRecord
  | ProcessRecord
  | SampleRecord
  | AuditRecord
  | EndRecord
