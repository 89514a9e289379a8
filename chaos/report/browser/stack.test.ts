import { describe, expect, it } from 'vitest'
import { countKinds } from '../buckets.js'
import { KINDS } from '../model.js'
import { exchange } from '../test-run.js'
import { joinFor, stack } from './stack.js'

const sent = (start: number, kind: (typeof KINDS)[number] = 'fresh') => exchange({ record: 0, start, kind })
const counts = countKinds([sent(0), sent(0, 'hung'), sent(300), sent(300), sent(600, 'stale')], 1000)

describe('stacked columns', () => {
  it('are rates a second, each kind on top of the better ones, the highest first', () => {
    const { width, x, rates, tops, highest } = stack(counts, 250, 1)
    expect(width).toBe(0.25)
    expect(x).toEqual([0, 0.25, 0.5, 0.75, 1])
    expect(rates.fresh).toEqual([4, 8, 0, 0])
    expect(tops.at(-1)).toEqual([4, 8, 0, 0, 0])
    expect(tops[0]).toEqual([8, 8, 4, 0, 0])
    expect(tops).toHaveLength(KINDS.length)
    expect(highest).toBe(8)
  })

  it('keep their rate when they are joined', () => {
    const { width, rates, highest } = stack(counts, 250, 2)
    expect(width).toBe(0.5)
    expect(rates.fresh).toEqual([6, 0])
    expect(highest).toBe(8)
  })

  it('leave out at the end what is not a whole column', () => {
    expect(stack(countKinds([sent(1200)], 1250), 250, 2).rates.fresh).toEqual([0, 0])
  })

  it('are joined until they are wide enough to be seen', () => {
    expect(joinFor(240, 1100, 4)).toBe(1)
    expect(joinFor(240, 330, 4)).toBe(4)
    expect(joinFor(1_000_000, 330, 4)).toBe(240)
  })
})
