import { describe, expect, it } from 'vitest'
import { bucketsIn, countKinds, latenciesOf, latencySeries } from './buckets.js'
import { exchange } from './test-run.js'

const sent = (start: number, waited = 5) => exchange({ record: 0, start, waited })

describe('columns', () => {
  it('cover the whole run, the last one maybe in part', () => {
    expect(bucketsIn(1000)).toBe(4)
    expect(bucketsIn(1001)).toBe(5)
    expect(bucketsIn(0)).toBe(1)
  })

  it('count what became of the requests sent in them, by kind', () => {
    const counts = countKinds(
      [sent(0), sent(249.9), sent(250), exchange({ record: 0, start: 260, kind: 'hung', waited: 5000 })],
      1000,
    )
    expect(counts.fresh).toEqual([2, 1, 0, 0])
    expect(counts.hung).toEqual([0, 1, 0, 0])
    expect(counts.stale).toEqual([0, 0, 0, 0])
  })

  it('count what was sent before or after the run at its edges: nothing is left out', () => {
    expect(countKinds([sent(-3), sent(1000.4)], 1000).fresh).toEqual([1, 0, 0, 1])
  })
})

describe('latency', () => {
  it('is the nearest rank', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => sent(0, index + 1))
    expect(latenciesOf(hundred)).toEqual({ p50: 50, p99: 99, max: 100 })
    expect(latenciesOf([sent(0, 7)])).toEqual({ p50: 7, p99: 7, max: 7 })
    expect(latenciesOf([])).toBeUndefined()
  })

  it('looks back over a second at each column, and never ahead', () => {
    const series = latencySeries([sent(600, 40), sent(2100, 3)], 2500)
    expect(series.map((at) => at?.max ?? null)).toEqual([null, null, 40, 40, 40, 40, null, null, 3, 3])
  })
})
