import { describe, expect, it } from 'vitest'
import { combine, type Finding } from './audit.js'

const HERE: Finding = { found: true, missing: [] }
const GONE: Finding = { found: false, missing: [1, 2, 3] }
const SILENT: Finding = { found: undefined, missing: [] }

describe('findings of several processes', () => {
  it('are good when all are', () => {
    expect(combine([HERE, HERE], 'in')).toEqual({ found: true, missing: [] })
  })

  it('are as bad as the worst, for somebody who should be there', () => {
    expect(combine([HERE, { found: true, missing: [2, 3] }], 'in')).toEqual({ found: true, missing: [2, 3] })
    expect(combine([HERE, GONE], 'in')).toEqual({ found: false, missing: [1, 2, 3] })
  })

  it('find somebody who should be gone if one process does', () => {
    expect(combine([GONE, GONE], 'out')).toEqual({ found: false, missing: [] })
    expect(combine([GONE, HERE], 'out')).toEqual({ found: true, missing: [] })
  })

  it('are unknown unless every process answered', () => {
    expect(combine([HERE, SILENT], 'in').found).toBeUndefined()
    expect(combine([], 'in').found).toBeUndefined()
  })
})
