/**
 * What happened in a run, as plain data: what visitors sent and got, and what was done to Redis. Written by the
 * workload, read by the live view and the verdict. All times are monotonic milliseconds since the run began.
 */

/** What a visitor can do in the shop. */
export type Action = 'login' | 'view' | 'add' | 'logout' | 'admin'

/** What came back over HTTP, reduced to what a verdict needs. */
export interface Answer {
  readonly status: number
  /** The shop's own word for where the session came from (`x-session-source`); none with a store that has no such word. */
  readonly source: string | undefined
  /** Whether the answer said when to try again. */
  readonly retryAfter: boolean
  /** Whom the shop took the visitor for; `null` when it knew nobody, `undefined` when the answer was not a page. */
  readonly visitor: string | null | undefined
  /** The answer replaced or removed the visitor's cookie without being asked to. */
  readonly cookieChanged: boolean
  /** Items acknowledged before this request began and absent from the cart it shows. */
  readonly missing: number
}

/** One request and all that is known about it. */
export interface RequestRecord {
  readonly kind: 'request'
  readonly visitor: string
  readonly action: Action
  /** The application process it was sent to. */
  readonly process: string
  readonly start: number
  /** For `add`: what was put into the cart. */
  readonly item?: string
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

/** Something done to Redis: it was killed and gone, it was about to be started, it answered PING again. */
export interface FaultRecord {
  readonly kind: 'fault'
  readonly fault: 'killed' | 'starting' | 'back'
  readonly at: number
}

/** An application process began to listen, or ended. */
export interface ProcessRecord {
  readonly kind: 'process'
  readonly process: string
  readonly event: 'listening' | 'exited'
  readonly at: number
}

/** What the application was told by its store: an `onRedisDown` call, or an event. Never evidence for a verdict. */
export interface NoteRecord {
  readonly kind: 'note'
  readonly process: string
  readonly at: number
  readonly name: string
  readonly detail: string
}

/** What one visitor found after everything had come to rest. */
export interface AuditRecord {
  readonly kind: 'audit'
  readonly visitor: string
  readonly at: number
  /** How the visitor's stay ended before the audit. */
  readonly stay: Stay
  /** Whether the visitor's cookie still opened their session; `undefined` when no answer could be had. */
  readonly found: boolean | undefined
  /** Cart items the shop had acknowledged. */
  readonly acknowledged: number
  /** Those of them that were not there. */
  readonly missing: number
}

/**
 * How a visitor's stay ended: still logged in, logged out with the shop's acknowledgement, logged out without a clear
 * answer (it may have happened), or logged out against their will.
 */
export type Stay = 'in' | 'out' | 'maybe-out' | 'lost'

export type HistoryRecord = RequestRecord | FaultRecord | ProcessRecord | NoteRecord | AuditRecord

/** A run's history: append only. */
export class History {
  readonly requests: RequestRecord[] = []
  readonly faults: FaultRecord[] = []
  readonly processes: ProcessRecord[] = []
  readonly notes: NoteRecord[] = []
  readonly audits: AuditRecord[] = []

  add(record: HistoryRecord): void {
    switch (record.kind) {
      case 'request':
        this.requests.push(record)
        break
      case 'fault':
        this.faults.push(record)
        break
      case 'process':
        this.processes.push(record)
        break
      case 'note':
        this.notes.push(record)
        break
      case 'audit':
        this.audits.push(record)
        break
    }
  }

  /** When each thing was done to Redis; `undefined` until then. */
  faultTimes(): Record<FaultRecord['fault'], number | undefined> {
    const at = (fault: FaultRecord['fault']) => this.faults.find((record) => record.fault === fault)?.at
    return { killed: at('killed'), starting: at('starting'), back: at('back') }
  }
}
