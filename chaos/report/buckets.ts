/** A run cut into columns of time. Pure. */
import { type Exchange, KINDS, type Kind } from './model.js'

/** Width of a column, in ms. */
export const BUCKET = 250

/** How many columns the latency at one point looks back over, itself included: a second. */
const LATENCY_WINDOW = 4

/** Requests by kind, one number a column. */
export type Counts = Readonly<Record<Kind, readonly number[]>>

/** Columns that a run of `duration` ms needs; at least one. */
export function bucketsIn(duration: number): number {
  return Math.max(1, Math.ceil(duration / BUCKET))
}

/** What became of the requests sent in each column. */
export function countKinds(exchanges: readonly Exchange[], duration: number): Counts {
  const length = bucketsIn(duration)
  const counts = Object.fromEntries(KINDS.map((kind) => [kind, new Array<number>(length).fill(0)])) as Record<
    Kind,
    number[]
  >
  for (const { kind, start } of exchanges) counts[kind][columnOf(start, length)]!++
  return counts
}

/** Times to the answer, in ms; of a request without one, how long it waited. */
export interface Latencies {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** Latencies of all these requests; `undefined` when there are none. */
export function latenciesOf(exchanges: readonly Exchange[]): Latencies | undefined {
  return quantiles(exchanges.map(({ waited }) => waited))
}

/**
 * The latency at each column: of the requests sent in the second that ends with it. `null` where none was sent. A single
 * column holds too few requests for a 99th percentile.
 */
export function latencySeries(exchanges: readonly Exchange[], duration: number): (Latencies | null)[] {
  const length = bucketsIn(duration)
  const columns = Array.from({ length }, (): number[] => [])
  for (const { start, waited } of exchanges) columns[columnOf(start, length)]!.push(waited)
  return columns.map((_, index) => {
    const window = columns.slice(Math.max(0, index - LATENCY_WINDOW + 1), index + 1)
    return quantiles(window.flat()) ?? null
  })
}

function quantiles(times: number[]): Latencies | undefined {
  if (times.length === 0) return undefined
  times.sort((a, b) => a - b)
  const at = (share: number) => times[Math.max(0, Math.ceil(share * times.length) - 1)]!
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

function columnOf(at: number, length: number): number {
  return Math.min(length - 1, Math.max(0, Math.floor(at / BUCKET)))
}
