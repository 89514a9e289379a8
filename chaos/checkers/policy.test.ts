import { describe, expect, it } from 'vitest'
import { type Differences, HandMade, SETTINGS } from './hand-made.js'
import { policy } from './policy.js'

const FAILED: Differences = { outcome: 'failed', told: 1, reason: 'circuit-open' }
const STALE: Differences = { outcome: 'stale', told: 1 }
const QUEUED: Differences = { outcome: 'queued', told: 1 }
const under = (name: 'strict' | 'read-only' | 'available') => new HandMade({ policy: name }).login(100)
const verdictOn = (run: HandMade) => run.finding(policy).verdict

describe('the policy is what happens', () => {
  it('strict: everything is refused, and nothing served or taken', () => {
    expect(verdictOn(under('strict').view(1500, [], FAILED).put(1500, 1, FAILED))).toBe('held')
    expect(verdictOn(under('strict').view(1500, [], STALE))).toBe('broken')
    expect(verdictOn(under('strict').put(1500, 1, QUEUED))).toBe('broken')
  })

  it('read-only: who is known is served, changes are refused', () => {
    expect(verdictOn(under('read-only').view(1500, [], STALE).put(1500, 1, FAILED))).toBe('held')
    expect(verdictOn(under('read-only').view(1500, [], FAILED))).toBe('broken')
    expect(verdictOn(under('read-only').put(1500, 1, QUEUED))).toBe('broken')
  })

  it('available: changes are taken too, as long as there is room', () => {
    expect(verdictOn(under('available').view(1500, [], STALE).put(1500, 1, QUEUED))).toBe('held')
    expect(verdictOn(under('available').put(1500, 1, FAILED))).toBe('broken')
    expect(verdictOn(under('available').put(1500, 1, { ...FAILED, reason: 'queue-full' }))).toBe('held')
  })

  it('may refuse whom this process does not know, or not since long ago, or no longer', () => {
    expect(verdictOn(under('read-only').view(1500, [], { ...FAILED, process: 'B' }))).toBe('held')
    expect(verdictOn(under('read-only').ended(900).view(1500, [], FAILED))).toBe('held')
    const lost: Differences = { outcome: 'none' }
    expect(verdictOn(under('read-only').view(1200, [], lost).view(1500, [], FAILED))).toBe('held')
    expect(
      verdictOn(
        under('read-only')
          .view(1200, [], { ...lost, process: 'B' })
          .view(1500, [], FAILED),
      ),
    ).toBe('broken')
    const brief = new HandMade({ settings: { ...SETTINGS, maxStale: 1500 } }).login(100)
    expect(verdictOn(brief.view(1500, [], FAILED))).toBe('held')
    expect(verdictOn(under('read-only').logout(1200, { told: 1 }).view(1500, [], FAILED))).toBe('held')
    const small = new HandMade({ settings: { ...SETTINGS, cacheMax: 0 } }).login(100)
    expect(verdictOn(small.view(1500, [], FAILED))).toBe('held')
  })

  it('fails closed for the staff, and lets everybody log out', () => {
    expect(verdictOn(under('available').admin(1500, FAILED))).toBe('held')
    expect(verdictOn(under('available').admin(1500, STALE))).toBe('broken')
    expect(verdictOn(under('strict').logout(1500, FAILED))).toBe('broken')
    expect(verdictOn(under('strict').view(1400, [], FAILED).logout(1500, { told: 1 }))).toBe('held')
  })

  it('is not exercised while Redis answers', () => {
    expect(verdictOn(under('strict').view(1500))).toBe('not-exercised')
  })
})
