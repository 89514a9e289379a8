import { describe, expect, it } from 'vitest'
import { TouchMarks } from '../../src/touch-marks.js'

describe('TouchMarks', () => {
  it('covers a touch that would move the expiry by at most the slack', () => {
    const marks = new TouchMarks()
    marks.set('a', 100_000)
    expect(marks.covers('a', 100_000, 5_000)).toBe(true)
    expect(marks.covers('a', 105_000, 5_000)).toBe(true)
    expect(marks.covers('a', 105_001, 5_000)).toBe(false)
  })

  it('never covers a shortening', () => {
    const marks = new TouchMarks()
    marks.set('a', 100_000)
    expect(marks.covers('a', 99_999, 5_000)).toBe(false)
    marks.set('forever', Number.POSITIVE_INFINITY)
    expect(marks.covers('forever', 100_000, 5_000)).toBe(false)
  })

  it('covers nothing when there is no slack', () => {
    const marks = new TouchMarks()
    marks.set('a', 100_000)
    expect(marks.covers('a', 100_000, 0)).toBe(false)
    expect(marks.covers('a', 100_001, 0)).toBe(false)
  })

  it('covers no session whose expiry it does not know', () => {
    const marks = new TouchMarks()
    expect(marks.covers('a', 100_000, 5_000)).toBe(false)
    marks.set('a', 100_000)
    expect(marks.covers('b', 100_000, 5_000)).toBe(false)
    marks.delete('a')
    expect(marks.covers('a', 100_000, 5_000)).toBe(false)
    marks.set('a', 100_000)
    marks.clear()
    expect(marks.covers('a', 100_000, 5_000)).toBe(false)
  })

  it('goes by the expiry set last', () => {
    const marks = new TouchMarks()
    marks.set('a', 100_000)
    marks.set('a', 50_000)
    expect(marks.covers('a', 52_000, 5_000)).toBe(true)
    expect(marks.covers('a', 100_000, 5_000)).toBe(false)
  })

  it('remembers the 25,000 set last, and no more than 50,000', () => {
    const marks = new TouchMarks()
    const known = (n: number): boolean => marks.covers(`session ${n}`, 100_000, 5_000)
    for (let n = 0; n < 49_999; n++) marks.set(`session ${n}`, 100_000)
    expect([known(0), known(24_999), known(49_998)]).toEqual([true, true, true])
    marks.set('session 0', 100_000)
    expect([known(0), known(1), known(24_999), known(25_000), known(49_998)]).toEqual([true, false, false, true, true])
  })
})
