import { expect, it } from 'vitest'
import type { StoreSample } from '../records.js'
import { HandMade } from './hand-made.js'
import { memory } from './memory.js'

const EMPTY: StoreSample = {
  ...{ connection: 'ready', revocations: 0, inFlight: 0 },
  ...{ cache: { sessions: 0, bytes: 0 }, queue: { saves: 0, destroys: 0, bytes: 0 } },
}
const sampled = (store: Partial<StoreSample>, at = 1500) => new HandMade().sample(at, { store: { ...EMPTY, ...store } })
const verdictOn = (run: HandMade) => run.finding(memory).verdict

it('P7 holds up to the limits', () => {
  const full = {
    ...{ cache: { sessions: 100, bytes: 10_000 }, queue: { saves: 50, destroys: 100_000, bytes: 5_000 } },
    ...{ revocations: 100_000, inFlight: 300 },
  }
  expect(verdictOn(sampled(full))).toBe('held')
})

it.each<[string, Partial<StoreSample>]>([
  ['101 sessions in the cache', { cache: { sessions: 101, bytes: 0 } }],
  ['10001 bytes in the cache', { cache: { sessions: 0, bytes: 10_001 } }],
  ['51 saves in the queue', { queue: { saves: 51, destroys: 0, bytes: 0 } }],
  ['5001 bytes in the queue', { queue: { saves: 0, destroys: 0, bytes: 5_001 } }],
  ['100001 destroys in the queue', { queue: { saves: 0, destroys: 100_001, bytes: 0 } }],
  ['100001 revocations', { revocations: 100_001 }],
  ['301 operations under way', { inFlight: 301 }],
])('P7 is broken by %s', (what, store) => {
  const finding = sampled(store).finding(memory)
  expect(finding).toMatchObject({ verdict: 'broken', evidence: [{ records: [1] }] })
  expect(finding).toHaveProperty('evidence.0.what', expect.stringContaining(what))
})

it('P7 is broken by a process that grows beyond all its limits', () => {
  const grown = (by: number) => sampled({}).sample(1600, { rss: 1e8 + by })
  expect(verdictOn(grown(3e8))).toBe('held')
  expect(verdictOn(grown(4e8))).toBe('broken')
})

it('P7 leaves the runner alone', () => {
  expect(
    verdictOn(sampled({}).sample(1500, { process: 'runner' }).sample(1600, { process: 'runner', rss: 1e10 })),
  ).toBe('held')
})

it('P7 is not exercised without a sample during the fault, or with a store that has no such figures', () => {
  expect(verdictOn(sampled({}, 500))).toBe('not-exercised')
  expect(verdictOn(new HandMade().sample(1500, { store: { connection: 'ready' } }))).toBe('not-exercised')
})
