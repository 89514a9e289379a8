import type { Operation } from '../history.js'
import type { Facts } from './facts.js'
import type { Violation } from './violation.js'

/** P2 and P10: "no session" is answered only where Redis had none, or where this store knew it to be destroyed. */
export function absence(facts: Facts): Violation[] {
  return facts.history.operations.flatMap((get) => {
    const { id, sid, called, settled, ended } = get
    if (get.name !== 'get' || ended?.kind !== 'none' || settled === undefined) return []
    if (facts.database.absentDuring(sid, called.at, settled.at) || knewOfTheEnd(facts, get)) return []
    return [{ promise: 'P2', what: 'answered "no session" although Redis had it all the time', operations: [id] }]
  })
}

/** It was destroyed here, or a save was refused here for its marker. */
function knewOfTheEnd({ history }: Facts, { sid, store, settled }: Operation): boolean {
  return history.operations.some((other) => {
    if (other.store !== store || other.sid !== sid) return false
    if (other.name === 'destroy') return other.called.seq < settled!.seq
    const refused = other.ended?.kind === 'failed' && other.ended.code === 'ESESSIONREVOKED'
    const marked = history.writes.some((write) => write.kind === 'revoke' && write.sid === sid)
    return refused && marked && other.settled!.seq < settled!.seq
  })
}

/** P10: the cookie is the one the session was saved with. Merging leaves it apart, so that nothing is to be compared. */
export function cookies({ history }: Facts): Violation[] {
  if (history.settings.concurrency === 'merge') return []
  return history.operations.flatMap(({ id, ended }) => {
    if (ended?.kind !== 'session' || ended.maxAge === ended.content.life) return []
    const what = `the cookie's maxAge is ${ended.maxAge}, was saved as ${ended.content.life}`
    return [{ promise: 'P10', what, operations: [id] } as const]
  })
}
