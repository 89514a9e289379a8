import type { AuditRecord, OperationRecord } from '../records.js'
import { type Facts, isConfirmed } from './facts.js'
import { type Evidence, type Finding, findingOf } from './verdict.js'

/**
 * P8: an acknowledged save is in Redis, or queued and written when Redis returns; what cannot be written is reported by an
 * event with the reason. Events name no session, so each one excuses one lost session of its process.
 */
export function loss(facts: Facts): Finding {
  const breaches: Evidence[] = []
  const excused = new Map<string, Evidence[]>()
  let checked = 0
  for (const audit of facts.history.of('audit')) {
    if (audit.stay !== 'in' && audit.stay !== 'lost') continue
    const saves = acknowledgedBy(facts, audit)
    checked += saves.length
    if (audit.found === undefined) continue
    const gone = saves.filter(({ save, item }) => isGone(audit, item) && !isForgiven(facts, save, audit))
    for (const process of new Set(gone.map(({ save }) => save.process))) {
      const lost = gone.filter(({ save }) => save.process === process)
      const confirmed = lost.find(({ save }) => save.outcome !== 'queued')
      const [any] = lost
      const save = (confirmed ?? any)?.save
      if (save === undefined) continue
      const found = {
        what: `${lost.length} acknowledged saves of ${audit.visitor} in process ${process} are gone`,
        records: facts.at(facts.request(save.request), save, audit),
      }
      if (confirmed !== undefined) breaches.push(found)
      else excused.set(process, [...(excused.get(process) ?? []), found])
    }
  }
  for (const [process, lost] of excused) {
    const told = reports(facts, process)
    if (lost.length <= told) continue
    breaches.push(...lost.map(({ what, records }) => ({ what: `${what}; told of ${told} losses`, records })))
  }
  return findingOf(checked, 'acknowledged saves', [...breaches, ...pagesThatLack(facts)])
}

/** A touch may be skipped while it would move the expiry by at most 5 %. */
const TOUCHED = 0.95

interface Acknowledged {
  readonly save: OperationRecord
  /** None for a login: its save made the session. */
  readonly item: number | undefined
}

function acknowledgedBy(facts: Facts, { session }: AuditRecord): Acknowledged[] {
  return facts.of(session).flatMap((save) => {
    if (save.operation !== 'set' || (!isConfirmed(save) && save.outcome !== 'queued')) return []
    const request = facts.request(save.request)
    const answered = request?.answer?.status === 200
    return answered && (request.action === 'add' || request.action === 'login') ? [{ save, item: request.item }] : []
  })
}

function isGone({ found, missing }: AuditRecord, item: number | undefined): boolean {
  return found === false || (item !== undefined && missing.includes(item))
}

function isForgiven(facts: Facts, save: OperationRecord, audit: AuditRecord): boolean {
  const { process, outcome, session, end = facts.end } = save
  if (outcome === 'queued') {
    // What waits dies with its process.
    if (facts.crashedBetween(process, end, facts.lastEnd + facts.header.recoverWithin)) return true
  } else if (facts.mayBeLost(end)) return true
  const kept = facts.of(session).filter((each) => isConfirmed(each) || (each.operation === 'touch' && each.end))
  const last = Math.max(...kept.map(({ start }) => start))
  return audit.found === false && audit.at > last + TOUCHED * facts.header.settings.cookieMaxAge
}

/** How many losses of waiting saves a process told of. */
function reports(facts: Facts, process: string): number {
  return facts.history.of('event').filter(({ process: by, name, detail }) => {
    if (by !== process) return false
    if (name === 'dropped') return detail.operation === 'set'
    return (
      (name === 'conflict' && detail.resolution === 'refused' && detail.queued === true) ||
      isQueuedRevoked(name, detail)
    )
  }).length
}

function isQueuedRevoked(name: string, detail: Readonly<Record<string, unknown>>): boolean {
  return name === 'revoked' && detail.queued === true
}

/** Pages that Redis confirmed and that lack what Redis had taken before. */
function pagesThatLack(facts: Facts): Evidence[] {
  return facts.requests.flatMap((page) => {
    const { answer, start, visitor, session, action } = page
    if (answer?.cart === undefined || answer.visitor !== visitor || action === 'add' || action === 'login') return []
    if (!facts.madeBy(page).some((each) => each.operation === 'get' && isConfirmed(each))) return []
    const { cart } = answer
    const lacking = facts.of(session).find((save) => {
      const item = facts.request(save.request)?.item
      if (save.operation !== 'set' || !isConfirmed(save) || item === undefined || cart.includes(item)) return false
      const end = save.end ?? facts.end
      return end < start && !facts.mayBeLost(end)
    })
    if (lacking === undefined) return []
    const what = `a page of ${visitor} from Redis lacks what Redis had taken before`
    return [{ what, records: facts.at(facts.request(lacking.request), lacking, page) }]
  })
}
