/** Figures over a history, as the screen and the verdict need them. Pure. */
import type { History, RequestRecord } from '../history.js'
import { classify, HUNG_AFTER, OUTCOMES, type Outcome, waited } from '../workload/classify.js'

/** Before the first fault, from when it bites until all faults are over, and after. */
export type Phase = 'before' | 'during' | 'after'

export const PHASES: readonly Phase[] = ['before', 'during', 'after']

/** How many requests came to what; `waiting` are under way. */
export type Tally = Record<Outcome | 'waiting', number>

/** From `from` until before `to`, in ms. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** When the faults began to bite, and when the last of them was over: Infinity until then. */
export function outageOf(history: History): Span {
  const faults = history.of('fault')
  if (faults.length === 0) return { from: Number.POSITIVE_INFINITY, to: Number.POSITIVE_INFINITY }
  return {
    from: Math.min(...faults.map(({ bites = Number.POSITIVE_INFINITY }) => bites)),
    to: Math.max(...faults.map(({ end = Number.POSITIVE_INFINITY }) => end)),
  }
}

export function phaseAt(history: History, at: number): Phase {
  const { from, to } = outageOf(history)
  if (at < from) return 'before'
  return at < to ? 'during' : 'after'
}

/** What a request belongs to: the outage, if any of it was during the outage. */
function phaseOf({ start, end = start }: RequestRecord, { from, to }: Span): Phase {
  if (end < from) return 'before'
  return start >= to ? 'after' : 'during'
}

/** Counts what came of the requests of each phase. */
export function tallyPhases(history: History, now: number): Record<Phase, Tally> {
  const outage = outageOf(history)
  const tallies = { before: emptyTally(), during: emptyTally(), after: emptyTally() }
  for (const request of history.of('request')) tallies[phaseOf(request, outage)][classify(request, now)]++
  return tallies
}

export function emptyTally(): Tally {
  return { ok: 0, stale: 0, refused: 0, hung: 0, error: 0, lost: 0, waiting: 0 }
}

/** Counts the requests of which it became clear within a span what came of them. */
export function tallyDecided(requests: readonly RequestRecord[], span: Span, now: number): Tally {
  const counts = emptyTally()
  for (const request of requests) {
    const decided = Math.min(
      request.end ?? Number.POSITIVE_INFINITY,
      request.start + (request.busyFor ?? 0) + HUNG_AFTER,
    )
    if (decided >= span.from && decided < span.to) counts[classify(request, now)]++
  }
  return counts
}

/** The run cut into `count` columns of equal length, each with what became of the requests sent in it. */
export function columns(requests: readonly RequestRecord[], total: number, count: number, now: number): Tally[] {
  const result = Array.from({ length: count }, emptyTally)
  for (const request of requests) {
    const column = result[Math.min(count - 1, Math.floor((request.start / total) * count))]
    if (column !== undefined) column[classify(request, now)]++
  }
  return result
}

/** All requests of a tally. */
export function sum(counts: Tally): number {
  return OUTCOMES.reduce((total, outcome) => total + counts[outcome], counts.waiting)
}

/** Times to the answer, in ms; of a request without one, how long it has waited. */
export interface Latencies {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** Latencies of the requests sent within a span; `undefined` when there is none. */
export function latencies(requests: readonly RequestRecord[], span: Span, now: number): Latencies | undefined {
  const times: number[] = []
  for (const request of requests) {
    if (request.start >= span.from && request.start < span.to) times.push(waited(request, now))
  }
  if (times.length === 0) return undefined
  times.sort((a, b) => a - b)
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? 0
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}
