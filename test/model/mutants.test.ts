import { expect, test } from 'vitest'
import { campaign } from './campaign.js'
import { MUTANTS } from './mutants.js'

/** Enough to meet each of them many times over. */
const RUNS = 400

test.each(MUTANTS)('a store that $name is found out', { timeout: 120_000 }, async ({ make, breaks }) => {
  const { failures } = await campaign({ runs: RUNS, seed: 1, shared: 6, own: 0, shrinkMs: 0, make })
  const found = failures.flatMap(({ violations }) => violations.map(({ promise }) => promise))
  expect(
    found.some((promise) => breaks.includes(promise)),
    failures[0]?.report ?? 'nothing was found',
  ).toBe(true)
})
