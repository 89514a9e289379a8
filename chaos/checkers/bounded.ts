import { waited } from '../workload/classify.js'
import type { Facts } from './facts.js'
import { type Evidence, type Finding, findingOf } from './verdict.js'

/** A request waits for so many operations, one after the other, at most (a login: load, destroy, save). */
const OPERATIONS = 3
/** What the shop itself may take on a machine that is busy, in ms: operations are judged more strictly. */
const SHOP = 2000
/** An operation must be so old when its process ends for its silence to count, in ms. */
const OLD = 1000

/** P1: no operation waits on Redis longer than `timeout` in all; nothing hangs. */
export function bounded(facts: Facts): Finding {
  const breaches: Evidence[] = []
  const { timeout } = facts.header.settings
  let checked = 0
  for (const operation of facts.operations) {
    const { start, end = facts.end, process } = operation
    if (facts.disturbed({ from: start, to: end })) checked++
    const limit = timeout + facts.slack(process, { from: start, to: end })
    const what = `${operation.operation} in process ${process}`
    if (operation.end === undefined) {
      if (end - start > timeout + OLD) breaches.push({ what: `${what} never settled`, records: facts.at(operation) })
    } else if (end - start > limit) {
      const took = `${what} took ${(end - start).toFixed()} ms, allowed are ${limit.toFixed()}`
      breaches.push({ what: took, records: facts.at(operation, facts.request(operation.request)) })
    }
  }
  for (const request of facts.requests) {
    const { start, end = facts.end, process, action, visitor } = request
    if (request.failure !== undefined && request.failure !== 'gave-up') continue
    const span = { from: start, to: end }
    const limit = OPERATIONS * timeout + SHOP + facts.slack(process, span)
    const time = waited(request, facts.end)
    if (time <= limit) continue
    const answer = request.answer === undefined ? 'no answer' : 'no answer until'
    breaches.push({ what: `${visitor}'s ${action}: ${answer} ${time.toFixed()} ms`, records: facts.at(request) })
  }
  return findingOf(checked, 'operations during a fault', breaches)
}
