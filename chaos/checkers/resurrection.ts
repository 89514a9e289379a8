import type { HistoryRecord, OperationRecord, RequestRecord } from '../records.js'
import { endsOf } from './ends.js'
import { type Facts, isConfirmed } from './facts.js'
import { type Evidence, type Finding, findingOf } from './verdict.js'

/**
 * P4: no late save, late touch, retried or replayed write brings back a destroyed session, and no late save overwrites a
 * newer acknowledged one.
 */
export function resurrection(facts: Facts): Finding {
  const back = cameBack(facts)
  const over = overwritten(facts)
  return findingOf(back.checked + over.checked, 'looks at destroyed and at saved sessions', [
    ...back.breaches,
    ...over.breaches,
  ])
}

interface Part {
  readonly checked: number
  readonly breaches: readonly Evidence[]
}

/** A session that Redis has, or takes, after Redis had confirmed that it is destroyed. */
function cameBack(facts: Facts): Part {
  const breaches: Evidence[] = []
  let checked = 0
  for (const { session, visitor, destroy, request, confirmedBy, forgottenUntil, audit } of endsOf(facts)) {
    const since = Math.max(confirmedBy, forgottenUntil)
    const last = facts.of(session).findLast(({ operation }) => operation === 'set')
    const broken = (what: string, by: HistoryRecord): void =>
      void breaches.push({ what: `${visitor}'s session ${what}`, records: facts.at(request, destroy, last, by) })
    for (const after of facts.of(session)) {
      if (after.start <= since || (after.operation !== 'get' && after.operation !== 'set')) continue
      checked++
      if (isConfirmed(after)) broken(after.operation === 'set' ? 'was saved again' : 'was in Redis again', after)
    }
    if (audit === undefined || audit.at <= since) continue
    checked++
    if (audit.found === true) broken('was back at the end', audit)
  }
  return { checked, breaches }
}

/** A page from Redis that lacks what was saved, and shows instead what an earlier, failed save had added. */
function overwritten(facts: Facts): Part {
  const breaches: Evidence[] = []
  let checked = 0
  for (const page of facts.requests) {
    const { answer, session, start, visitor } = page
    if (answer?.cart === undefined || answer.visitor !== visitor || !fromRedis(facts, page)) continue
    const cart = new Set(answer.cart)
    const adds = facts.of(session).filter(({ operation, request }) => operation === 'set' && itemOf(facts, request))
    for (const saved of adds) {
      const item = itemOf(facts, saved.request)
      const { end } = saved
      if (!isConfirmed(saved) || item === undefined || end === undefined || end >= start) continue
      if (facts.mayBeLost(end) || openBefore(adds, saved)) continue
      checked++
      if (cart.has(item)) continue
      const late = adds.find((other) => {
        const added = itemOf(facts, other.request)
        return other.outcome === 'failed' && other.start < saved.start && added !== undefined && cart.has(added)
      })
      if (late === undefined) continue
      const what = `a failed save of ${visitor}'s overwrote a later one that had been acknowledged`
      breaches.push({ what, records: facts.at(late, saved, page) })
    }
  }
  return { checked, breaches }
}

function fromRedis(facts: Facts, page: RequestRecord): boolean {
  return page.action !== 'add' && facts.madeBy(page).some((each) => each.operation === 'get' && isConfirmed(each))
}

function itemOf(facts: Facts, request: number): number | undefined {
  return facts.request(request)?.item
}

/** An earlier save without an end may be under way still: two live requests may overwrite each other. */
function openBefore(adds: readonly OperationRecord[], saved: OperationRecord): boolean {
  return adds.some((other) => other.start < saved.start && (other.end === undefined || other.end > saved.start))
}
