import { signature } from './database.js'
import type { Facts } from './facts.js'
import type { Violation } from './violation.js'

/** P5: what is read under an id was written under it; what is said to be Redis's was Redis's at that time. */
export function crossTalk(facts: Facts): Violation[] {
  const { history, database } = facts
  const violations: Violation[] = []
  for (const { id, sid, called, settled, ended } of history.operations) {
    if (ended?.kind !== 'session' || settled === undefined) continue
    const { content, source } = ended
    const broken = (what: string): void => void violations.push({ promise: 'P5', what, operations: [id] })
    if (content.sid !== sid) broken(`answered what was written under ${content.sid}`)
    else if (!facts.savesOf.has(content.version)) broken(`answered ${content.version}, which nobody has saved`)
    else if (source === 'redis') {
      const current = database.contentsDuring(sid, called.at, settled.at)
      if (!current.some((each) => signature(each) === signature(content))) {
        broken(`said that Redis has ${content.version}, which it had not: ${current.map((each) => each.version)}`)
      }
    }
  }
  for (const write of history.writes) {
    if (write.kind === 'set' && write.content.sid !== write.sid) {
      violations.push({
        promise: 'P5',
        what: `wrote a session of ${write.content.sid} to ${write.sid}`,
        operations: [],
      })
    }
  }
  return violations
}
