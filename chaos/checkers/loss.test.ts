import { describe, expect, it } from 'vitest'
import { HandMade, SETTINGS } from './hand-made.js'
import { loss } from './loss.js'

const verdictOn = (run: HandMade) => run.finding(loss).verdict
const QUEUED = { outcome: 'queued', told: 1, answer: { source: 'queued' } } as const
const LACKING = { acknowledged: [1], missing: [1] }

describe('P8 no silent loss', () => {
  it('holds when everything acknowledged is there', () => {
    const run = new HandMade()
      .login(100)
      .put(200, 1)
      .put(1500, 2, QUEUED)
      .view(3000, [1, 2])
      .audit({ acknowledged: [1, 2] })
    expect(run.finding(loss)).toMatchObject({ verdict: 'held', checked: 3 })
  })

  it('is broken by a save that Redis had taken and that is gone', () => {
    const finding = new HandMade().login(100).put(200, 1).audit(LACKING).finding(loss)
    expect(finding).toMatchObject({ verdict: 'broken', evidence: [{ records: [3, 4, 5] }] })
    expect(verdictOn(new HandMade().login(100).audit({ found: false }))).toBe('broken')
  })

  it('is broken by a page from Redis without it, even if it is there in the end', () => {
    expect(
      verdictOn(
        new HandMade()
          .login(100)
          .put(200, 1)
          .view(300, [])
          .audit({ acknowledged: [1] }),
      ),
    ).toBe('broken')
    expect(verdictOn(new HandMade().login(100).put(200, 1, { took: 150 }).view(300, []).audit())).toBe('held')
    const stale = { outcome: 'stale', told: 1 } as const
    expect(verdictOn(new HandMade().login(100).put(200, 1).view(1300, [], stale).audit())).toBe('held')
  })

  it('demands nothing of what was not acknowledged', () => {
    const failed = { outcome: 'failed', told: 1 } as const
    expect(verdictOn(new HandMade().login(100).put(1500, 1, failed).audit({ acknowledged: [] }))).toBe('held')
  })

  it('demands nothing for a visitor who logged out', () => {
    const out = { stay: 'out', found: false, missing: [1], acknowledged: [1] } as const
    expect(verdictOn(new HandMade().login(100).put(200, 1).logout(300).audit(out))).toBe('not-exercised')
  })

  describe('of what waited', () => {
    const waited = () => new HandMade().login(100).put(1500, 1, QUEUED)

    it('is broken by silence', () => {
      expect(verdictOn(waited().audit(LACKING))).toBe('broken')
      expect(verdictOn(waited().event(2100, 'replayed', { operation: 'set' }).audit(LACKING))).toBe('broken')
    })

    it.each([
      ['dropped', { operation: 'set', reason: 'overflow' }],
      ['conflict', { operation: 'set', queued: true, resolution: 'refused' }],
      ['revoked', { operation: 'set', queued: true, reason: 'gone' }],
    ])('holds when it was told by %s', (name, detail) => {
      expect(verdictOn(waited().event(2100, name, detail).audit(LACKING))).toBe('held')
    })

    it.each([
      ['dropped', { operation: 'touch', reason: 'timeout' }],
      ['conflict', { operation: 'set', queued: true, resolution: 'merged' }],
      ['conflict', { operation: 'set', queued: false, resolution: 'refused' }],
      ['revoked', { operation: 'set', queued: false, reason: 'gone' }],
    ])('is not excused by another event: %s %o', (name, detail) => {
      expect(verdictOn(waited().event(2100, name, detail).audit(LACKING))).toBe('broken')
    })

    it('needs one report for each session, by the process that had it', () => {
      const two = () =>
        waited()
          .login(100, { visitor: 'v2' })
          .put(1500, 1, { ...QUEUED, visitor: 'v2' })
      const told = (run: HandMade, process: string) => run.event(2100, 'dropped', { operation: 'set' }, process)
      const both = (run: HandMade) => run.audit(LACKING).audit({ ...LACKING, visitor: 'v2', session: 's-v2' })
      expect(verdictOn(both(told(two(), 'A')))).toBe('broken')
      expect(verdictOn(both(told(told(two(), 'A'), 'B')))).toBe('broken')
      expect(verdictOn(both(told(told(two(), 'A'), 'A')))).toBe('held')
    })

    it('dies with a process that crashed; not with one that was stopped in order', () => {
      expect(verdictOn(waited().ended(1700).audit(LACKING))).toBe('held')
      expect(verdictOn(waited().ended(1700, 'stopped').audit(LACKING))).toBe('broken')
      expect(verdictOn(waited().ended(1700, 'exited', 'B').audit(LACKING))).toBe('broken')
      expect(verdictOn(waited().ended(9000).audit(LACKING))).toBe('broken')
    })
  })

  it('forgives what Redis itself may lose, and only that', () => {
    const lossy = () => new HandMade({ loses: { kind: 'unreplicated', lag: 500 } })
    expect(verdictOn(lossy().login(100).put(600, 1).view(2500, []).audit(LACKING))).toBe('held')
    expect(verdictOn(lossy().login(100).put(400, 1).audit(LACKING))).toBe('broken')
    expect(verdictOn(lossy().login(100).put(2400, 1).audit(LACKING))).toBe('held')
    expect(verdictOn(lossy().login(100).put(2600, 1).audit(LACKING))).toBe('broken')
    const emptied = new HandMade({ loses: { kind: 'everything' } }).login(100).put(200, 1)
    expect(verdictOn(emptied.audit({ ...LACKING, stay: 'lost', found: false }))).toBe('held')
  })

  it('forgives a session that was over', () => {
    const brief = () => new HandMade({ settings: { ...SETTINGS, cookieMaxAge: 4000 } }).login(100)
    expect(verdictOn(brief().audit({ stay: 'lost', found: false }))).toBe('held')
    expect(verdictOn(brief().view(7000).audit({ stay: 'lost', found: false }))).toBe('broken')
  })

  it('leaves a visitor about whom nobody knows to others', () => {
    expect(
      verdictOn(
        new HandMade()
          .login(100)
          .put(200, 1)
          .audit({ ...LACKING, found: undefined }),
      ),
    ).toBe('held')
  })
})
