import type { Counts } from '../buckets.js'
import { KINDS, type Kind } from '../model.js'

/** Columns as they are drawn: rates a second, and for the stack their running sums. */
export interface Stack {
  /** Width of a column, in s. */
  readonly width: number
  /** Where each column begins, in s, and where the last one ends. */
  readonly x: readonly number[]
  readonly rates: Readonly<Record<Kind, readonly number[]>>
  /** What is drawn, highest first: each kind's rates on top of those before it. One entry for each of `x`. */
  readonly tops: readonly (readonly number[])[]
  /** The highest column. */
  readonly highest: number
}

const FACTORS = [1, 2, 4, 8, 20, 40, 80, 240]

/** How many buckets to join so that a column gets about `pixels` of `available` pixels. */
export function joinFor(buckets: number, available: number, pixels: number): number {
  return FACTORS.find((factor) => (available / buckets) * factor >= pixels) ?? FACTORS.at(-1)!
}

/** Joins `factor` buckets of `bucket` ms to a column, and stacks the columns. */
export function stack(counts: Counts, bucket: number, factor: number): Stack {
  const width = (bucket * factor) / 1000
  const rates = Object.fromEntries(
    KINDS.map((kind) => [kind, join(counts[kind], factor).map((sum) => sum / width)]),
  ) as Record<Kind, number[]>
  const columns = rates.fresh.length
  const sums = new Array<number>(columns).fill(0)
  const tops = KINDS.map((kind) => {
    for (let index = 0; index < columns; index++) sums[index]! += rates[kind][index]!
    return [...sums, sums[columns - 1]!]
  })
  return {
    width,
    x: Array.from({ length: columns + 1 }, (_, index) => index * width),
    rates,
    tops: tops.reverse(),
    highest: Math.max(0, ...sums),
  }
}

function join(values: readonly number[], factor: number): number[] {
  const length = Math.floor(values.length / factor) || 1
  const joined = new Array<number>(length).fill(0)
  for (const [index, value] of values.entries()) {
    const column = Math.floor(index / factor)
    // What is left over at the end would make a column of another width.
    if (column < length) joined[column]! += value
  }
  return joined
}
