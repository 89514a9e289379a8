import { expect, it } from 'vitest'
import { seededRandom } from '../../support/random.js'

function take(count: number, seed: number): number[] {
  const random = seededRandom(seed)
  return Array.from({ length: count }, random)
}

it('repeats itself for the same seed only', () => {
  expect(take(50, 7)).toEqual(take(50, 7))
  expect(take(50, 7)).not.toEqual(take(50, 8))
})

it('spreads evenly over [0, 1)', () => {
  const numbers = take(10_000, 1)
  expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0)
  expect(Math.max(...numbers)).toBeLessThan(1)
  for (let tenth = 0; tenth < 10; tenth++) {
    const inside = numbers.filter((number) => Math.floor(number * 10) === tenth).length
    expect(inside).toBeGreaterThan(850)
    expect(inside).toBeLessThan(1_150)
  }
})
