import type { AuditRecord, OperationRecord, RequestRecord } from '../records.js'
import type { Facts } from './facts.js'

/** A session's end: a logout that reached the shop's `destroy`. */
export interface End {
  readonly session: string
  readonly visitor: string
  readonly request: RequestRecord
  readonly destroy: OperationRecord
  /** The process that was asked, and which of its lives. */
  readonly process: string
  readonly life: number
  /** From when Redis has surely been told; Infinity where it may never have been: its process ended first. */
  readonly confirmedBy: number
  /** Redis may have lost it again, up to then; -Infinity where it cannot. */
  readonly forgottenUntil: number
  readonly audit: AuditRecord | undefined
}

/** Every logout, with what may be expected after it. */
export function endsOf(facts: Facts): End[] {
  const audits = new Map(facts.history.of('audit').map((audit) => [audit.session, audit]))
  return facts.requests.flatMap((request) => {
    const { session, action, visitor } = request
    if (action !== 'logout' || session === undefined) return []
    const destroy = facts.madeBy(request).find((each) => each.operation === 'destroy' && each.session === session)
    if (destroy === undefined) return []
    const { process, start } = destroy
    const life = facts.life(process, start)
    const confirmedBy = confirmation(facts, destroy)
    return {
      ...{ session, visitor, request, destroy, process, life, confirmedBy },
      forgottenUntil: forgotten(facts, destroy, confirmedBy),
      audit: audits.get(session),
    }
  })
}

function confirmation(facts: Facts, destroy: OperationRecord): number {
  const { end, outcome, process } = destroy
  if (end !== undefined && outcome === 'done' && facts.toldOf(destroy).length === 0) return end
  // It waits in its process, which sends it when Redis is back; a logout without any answer may never have been tried.
  const from = Math.max(facts.lastEnd, end ?? 0)
  const back = facts.backBy(process, { from, to: from + facts.header.recoverWithin })
  if (end === undefined || facts.endedBetween(process, end, back)) return Number.POSITIVE_INFINITY
  return back
}

/** Its process sends it again to a server that may not know of it; when that process has ended nobody does. */
function forgotten(facts: Facts, { process, end = facts.end }: OperationRecord, confirmedBy: number): number {
  const window = facts.lossWindow
  if (window === undefined || !facts.mayBeLost(Math.min(end, confirmedBy))) return Number.NEGATIVE_INFINITY
  const again = facts.backBy(process, { from: window.to, to: window.to + facts.header.recoverWithin })
  return facts.endedBetween(process, end, again) ? Number.POSITIVE_INFINITY : again
}
