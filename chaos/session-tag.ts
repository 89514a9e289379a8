import { createHash } from 'node:crypto'

/** A name for a session in histories: tells sessions apart and opens none. */
export function sessionTag(sid: string): string {
  return createHash('sha256').update(sid).digest('hex').slice(0, 10)
}

/** The name of the session behind a signed cookie's value (`s:ID.SIGNATURE`, as express-session sends it). */
export function tagOfCookie(value: string): string {
  const signed = decodeURIComponent(value)
  const end = signed.lastIndexOf('.')
  return sessionTag(signed.slice(signed.startsWith('s:') ? 2 : 0, end < 0 ? undefined : end))
}
