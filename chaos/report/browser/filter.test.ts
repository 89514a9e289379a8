import { describe, expect, it } from 'vitest'
import type { Row } from '../rows.js'
import { type Filter, matching, NO_FILTER } from './filter.js'

const ROWS: readonly Row[] = [
  { n: 1, at: 10, visitor: 'v1', action: 'view', process: 'A', kind: 'fresh', outcome: '200', waited: 4, verdicts: [] },
  {
    n: 2,
    at: 20,
    visitor: 'v2',
    action: 'add',
    process: 'B',
    kind: 'refused',
    outcome: '503',
    waited: 4,
    verdicts: ['P1'],
  },
  {
    n: 12,
    at: 30,
    visitor: 'v1',
    action: 'get',
    process: 'A',
    kind: 'other operation',
    outcome: 'failed',
    verdicts: ['P10'],
  },
]

const found = (filter: Partial<Filter>) => matching(ROWS, { ...NO_FILTER, ...filter }).map(({ n }) => n)

describe('the filter', () => {
  it('lets everything through unless asked', () => {
    expect(found({})).toEqual([1, 2, 12])
  })

  it('knows evidence for any verdict, and for one: P1 is not P10', () => {
    expect(found({ evidence: 'evidence' })).toEqual([2, 12])
    expect(found({ evidence: 'P1' })).toEqual([2])
  })

  it('knows kinds; not good is a kind of answer, which only requests have', () => {
    expect(found({ kind: 'fresh' })).toEqual([1])
    expect(found({ kind: 'bad' })).toEqual([2])
  })

  it('knows processes and times', () => {
    expect(found({ process: 'A' })).toEqual([1, 12])
    expect(found({ within: { from: 20, to: 30 } })).toEqual([2])
  })

  it('wants every word, somewhere; a record by its whole number', () => {
    expect(found({ text: 'V1 view' })).toEqual([1])
    expect(found({ text: ' ' })).toEqual([1, 2, 12])
    expect(found({ text: '#1' })).toEqual([1])
    expect(found({ text: '#12' })).toEqual([12])
  })
})
