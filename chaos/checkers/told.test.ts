import { describe, expect, it } from 'vitest'
import type { ToldRecord } from '../records.js'
import { type Differences, HandMade } from './hand-made.js'
import { toldOnce } from './told.js'

const verdictOn = (run: HandMade) => run.finding(toldOnce).verdict
const failed = (told: number): Differences => ({ outcome: 'failed', told })
const viewed = (differences: Differences) => new HandMade().view(1100, [], failed(1)).view(1500, [], differences)
const saved = (differences: Differences) => new HandMade().view(1100, [], failed(1)).put(1500, 1, differences)
const touched = (differences: Differences) => new HandMade().view(1100, [], failed(1)).touch(1500, differences)

describe('P9 told once', () => {
  it('holds for one call for each failure', () => {
    expect(viewed(failed(1)).finding(toldOnce)).toMatchObject({ verdict: 'held', checked: 2 })
  })

  it.each([0, 2])('is broken by %i calls for a failure', (times) => {
    expect(viewed(failed(times)).finding(toldOnce)).toMatchObject({ verdict: 'broken', breaches: 1 })
    expect(verdictOn(saved(failed(times)))).toBe('broken')
    expect(verdictOn(touched(failed(times)))).toBe('broken')
  })

  it('demands a call for what was served without Redis', () => {
    for (const outcome of ['stale', 'blank'] as const) {
      expect(verdictOn(viewed({ outcome, told: 1 }))).toBe('held')
      expect(verdictOn(viewed({ outcome, told: 0 }))).toBe('broken')
    }
  })

  it('allows none for what Redis did', () => {
    expect(verdictOn(viewed({ outcome: 'redis', told: 1 }))).toBe('broken')
    expect(verdictOn(saved({ outcome: 'redis', told: 1 }))).toBe('broken')
    expect(verdictOn(touched({ told: 1 }))).toBe('broken')
  })

  it('allows one where a change waits, and where the policy made an answer of a failure', () => {
    for (const told of [0, 1]) {
      expect(verdictOn(viewed({ outcome: 'queued', told }))).toBe('held')
      expect(verdictOn(saved({ outcome: 'queued', told }))).toBe('held')
      expect(verdictOn(new HandMade().view(1100, [], failed(1)).logout(1500, { told }))).toBe('held')
    }
    expect(verdictOn(saved({ outcome: 'queued', told: 2 }))).toBe('broken')
  })

  it('allows none for a store that is closed, and one for a save refused after it had failed', () => {
    expect(verdictOn(saved({ outcome: 'failed', code: 'ESTORECLOSED', told: 1 }))).toBe('broken')
    expect(verdictOn(saved({ outcome: 'failed', code: 'ESESSIONREVOKED', told: 1 }))).toBe('held')
    expect(verdictOn(saved({ outcome: 'failed', code: 'ESESSIONREVOKED', told: 2 }))).toBe('broken')
  })

  const stray = (changes: Partial<ToldRecord>) => {
    const call = { kind: 'told', process: 'A', at: 1500, operation: 'get', reason: 'timeout', session: 's-v1' } as const
    return viewed(failed(1)).add({ ...call, ...changes })
  }

  it('is broken by a call without a request, or for what nobody asked', () => {
    expect(verdictOn(stray({}))).toBe('broken')
    expect(verdictOn(stray({ request: 2, operation: 'set' }))).toBe('broken')
    expect(verdictOn(stray({ request: 2, process: 'B' }))).toBe('broken')
  })

  it("is broken by a call with another session's id, or with none", () => {
    const run = (session: string | undefined) => {
      const all = viewed({ outcome: 'failed', told: 0 })
      const call = { kind: 'told', process: 'A', at: 1500, operation: 'get', reason: 'timeout', request: 2 } as const
      return all.add(session === undefined ? call : { ...call, session })
    }
    expect(verdictOn(run('s-v1'))).toBe('held')
    expect(verdictOn(run('s-v2'))).toBe('broken')
    expect(verdictOn(run(undefined))).toBe('broken')
  })

  it('cannot know what a process did not come to write down', () => {
    expect(verdictOn(viewed(failed(0)).ended(1600))).toBe('held')
    expect(verdictOn(viewed(failed(0)).ended(1800))).toBe('broken')
    expect(verdictOn(stray({ request: 2, operation: 'set' }).ended(1600))).toBe('held')
  })

  it('counts two operations of one kind in one request together', () => {
    const twice = (told: number) => {
      const run = new HandMade().put(1500, 1, failed(1))
      const again = { kind: 'operation', process: 'A', request: 1, session: 's-v1', operation: 'set' } as const
      run.add({ ...again, start: 1510, end: 1515, outcome: 'failed', code: 'EREDISDOWN' })
      const call = { kind: 'told', process: 'A', at: 1512, operation: 'set', reason: 'timeout', request: 1 } as const
      for (let more = 0; more < told; more++) run.add({ ...call, session: 's-v1' })
      return run
    }
    expect([0, 1, 2].map((told) => verdictOn(twice(told)))).toEqual(['broken', 'held', 'broken'])
  })

  it('is not exercised where nothing failed', () => {
    expect(verdictOn(new HandMade().login(100).view(1500))).toBe('not-exercised')
  })
})
