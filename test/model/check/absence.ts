import { type Facts, knewDestroyed } from './facts.js'
import type { Violation } from './violation.js'

/** P2 and P10: "no session" is answered only where Redis had none, or where this store knew it to be destroyed. */
export function absence(facts: Facts): Violation[] {
  return facts.history.operations.flatMap((get) => {
    const { id, sid, called, settled, ended } = get
    if (get.name !== 'get' || ended?.kind !== 'none' || settled === undefined) return []
    if (facts.database.absentDuring(sid, called.at, settled.at) || knewDestroyed(facts.history, get)) return []
    return [{ promise: 'P2', what: 'answered "no session" although Redis had it all the time', operations: [id] }]
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
