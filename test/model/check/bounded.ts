import type { Facts } from './facts.js'
import type { Violation } from './violation.js'

/** What timers and the turns of the event loop may add, ms: the store gives back what is more than 25. */
const COARSE = 40
/** An operation may run the application's serializer that often. */
const SERIALIZED = 14

/** P1: no operation waits on Redis longer than `timeout` in all, and nothing ever hangs. */
export function bounded(facts: Facts): Violation[] {
  const { timeout, serializerMs } = facts.history.settings
  return facts.history.operations.flatMap((operation) => {
    const { id, called, settled } = operation
    if (facts.unanswered(operation)) return []
    if (settled === undefined) return [{ promise: 'P1', what: 'it never settled', operations: [id] } as const]
    const took = settled.at - called.at
    const lag = facts.lagDuring(called.at, settled.at)
    if (took <= timeout + COARSE + 3 * lag + SERIALIZED * serializerMs) return []
    const what = `it took ${took.toFixed(1)} ms of ${timeout}, with a lag of ${lag.toFixed(1)}`
    return [{ promise: 'P1', what, operations: [id] } as const]
  })
}

/** The store's own back-off is at most 5 s, ms. */
const RECOVERY = 8_000

/** P11: all is well again by itself, soon after the faults have ended. */
export function recovery(facts: Facts): Violation[] {
  const { healedAt, recovered, recoveredAt, health } = facts.history.end
  const took = recoveredAt - healedAt
  // On a machine that is too busy to answer in time, replays fail and wait longer.
  if (recovered && took <= RECOVERY + 10 * facts.lagDuring(healedAt, recoveredAt)) return []
  return [
    { promise: 'P11', what: `not up ${took.toFixed()} ms after the last fault: ${health.join(' ')}`, operations: [] },
  ]
}
