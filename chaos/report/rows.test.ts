import { describe, expect, it } from 'vitest'
import type { OtherRecord, Verdict } from './model.js'
import { rowsOf } from './rows.js'
import { exchange, storeRun } from './test-run.js'

const LIMITS = { evidence: 3, bad: 2, sample: 4 }

function broken(id: string, records: readonly number[]): Verdict {
  const evidence = records.map((record) => ({ what: 'shown', records: [record] }))
  return { id, title: id, verdict: 'broken', found: '', checked: 9, breaches: records.length, evidence }
}

const fresh = (length: number) => Array.from({ length }, (_, record) => exchange({ record, start: record * 10 }))

describe('the rows of the table', () => {
  it('are all requests of a small run, in order of time', () => {
    const rows = rowsOf(storeRun({ exchanges: [...fresh(3)].reverse() }), LIMITS)
    expect(rows.map(({ n }) => n)).toEqual([0, 1, 2])
  })

  it('say what each record is evidence for, a limited number for each verdict', () => {
    const promises = [broken('P3', [0, 1, 2, 3, 4]), broken('P4', [1])]
    const rows = rowsOf(storeRun({ exchanges: fresh(5), promises }), { ...LIMITS, sample: 0 })
    expect(rows.map(({ n, verdicts }) => [n, verdicts])).toEqual([
      [0, ['P3']],
      [1, ['P3', 'P4']],
      [2, ['P3']],
    ])
  })

  it('hold evidence that is no request', () => {
    const other: OtherRecord = {
      record: 8,
      what: 'audit',
      at: 9000,
      visitor: 'v2',
      action: 'asked',
      process: '',
      outcome: 'out',
    }
    const run = storeRun({ others: [other, { ...other, record: 9 }], besides: [broken('S7', [8])] })
    expect(rowsOf(run, LIMITS)).toMatchObject([{ n: 8, kind: 'other audit', verdicts: ['S7'] }])
  })

  it('prefer what went wrong, and spread the sample over the run', () => {
    const bad = [20, 21, 22].map((record) => exchange({ record, start: record * 10, kind: 'refused', outcome: '503' }))
    const rows = rowsOf(storeRun({ exchanges: [...fresh(20), ...bad] }), LIMITS)
    expect(rows.map(({ n }) => n)).toEqual([0, 5, 10, 15, 20, 21])
  })
})
