import { describe, expect, it } from 'vitest'
import { drawChart, stack } from './chart.js'
import { createInk, widthOf } from './ink.js'
import { emptyTally } from './summary.js'

const plain = createInk('none')
const mostlyOk = { ...emptyTally(), ok: 990, lost: 1 }

describe('a column', () => {
  it('is full, from good to bad', () => {
    expect(stack({ ...emptyTally(), ok: 1, stale: 1, waiting: 2 }, 8)).toEqual([
      ...['ok', 'ok', 'stale', 'stale'],
      ...['waiting', 'waiting', 'waiting', 'waiting'],
    ])
  })

  it('shows whatever happened at all', () => {
    expect(stack(mostlyOk, 16).filter((part) => part === 'lost')).toHaveLength(1)
    expect(stack(mostlyOk, 16)).toHaveLength(16)
  })

  it('is empty when nothing happened', () => {
    expect(stack(emptyTally(), 16)).toEqual([])
  })
})

describe('a chart', () => {
  it('has the height and width asked for, in every depth of color', () => {
    const columns = [mostlyOk, emptyTally(), { ...emptyTally(), hung: 3, error: 2, refused: 1 }]
    for (const depth of ['none', '16', '256'] as const) {
      const lines = drawChart(columns, 5, createInk(depth))
      expect(lines.map(widthOf)).toEqual([3, 3, 3, 3, 3])
    }
  })

  it('uses letters where there is no color', () => {
    const half = { ...emptyTally(), ok: 1, refused: 1 }
    expect(drawChart([half, emptyTally()], 2, plain)).toEqual(['- ', '# '])
  })
})
