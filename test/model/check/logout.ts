import type { Facts } from './facts.js'
import type { Violation } from './violation.js'

/** P3: once `destroy` was called this store never serves the session; once it is confirmed Redis does not have it. */
export function logout(facts: Facts): Violation[] {
  const { operations, writes } = facts.history
  return operations.flatMap((destroy) => {
    if (destroy.name !== 'destroy') return []
    const { sid, store, called, settled, ended, told } = destroy
    const violations: Violation[] = []
    for (const get of operations) {
      if (get.sid !== sid || get.store !== store || get.ended?.kind !== 'session') continue
      if (get.settled!.seq < called.seq) continue
      const what = `served ${get.ended.content.version} (${get.ended.source}) after its destroy was called here`
      violations.push({ promise: 'P3', what, operations: [destroy.id, get.id] })
    }
    if (settled !== undefined && ended?.kind === 'done' && told.length === 0 && !facts.diedAround(settled.at)) {
      const revoked = writes.some(
        (write) =>
          write.kind === 'revoke' &&
          write.sid === sid &&
          write.at >= called.at - facts.slack &&
          write.at <= settled.at + facts.slack,
      )
      const what = 'the destroy was confirmed, and Redis was never told'
      if (!revoked) violations.push({ promise: 'P3', what, operations: [destroy.id] })
    }
    return violations
  })
}
