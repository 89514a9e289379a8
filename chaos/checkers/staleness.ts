import type { OperationRecord } from '../records.js'
import { type Facts, isConfirmed } from './facts.js'
import { type Evidence, type Finding, findingOf } from './verdict.js'

/**
 * P6: nothing is served that Redis confirmed longer than `maxStale` ago (an unwritten change: `queue.maxAge`), nothing
 * past its expiry. What a copy lacks tells its age as well.
 */
export function staleness(facts: Facts): Finding {
  const breaches: Evidence[] = []
  let checked = 0
  for (const read of facts.operations) {
    if (read.operation !== 'get' || (read.outcome !== 'stale' && read.outcome !== 'queued')) continue
    checked++
    const found = tooOld(facts, read) ?? pastItsExpiry(facts, read) ?? lacking(facts, read)
    if (found !== undefined) breaches.push(found)
  }
  return findingOf(checked, 'sessions served from memory', breaches)
}

function tooOld(facts: Facts, read: OperationRecord): Evidence | undefined {
  const { maxStale, queueMaxAge } = facts.header.settings
  const limit = read.outcome === 'stale' ? maxStale : queueMaxAge
  const { process, session, start } = read
  const known = facts
    .of(session)
    .filter((other) => other.process === process && other !== read && other.start < (read.end ?? facts.end))
    .filter((other) => facts.life(process, other.start) === facts.life(process, start))
  // A change that waited is confirmed when it is written; which one that was, its event does not say.
  const waited = known.filter(({ outcome, operation }) => outcome === 'queued' && operation === 'set')
  const replayed = waited.flatMap(({ end = start }) => facts.events(process, 'replayed', { from: end, to: start }))
  // A new session has nothing that Redis could have confirmed: its age counts from its first save.
  // What nobody awaited may have been saved all the same.
  const confirmed = known.filter((each) => isConfirmed(each) || each.outcome === 'answered')
  const confirmations = confirmed.length === 0 && read.outcome === 'queued' ? waited.slice(0, 1) : confirmed
  const latest = Math.max(...confirmations.map(({ end = start }) => end), ...replayed.map(({ at }) => at))
  const age = start - latest
  if (age <= limit) return undefined
  const since = Number.isFinite(age) ? `${age.toFixed()} ms after Redis had confirmed it` : 'though it never had it'
  const last = confirmations.findLast(({ end }) => end === latest)
  const what = `process ${process} served a session from memory ${since}`
  return { what, records: facts.at(read, last, facts.request(read.request)) }
}

function pastItsExpiry(facts: Facts, read: OperationRecord): Evidence | undefined {
  const prolonged = facts
    .of(read.session)
    .filter(({ operation, start }) => (operation === 'set' || operation === 'touch') && start < read.start)
  const ends = prolonged.map(({ end = facts.end }) => end + facts.header.settings.cookieMaxAge)
  const past = read.start - Math.max(...ends)
  if (past <= 0 || prolonged.length === 0) return undefined
  const what = `process ${read.process} served a session from memory ${past.toFixed()} ms after its expiry`
  return { what, records: facts.at(read, prolonged.at(-1), facts.request(read.request)) }
}

/** What Redis had for longer than a copy may be old must be in the copy. */
function lacking(facts: Facts, read: OperationRecord): Evidence | undefined {
  const page = facts.request(read.request)
  const cart = page?.answer?.cart
  if (read.outcome !== 'stale' || page === undefined || cart === undefined) return undefined
  const before = read.start - facts.header.settings.maxStale
  const absent = facts.of(read.session).find((save) => {
    const item = facts.request(save.request)?.item
    if (save.operation !== 'set' || !isConfirmed(save) || item === undefined || save.end === undefined) return false
    return save.end < before && !cart.includes(item) && !facts.mayBeLost(save.end)
  })
  if (absent === undefined) return undefined
  const what = `process ${read.process} served a copy without what Redis had taken long before`
  return { what, records: facts.at(read, absent, page) }
}
