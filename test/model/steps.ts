/** What a history is made of: the stores' settings, and the steps that are taken one after another. */
import type { Concurrency, Degradation } from '../../src/index.js'

/** The keys an application may change. */
export const FIELDS = ['a', 'b', 'c'] as const
export type Field = (typeof FIELDS)[number]

/** What `onRedisDown` answers when it is asked about an operation; the last two are not answers. */
export type Word = 'fail' | 'stale' | 'blank' | 'stale-or-blank' | 'drop' | 'queue' | 'nonsense' | 'throws' | 'rejects'

/** How all stores of a history are made. Durations in ms. */
export interface Settings {
  /** How many, each an application process of its own. */
  readonly stores: number
  readonly degradation: Degradation
  readonly concurrency: Concurrency
  readonly timeout: number
  /** Absent: no cache. */
  readonly cache?: { readonly max: number; readonly maxStale: number }
  readonly queue: { readonly max: number; readonly maxBytes: number; readonly maxAge: number }
  readonly restoreLost?: boolean
  /** Sends every touch; otherwise most are skipped. */
  readonly everyTouch: boolean
  readonly resetOnRead: boolean
  /** The serializer takes so long, in both directions; 0 for a synchronous one. */
  readonly serializerMs: number
}

/** A fault of the network between one store and Redis. */
export type Fault =
  | { readonly kind: 'blackhole'; readonly direction: 'both' | 'up' | 'down' }
  | { readonly kind: 'reset' | 'fin' | 'refuse' | 'partition' }
  | { readonly kind: 'delay'; readonly up: number; readonly down: number; readonly jitter: number }
  | { readonly kind: 'slice'; readonly bytes: number }
  | {
      readonly kind: 'cut-before-command' | 'cut-after-command' | 'cut-before-reply' | 'cut-mid-reply'
      readonly nth: number
    }
  | { readonly kind: 'swallow-reply' | 'hold-command' | 'hold-reply'; readonly nth: number }

/** What happens to the server itself. What it had when it comes back is said by the word. */
export type ServerFault = 'stop-kept' | 'kill-rolled-back' | 'kill-lost' | 'snapshot' | 'pause' | 'full' | 'read-only'

/** Which place in a list: taken modulo its length, so that it stays valid when the history is cut shorter. */
type Index = number

interface Waits {
  /** Whether the next step begins only when this one has ended. */
  readonly wait: boolean
  readonly word?: Word
}

/** One step. A hold is a place for one request's session: loaded or made there, changed and saved from there. */
export type Step =
  | ({ readonly do: 'load'; readonly store: Index; readonly visitor: Index; readonly hold: Index } & Waits)
  | ({ readonly do: 'create'; readonly store: Index; readonly visitor: Index; readonly hold: Index } & Waits & {
        readonly short: boolean
      })
  | ({ readonly do: 'save'; readonly hold: Index; readonly field: Field; readonly think: number } & Waits & {
        readonly over: boolean
      })
  | ({ readonly do: 'touch'; readonly hold: Index; readonly think: number; readonly remember: boolean } & Waits)
  | ({ readonly do: 'destroy'; readonly store: Index; readonly visitor: Index } & Waits)
  | ({ readonly do: 'regenerate'; readonly store: Index; readonly visitor: Index; readonly hold: Index } & Waits)
  | { readonly do: 'pause'; readonly ms: number }
  | { readonly do: 'settle' }
  | { readonly do: 'set-clock'; readonly store: Index; readonly by: number }
  | { readonly do: 'advance'; readonly store: Index; readonly by: number }
  /** Without `store`, at all of them. */
  | { readonly do: 'fault'; readonly store?: Index; readonly fault: Fault }
  | { readonly do: 'heal'; readonly store?: Index }
  | { readonly do: 'restart'; readonly store: Index; readonly how: 'close' | 'crash' }
  | { readonly do: 'server'; readonly fault: ServerFault }
  | { readonly do: 'server-back' }

/** How many visitors a history has; each has one session at a time, created before the first step. */
export const VISITORS = 2
/** How many requests may be under way. */
export const HOLDS = 4

export interface Script {
  readonly settings: Settings
  /** Whether every store has read every visitor's session before the first step, the first visitor's into a hold. */
  readonly warm: boolean
  /** Whether the visitors' first sessions last a second only. */
  readonly short: boolean
  readonly steps: readonly Step[]
}
