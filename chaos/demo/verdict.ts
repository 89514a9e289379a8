/**
 * Whether the promises held, judged over a history. Pure. Everything is taken from what visitors sent and got; the
 * store's own word counts in one place only, where it says that an answer came from memory.
 */
import type { History, RequestRecord } from '../history.js'
import { classify, isLost, isMixedUp, isWrite } from '../workload/classify.js'
import type { Check, Judged } from './checks.js'
import { promisesOfThePolicy } from './policy-promises.js'
import { type Phase, type Tally, tallyPhases } from './summary.js'
import { percent, seconds } from './words.js'

export interface Verdict {
  readonly checks: readonly Check[]
  /** All promises held. */
  readonly held: boolean
  readonly requests: number
  readonly visitors: number
  /** How long Redis was away, in ms. */
  readonly outage: number
  /** How many queued changes the store said it could not write because another one came first. */
  readonly conflicts: number
  /** What visitors got, by phase of the request's start. */
  readonly tallies: Readonly<Record<Phase, Tally>>
}

/** The first good write must come within this time after Redis answers again, in ms. */
export const RECOVER_WITHIN = 1000

/** Share of the arrivals that may find every visitor waiting. */
const SKIPPED_SHARE = 0.05

export function judge(run: Judged): Verdict {
  const { history, now } = run
  const { requests } = history
  const { killed = now, back = now, starting = back } = history.faultTimes()
  const tallies = tallyPhases(history, now)
  const outcomes = (outcome: string) => requests.filter((request) => classify(request, now) === outcome)
  const during = requests.filter((request) => request.start >= killed && (request.end ?? now) <= starting)

  const zero = (name: string, count: number, headline: boolean, detail = ''): Check => ({
    name,
    found: `${count}${detail}`,
    held: count === 0,
    headline,
  })
  const checks: Check[] = [
    zero('visitors logged out', loggedOut(history), true),
    zero('requests hung (no answer in 1 s)', outcomes('hung').length, true),
    zero('errors and cut connections', outcomes('error').length, true, detailOf(outcomes('error'))),
    zero('acknowledged cart items lost', lostItems(history), true, ` of ${acknowledgedItems(history)}`),
    zero('logouts undone', undoneLogouts(history), true, ` of ${history.audits.filter(isOut).length}`),
    { name: 'longest wait for an answer', found: seconds(longest(requests, now)), held: true, headline: true },
    recoveryCheck(run, killed, back),
    zero('sessions mixed up', requests.filter(isMixedUp).length, false),
    zero('refusals without Retry-After', outcomes('refused').filter(lacksRetryAfter).length, false),
    zero('answers from memory not marked as such', during.filter((request) => isUnmarked(request, now)).length, false),
    zero('crashes of the shop', history.processes.filter(({ event }) => event === 'exited').length, false),
    zero(
      'visitors nobody could ask in the end',
      history.audits.filter(({ found }) => found === undefined).length,
      false,
    ),
    skippedCheck(run.skipped, requests.length),
    healthyCheck(tallies.healthy),
    biteCheck(tallies.killed),
    ...(run.store === 'resilient' ? promisesOfThePolicy(run, during) : []),
  ]
  return {
    checks,
    held: checks.every(({ held }) => held),
    requests: requests.length,
    visitors: new Set(requests.map(({ visitor }) => visitor)).size,
    outage: back - killed,
    conflicts: history.notes.filter(({ name, detail }) => name === 'conflict' && detail === 'queued').length,
    tallies,
  }
}

/** Visitors treated as strangers although logged in: during the run, or in the end. */
function loggedOut({ requests, audits }: History): number {
  const lost = new Set(requests.filter(isLost).map(({ visitor }) => visitor))
  for (const { stay, found, visitor } of audits) if (stay === 'in' && found === false) lost.add(visitor)
  return lost.size
}

const isOut = ({ stay }: { stay: string }) => stay === 'out'
const isStaying = ({ stay }: { stay: string }) => stay === 'in' || stay === 'lost'

function lostItems({ audits }: History): number {
  return audits.filter(isStaying).reduce((total, { missing }) => total + missing, 0)
}

function acknowledgedItems({ audits }: History): number {
  return audits.filter(isStaying).reduce((total, { acknowledged }) => total + acknowledged, 0)
}

function undoneLogouts({ audits }: History): number {
  return audits.filter((record) => isOut(record) && record.found === true).length
}

function lacksRetryAfter({ answer }: RequestRecord): boolean {
  return answer?.status === 503 && !answer.retryAfter
}

function isUnmarked(request: RequestRecord, now: number): boolean {
  return request.answer?.status === 200 && classify(request, now) === 'ok'
}

function longest(requests: readonly RequestRecord[], now: number): number {
  return requests.reduce((most, { start, end }) => Math.max(most, (end ?? now) - start), 0)
}

/**
 * From Redis answering PING again to the first good answer to a change, in the process where that took longest;
 * `undefined` when one process never gave any.
 */
export function recoveryTime(run: Judged, killed: number, back: number): number | undefined {
  const times = run.processes.map((process) => {
    const good = run.history.requests.filter(
      (request) =>
        request.process === process &&
        request.start > killed &&
        isWrite(request) &&
        request.answer?.status === 200 &&
        classify(request, run.now) === 'ok',
    )
    return Math.min(...good.map(({ end = run.now }) => end)) - back
  })
  const slowest = Math.max(...times)
  return Number.isFinite(slowest) ? Math.max(0, slowest) : undefined
}

function recoveryCheck(run: Judged, killed: number, back: number): Check {
  const time = recoveryTime(run, killed, back)
  return {
    name: 'time to recovery',
    found: time === undefined ? 'never' : seconds(time),
    held: time !== undefined && time <= RECOVER_WITHIN,
    headline: true,
  }
}

/** With every visitor waiting for an answer, fewer requests are sent than the run is meant to show. */
function skippedCheck(skipped: number, sent: number): Check {
  return {
    name: 'arrivals that could not be sent',
    found: String(skipped),
    held: skipped <= (skipped + sent) * SKIPPED_SHARE,
    headline: false,
  }
}

/** A run in which nothing worked, or in which the outage was not felt, proves nothing. */
function healthyCheck({ ok, stale, refused }: Tally): Check {
  const share = ok / Math.max(1, ok + stale + refused)
  return {
    name: 'good answers while Redis was healthy',
    found: `${ok} (${percent(share)})`,
    held: ok > 0 && share > 0.9,
    headline: false,
  }
}

function biteCheck({ ok, stale, refused, hung, error }: Tally): Check {
  const felt = stale + refused + hung + error
  return {
    name: 'requests that felt the outage',
    found: String(felt),
    held: felt > 0 && felt > ok,
    headline: false,
  }
}

function detailOf(errors: readonly RequestRecord[]): string {
  const kinds = new Map<string, number>()
  for (const { answer, failure } of errors) {
    const kind = failure ?? `HTTP ${answer?.status ?? '?'}`
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  }
  if (kinds.size === 0) return ''
  return ` (${[...kinds].map(([kind, count]) => `${kind}: ${count}`).join(', ')})`
}
