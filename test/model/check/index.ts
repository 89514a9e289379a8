/** Judges a history: one pure function per promise, over what was recorded. */
import type { History } from '../history.js'
import { absence, cookies } from './absence.js'
import { bounded, recovery } from './bounded.js'
import { bounds } from './bounds.js'
import { crossTalk } from './cross-talk.js'
import { signature, surelyEmpty } from './database.js'
import { Facts } from './facts.js'
import { logout } from './logout.js'
import { acknowledged, oneOutcomeEach, queueDrained, refusalsTold } from './loss.js'
import { ghosts, resurrection } from './resurrection.js'
import { staleness } from './staleness.js'
import { decided, toldOnce } from './told.js'
import type { Violation } from './violation.js'

export type { Violation } from './violation.js'

const CHECKS: readonly ((facts: Facts) => Violation[])[] = [
  bounded,
  absence,
  logout,
  resurrection,
  ghosts,
  crossTalk,
  staleness,
  bounds,
  acknowledged,
  queueDrained,
  oneOutcomeEach,
  refusalsTold,
  toldOnce,
  decided,
  cookies,
  recovery,
]

/** Every broken promise that a history shows; none where it is as it should be. */
export function judge(history: History): Violation[] {
  const facts = new Facts(history)
  const doubts = contradictions(facts)
  return doubts.length > 0 ? doubts : CHECKS.flatMap((check) => check(facts))
}

/** How soon after the recovery the keys were read, ms. */
const LOOKED_WITHIN = 5_000

/** What MONITOR told must lead to what was found at the end; otherwise the history proves nothing. */
function contradictions({ history, database, slack }: Facts): Violation[] {
  const { keys, recoveredAt } = history.end
  return Object.entries(keys).flatMap(([sid, found]) => {
    const last = database.states.get(sid)?.at(-1)
    const ended = last === undefined || surelyEmpty(last, recoveredAt, slack)
    const expected = ended ? undefined : last.content
    const mayHaveEnded =
      last !== undefined && last.expiresAt < recoveredAt + LOOKED_WITHIN && found.content === undefined
    const same =
      expected && found.content ? signature(expected) === signature(found.content) : expected === found.content
    if (same || mayHaveEnded) return []
    const what = `${sid} was ${found.content?.version}, MONITOR told of ${expected?.version}`
    return [{ promise: 'harness', what, operations: [] } as const]
  })
}
