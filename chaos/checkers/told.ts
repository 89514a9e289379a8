import type { OperationRecord } from '../records.js'
import { type Facts, isDown } from './facts.js'
import { type Evidence, type Finding, findingOf } from './verdict.js'

/** What was written down last before a process ended may be missing, in ms. */
const UNSENT = 200

/**
 * P9: each operation that Redis could not carry out calls `onRedisDown` exactly once, with its request and its session;
 * none that Redis carried out does.
 */
export function toldOnce(facts: Facts): Finding {
  const breaches: Evidence[] = []
  let checked = 0
  const seen = new Set<string>()
  for (const operation of facts.operations) {
    const key = `${operation.process} ${operation.request} ${operation.operation}`
    if (seen.has(key)) continue
    seen.add(key)
    const same = facts
      .of(operation.session)
      .filter((each) => each.request === operation.request && each.operation === operation.operation)
    if (same.some(({ end }) => end === undefined)) continue
    if (facts.endedBetween(operation.process, operation.start, (operation.end ?? facts.end) + UNSENT)) continue
    const told = facts.toldOf(operation)
    if (same.some(isDown)) checked++
    const [least, most] = same.map(expected).reduce(([a, b], [c, d]) => [a + c, b + d])
    const records = facts.at(facts.request(operation.request), ...same, ...told)
    if (told.length < least || told.length > most) {
      const times = least === most ? `${least}` : `${least} to ${most}`
      breaches.push({ what: `told ${told.length} times of a ${operation.operation} instead of ${times}`, records })
    } else if (told.some(({ session }) => session !== operation.session)) {
      breaches.push({ what: `told of a ${operation.operation} with another session's id`, records })
    }
  }
  const known = new Set(facts.operations.map(({ process, request, operation }) => `${process} ${request} ${operation}`))
  for (const told of facts.history.of('told')) {
    if (known.has(`${told.process} ${told.request} ${told.operation}`)) continue
    if (facts.endedBetween(told.process, told.at, told.at + UNSENT)) continue
    const why = told.request === undefined ? 'without its request' : 'that nobody had asked for'
    breaches.push({ what: `told of a ${told.operation} ${why}`, records: facts.at(told) })
  }
  return findingOf(checked, 'operations that failed because of Redis', breaches)
}

/** How often `onRedisDown` is to be called for an operation that ended so: at least and at most. */
function expected(operation: OperationRecord): readonly [number, number] {
  const { outcome, operation: name, code } = operation
  if (isDown(operation)) return [1, 1]
  switch (outcome) {
    case 'stale':
    case 'blank':
      return [1, 1]
    case 'failed':
      // Refused by what waits, or by a marker, after it had failed; a store without such words tells of nothing.
      return code === 'ESTORECLOSED' ? [0, 0] : [0, 1]
    // A change that waits is served, and added to, without asking Redis. A session may be destroyed while it is read.
    case 'queued':
    case 'none':
    case 'answered':
      return [0, 1]
    // The policy, or the response's head that was out, made an answer of a failure.
    case 'done':
      return name === 'touch' ? [0, 0] : [0, 1]
    default:
      return [0, 0]
  }
}
