/** What happened in one history, as plain data: it can be printed, saved and judged again without playing it. */
import type { OutcomeRecord } from '../../src/index.js'
import type { Field, Settings, Word } from './steps.js'

/** When something happened here. */
export interface Stamp {
  /** Counts everything that this process did: orders what the clocks cannot tell apart. */
  readonly seq: number
  /** Since the history began, ms. Redis's times are on the same scale, give or take {@link History.clockError}. */
  readonly at: number
  /** The monotonic clock of the store concerned, which steps move ahead, ms. */
  readonly clock: number
}

/** A session's data without its cookie. */
export interface Content extends Partial<Record<Field, string>> {
  /** The id it was written under. */
  readonly sid: string
  /** Unique to the save that made it: `s1.v4`. */
  readonly version: string
  /** The version it was made from; none for a new session. */
  readonly parent?: string
  /** The cookie's `originalMaxAge` at that version. */
  readonly life: number | null
}

export type OperationName = 'get' | 'set' | 'touch' | 'destroy'

/** Where the store says that a session came from, or is now. */
export type Source = 'redis' | 'near' | 'stale' | 'queued' | 'blank' | 'new'

/** How an operation ended for its caller. */
export type Ending =
  | { readonly kind: 'session'; readonly source: Source; readonly content: Content; readonly maxAge: number | null }
  | { readonly kind: 'blank' }
  | { readonly kind: 'none' }
  /** A write that the store took; `source` says where a saved session is now. */
  | { readonly kind: 'done'; readonly source?: Source }
  | { readonly kind: 'failed'; readonly code: string; readonly reason?: string }

/** One call of `onRedisDown`. */
export interface Told {
  readonly operation: string
  readonly reason: string
  /** As the handler got it. */
  readonly sid: string | undefined
  readonly stamp: Stamp
}

export interface Operation {
  readonly id: number
  readonly name: OperationName
  /** Which store: {@link StoreLife.id}. */
  readonly store: number
  readonly sid: string
  readonly called: Stamp
  /** What the handler answers should it be asked. */
  readonly word?: Word
  /** The request's session, for `set` and `touch`: {@link Handle.id}. */
  readonly handle?: number
  /** What a save writes, also a touch that is one (`remember`). */
  readonly content?: Content
  /** The session is over by its own cookie: this save deletes it. */
  readonly over?: boolean
  /** A touch of a session whose cookie lasts longer than it was loaded with: it is to be saved. */
  readonly remember?: boolean
  /** Absent: it never settled. */
  settled?: Stamp
  ended?: Ending
  /** Whether the error it rejected with is the very one that the handler got. */
  sameError?: boolean
  /** Calls of `onRedisDown` that carried this operation's request. */
  readonly told: Told[]
}

/** One request's session: loaded once, changed and saved any number of times. */
export interface Handle {
  readonly id: number
  readonly store: number
  readonly sid: string
  /** The version it was loaded as; absent for a new session. */
  readonly base?: string
  readonly source: Source
  /** The `get` behind it. */
  readonly loadedBy?: number
}

/** An event of a store, and the store's queue at that moment. */
export interface Outcome {
  readonly stamp: Stamp
  readonly record: OutcomeRecord
  readonly queued: number
}

/** What a store held at some moment. */
export interface Holdings {
  readonly stamp: Stamp
  readonly cached: number
  readonly cachedBytes: number
  readonly queuedSaves: number
  readonly queuedBytes: number
  readonly inFlight: number
  /** It has taken a save into its queue this moment. */
  readonly taking?: boolean
}

/** One store from its making to its end: one application process's worth of state. */
export interface StoreLife {
  readonly id: number
  /** Which of the application's processes; a restart makes another store in the same place. */
  readonly place: number
  readonly born: Stamp
  end?: {
    readonly how: 'crashed' | 'closed'
    readonly stamp: Stamp
    /** What `close()` resolved to. */
    report?: { readonly droppedSaves: number; readonly droppedDestroys: number }
  }
  readonly outcomes: Outcome[]
  readonly holdings: Holdings[]
  /** Calls of `onRedisDown` that carried no operation's request. */
  readonly strayTold: Told[]
  /** The store's clock ran ahead by so much, from then on. */
  readonly advances: { readonly at: number; readonly by: number }[]
}

/** A session's key as it was found. */
export interface FoundKey {
  readonly content?: Content
  /** What is left of its life, ms; absent for no end. */
  readonly ttl?: number
  readonly revoked: boolean
}

/** What Redis carried out, in its own order. */
export type Write =
  | {
      readonly kind: 'set'
      readonly at: number
      readonly sid: string
      readonly content: Content
      readonly ttl?: number
      /** It did nothing where nothing was stored (`XX`). */
      readonly ifPresent?: boolean
    }
  | { readonly kind: 'delete'; readonly at: number; readonly sid: string }
  | { readonly kind: 'revoke'; readonly at: number; readonly sid: string; readonly ttl: number }
  | { readonly kind: 'expire'; readonly at: number; readonly sid: string; readonly ttl: number }
  /** Another server process answers from here on, with what it found; the one before died at `diedAt`. */
  | {
      readonly kind: 'server'
      readonly at: number
      readonly diedAt: number
      readonly found: Readonly<Record<string, FoundKey>>
    }

export interface History {
  readonly settings: Settings
  readonly operations: readonly Operation[]
  readonly handles: readonly Handle[]
  readonly stores: readonly StoreLife[]
  readonly writes: readonly Write[]
  /** What was done to stores, proxies and server. */
  readonly faults: readonly { readonly at: number; readonly what: string }[]
  /** Moments at which this very process was late for its own timers, and by how much, ms. */
  readonly lags: readonly { readonly at: number; readonly ms: number }[]
  /** How far Redis's times may be off, ms. */
  readonly clockError: number
  readonly end: {
    /** When everything was healed. */
    readonly healedAt: number
    /** Whether every store was up and had nothing waiting soon after, without being asked for anything. */
    readonly recovered: boolean
    readonly recoveredAt: number
    /** What each store said of itself then. */
    readonly health: readonly string[]
    /** What Redis held then. */
    readonly keys: Readonly<Record<string, FoundKey>>
  }
}
