/** Fault windows, and how long it took until all was well after them. Pure. */
import type { Exchange, Fault, StoreRun } from './model.js'

/** From `from` until before `to`, in ms. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** The times during which at least one fault was in force, in order, none touching the next. */
export function faultSpans(faults: readonly Fault[], duration: number): Span[] {
  const spans: { from: number; to: number }[] = []
  for (const { from, to = duration } of [...faults].sort((a, b) => a.from - b.from)) {
    const last = spans.at(-1)
    if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to)
    else spans.push({ from, to })
  }
  return spans
}

/** Whether any part of a request fell into one of the spans. */
export function overlaps({ start, end }: Exchange, spans: readonly Span[]): boolean {
  return spans.some(({ from, to }) => start < to && end >= from)
}

/**
 * From the end of a fault to the last request that Redis did not answer: stale, refused, hung. In ms, the longest of all
 * faults; `null` when that went on to the end, `undefined` when no fault ended. Where the next fault came before all was
 * well, only that one counts.
 */
export function recoveryTime({ faults, exchanges, duration }: StoreRun): number | null | undefined {
  const spans = faultSpans(faults, duration)
  let longest: number | undefined
  for (const [index, { to }] of spans.entries()) {
    if (to >= duration) break
    const next = spans[index + 1]?.from ?? duration
    const sent = exchanges.filter(({ start }) => start >= to && start < next)
    const lastBad = latest(sent.filter(({ kind }) => kind !== 'fresh' && kind !== 'conflict'))
    const well = latest(sent.filter(({ kind }) => kind === 'fresh')) > lastBad
    if (well) longest = Math.max(longest ?? 0, lastBad === Number.NEGATIVE_INFINITY ? 0 : lastBad - to)
    else if (next === duration) return null
  }
  return longest
}

function latest(exchanges: readonly Exchange[]): number {
  return exchanges.reduce((most, { start }) => Math.max(most, start), Number.NEGATIVE_INFINITY)
}
