/** What a run was like for its visitors, in figures. Pure. */
import type { History } from '../history.js'
import { classify, isAcknowledged, isLost, waited } from '../workload/classify.js'
import { outageOf, type Phase, type Tally, tallyPhases } from './summary.js'

export interface Figures {
  readonly requests: number
  readonly visitors: number
  /** From the first fault until all were over, in ms. */
  readonly outage: number
  /** What visitors got, by phase of the request's start. */
  readonly tallies: Readonly<Record<Phase, Tally>>
  /** Visitors treated as strangers although logged in: during the run, or in the end. */
  readonly loggedOut: number
  readonly hung: number
  /** Answers that were neither a page nor a refusal, and dead sockets, by kind. */
  readonly errors: Readonly<Record<string, number>>
  readonly acknowledged: number
  readonly lost: number
  readonly logouts: number
  readonly undone: number
  /** Time to the answer, in ms. */
  readonly longest: number
  /** From the end of the last fault until every process had answered a change well, in ms; `undefined` for never. */
  readonly recovery: number | undefined
  /** Queued changes the store said it could not write because another one came first. */
  readonly conflicts: number
}

export function figuresOf(history: History, processes: readonly string[], now: number): Figures {
  const requests = history.of('request')
  const audits = history.of('audit')
  const staying = audits.filter(({ stay }) => stay === 'in' || stay === 'lost')
  const out = audits.filter(({ stay }) => stay === 'out')
  const { from, to } = outageOf(history)
  const lost = new Set(requests.filter(isLost).map(({ visitor }) => visitor))
  for (const { stay, found, visitor } of audits) if (stay === 'in' && found === false) lost.add(visitor)
  return {
    requests: requests.length,
    visitors: new Set(requests.map(({ visitor }) => visitor)).size,
    outage: Math.min(to, now) - Math.min(from, now),
    tallies: tallyPhases(history, now),
    loggedOut: lost.size,
    hung: requests.filter((request) => classify(request, now) === 'hung').length,
    errors: errorsIn(history, now),
    acknowledged: staying.reduce((total, { acknowledged }) => total + acknowledged.length, 0),
    lost: staying.reduce((total, { missing }) => total + missing.length, 0),
    logouts: out.length,
    undone: out.filter(({ found }) => found === true).length,
    longest: Math.max(0, ...requests.map((request) => waited(request, now))),
    recovery: recoveryTime(history, processes, to, now),
    conflicts: history.of('event').filter(({ name, detail }) => name === 'conflict' && detail.queued === true).length,
  }
}

function errorsIn(history: History, now: number): Record<string, number> {
  const kinds: Record<string, number> = {}
  for (const request of history.of('request')) {
    if (classify(request, now) !== 'error') continue
    const kind = request.failure ?? `HTTP ${request.answer?.status ?? '?'}`
    kinds[kind] = (kinds[kind] ?? 0) + 1
  }
  return kinds
}

function recoveryTime(history: History, processes: readonly string[], back: number, now: number): number | undefined {
  const times = processes.map((process) => {
    const good = history
      .of('request')
      .filter((request) => request.process === process && request.start >= back && isAcknowledged(request))
      .filter((request) => classify(request, now) === 'ok')
    return Math.min(...good.map(({ end = now }) => end)) - back
  })
  const slowest = Math.max(...times)
  return Number.isFinite(slowest) ? Math.max(0, slowest) : undefined
}
