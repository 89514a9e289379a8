import { describe, expect, it } from 'vitest'
import type { Header } from '../records.js'
import { Facts } from './facts.js'
import { type Differences, HandMade } from './hand-made.js'
import { SOUNDNESS } from './soundness.js'

const REFUSED: Differences = { outcome: 'failed', told: 1 }

/** The names of what a run does not show. */
function complaints(run: HandMade): string[] {
  const facts = new Facts(run.saved())
  return Object.entries(SOUNDNESS).flatMap(([name, check]) => (check(facts).verdict === 'broken' ? [name] : []))
}

const good = (bites: Header['bites'] = 'some') => new HandMade({ bites }).login(100).audit()

describe('a run', () => {
  it('is sound when all was well, then a fault was felt', () => {
    expect(complaints(good().view(1500, [], REFUSED))).toEqual([])
  })

  it('must have its end', () => {
    const { header, records } = good('nothing').saved()
    const facts = new Facts({ header, records: records.slice(0, -1) })
    expect(SOUNDNESS['the history is whole']?.(facts).verdict).toBe('broken')
  })

  it('must have worked before', () => {
    const name = 'Redis served everybody before the first fault'
    expect(complaints(good('nothing').view(500, [], REFUSED))).toEqual([name])
    expect(complaints(new HandMade({ bites: 'nothing' }).audit())).toEqual([name])
  })

  it('must have felt its faults, as much as the scenario says', () => {
    const name = 'the faults were felt'
    expect(complaints(good('some').view(1500))).toEqual([name])
    expect(complaints(good('some').view(500))).toEqual([name])
    expect(complaints(good('some').view(1500, [], { took: 90 }))).toEqual([])
    expect(complaints(good('nothing').view(1500))).toEqual([])
    expect(complaints(good('everything').view(1500, [], REFUSED).view(1500).view(1600))).toEqual([name])
    expect(complaints(good('writes').view(1500).view(1500).put(1500, 1, REFUSED))).toEqual([])
    expect(complaints(good('writes').view(1500, [], REFUSED).put(1500, 1))).toEqual([name])
  })

  it('must have sent nearly every arrival', () => {
    const run = good('nothing').add({ kind: 'end', at: 9999, skipped: 0 })
    const skipped = (count: number) => {
      const { header, records } = run.saved()
      const end = { kind: 'end', at: 10_000, skipped: count } as const
      return SOUNDNESS['every arrival could be sent']?.(new Facts({ header, records: [...records, end] })).verdict
    }
    expect([skipped(0), skipped(1)]).toEqual(['held', 'broken'])
  })

  it('must not have crashed', () => {
    expect(complaints(good('nothing').ended(1500))).toEqual(['no process ended by itself'])
    expect(complaints(good('nothing').ended(1500, 'stopped'))).toEqual([])
  })

  it('must have answered clearly', () => {
    const name = 'every answer was a page or a clear refusal'
    expect(complaints(good('nothing').view(1500, [], { answer: { status: 500, visitor: undefined } }))).toEqual([name])
    expect(complaints(good('nothing').view(1500, [], { failure: 'ECONNRESET' }))).toEqual([name])
    expect(complaints(good('nothing').view(1500, [], { failure: 'ECONNRESET' }).ended(1600, 'stopped'))).toEqual([])
    expect(complaints(good('nothing').view(1500, [], { ...REFUSED, answer: { retryAfter: false } }))).toEqual([name])
    expect(
      complaints(good('nothing').put(1500, 1, { ...REFUSED, answer: { status: 409, retryAfter: false } })),
    ).toEqual([])
  })

  it('must know about everybody in the end', () => {
    expect(complaints(good('nothing').audit({ found: undefined }))).toEqual(['everybody could be asked in the end'])
  })
})
