import { describe, expect, it } from 'vitest'
import { type Differences, HandMade } from './hand-made.js'
import { recovery } from './recovery.js'

const verdictOn = (run: HandMade) => run.finding(recovery).verdict
const DOWN: Differences = { outcome: 'failed', told: 1 }
const both = (run: HandMade, at: number, differences: Differences = {}) =>
  run.view(at, undefined, differences).view(at, undefined, { ...differences, process: 'B' })

describe('P11 quick return', () => {
  it('holds when all is well soon after the fault', () => {
    expect(verdictOn(both(both(new HandMade(), 2500, DOWN), 3500))).toBe('held')
  })

  it.each<[string, Differences]>([
    ['failed', DOWN],
    ['served from memory', { outcome: 'stale', told: 1 }],
    ['served from the queue', { outcome: 'queued' }],
    ['answered with a blank session', { outcome: 'blank', told: 1 }],
  ])('is broken by an operation that later %s, in any process', (_what, differences) => {
    const late = (process: string) => both(new HandMade(), 3500).view(3600, undefined, { ...differences, process })
    expect(late('A').finding(recovery)).toMatchObject({ verdict: 'broken', breaches: 1 })
    expect(verdictOn(late('B'))).toBe('broken')
  })

  it('is broken by saves that go on waiting', () => {
    expect(verdictOn(both(new HandMade(), 3500).put(3600, 1, { outcome: 'queued', told: 1 }))).toBe('broken')
  })

  it('is broken by a process that hears nothing from Redis any more', () => {
    const conflict = { outcome: 'failed', code: 'ESESSIONCONFLICT' } as const
    const deaf = (operations: number) => {
      const run = new HandMade().view(3500)
      for (let n = 1; n <= operations; n++) run.put(3500 + n, n, { ...conflict, process: 'B' })
      return run
    }
    expect(verdictOn(deaf(5))).toBe('broken')
    expect(verdictOn(deaf(4))).toBe('held')
    expect(verdictOn(deaf(5).view(3600, undefined, { process: 'B' }))).toBe('held')
  })

  it('gives it more time where the machine stood still', () => {
    const late = (stall: number) => both(new HandMade().sample(2100, { stall }), 3500).view(3200, undefined, DOWN)
    expect(verdictOn(late(0))).toBe('broken')
    expect(verdictOn(late(100))).toBe('held')
  })

  it('asks it also of a successor, while the old master is away', () => {
    const replaced = () => new HandMade({}, { successor: 3000, ending: 8000, end: 8100 })
    expect(verdictOn(both(replaced(), 5000))).toBe('held')
    expect(verdictOn(both(replaced(), 5000).view(5500, undefined, DOWN))).toBe('broken')
    expect(verdictOn(both(replaced(), 3500, DOWN))).toBe('not-exercised')
  })

  it('asks nothing while another fault is under way, nor once the next one begins', () => {
    const two = (begins: number) => new HandMade().fault({ at: begins, bites: begins, ending: 9000, end: 9000 })
    expect(verdictOn(both(two(1500), 3500, DOWN))).toBe('not-exercised')
    expect(verdictOn(both(two(3200), 3500, DOWN))).toBe('not-exercised')
    expect(verdictOn(both(two(5000), 3500, DOWN))).toBe('broken')
  })

  it('says nothing of a process that is being ended', () => {
    expect(verdictOn(both(new HandMade(), 3500).view(3600, undefined, DOWN).ended(3700, 'stopped'))).toBe('held')
  })

  it('is not exercised by a run that ends with the fault', () => {
    expect(verdictOn(both(new HandMade({}, { ending: 9500, end: 9500 }), 9600))).toBe('not-exercised')
  })
})
