import type { OperationRecord } from '../records.js'
import { type Facts, isConfirmed, isDown, type Span } from './facts.js'
import { type Evidence, type Finding, findingOf } from './verdict.js'

/** So many operations and nothing from Redis: one or two may be refusals of what was logged out meanwhile. */
const TELLING = 5

/** P11: once Redis answers again, so does every process, without a request that fails first and without a restart. */
export function recovery(facts: Facts): Finding {
  const breaches: Evidence[] = []
  let checked = 0
  for (const calm of calms(facts)) {
    for (const process of facts.header.processes) {
      const here = facts.operations.filter(
        ({ operation, start, process: by }) =>
          by === process && start >= calm.from && start < calm.to && (operation === 'get' || operation === 'set'),
      )
      const from = facts.backBy(process, calm)
      const late = here.filter(({ start }) => start >= from)
      if (late.length === 0) continue
      checked += late.length
      const failed = late.filter(
        (each) => !isWell(each) && !facts.endedBetween(process, each.start - 1000, each.start + 1000),
      )
      const [first] = failed
      if (first !== undefined) {
        const after = `${(first.start - calm.from).toFixed()} ms after Redis answered`
        const what = `process ${process}: ${failed.length} of ${late.length} operations still without Redis, the first ${after}`
        breaches.push({ what, records: facts.at(first, facts.request(first.request)) })
      } else if (late.length >= TELLING && !late.some(isConfirmed)) {
        breaches.push({ what: `process ${process} had nothing from Redis any more`, records: facts.at(late[0]) })
      }
    }
  }
  return findingOf(checked, 'operations after Redis had answered again', breaches)
}

/** Whether Redis answered. */
function isWell(operation: OperationRecord): boolean {
  const { outcome } = operation
  return !isDown(operation) && outcome !== 'stale' && outcome !== 'queued' && outcome !== 'blank'
}

/** From a fault's end, or from when its successor answered, to the next change. */
function calms(facts: Facts): Span[] {
  const changes = facts.faults.flatMap(({ at, ending = Number.POSITIVE_INFINITY }) => [at, ending])
  const starts = facts.faults.flatMap(({ successor, end = Number.POSITIVE_INFINITY, ending = end }) =>
    successor !== undefined && successor < ending ? [successor, end] : [end],
  )
  return (
    starts
      .filter((from) => from < facts.end)
      // With another fault under way nothing need be well.
      .filter((from) =>
        facts.faults.every(
          ({ at, successor, end = facts.end }) => at >= from || end <= from || (successor ?? end) <= from,
        ),
      )
      .map((from) => ({ from, to: Math.min(facts.end, ...changes.filter((at) => at > from)) }))
  )
}
