import type { RequestRecord } from '../records.js'

/**
 * What a visitor got.
 *
 * - `ok`: what was asked for
 * - `stale`: what was asked for, from the memory of the application process: the shop said so, or the page lacks
 *   something that had been acknowledged before
 * - `refused`: a clear "not now" (503, or 409 for an edit of something that changed meanwhile), nothing acknowledged
 * - `lost`: somebody who was logged in was treated as a stranger, or got another cookie
 * - `hung`: no answer within a second, whatever came later
 * - `error`: any other answer, somebody else's session, or a dead socket
 */
export type Outcome = 'ok' | 'stale' | 'refused' | 'lost' | 'hung' | 'error'

/** All outcomes, from good to bad: the order in which they are stacked and listed. */
export const OUTCOMES: readonly Outcome[] = ['ok', 'stale', 'refused', 'hung', 'error', 'lost']

/** No answer within this many milliseconds is a hang. */
export const HUNG_AFTER = 1000

/** Words of the shop for a session that Redis did not confirm, or for a change that Redis does not have yet. */
const MEMORY_WORDS: ReadonlySet<string | undefined> = new Set(['stale', 'queued', 'blank'])

/** Whether the shop said that Redis did not confirm what it answered. */
export function isFromMemory(source: string | undefined): boolean {
  return MEMORY_WORDS.has(source)
}

/** What the visitor got, as known at `now`; `waiting` while there is neither an answer nor a reason to call it hung. */
export function classify(record: RequestRecord, now: number): Outcome | 'waiting' {
  const { end } = record
  if (waited(record, now) > HUNG_AFTER) return 'hung'
  if (end === undefined) return 'waiting'
  const { answer } = record
  if (answer === undefined) return 'error'
  if (isMixedUp(record)) return 'error'
  if (isLost(record)) return 'lost'
  if (answer.status === 503 || answer.status === 409) return 'refused'
  if (answer.status === 401) return 'ok'
  if (answer.status !== 200) return 'error'
  return isFromMemory(answer.source) || answer.missing > 0 ? 'stale' : 'ok'
}

/** How long somebody waited, or waits, for the answer, in ms; what the shop was asked to take on top does not count. */
export function waited({ start, end, busyFor = 0 }: RequestRecord, now: number): number {
  return Math.max(0, (end ?? now) - start - busyFor)
}

/** Whether somebody who was logged in for certain was treated as a stranger or got another cookie, however late. */
export function isLost({ action, loggedIn, answer }: RequestRecord): boolean {
  if (!loggedIn || answer === undefined) return false
  const stranger = answer.status === 401 || (answer.status === 200 && answer.visitor === null && action !== 'logout')
  return stranger || answer.cookieChanged
}

/** Whether the answer is a page made for somebody else: a session mixed up with another one. */
export function isMixedUp({ visitor, answer }: RequestRecord): boolean {
  if (answer === undefined) return false
  const { home, session, foreign = 0 } = answer
  if (typeof answer.visitor === 'string' && answer.visitor !== visitor) return true
  return foreign > 0 || (home !== undefined && home !== session)
}

/** Whether the answer acknowledged a change: whoever got it may rely on it. */
export function isAcknowledged(record: RequestRecord): boolean {
  return record.answer?.status === 200 && isWrite(record)
}

/** Whether the request asked for a change. */
export function isWrite(record: Pick<RequestRecord, 'action'>): boolean {
  return record.action === 'login' || record.action === 'add' || record.action === 'logout'
}
