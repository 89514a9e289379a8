import { expect, it } from 'vitest'
import { crossTalk } from './cross-talk.js'
import { HandMade } from './hand-made.js'

const verdictOn = (run: HandMade) => run.finding(crossTalk).verdict

it('P5 holds while everybody sees what is theirs', () => {
  const own = { answer: { home: 's-v1', session: 's-v1' } }
  expect(verdictOn(new HandMade().login(100).view(1500, [1], own))).toBe('held')
})

it.each([
  ["somebody else's page", { visitor: 'v2' }],
  ["somebody else's things", { foreign: 1 }],
  ['data that was written under another id', { home: 's-v2', session: 's-v1' }],
])('P5 is broken by %s', (_name, answer) => {
  const finding = new HandMade().login(100).view(1500, [], { answer }).finding(crossTalk)
  expect(finding).toMatchObject({ verdict: 'broken', breaches: 1, evidence: [{ records: [3] }] })
})

it('P5 is not exercised where nobody was known', () => {
  expect(verdictOn(new HandMade().comeBack(600))).toBe('not-exercised')
})
