import { describe, expect, it } from 'vitest'
import { absence } from './absence.js'
import { HandMade, SETTINGS } from './hand-made.js'

const verdictOn = (run: HandMade) => run.finding(absence).verdict
const NONE = { outcome: 'none', answer: { status: 401, visitor: null } } as const

describe('P2 an outage is not absence', () => {
  it('holds while a session is found, or is refused', () => {
    expect(verdictOn(new HandMade().login(100).view(1500, [], { outcome: 'stale' }))).toBe('held')
    expect(verdictOn(new HandMade().login(100).view(1500, [], { outcome: 'failed', told: 1 }))).toBe('held')
  })

  it('is broken when a session that Redis has is not found, during the fault or after it', () => {
    const finding = new HandMade().login(100).view(1500, [], NONE).finding(absence)
    expect(finding).toMatchObject({ verdict: 'broken', evidence: [{ records: [4, 2, 3] }] })
    expect(verdictOn(new HandMade().login(100).view(2500, [], NONE))).toBe('broken')
  })

  it('is broken also when another process had put it there', () => {
    expect(verdictOn(new HandMade().login(100, { process: 'B' }).view(1500, [], NONE))).toBe('broken')
  })

  it('says nothing of sessions that may not be there: never saved, or only perhaps', () => {
    const failed = { outcome: 'failed', told: 1 } as const
    expect(verdictOn(new HandMade().login(100, failed).view(1500, [], NONE))).toBe('not-exercised')
    expect(verdictOn(new HandMade().login(1490, { took: 50 }).view(1500, [], NONE))).toBe('not-exercised')
  })

  it('says nothing once a logout was on its way', () => {
    expect(verdictOn(new HandMade().login(100).logout(1500).view(1502, [], NONE))).toBe('not-exercised')
  })

  it('knows that a login that waits is known to its own process alone', () => {
    const queued = (process: string) => new HandMade().login(1100, { outcome: 'queued', told: 1, process })
    expect(verdictOn(queued('A').view(1500, [], NONE))).toBe('broken')
    expect(verdictOn(queued('B').view(1500, [], NONE))).toBe('not-exercised')
    expect(verdictOn(queued('A').ended(1300).view(1500, [], NONE))).toBe('not-exercised')
  })

  it('forgives what Redis may have lost, until it was seen to be there again', () => {
    const lossy = (lag: number) => new HandMade({ loses: { kind: 'unreplicated', lag } })
    expect(verdictOn(lossy(500).login(600).view(2500, [], NONE))).toBe('not-exercised')
    expect(verdictOn(lossy(300).login(600).view(2500, [], NONE))).toBe('broken')
    expect(verdictOn(lossy(500).login(600).view(2500).view(2600, [], NONE))).toBe('broken')
    const emptied = new HandMade({ loses: { kind: 'everything' } })
    expect(verdictOn(emptied.login(100).view(2500, [], NONE))).toBe('not-exercised')
  })

  it('forgives nothing before the fault', () => {
    const run = new HandMade({ loses: { kind: 'everything' } }).login(100).view(500, [], NONE)
    expect(verdictOn(run)).toBe('broken')
  })

  it('knows when a session may have expired, and what prolongs it', () => {
    const brief = () => new HandMade({ settings: { ...SETTINGS, cookieMaxAge: 1000 } }).login(100)
    expect(verdictOn(brief().view(1500, [], NONE))).toBe('not-exercised')
    expect(verdictOn(brief().view(800).touch(805).view(1500, [], NONE))).toBe('broken')
    expect(verdictOn(brief().view(800).touch(805, { outcome: 'failed', told: 1 }).view(1500, [], NONE))).toBe(
      'not-exercised',
    )
  })
})
