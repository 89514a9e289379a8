/** Histories made by hand, for the tests of what judges them. */
import type { SavedRun } from '../history-file.js'
import type {
  Action,
  Answer,
  AuditRecord,
  EventRecord,
  FaultRecord,
  Header,
  HistoryRecord,
  OperationRecord,
  ProcessRecord,
  RequestRecord,
  SampleRecord,
  Settings,
} from '../records.js'
import { Facts } from './facts.js'
import type { Checker, Finding } from './verdict.js'

export const SETTINGS: Settings = {
  ...{ timeout: 250, maxStale: 30_000, queueMaxAge: 600_000, revokeFor: 600_000, maxInFlight: 100 },
  ...{ cacheMax: 100, cacheMaxBytes: 10_000, queueMax: 50, queueMaxBytes: 5_000, cookieMaxAge: 3_600_000 },
}

const HEADER: Header = {
  ...{ kind: 'header', format: 1, scenario: 'kill', title: '', topology: 'standalone', driver: 'process' },
  ...{ store: 'resilient', policy: 'read-only', front: 'round-robin', seed: 1, seconds: 10, rate: 1, visitors: 1 },
  ...{ processes: ['A', 'B'], settings: SETTINGS, loses: { kind: 'nothing' }, bites: 'some', recoverWithin: 1000 },
  ...{ versions: {}, machine: '', started: '' },
}

/** What differs from a good answer by Redis to v1, logged in at process A. */
export interface Differences {
  readonly visitor?: string
  readonly process?: string
  readonly loggedIn?: boolean
  /** How long it took, in ms. */
  readonly took?: number
  readonly answer?: Partial<Answer>
  /** No answer: why. */
  readonly failure?: string
  /** Of the operation that the request is about, and whether `onRedisDown` was called for it, how often. */
  readonly outcome?: OperationRecord['outcome']
  readonly code?: string
  readonly reason?: string
  readonly told?: number
  readonly busyFor?: number
}

type Kind = OperationRecord['operation']

const SOURCES: ReadonlySet<string | undefined> = new Set(['stale', 'queued', 'blank'])

/** Builds a history record by record. The fault is from 1000 to 2000 unless told otherwise; the run ends at 10 000. */
export class HandMade {
  readonly records: HistoryRecord[] = []
  readonly header: Header
  #requests = 0

  constructor(header: Partial<Header> = {}, fault: Partial<FaultRecord> | null = {}) {
    this.header = { ...HEADER, ...header }
    if (fault !== null) this.fault(fault)
  }

  fault(changes: Partial<FaultRecord> = {}): this {
    const usual = { at: 1000, bites: 1000, ending: 2000, end: 2000 }
    return this.add({ kind: 'fault', fault: 'kill', target: 'master', ...usual, ...changes })
  }

  login(at: number, differences: Differences = {}): this {
    return this.#request('login', 'set', at, 'redis', { loggedIn: false, ...differences })
  }

  view(at: number, cart: readonly number[] | undefined = undefined, differences: Differences = {}): this {
    return this.#request('view', 'get', at, 'redis', differences, cart === undefined ? {} : { cart })
  }

  /** Comes back with the cookie of a session that was logged out; by default nobody is known. */
  comeBack(at: number, differences: Differences = {}): this {
    const known = differences.outcome !== undefined && differences.outcome !== 'none'
    const answer = known ? {} : { status: 401, visitor: null }
    return this.#request('return', 'get', at, 'none', { loggedIn: false, ...differences }, answer)
  }

  admin(at: number, differences: Differences = {}): this {
    return this.#request('admin', 'get', at, 'redis', differences)
  }

  put(at: number, item: number, differences: Differences = {}): this {
    return this.#request('add', 'set', at, 'redis', differences, {}, item)
  }

  logout(at: number, differences: Differences = {}): this {
    const told = differences.told ?? 0
    const answer: Partial<Answer> = { visitor: null, destroy: told > 0 ? 'queued' : 'confirmed' }
    return this.#request('logout', 'destroy', at, 'done', differences, answer)
  }

  touch(at: number, differences: Differences = {}): this {
    return this.#operate('touch', this.#requests, at, 'done', differences)
  }

  audit(changes: Partial<AuditRecord> = {}): this {
    const usual = { visitor: 'v1', session: 's-v1', at: 9900, stay: 'in', found: true } as const
    return this.add({ kind: 'audit', ...usual, acknowledged: [], missing: [], ...changes })
  }

  event(at: number, name: string, detail: EventRecord['detail'] = {}, process = 'A'): this {
    return this.add({ kind: 'event', process, at, name, detail })
  }

  ended(at: number, event: ProcessRecord['event'] = 'exited', process = 'A'): this {
    return this.add({ kind: 'process', process, event, at })
  }

  sample(at: number, changes: Partial<SampleRecord> = {}): this {
    return this.add({ kind: 'sample', process: 'A', at, stall: 0, rss: 1e8, requests: 0, ...changes })
  }

  add(record: HistoryRecord): this {
    this.records.push(record)
    return this
  }

  saved(): SavedRun {
    return { header: this.header, records: [...this.records, { kind: 'end', at: 10_000, skipped: 0 }] }
  }

  finding(check: Checker): Finding {
    return check(new Facts(this.saved()))
  }

  #request(
    action: Action,
    operation: Kind,
    at: number,
    outcome: OperationRecord['outcome'],
    differences: Differences,
    answer: Partial<Answer> = {},
    item?: number,
  ): this {
    const { visitor = 'v1', process = 'A', loggedIn = true, took = 5, failure, busyFor } = differences
    const id = ++this.#requests
    const failed = differences.outcome === 'failed'
    const source = SOURCES.has(differences.outcome) ? differences.outcome : 'redis'
    const good: Answer = { status: 200, source, retryAfter: failed, visitor, cookieChanged: false, missing: 0 }
    const refusal = failed ? { status: 503, visitor: undefined } : {}
    const request: RequestRecord = {
      ...{ kind: 'request', id, visitor, action, process, start: at, session: `s-${visitor}`, loggedIn },
      ...(item === undefined ? {} : { item }),
      ...(busyFor === undefined ? {} : { busyFor }),
      ...(failure === undefined
        ? { end: at + took, answer: { ...good, ...answer, ...refusal, ...differences.answer } }
        : { end: at + took, failure }),
    }
    this.add(request)
    return this.#operate(operation, id, at, outcome, differences)
  }

  #operate(
    operation: Kind,
    request: number,
    at: number,
    usual: OperationRecord['outcome'],
    differences: Differences,
  ): this {
    const { visitor = 'v1', process = 'A', took = 5, outcome = usual, told = 0, reason = 'timeout' } = differences
    const session = `s-${visitor}`
    const code = differences.code ?? 'EREDISDOWN'
    this.add({
      ...{ kind: 'operation', process, request, session, operation, start: at, end: at + took },
      ...(outcome === undefined ? {} : { outcome }),
      ...(outcome === 'failed' ? { code, reason } : {}),
    })
    for (let call = 0; call < told; call++) {
      this.add({ kind: 'told', process, at, operation, reason, request, session })
    }
    return this
  }
}
