import { describe, expect, it } from 'vitest'
import { HandMade, SETTINGS } from './hand-made.js'
import { logout } from './logout.js'

const verdictOn = (run: HandMade) => run.finding(logout).verdict
const OUT = { stay: 'out', found: false } as const
const QUEUED = { told: 1 } as const

describe('P3 logout sticks', () => {
  it('holds when nobody knows the visitor any more', () => {
    const run = new HandMade().login(100).logout(500).comeBack(600).comeBack(700, { process: 'B' }).audit(OUT)
    expect(run.finding(logout)).toMatchObject({ verdict: 'held', checked: 3 })
  })

  it('is broken when the same process serves the session again, from wherever', () => {
    for (const outcome of ['redis', 'stale', 'queued'] as const) {
      const finding = new HandMade().login(100).logout(500).comeBack(600, { outcome }).finding(logout)
      expect(finding).toMatchObject({ verdict: 'broken', evidence: [{ records: [3, 4, 6, 5] }] })
    }
  })

  it('counts from when destroy was called, not from its answer', () => {
    expect(verdictOn(new HandMade().login(100).logout(500, { took: 200 }).view(550))).toBe('broken')
    expect(verdictOn(new HandMade().login(100).view(490, [], { took: 300 }).logout(500).audit(OUT))).toBe('held')
  })

  it('asks the same of a logout that Redis did not hear of', () => {
    const failed = { outcome: 'failed', told: 1 } as const
    expect(verdictOn(new HandMade().login(100).logout(1200, failed).comeBack(1300, { outcome: 'stale' }))).toBe(
      'broken',
    )
    expect(verdictOn(new HandMade().login(100).logout(1200, QUEUED).comeBack(1300, { outcome: 'stale' }))).toBe(
      'broken',
    )
  })

  it('is broken when another process finds the session in Redis after a confirmed logout', () => {
    const elsewhere = { process: 'B', outcome: 'redis' } as const
    expect(verdictOn(new HandMade().login(100).logout(500).comeBack(600, elsewhere))).toBe('broken')
    expect(verdictOn(new HandMade().login(100).logout(500, { took: 90 }).comeBack(580, elsewhere))).toBe('held')
  })

  it('gives other processes time until a logout that waits can have been sent', () => {
    const elsewhere = { process: 'B', outcome: 'redis' } as const
    const waiting = () => new HandMade().login(100).logout(1200, QUEUED)
    expect(verdictOn(waiting().comeBack(2900, elsewhere))).toBe('held')
    expect(verdictOn(waiting().comeBack(3300, elsewhere))).toBe('broken')
  })

  it('gives a near cache elsewhere as long as an operation may take', () => {
    const near = { process: 'B', outcome: 'near' } as const
    expect(verdictOn(new HandMade().login(100).logout(500).comeBack(700, near))).toBe('held')
    expect(verdictOn(new HandMade().login(100).logout(500).comeBack(800, near))).toBe('broken')
  })

  it('lets a copy elsewhere live for maxStale, and not longer', () => {
    const settings = { ...SETTINGS, maxStale: 2000 }
    const copy = { process: 'B', outcome: 'stale' } as const
    const out = () => new HandMade({ settings }, { end: 9000 }).login(100).logout(500)
    expect(verdictOn(out().comeBack(2400, copy))).toBe('held')
    expect(verdictOn(out().comeBack(2600, copy))).toBe('broken')
  })

  it('lets a change elsewhere that waits live for queue.maxAge', () => {
    const settings = { ...SETTINGS, maxStale: 100, queueMaxAge: 2000 }
    const change = { process: 'B', outcome: 'queued' } as const
    const out = () => new HandMade({ settings }, { end: 9000 }).login(100).logout(500)
    expect(verdictOn(out().comeBack(2400, change))).toBe('held')
    expect(verdictOn(out().comeBack(2600, change))).toBe('broken')
  })

  it('is broken when the cookie opens the session at the end', () => {
    expect(
      verdictOn(
        new HandMade()
          .login(100)
          .logout(500)
          .audit({ ...OUT, found: true }),
      ),
    ).toBe('broken')
    expect(
      verdictOn(
        new HandMade()
          .login(100)
          .logout(1200, QUEUED)
          .audit({ ...OUT, found: true }),
      ),
    ).toBe('broken')
  })

  it('cannot keep a logout that waited in a process that ended', () => {
    const ended = () => new HandMade().login(100).logout(1200, QUEUED).ended(1500)
    expect(verdictOn(ended().audit({ ...OUT, found: true }))).toBe('held')
    expect(verdictOn(ended().comeBack(2500, { outcome: 'redis' }))).toBe('held')
  })

  describe('where a failover may forget it', () => {
    const lossy = () => new HandMade({ loses: { kind: 'unreplicated', lag: 500 } }).login(100)
    const elsewhere = { process: 'B', outcome: 'redis' } as const

    it('forgives others until its process can have sent it again', () => {
      expect(verdictOn(lossy().logout(600).comeBack(3400, elsewhere))).toBe('held')
      expect(verdictOn(lossy().logout(600).comeBack(3800, elsewhere))).toBe('broken')
      expect(
        verdictOn(
          lossy()
            .logout(600)
            .audit({ ...OUT, found: true }),
        ),
      ).toBe('broken')
    })

    it('forgives nothing where it had been replicated, and nothing to its own process', () => {
      expect(verdictOn(lossy().logout(400).comeBack(2500, elsewhere))).toBe('broken')
      expect(verdictOn(lossy().logout(600).comeBack(2500, { outcome: 'redis' }))).toBe('broken')
    })

    it('forgives all where that process has ended', () => {
      expect(
        verdictOn(
          lossy()
            .logout(600)
            .ended(1200)
            .audit({ ...OUT, found: true }),
        ),
      ).toBe('held')
    })
  })

  it('is not exercised without a logout, nor by one that never reached destroy', () => {
    expect(verdictOn(new HandMade().login(100).view(1500).audit())).toBe('not-exercised')
    const refused = new HandMade().login(100).logout(1500).comeBack(1600, { outcome: 'stale' })
    refused.records.splice(4, 1)
    expect(verdictOn(refused)).toBe('not-exercised')
  })
})
