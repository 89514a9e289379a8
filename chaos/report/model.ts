/**
 * What a report is made from: a run reduced to what it shows. Times are monotonic milliseconds since the run began. No
 * session id and no cookie has a place here.
 */

/**
 * What a visitor got.
 *
 * - `fresh`: what was asked for, confirmed by Redis, or from memory while Redis announced every change
 * - `stale`: what was asked for, from the memory of the application process
 * - `queued`: the same, with a change that waits for Redis
 * - `blank`: an empty session, where the application asked for one
 * - `conflict`: 409, as with a healthy Redis: an edit of something that had changed or was logged out meanwhile
 * - `refused`: 503, a clear "not now"
 * - `error`: any other answer, somebody else's session, or a dead socket
 * - `logged-out`: somebody who was logged in was treated as a stranger, or got another cookie
 * - `hung`: no answer within a second, whatever came later
 */
export type Kind = 'fresh' | 'stale' | 'queued' | 'blank' | 'conflict' | 'refused' | 'error' | 'logged-out' | 'hung'

/** All kinds, from good to bad: the order in which they are stacked and listed. */
export const KINDS: readonly Kind[] = [
  'fresh',
  'stale',
  'queued',
  'blank',
  'conflict',
  'refused',
  'error',
  'logged-out',
  'hung',
]

/** Kinds that answered as the application would have it, outage or not. */
export const GOOD_KINDS: ReadonlySet<Kind> = new Set(['fresh', 'stale', 'queued', 'blank', 'conflict'])

/** One request and what came of it. */
export interface Exchange {
  /** The number of its record in the history; evidence names it. */
  readonly record: number
  readonly visitor: string
  readonly action: string
  readonly process: string
  readonly start: number
  /** When the answer came, or when the visitor or the run gave up waiting for it. */
  readonly end: number
  /** How long the visitor waited, in ms: without the time that the shop was asked to take. */
  readonly waited: number
  readonly kind: Kind
  /** The HTTP status, or why there is none: a socket's error code, `gave-up`, `no answer`. */
  readonly outcome: string
}

/** A record of another kind that is evidence: what a store did or said, what was found at the end. */
export interface OtherRecord {
  readonly record: number
  readonly what: string
  readonly at: number
  readonly visitor: string
  readonly action: string
  readonly process: string
  readonly outcome: string
  /** How long it took, in ms, if it took any time. */
  readonly waited?: number
}

/** Something done to Redis or to the network, and when it was undone; open to the end where it was not. */
export interface Fault {
  readonly name: string
  /** What it was done to: a node, a link, an application process. */
  readonly target?: string
  readonly from: number
  readonly to?: number
}

export type LaneName = 'read' | 'save' | 'lifetime'
export type LaneState = 'closed' | 'open' | 'half-open'

export const LANES: readonly LaneName[] = ['read', 'save', 'lifetime']

/** What an application process said about itself. */
export interface Sample {
  readonly process: string
  readonly at: number
  /** Circuit breakers; none in a store that has none. */
  readonly lanes?: Readonly<Record<LaneName, LaneState>>
  /** Changes that wait for Redis. */
  readonly queued?: number
  /** Store operations under way. */
  readonly inFlight?: number
  /** The longest time its event loop stood still since the sample before, in ms. */
  readonly stall?: number
  /** Resident memory, in bytes. */
  readonly memory?: number
}

/** The judge's word on one promise, or on what else a run must show. */
export interface Verdict {
  /** `P1` to `P11`; `policy`; `S1` and so on for what makes the run worth anything. */
  readonly id: string
  /** What is demanded, short. */
  readonly title: string
  /** `not-exercised`: the run gave no occasion to break it. */
  readonly verdict: 'held' | 'broken' | 'not-exercised'
  /** What was found, in a sentence. */
  readonly found: string
  /** How many things could have shown a breach. */
  readonly checked: number
  /** How many breaches there were. */
  readonly breaches: number
  /** The first of them. */
  readonly evidence: readonly Evidence[]
}

/** What shows a breach. */
export interface Evidence {
  readonly what: string
  /** The records that show it, by number. */
  readonly records: readonly number[]
}

/** One store's run. */
export interface StoreRun {
  /** The store, as readers know it: `resilient-session-store`, `connect-redis 10.0.0`. */
  readonly name: string
  /** How long it ran, in ms. */
  readonly duration: number
  readonly exchanges: readonly Exchange[]
  /** Evidence that is no request. */
  readonly others: readonly OtherRecord[]
  readonly faults: readonly Fault[]
  readonly samples: readonly Sample[]
  /** The deadline of the store's operations, in ms, if it has one. */
  readonly timeout?: number
  /** Cart items that had been acknowledged to visitors who stayed to the end, and those of them that were lost. */
  readonly items: { readonly acknowledged: number; readonly lost: number }
  /** Sessions that opened again after their logout was acknowledged. */
  readonly ghosts: number
  /** Visitors who were logged out against their will, during the run or at its end. */
  readonly loggedOut: number
  /** On the promises, in their order; empty when nobody judged. */
  readonly promises: readonly Verdict[]
  /** On what is demanded besides: the policy, and that the run proves anything. */
  readonly besides: readonly Verdict[]
}

/** A run and those it is compared with: same scenario, same seed. */
export interface ReportInput {
  readonly title: string
  /** The scenario in a sentence. */
  readonly lead: string
  /** In which conditions it was run, short: `Policy available`, `seed 7`. */
  readonly conditions: readonly string[]
  /** What was run, in the order to be shown: scenario, topology, driver, policy, seed, versions. */
  readonly facts: readonly Fact[]
  /** The command that runs it again. */
  readonly command: string
  readonly subject: StoreRun
  readonly compared: readonly StoreRun[]
}

export interface Fact {
  readonly name: string
  readonly value: string
}

/** What each kind is called on the page. */
export const KIND_LABELS: Readonly<Record<Kind, string>> = {
  fresh: 'fresh',
  stale: 'stale',
  queued: 'queued',
  blank: 'blank',
  conflict: '409 conflict',
  refused: '503',
  error: 'other error',
  'logged-out': 'logged out',
  hung: 'hung',
}
