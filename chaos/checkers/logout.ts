import type { OperationRecord } from '../records.js'
import { type End, endsOf } from './ends.js'
import { type Facts, isServed } from './facts.js'
import { type Evidence, type Finding, findingOf } from './verdict.js'

/**
 * P3: once `destroy` was called, this process never serves that session again; once Redis confirmed it, no process in
 * contact with Redis does; elsewhere it is gone within `maxStale`, or `queue.maxAge` for a copy with unwritten changes.
 */
export function logout(facts: Facts): Finding {
  const breaches: Evidence[] = []
  let checked = 0
  for (const end of endsOf(facts)) {
    for (const read of facts.of(end.session)) {
      if (read.operation !== 'get' || read.start <= end.destroy.start) continue
      checked++
      const what = isServed(read) ? complaint(facts, end, read) : undefined
      if (what === undefined) continue
      const records = facts.at(end.request, end.destroy, read, facts.request(read.request))
      breaches.push({ what: `${end.visitor} was served ${what}`, records })
    }
    if (end.audit === undefined) continue
    checked++
    if (end.audit.found === true && end.audit.at > Math.max(end.confirmedBy, end.forgottenUntil)) {
      const records = facts.at(end.request, end.destroy, end.audit)
      breaches.push({ what: `${end.visitor}'s cookie opened the session at the end`, records })
    }
  }
  return findingOf(checked, 'reads of sessions that were logged out', breaches)
}

function complaint(facts: Facts, end: End, read: OperationRecord): string | undefined {
  const { maxStale, queueMaxAge } = facts.header.settings
  if (read.process === end.process && facts.life(read.process, read.start) === end.life) {
    return `by process ${read.process}, where they had logged out`
  }
  const after = read.start - end.confirmedBy
  if (after <= 0) return undefined
  if (read.outcome === 'stale' && after > maxStale) return `a copy ${after.toFixed()} ms after the logout`
  if (read.outcome === 'queued' && after > queueMaxAge) return `a change ${after.toFixed()} ms after the logout`
  // What Redis announces to a near cache is there soon, not at once.
  const near = read.outcome === 'near' && after > facts.header.settings.timeout
  const live = read.outcome === 'redis' || read.outcome === 'session' || near
  return live && read.start > end.forgottenUntil ? `by process ${read.process}, which reached Redis` : undefined
}
