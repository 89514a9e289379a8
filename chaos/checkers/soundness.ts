import type { RequestRecord } from '../records.js'
import { classify, isWrite, type Outcome } from '../workload/classify.js'
import type { Facts } from './facts.js'
import { type Evidence, type Finding, findingOf } from './verdict.js'

/** Share of the arrivals that may find every visitor waiting. */
const SKIPPED = 0.05
/** Share of good answers before the first fault; a busy machine that has just started spoils some. */
const HEALTHY = 0.5

/** What a run must show besides the promises: a run in which nothing worked, or no fault was felt, proves nothing. */
export const SOUNDNESS: Readonly<Record<string, (facts: Facts) => Finding>> = {
  'the history is whole': (facts) => {
    const whole = facts.history.of('end').length === 1
    return findingOf(1, 'ends', whole ? [] : [{ what: 'the history breaks off', records: [] }])
  },
  'Redis served everybody before the first fault': (facts) => {
    const first = Math.min(facts.end, ...facts.faults.map(({ at }) => at))
    const before = facts.requests.filter(({ end }) => end !== undefined && end < first)
    const good = before.filter((request) => classify(request, facts.end) === 'ok')
    const enough = good.length > HEALTHY * before.length
    const what = `${good.length} of ${before.length} answers were good`
    return findingOf(before.length, 'answers before the first fault', enough ? [] : [{ what, records: [] }])
  },
  'the faults were felt': felt,
  'every arrival could be sent': (facts) => {
    const skipped = facts.history.of('end').at(-1)?.skipped ?? 0
    const most = (skipped + facts.requests.length) * SKIPPED
    const what = `${skipped} arrivals found every visitor waiting`
    return findingOf(facts.requests.length, 'requests', skipped > most ? [{ what, records: [] }] : [])
  },
  'no process ended by itself': (facts) => {
    const crashes = facts.history.of('process').filter(({ event }) => event === 'exited')
    const what = (how = '?') => `ended by itself (${how})`
    const breaches = crashes.map((crash) => ({
      what: `process ${crash.process} ${what(crash.how)}`,
      records: facts.at(crash),
    }))
    return findingOf(facts.header.processes.length, 'processes', breaches)
  },
  'every answer was a page or a clear refusal': (facts) => {
    const wrong = facts.requests.filter((request) => isWrong(facts, request))
    const breaches = wrong.map((request) => ({
      what: `${request.visitor}'s ${request.action}: ${request.failure ?? `HTTP ${request.answer?.status}`}`,
      records: facts.at(request),
    }))
    return findingOf(facts.requests.length, 'requests', breaches)
  },
  'everybody could be asked in the end': (facts) => {
    const audits = facts.history.of('audit')
    const silent = audits.filter(({ found }) => found === undefined)
    return findingOf(
      audits.length,
      'audits',
      silent.map((audit): Evidence => ({ what: `nobody knows about ${audit.visitor}`, records: facts.at(audit) })),
    )
  },
}

/** Neither a page nor a refusal that says when to try again; and no process was being ended just then. */
function isWrong(facts: Facts, request: RequestRecord): boolean {
  const { start, end = facts.end, process, answer } = request
  const outcome = classify(request, facts.end)
  if (outcome === 'refused') return answer?.status === 503 && !answer.retryAfter
  return outcome === 'error' && !facts.endedBetween(process, start - 1000, end + 1000)
}

const FELT: ReadonlySet<Outcome | 'waiting'> = new Set(['stale', 'refused', 'hung', 'error', 'lost', 'waiting'])

function felt(facts: Facts): Finding {
  const { bites } = facts.header
  const during = facts.requests.filter(({ start, end = facts.end }) => facts.disturbed({ from: start, to: end }))
  const asked = bites === 'writes' ? during.filter(isWrite) : during
  const suffered = asked.filter((request) => FELT.has(classify(request, facts.end)) || isSlow(facts, request))
  const least = bites === 'nothing' ? 0 : bites === 'some' ? 1 : asked.length / 2
  const what = `${suffered.length} of ${asked.length} requests felt a fault`
  const weak = suffered.length < least || (bites !== 'nothing' && asked.length === 0)
  return findingOf(Math.max(1, asked.length), 'requests during a fault', weak ? [{ what, records: [] }] : [])
}

function isSlow(facts: Facts, request: RequestRecord): boolean {
  return facts.madeBy(request).some(({ start, end = facts.end }) => end - start > 40)
}
