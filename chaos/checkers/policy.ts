import type { OperationRecord } from '../records.js'
import { type Facts, isConfirmed, isDown } from './facts.js'
import { type Evidence, type Finding, findingOf } from './verdict.js'

/** A copy so much younger than `maxStale` must be served, in ms. */
const MARGIN = 1000
/** Refusals that no policy forgives. */
const HOPELESS: ReadonlySet<string | undefined> = new Set(['queue-full', 'blank', 'overloaded'])

/** What the application chose for an outage is what happens: its policy, and its `onRedisDown` for some requests. */
export function policy(facts: Facts): Finding {
  const breaches: Evidence[] = []
  let checked = 0
  for (const operation of facts.operations) {
    if (!isDown(operation) && operation.outcome !== 'stale' && operation.outcome !== 'queued') continue
    checked++
    const what = complaint(facts, operation)
    if (what !== undefined) breaches.push({ what, records: facts.at(operation, facts.request(operation.request)) })
  }
  return findingOf(checked, 'operations without Redis', breaches)
}

function complaint(facts: Facts, operation: OperationRecord): string | undefined {
  const { operation: name, outcome, request, reason } = operation
  const { policy } = facts.header
  const action = facts.request(request)?.action
  const failed = isDown(operation)
  if (name === 'get') {
    if (action === 'admin') return failed || outcome === 'queued' ? undefined : 'a page for the staff came from memory'
    if (action === 'logout') return failed ? 'nobody could log out' : undefined
    if (!failed) return policy === 'strict' ? `strict: a session was ${outcome}` : undefined
    return policy !== 'strict' && isKnown(facts, operation) ? `${policy}: somebody known was refused` : undefined
  }
  if (name === 'set') {
    if (!failed) return policy === 'available' ? undefined : `${policy}: a save was ${outcome}`
    return policy === 'available' && !HOPELESS.has(reason) ? `available: a save was refused` : undefined
  }
  return name === 'destroy' && failed && action === 'logout' ? 'nobody could log out' : undefined
}

/** Whether this process had the session from Redis, or gave it there, not long ago, and nobody has ended it since. */
function isKnown(facts: Facts, read: OperationRecord): boolean {
  const { process, session, start } = read
  // Somebody may have had to make room.
  if (facts.header.settings.cacheMax < facts.sessions) return false
  return facts.of(session).some((other) => {
    if (other.process !== process || !isConfirmed(other) || other.end === undefined) return false
    if (other.end >= start || facts.life(process, other.start) !== facts.life(process, start)) return false
    if (start - other.end > facts.header.settings.maxStale - MARGIN) return false
    return !facts.of(session).some(({ operation, outcome, start: at, process: by }) => {
      if (at <= other.start || at > start) return false
      // Redis no longer had it: a failover lost it, or it was logged out elsewhere.
      if (operation === 'get') return outcome === 'none' && by === process
      return operation !== 'touch'
    })
  })
}
