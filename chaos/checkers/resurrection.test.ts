import { describe, expect, it } from 'vitest'
import { HandMade } from './hand-made.js'
import { resurrection } from './resurrection.js'

const verdictOn = (run: HandMade) => run.finding(resurrection).verdict
const FAILED = { outcome: 'failed', told: 1 } as const

describe('P4 no resurrection', () => {
  const out = () => new HandMade().login(100).logout(500)

  it('holds while a destroyed session stays away', () => {
    expect(verdictOn(out().comeBack(600).audit({ stay: 'out', found: false }))).toBe('held')
  })

  it('is broken by a session that Redis has again, whichever process finds it', () => {
    for (const process of ['A', 'B']) {
      expect(verdictOn(out().comeBack(600, { outcome: 'redis', process }))).toBe('broken')
    }
    expect(verdictOn(out().audit({ stay: 'out', found: true }))).toBe('broken')
  })

  it('is broken by a save that was taken after the end', () => {
    const refused = { outcome: 'failed', code: 'ESESSIONREVOKED' } as const
    expect(verdictOn(out().put(600, 1))).toBe('broken')
    expect(verdictOn(out().put(600, 1, refused))).toBe('held')
    expect(verdictOn(out().put(499, 1, { took: 200 }).comeBack(800))).toBe('held')
  })

  it('is not broken by copies: that is another promise', () => {
    expect(
      verdictOn(out().comeBack(600, { outcome: 'stale', process: 'B' }).audit({ stay: 'out', found: false })),
    ).toBe('held')
  })

  it('judges a logout that waited from when it can have been sent', () => {
    const waited = () => new HandMade().login(100).logout(1200, { told: 1 })
    expect(verdictOn(waited().comeBack(2500, { outcome: 'redis', process: 'B' }))).toBe('not-exercised')
    expect(verdictOn(waited().comeBack(3500, { outcome: 'redis', process: 'B' }))).toBe('broken')
  })

  it('forgives what a failover may forget, for as long as it may', () => {
    const lossy = () => new HandMade({ loses: { kind: 'unreplicated', lag: 500 } }).login(100).logout(600)
    expect(verdictOn(lossy().comeBack(2500, { outcome: 'redis', process: 'B' }))).toBe('not-exercised')
    expect(verdictOn(lossy().comeBack(3800, { outcome: 'redis', process: 'B' }))).toBe('broken')
  })
})

describe('P4 no late overwrite', () => {
  it('holds when later pages have what was saved last', () => {
    const run = new HandMade().login(100).put(1100, 1, FAILED).put(2100, 2).view(2200, [2]).view(2300, [1, 2])
    expect(verdictOn(run)).toBe('held')
  })

  it('is broken when a failed save comes through later and takes away a newer one', () => {
    const run = new HandMade().login(100).put(1100, 1, FAILED).put(2100, 2).view(2200, [2]).view(2300, [1])
    expect(run.finding(resurrection)).toMatchObject({ verdict: 'broken', evidence: [{ records: [4, 7, 10] }] })
  })

  it('leaves a save that is merely gone to another promise', () => {
    expect(verdictOn(new HandMade().login(100).put(2100, 2).view(2300, []))).toBe('held')
  })

  it('lets a failed save apply, as long as nothing newer is lost', () => {
    expect(verdictOn(new HandMade().login(100).put(900, 1).put(1100, 2, FAILED).view(2300, [1, 2]))).toBe('held')
  })

  it('does not judge a page that was on its way, one from memory, or a save that was still open', () => {
    const base = () => new HandMade().login(100).put(1100, 1, FAILED)
    expect(verdictOn(base().put(2100, 2, { took: 60 }).view(2150, [1]))).toBe('not-exercised')
    expect(verdictOn(base().put(2100, 2).view(2300, [1], { outcome: 'stale' }))).toBe('not-exercised')
    const open = new HandMade()
      .login(100)
      .put(1100, 1, { ...FAILED, took: 1500 })
      .put(2100, 2)
      .view(2700, [1])
    expect(verdictOn(open)).toBe('not-exercised')
  })

  it('forgives what a failover may lose', () => {
    const lossy = new HandMade({ loses: { kind: 'unreplicated', lag: 500 } }).login(100)
    expect(verdictOn(lossy.put(600, 1, FAILED).put(900, 2).view(2300, [1]))).toBe('not-exercised')
  })
})
