import { expect, it } from 'vitest'
import { seededRandom } from '../../test/support/random.js'
import { type Arrival, arrivals } from './arrivals.js'

function take(count: number, seed: number, rate: number): Arrival[] {
  const schedule = arrivals(seededRandom(seed), rate)
  return Array.from({ length: count }, () => schedule.next().value)
}

it('gives one schedule for one seed, another for another', () => {
  expect(take(50, 7, 150)).toEqual(take(50, 7, 150))
  expect(take(50, 7, 150)).not.toEqual(take(50, 8, 150))
})

it('comes at the rate asked for, always forward', () => {
  const all = take(20_000, 1, 150)
  expect(all.every(({ at }, index) => at >= (all[index - 1]?.at ?? 0))).toBe(true)
  expect(20_000 / ((all.at(-1)?.at ?? 0) / 1000)).toBeCloseTo(150, -1)
})

it('chooses evenly', () => {
  const mean = take(20_000, 3, 150).reduce((sum, { who }) => sum + who / 20_000, 0)
  expect(mean).toBeCloseTo(0.5, 1)
})

it('refuses a rate that is not one', () => {
  for (const rate of [0, -1, Number.NaN]) expect(() => arrivals(Math.random, rate).next()).toThrow(RangeError)
})
