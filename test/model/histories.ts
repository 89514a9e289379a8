/** The model test as vitest runs it: a share of the histories in each file, so that workers play at the same time. */
import { expect, test } from 'vitest'
import { campaign } from './campaign.js'

const RUNS = integer('MODEL_RUNS', 2_000)
/** Another one each day, the same for all files; printed with every failure. */
const SEED = integer('MODEL_SEED', Math.floor(Date.now() / 86_400_000) * 10_000)
/** On a busy machine so many may go without a verdict. */
const UNJUDGED = 0.01
/** A slow machine plays that many a second, per file. */
const SLOWEST = 1.5

/** Defines the test for one of so many shares. */
export function playShare(share: number, of: number): void {
  const runs = Math.floor(RUNS / of) + (share <= RUNS % of ? 1 : 0)
  const seed = SEED + share * 100_000
  test(`${runs} random histories keep the promises (seed ${seed})`, {
    timeout: 120_000 + (runs / SLOWEST) * 1_000,
  }, async () => {
    const progress = (text: string): void => console.log(`model ${share}/${of}: ${text}`)
    // A long run by hand shows how far it is.
    const result = await campaign({ runs, seed, ...(RUNS > 5_000 && { onProgress: progress }) })
    const { failures, played, seconds, disturbed, unjudged } = result
    progress(
      `${played} histories in ${seconds.toFixed()} s, seed ${seed}: ${disturbed} disturbed, ${unjudged} unjudged`,
    )
    expect(failures.map(({ report }) => report).join('\n\n')).toBe('')
    expect(played).toBe(runs)
    expect(unjudged, 'histories that the machine was too busy to judge').toBeLessThanOrEqual(runs * UNJUDGED)
  })
}

function integer(name: string, byDefault: number): number {
  const given = process.env[name]
  if (given === undefined || given === '') return byDefault
  const value = Number(given)
  if (!Number.isInteger(value) || value < 0) throw new RangeError(`${name} must be a whole number, got ${given}`)
  return value
}
