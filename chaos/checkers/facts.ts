import { History } from '../history.js'
import type { SavedRun } from '../history-file.js'
import type {
  EventRecord,
  FaultRecord,
  Header,
  HistoryRecord,
  OperationRecord,
  RequestRecord,
  ToldRecord,
} from '../records.js'

/** A stretch of time, in ms. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** What a stall of an event loop does to a measured time: several turns may each be late by it. */
const STALLS = 3
/** How many attempts may fail for what the machine itself takes. */
const ATTEMPTS = 3
/** A loop that is late by less is at ease, in ms. */
const AT_EASE = 20
/** Timers, the loopback and the measuring itself, in ms. */
const COARSE = 60
/** Samples come every 100 ms: one tells of what was before it. */
const SAMPLED = 250

/** A history with what several checkers ask of it. */
export class Facts {
  readonly header: Header
  readonly history: History
  readonly requests: readonly RequestRecord[]
  readonly operations: readonly OperationRecord[]
  readonly faults: readonly FaultRecord[]
  /** When the last record was written. */
  readonly end: number
  readonly #requestById: ReadonlyMap<number, RequestRecord>
  readonly #bySession = new Map<string, OperationRecord[]>()
  readonly #byRequest = new Map<number, OperationRecord[]>()
  readonly #told = new Map<string, ToldRecord[]>()
  readonly #lives = new Map<string, number[]>()
  readonly #crashes = new Map<string, number[]>()

  constructor({ header, records }: SavedRun) {
    this.header = header
    this.history = new History(records)
    this.requests = this.history.of('request')
    this.operations = this.history.of('operation')
    this.faults = this.history.of('fault')
    this.end = this.history.of('end').at(-1)?.at ?? Math.max(0, ...this.requests.map(({ end = 0 }) => end))
    this.#requestById = new Map(this.requests.map((request) => [request.id, request]))
    for (const operation of this.operations) {
      group(this.#bySession, operation.session).push(operation)
      group(this.#byRequest, operation.request).push(operation)
    }
    for (const told of this.history.of('told')) {
      group(this.#told, keyOf(told.process, told.request, told.operation)).push(told)
    }
    for (const { process, event, at } of this.history.of('process')) {
      if (event !== 'listening') group(this.#lives, process).push(at)
      if (event === 'exited') group(this.#crashes, process).push(at)
    }
  }

  /** Numbers of records, for evidence. */
  at(...records: readonly (HistoryRecord | undefined)[]): number[] {
    return records.flatMap((record) => (record === undefined ? [] : [this.history.numberOf(record)]))
  }

  request(id: number): RequestRecord | undefined {
    return this.#requestById.get(id)
  }

  /** What was done to a session, by whomever, in the order in which it was written down. */
  of(session: string | undefined): readonly OperationRecord[] {
    return (session === undefined ? undefined : this.#bySession.get(session)) ?? []
  }

  /** What a request made its store do. */
  madeBy({ id }: RequestRecord): readonly OperationRecord[] {
    return this.#byRequest.get(id) ?? []
  }

  /** The calls of `onRedisDown` for operations of this name in this request. */
  toldOf({ process, request, operation }: OperationRecord): readonly ToldRecord[] {
    return this.#told.get(keyOf(process, request, operation)) ?? []
  }

  /** Events of a process within a span. */
  events(process: string, name: string, { from, to }: Span): readonly EventRecord[] {
    return this.history
      .of('event')
      .filter((event) => event.process === process && event.name === name && event.at >= from && event.at <= to)
  }

  /** Which life of its process something belongs to: a process that was restarted remembers nothing. */
  life(process: string, at: number): number {
    return (this.#lives.get(process) ?? []).filter((ended) => ended < at).length
  }

  /** Whether a process ended, in whatever way, between these. */
  endedBetween(process: string, from: number, to: number): boolean {
    return (this.#lives.get(process) ?? []).some((at) => at >= from && at <= to)
  }

  /** Whether a process ended by itself between these: what it held in memory is lost without a word. */
  crashedBetween(process: string, from: number, to: number): boolean {
    return (this.#crashes.get(process) ?? []).some((at) => at >= from && at <= to)
  }

  /** How much later than promised something may be seen to happen within a span: what the machine itself took. */
  slack(process: string, { from, to }: Span): number {
    const stalls = this.history
      .of('sample')
      .filter((sample) => sample.at >= from && sample.at <= to + SAMPLED)
      .filter((sample) => sample.process === process || sample.process === 'runner')
    const late = stalls.map(({ stall }) => stall)
    const all = late.filter((stall) => stall > AT_EASE).reduce((sum, stall) => sum + stall, 0)
    return COARSE + Math.max(all, STALLS * Math.max(0, ...late))
  }

  /** When a process must be well again after Redis is: on a busy machine what it tries fails, and is tried again later. */
  backBy(process: string, calm: Span): number {
    return calm.from + this.header.recoverWithin + ATTEMPTS * this.slack(process, calm)
  }

  /** From when a fault bit until Redis was as before. */
  span({ at, bites = at, end = this.end }: FaultRecord): Span {
    return { from: bites, to: end }
  }

  /** Whether any fault was under way at some moment between these. */
  disturbed({ from, to }: Span): boolean {
    return this.faults.some((fault) => fault.at <= to && (fault.end ?? this.end) >= from)
  }

  /** When the first fault began; Infinity where there was none. */
  get firstFault(): number {
    return Math.min(...this.faults.map(({ at }) => at))
  }

  /** When all faults were over. */
  get lastEnd(): number {
    return Math.max(0, ...this.faults.map(({ end = this.end }) => end))
  }

  /** Within it Redis itself may lose what it has acknowledged; none where it loses nothing. */
  get lossWindow(): Span | undefined {
    const { loses } = this.header
    if (loses.kind === 'nothing') return undefined
    if (loses.kind === 'everything') return { from: Number.NEGATIVE_INFINITY, to: this.lastEnd }
    const replaced = Math.max(0, ...this.faults.map(({ successor = 0 }) => successor))
    return { from: this.firstFault - loses.lag, to: Math.max(this.lastEnd, replaced) + loses.lag }
  }

  /** How many sessions there were. */
  get sessions(): number {
    return this.#bySession.size
  }

  /** Whether Redis itself may have lost what it acknowledged then. */
  mayBeLost(acknowledged: number): boolean {
    const window = this.lossWindow
    return window !== undefined && acknowledged >= window.from && acknowledged <= window.to
  }
}

/** An operation of which the caller heard that it failed because of Redis. */
export function isDown({ outcome, code }: OperationRecord): boolean {
  return outcome === 'failed' && code === 'EREDISDOWN'
}

/** Redis itself answered with the session, or took it: with a store that has no such words, an answer without error. */
export function isConfirmed({ operation, outcome }: OperationRecord): boolean {
  if (operation === 'get') return outcome === 'redis' || outcome === 'session'
  return operation === 'set' && (outcome === 'redis' || outcome === 'done')
}

/** Whether the store served the session. */
export function isServed({ operation, outcome }: OperationRecord): boolean {
  return (
    operation === 'get' && outcome !== undefined && ['redis', 'near', 'session', 'stale', 'queued'].includes(outcome)
  )
}

function keyOf(process: string, request: number | undefined, operation: string): string {
  return `${process} ${request} ${operation}`
}

function group<Key, Value>(groups: Map<Key, Value[]>, key: Key): Value[] {
  const known = groups.get(key)
  if (known !== undefined) return known
  const made: Value[] = []
  groups.set(key, made)
  return made
}
