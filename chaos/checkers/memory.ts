import type { SampleRecord, Settings } from '../records.js'
import type { Facts } from './facts.js'
import { type Evidence, type Finding, findingOf } from './verdict.js'

/** The store's own bound on destroys that wait and on destroyed sessions it remembers (docs/operations.md). */
const DESTROYED = 100_000
const LANES = 3
/** What a process may grow by on top of cache and queue at their bounds, in bytes: code, buffers, the collector's ease. */
const GROWTH = 300 * 2 ** 20

/** P7: cache, queue, revocations and what is under way keep their limits, and the process does not grow without one. */
export function memory(facts: Facts): Finding {
  const { settings } = facts.header
  const breaches: Evidence[] = []
  let checked = 0
  const first = new Map<string, number>()
  for (const sample of facts.history.of('sample')) {
    if (sample.process === 'runner') continue
    if (!first.has(sample.process)) first.set(sample.process, sample.rss)
    if (sample.store?.queue !== undefined && facts.disturbed({ from: sample.at, to: sample.at })) checked++
    for (const what of excesses(sample, settings, first.get(sample.process) ?? sample.rss)) {
      breaches.push({ what: `process ${sample.process}: ${what}`, records: facts.at(sample) })
    }
  }
  return findingOf(checked, 'samples of a store with limits during a fault', breaches)
}

function excesses({ rss, store = { connection: '' } }: SampleRecord, settings: Settings, atFirst: number): string[] {
  const { cache, queue, revocations = 0, inFlight = 0 } = store
  const limits: readonly (readonly [string, number, number])[] = [
    ['sessions in the cache', cache?.sessions ?? 0, settings.cacheMax],
    ['bytes in the cache', cache?.bytes ?? 0, settings.cacheMaxBytes],
    ['saves in the queue', queue?.saves ?? 0, settings.queueMax],
    ['bytes in the queue', queue?.bytes ?? 0, settings.queueMaxBytes],
    ['destroys in the queue', queue?.destroys ?? 0, DESTROYED],
    ['revocations', revocations, DESTROYED],
    ['operations under way', inFlight, LANES * settings.maxInFlight],
    ['bytes more than at first', rss - atFirst, settings.cacheMaxBytes + settings.queueMaxBytes + GROWTH],
  ]
  return limits.flatMap(([what, amount, most]) => (amount > most ? [`${amount} ${what}, allowed are ${most}`] : []))
}
