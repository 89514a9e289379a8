/** What each of the library's policies promises, judged over a history. Pure. */
import type { RequestRecord } from '../history.js'
import { classify, isFromMemory } from '../workload/classify.js'
import type { Check, Judged } from './checks.js'

/**
 * A visitor whom a process saw at most this long ago, in ms, must be served by it: the cache's `maxStale` (30 s) less a
 * margin.
 */
const KNOWN_FOR = 25_000

/** What a policy promises beyond "nothing is lost and nothing hangs". */
export function promisesOfThePolicy({ history, policy, now }: Judged, during: readonly RequestRecord[]): Check[] {
  const count = (name: string, wrong: (request: RequestRecord) => boolean): Check => {
    const { length } = during.filter(wrong)
    return { name, found: String(length), held: length === 0, headline: false }
  }
  const isRefused = (request: RequestRecord) => classify(request, now) === 'refused'
  const fromMemory = ({ answer }: RequestRecord) => answer?.status === 200 && isFromMemory(answer.source)
  const always = count('staff pages served from memory', (request) => request.action === 'admin' && fromMemory(request))
  if (policy === 'strict') {
    return [always, count('pages served from memory', (request) => request.action !== 'logout' && fromMemory(request))]
  }
  const seen = lastSeen(history.requests, now)
  const known = count(
    'known visitors refused a page',
    (request) => request.action === 'view' && request.loggedIn && isRefused(request) && seen(request) < KNOWN_FOR,
  )
  if (policy === 'available') return [always, known]
  return [
    always,
    known,
    count('changes taken from memory', (r) => (r.action === 'add' || r.action === 'login') && fromMemory(r)),
  ]
}

/** How long before a request its process last gave its visitor a page that Redis had confirmed, in ms. */
function lastSeen(requests: readonly RequestRecord[], now: number): (request: RequestRecord) => number {
  const pages = new Map<string, number[]>()
  for (const request of requests) {
    if (request.end === undefined || request.answer?.status !== 200 || classify(request, now) !== 'ok') continue
    const key = `${request.process} ${request.visitor}`
    const times = pages.get(key)
    if (times === undefined) pages.set(key, [request.end])
    else times.push(request.end)
  }
  return ({ process, visitor, start }) => {
    const before = (pages.get(`${process} ${visitor}`) ?? []).filter((end) => end < start)
    return start - Math.max(Number.NEGATIVE_INFINITY, ...before)
  }
}
