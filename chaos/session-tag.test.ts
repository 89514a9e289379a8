import { expect, it } from 'vitest'
import { sessionTag, tagOfCookie } from './session-tag.js'

it('names a session the same by its id and by its signed cookie, and never shows the id', () => {
  const sid = 'A.b-C_d'
  expect(tagOfCookie(`s%3A${sid}.c2lnbmF0dXJl%2BLw`)).toBe(sessionTag(sid))
  expect(sessionTag(sid)).toMatch(/^[0-9a-f]{10}$/)
  expect(sessionTag('other')).not.toBe(sessionTag(sid))
})
