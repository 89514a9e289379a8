import { describe, expect, it } from 'vitest'
import { type Finding, type Judgement, PROMISES, type PromiseName } from '../checkers/index.js'
import type { Figures } from '../show/figures.js'
import { createInk } from '../show/ink.js'
import { emptyTally } from '../show/summary.js'
import { drawVerdict, isKept } from './verdict-lines.js'

const plain = createInk('none')
const HELD: Finding = { verdict: 'held', checked: 5, of: 'things' }
const BROKEN: Finding = { verdict: 'broken', checked: 5, of: 'things', breaches: 2, evidence: [] }

function figures(changes: Partial<Figures> = {}): Figures {
  const during = { ...emptyTally(), stale: 70, refused: 30 }
  return {
    ...{ requests: 3456, visitors: 61, outage: 9612, loggedOut: 0, hung: 0, errors: {}, acknowledged: 9, lost: 0 },
    ...{ logouts: 4, undone: 0, longest: 51, recovery: 140, conflicts: 0 },
    tallies: { before: emptyTally(), during, after: emptyTally() },
    ...changes,
  }
}

function judgement(changes: Partial<Record<PromiseName, Finding>> = {}): Judgement {
  const promises = Object.fromEntries(Object.keys(PROMISES).map((name) => [name, HELD]))
  const held = Object.keys(changes).length === 0
  return { promises: { ...promises, ...changes } as Judgement['promises'], policy: HELD, soundness: {}, held }
}

function lines(of: { figures?: Partial<Figures>; broken?: Partial<Record<PromiseName, Finding>>; judged?: boolean }) {
  const judged = of.judged ?? true
  return drawVerdict({ figures: figures(of.figures), judgement: judgement(of.broken), title: 'T', judged }, plain)
}

describe('the verdict as text', () => {
  it('says how it was meanwhile, most first', () => {
    expect(lines({})[1]).toBe('3,456 requests of 61 visitors. Redis was away for 9.61 s; meanwhile:')
    expect(lines({})[2]).toBe('70.0 % stale, 30.0 % refused')
  })

  it('shows promises only where they were broken', () => {
    expect(lines({}).join('\n')).not.toContain('P5')
    expect(lines({ broken: { P5: BROKEN } }).join('\n')).toMatch(/✘ P5 no cross-talk +2 of 5/)
  })

  it.each<[string, Partial<Figures>]>([
    ['visitors logged out', { loggedOut: 1 }],
    ['requests hung', { hung: 1 }],
    ['errors and cut connections', { errors: { ECONNRESET: 1 } }],
    ['acknowledged cart items lost', { lost: 1 }],
    ['logouts undone', { undone: 1 }],
    ['time to recovery', { recovery: 1001 }],
    ['time to recovery', { recovery: undefined }],
  ])('fails "%s"', (name, changes) => {
    expect(lines({ figures: changes }).join('\n')).toContain(`✘ ${name}`)
    expect(isKept(figures(changes), judgement())).toBe(false)
  })

  it('explains conflicts where the store reported some', () => {
    expect(lines({ figures: { conflicts: 3 } }).join('\n')).toContain('reported 3 conflicts')
    expect(lines({}).join('\n')).not.toContain('conflict')
  })

  it('concludes', () => {
    expect(lines({}).at(-1)).toBe('The promises held.')
    expect(lines({ broken: { P1: BROKEN } }).at(-1)).toContain('did not hold')
    expect(lines({ judged: false }).at(-1)).toContain('exit code is 0')
  })
})
