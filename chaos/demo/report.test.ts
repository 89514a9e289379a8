import { describe, expect, it } from 'vitest'
import type { Check } from './checks.js'
import { createInk } from './ink.js'
import { drawVerdict } from './report.js'
import { emptyTally } from './summary.js'
import type { Verdict } from './verdict.js'

const plain = createInk('none')

function verdict(...checks: Check[]): Verdict {
  const killed = { ...emptyTally(), stale: 70, refused: 30 }
  return {
    checks,
    held: checks.every(({ held }) => held),
    requests: 3456,
    visitors: 61,
    outage: 9612,
    conflicts: 0,
    tallies: { healthy: emptyTally(), killed, back: emptyTally() },
  }
}

const shown: Check = { name: 'requests hung', found: '0', held: true, headline: true }
const quiet: Check = { name: 'sessions mixed up', found: '0', held: true, headline: false }

describe('the verdict as text', () => {
  it('shows the headlines, and other checks only where they failed', () => {
    const failed = { ...quiet, found: '3', held: false }
    expect(drawVerdict(verdict(shown, quiet), 'T', true, plain).join('\n')).not.toContain('mixed up')
    expect(drawVerdict(verdict(shown, failed), 'T', true, plain)).toContain('✘ sessions mixed up  3')
  })

  it('says how it was meanwhile, most first', () => {
    const lines = drawVerdict(verdict(shown), 'T', true, plain)
    expect(lines[1]).toBe('3,456 requests of 61 visitors. Redis was away for 9.61 s; meanwhile:')
    expect(lines[2]).toBe('70.0 % stale, 30.0 % refused')
  })

  it('explains conflicts where the store reported some', () => {
    const text = drawVerdict({ ...verdict(shown), conflicts: 3 }, 'T', true, plain).join('\n')
    expect(text).toContain('reported 3 conflicts')
    expect(drawVerdict(verdict(shown), 'T', true, plain).join('\n')).not.toContain('conflict')
  })

  it('concludes', () => {
    const last = (held: boolean, judged: boolean) =>
      drawVerdict(verdict({ ...shown, held }), 'T', judged, plain).at(-1) ?? ''
    expect(last(true, true)).toBe('The promises held.')
    expect(last(false, true)).toContain('did not hold')
    expect(last(false, false)).toContain('exit code is 0')
  })
})
