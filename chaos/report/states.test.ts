import { describe, expect, it } from 'vitest'
import type { LaneState, Sample } from './model.js'
import { gauges, laneHistories } from './states.js'

function sample(at: number, process: string, read: LaneState, values: Partial<Sample> = {}): Sample {
  return { process, at, lanes: { read, save: 'closed', lifetime: 'closed' }, ...values }
}

describe('breaker states', () => {
  it('begin with the first word of a process and change only when it says so', () => {
    const samples = [
      sample(0, 'A', 'closed'),
      sample(100, 'A', 'open'),
      sample(200, 'A', 'open'),
      sample(300, 'A', 'half-open'),
    ]
    expect(laneHistories(samples)).toEqual([
      {
        process: 'A',
        lane: 'read',
        changes: [
          [0, 'closed'],
          [100, 'open'],
          [300, 'half-open'],
        ],
      },
      { process: 'A', lane: 'save', changes: [[0, 'closed']] },
      { process: 'A', lane: 'lifetime', changes: [[0, 'closed']] },
    ])
  })

  it('are kept apart by process, in order, whatever order the samples came in', () => {
    const found = laneHistories([sample(100, 'B', 'open'), sample(0, 'B', 'closed'), sample(50, 'A', 'closed')])
    expect(found.map(({ process, lane }) => `${process} ${lane}`)).toEqual([
      'A read',
      'A save',
      'A lifetime',
      'B read',
      'B save',
      'B lifetime',
    ])
    expect(found[3]?.changes).toEqual([
      [0, 'closed'],
      [100, 'open'],
    ])
  })

  it('are unknown while a process is silent', () => {
    const [read] = laneHistories([sample(0, 'A', 'open'), sample(5000, 'A', 'open')])
    expect(read?.changes).toEqual([
      [0, 'open'],
      [2000, 'unknown'],
      [5000, 'open'],
    ])
  })

  it('are none for a store without breakers', () => {
    expect(laneHistories([{ process: 'A', at: 0, memory: 1 }])).toEqual([])
  })
})

describe('gauges', () => {
  it('hold what each process told, and leave out who told nothing', () => {
    const samples = [
      sample(0, 'A', 'closed', { queued: 0 }),
      sample(100, 'A', 'closed', { queued: 7 }),
      sample(0, 'B', 'closed'),
    ]
    expect(gauges(samples, 'queued')).toEqual([{ process: 'A', at: [0, 100], values: [0, 7] }])
  })
})
