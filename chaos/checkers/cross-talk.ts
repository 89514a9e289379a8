import { isMixedUp } from '../workload/classify.js'
import type { Facts } from './facts.js'
import { type Finding, findingOf } from './verdict.js'

/** P5: what is read under a session's id was written under that id. */
export function crossTalk(facts: Facts): Finding {
  const pages = facts.requests.filter(({ answer }) => typeof answer?.visitor === 'string')
  const breaches = pages.filter(isMixedUp).map((page) => ({
    what: `${page.visitor} was shown a page of ${page.answer?.visitor}, or with things of another session`,
    records: facts.at(page),
  }))
  return findingOf(pages.length, 'pages with a session', breaches)
}
