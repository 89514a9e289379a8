import type { OperationRecord } from '../records.js'
import { type Facts, isConfirmed } from './facts.js'
import { type Evidence, type Finding, findingOf } from './verdict.js'

/** P2: `get` answers "no session" only when Redis said so, or the session is revoked, expired or unreadable. */
export function absence(facts: Facts): Finding {
  const breaches: Evidence[] = []
  let checked = 0
  for (const operation of facts.operations) {
    if (operation.operation !== 'get' || operation.end === undefined) continue
    const proof = wasThere(facts, operation)
    if (proof === undefined) continue
    if (facts.disturbed({ from: operation.start, to: operation.end })) checked++
    if (operation.outcome !== 'none') continue
    const what = `process ${operation.process} found no session where there was one`
    breaches.push({ what, records: facts.at(operation, proof, facts.request(operation.request)) })
  }
  return findingOf(checked, 'reads of existing sessions during a fault', breaches)
}

/** What proves that Redis, or this very process's queue, had the session all the time that this read took. */
function wasThere(facts: Facts, read: OperationRecord): OperationRecord | undefined {
  const others = facts.of(read.session).filter((other) => other !== read && other.start < (read.end ?? facts.end))
  if (others.some(({ operation }) => operation === 'destroy')) return undefined
  const before = others.filter((other) => (other.end ?? facts.end) < read.start)
  const proofs = before.filter((other) => isConfirmed(other) || isOwnQueue(facts, read, other))
  if (mayHaveExpired(facts, read, before)) return undefined
  return proofs.find((proof) => !mayBeGone(facts, read, proof))
}

/** A login that waits is known to its own process only. */
function isOwnQueue(facts: Facts, read: OperationRecord, other: OperationRecord): boolean {
  if (other.outcome !== 'queued' || other.operation !== 'set' || other.process !== read.process) return false
  if (facts.life(other.process, other.start) !== facts.life(read.process, read.start)) return false
  // What becomes of it once Redis is back is another promise's business.
  return facts.disturbed({ from: read.start, to: read.end ?? facts.end })
}

/** Redis may have lost it in a failover, and nothing says that it was there again since. */
function mayBeGone(facts: Facts, read: OperationRecord, proof: OperationRecord): boolean {
  return (read.end ?? facts.end) >= facts.firstFault && facts.mayBeLost(proof.end ?? facts.end)
}

/** A touch may be skipped while it would move the expiry by at most 5 %. */
const TOUCHED = 0.95

function mayHaveExpired(facts: Facts, read: OperationRecord, before: readonly OperationRecord[]): boolean {
  const lives = before.filter(
    ({ operation, outcome }) =>
      (operation === 'set' && outcome !== 'failed') || (operation === 'touch' && outcome === 'done'),
  )
  const latest = Math.max(...lives.map(({ start }) => start))
  return (read.end ?? facts.end) > latest + TOUCHED * facts.header.settings.cookieMaxAge
}
