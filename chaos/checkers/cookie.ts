import type { Facts } from './facts.js'
import { type Finding, findingOf } from './verdict.js'

/** P10: an outage gives nobody another session id, or other cookie attributes. */
export function cookie(facts: Facts): Finding {
  const known = facts.requests.filter(
    ({ loggedIn, answer, start, end = start }) =>
      loggedIn && answer !== undefined && facts.disturbed({ from: start, to: end }),
  )
  const breaches = facts.requests
    .filter(({ loggedIn, answer }) => loggedIn && answer?.cookieChanged === true)
    .map((request) => ({ what: `${request.visitor} got another cookie`, records: facts.at(request) }))
  return findingOf(known.length, 'answers to visitors who were logged in during a fault', breaches)
}
