import { describe, expect, it } from 'vitest'
import { spread } from './steps.js'

const fault = { kind: 'refuse' } as const

describe('a step in time', () => {
  it('begins and ends at its shares of the run', () => {
    expect(spread({ at: 0.2, until: 0.5, fault }, 10_000, 1)).toEqual([{ fault, from: 2000, to: 5000 }])
    expect(spread({ at: 0.2, fault }, 10_000, 1)).toEqual([{ fault, from: 2000, to: undefined }])
  })

  it('comes and goes by the seed, within its share', () => {
    const turns = (seed: number) =>
      spread({ at: 0.2, until: 0.5, fault, flapping: { on: 300, off: 200 } }, 10_000, seed)
    expect(turns(1)).toEqual(turns(1))
    expect(turns(1)).not.toEqual(turns(2))
    expect(turns(1).length).toBeGreaterThan(3)
    let before = 2000
    for (const { from, to = 0 } of turns(1)) {
      expect(from).toBeGreaterThanOrEqual(before)
      expect(to).toBeLessThanOrEqual(5000)
      expect(to - from).toBeLessThanOrEqual(450)
      before = to
    }
  })
})
