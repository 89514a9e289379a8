import { describe, expect, it } from 'vitest'
import { HandMade, SETTINGS } from './hand-made.js'
import { staleness } from './staleness.js'

const verdictOn = (run: HandMade) => run.finding(staleness).verdict
const settings = { ...SETTINGS, maxStale: 2000, queueMaxAge: 4000 }
const long = () => new HandMade({ settings }, { end: 9000 })
const STALE = { outcome: 'stale', told: 1 } as const
const QUEUED = { outcome: 'queued', told: 1 } as const

describe('P6 bounded staleness', () => {
  it('holds for a copy that is young enough', () => {
    expect(verdictOn(long().login(100).view(900).view(2900, undefined, STALE))).toBe('held')
  })

  it('is broken by an older one, and by one that was never there', () => {
    const old = long().login(100).view(900).view(2906, undefined, STALE)
    expect(old.finding(staleness)).toMatchObject({ verdict: 'broken', evidence: [{ records: [6, 4, 5] }] })
    expect(verdictOn(long().login(100, { process: 'B' }).view(1500, undefined, STALE))).toBe('broken')
  })

  it('lets neither serving nor a failed save make it younger', () => {
    expect(verdictOn(long().login(100).view(2000, undefined, STALE).view(2500, undefined, STALE))).toBe('broken')
    const failed = { outcome: 'failed', told: 1 } as const
    expect(verdictOn(long().login(100).put(1500, 1, failed).view(2500, undefined, STALE))).toBe('broken')
  })

  it('lets a save make it younger, at once or when it was sent later', () => {
    expect(verdictOn(long().login(100).put(1500, 1).view(3000, undefined, STALE))).toBe('held')
    const waited = long().login(100).put(1500, 1, QUEUED).event(3000, 'replayed')
    expect(verdictOn(waited.view(4500, undefined, STALE))).toBe('held')
  })

  it('takes a save that nobody awaited for one that may have been made', () => {
    const unawaited = { outcome: 'answered', told: 0 } as const
    expect(verdictOn(long().put(1500, 1, unawaited).view(2500, undefined, STALE))).toBe('held')
  })

  it('knows that a process that was started again had nothing', () => {
    expect(verdictOn(long().login(100).ended(500).view(1500, undefined, STALE))).toBe('broken')
  })

  it('lets an unwritten change be served for longer, from when Redis confirmed what it changed', () => {
    const changed = () => long().login(100).put(1500, 1, QUEUED)
    expect(verdictOn(changed().view(4000, undefined, QUEUED))).toBe('held')
    expect(verdictOn(changed().view(4200, undefined, QUEUED))).toBe('broken')
    expect(verdictOn(changed().put(2500, 2, QUEUED).view(4200, undefined, QUEUED))).toBe('broken')
  })

  it('counts the age of a new session that waits from its first save', () => {
    const login = () => long().login(1500, QUEUED)
    expect(verdictOn(login().view(5400, undefined, QUEUED))).toBe('held')
    expect(verdictOn(login().view(5600, undefined, QUEUED))).toBe('broken')
  })

  it('is broken by a session past its expiry', () => {
    const brief = () => new HandMade({ settings: { ...SETTINGS, cookieMaxAge: 1000 } }, { end: 9000 }).login(100)
    expect(verdictOn(brief().view(1000, undefined, STALE))).toBe('held')
    expect(verdictOn(brief().view(1200, undefined, STALE))).toBe('broken')
    expect(verdictOn(brief().view(800).touch(805).view(1700, undefined, STALE))).toBe('held')
  })

  it('is broken by a copy without what another process saved long before, however young it calls itself', () => {
    const saved = (at: number) => long().login(100).put(at, 1, { process: 'B' }).view(2900)
    expect(verdictOn(saved(500).view(3000, [], STALE))).toBe('broken')
    expect(verdictOn(saved(500).view(3000, [1], STALE))).toBe('held')
    expect(verdictOn(saved(1100).view(3000, [], STALE))).toBe('held')
  })

  it('is not exercised where nothing came from memory', () => {
    expect(verdictOn(long().login(100).view(1500))).toBe('not-exercised')
  })
})
