import { describe, expect, it } from 'vitest'
import { bounded } from './bounded.js'
import { HandMade } from './hand-made.js'

const verdictOn = (run: HandMade) => run.finding(bounded).verdict

describe('P1 bounded', () => {
  it('holds when operations end in time, fault or not', () => {
    expect(verdictOn(new HandMade().login(100).view(1500, [], { took: 255 }))).toBe('held')
  })

  it('is broken by an operation beyond the timeout, and names it', () => {
    const finding = new HandMade().login(100).view(1500, [], { took: 400 }).finding(bounded)
    expect(finding).toMatchObject({ verdict: 'broken', breaches: 1, evidence: [{ records: [4, 3] }] })
    expect(finding).toHaveProperty('evidence.0.what', 'get in process A took 400 ms, allowed are 310')
  })

  it('blames the machine for what it took itself, and only that', () => {
    const stalled = (process: string) =>
      new HandMade().sample(1600, { process, stall: 50 }).view(1500, [], { took: 400 })
    expect(verdictOn(stalled('A'))).toBe('held')
    expect(verdictOn(stalled('runner'))).toBe('held')
    expect(verdictOn(stalled('B'))).toBe('broken')
    expect(verdictOn(new HandMade().sample(900, { stall: 50 }).view(1500, [], { took: 400 }))).toBe('broken')
  })

  it('is broken by an operation that never settled, unless it had only begun', () => {
    const open = (start: number) =>
      new HandMade()
        .view(1500)
        .add({ kind: 'operation', process: 'A', request: 9, session: 's', operation: 'get', start })
    expect(verdictOn(open(1500))).toBe('broken')
    expect(verdictOn(open(9900))).toBe('held')
  })

  it('is broken by an answer that takes longer than all its operations may', () => {
    const login = (took: number) => new HandMade().view(1500).login(1500, { outcome: undefined, took })
    expect(login(3200).finding(bounded)).toMatchObject({
      evidence: [{}, { what: "v1's login: no answer until 3200 ms" }],
    })
  })

  it('does not count the time that the shop was asked to take', () => {
    const add = (busyFor: number) => {
      const run = new HandMade().view(1500).put(1500, 1, { took: 3200, busyFor })
      run.records.splice(4, 1)
      return run
    }
    expect(verdictOn(add(500))).toBe('held')
    expect(verdictOn(add(300))).toBe('broken')
  })

  it('is broken by a visitor who gave up waiting; not by a connection that broke', () => {
    const without = (failure: string) => {
      const run = new HandMade().view(1500).view(1500, [], { took: 8000, failure })
      run.records.splice(4, 1)
      return run
    }
    expect(verdictOn(without('gave-up'))).toBe('broken')
    expect(verdictOn(without('ECONNRESET'))).toBe('held')
  })

  it('is not exercised by a run in which nothing was asked during the fault', () => {
    expect(verdictOn(new HandMade().login(100))).toBe('not-exercised')
  })
})
