import { describe, expect, it } from 'vitest'
import { HandMade } from './hand-made.js'
import { judge, PROMISES } from './index.js'

describe('a judgement', () => {
  it('is held when nothing is broken, and has a finding for every promise', () => {
    const run = new HandMade().login(100).view(1500, [], { outcome: 'stale', told: 1 }).audit()
    const { held, promises } = judge(run.saved())
    expect(held).toBe(true)
    expect(Object.keys(promises)).toEqual(Object.keys(PROMISES))
    expect(promises.P3).toEqual({
      verdict: 'not-exercised',
      why: 'there were no reads of sessions that were logged out',
    })
  })

  it('is not held when a promise, the policy or the soundness is broken', () => {
    const base = () => new HandMade().login(100).view(1500, [], { outcome: 'stale', told: 1 }).audit()
    expect(judge(base().view(1600, [], { took: 900 }).saved()).held).toBe(false)
    expect(judge(base().put(1600, 1, { outcome: 'queued', told: 1 }).saved()).held).toBe(false)
    expect(judge(base().ended(1600).saved()).held).toBe(false)
  })

  it('asks nothing of another store that only ours can tell', () => {
    const { promises, policy } = judge(new HandMade({ store: 'connect-redis' }).login(100).view(1500).saved())
    expect([promises.P9.verdict, policy.verdict]).toEqual(['not-exercised', 'not-exercised'])
  })

  it('keeps the first breaches and counts all', () => {
    const run = new HandMade().login(100)
    for (let at = 1100; at < 1400; at += 10) run.view(at, [], { answer: { foreign: 1 } })
    const { P5 } = judge(run.saved()).promises
    expect(P5).toMatchObject({ verdict: 'broken', breaches: 30 })
    expect(P5.verdict === 'broken' && P5.evidence.length).toBe(20)
  })
})
