import { expect, it } from 'vitest'
import { cookie } from './cookie.js'
import { HandMade } from './hand-made.js'

const verdictOn = (run: HandMade) => run.finding(cookie).verdict
const CHANGED = { answer: { cookieChanged: true } }

it('P10 holds while nobody gets another cookie', () => {
  expect(verdictOn(new HandMade().login(100).view(1500))).toBe('held')
})

it('P10 is broken by another cookie, with a page or a refusal, during the fault or after it', () => {
  expect(new HandMade().login(100).view(1500, [], CHANGED).finding(cookie)).toMatchObject({
    verdict: 'broken',
    evidence: [{ records: [3] }],
  })
  expect(verdictOn(new HandMade().view(1500, [], { ...CHANGED, outcome: 'failed', told: 1 }))).toBe('broken')
  expect(verdictOn(new HandMade().view(2500, [], CHANGED))).toBe('broken')
})

it('P10 says nothing of somebody who may have logged out', () => {
  expect(verdictOn(new HandMade().view(1500).view(1600, [], { ...CHANGED, loggedIn: false }))).toBe('held')
})

it('P10 is not exercised where nobody who was logged in came during the fault', () => {
  expect(verdictOn(new HandMade().view(500).view(1500, [], { loggedIn: false }))).toBe('not-exercised')
  expect(verdictOn(new HandMade().view(1500, [], { failure: 'ECONNRESET' }))).toBe('not-exercised')
})
