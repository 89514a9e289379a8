import { describe, expect, it } from 'vitest'
import { createInk, widthOf } from './ink.js'
import { drawProgress } from './progress.js'
import type { ProcessView, Scene } from './scene.js'
import { drawScreen, SMALLEST } from './screen.js'
import { emptyTally } from './summary.js'

const busy = { ...emptyTally(), ok: 12_345, stale: 1, refused: 22, hung: 333, error: 4444, lost: 55_555, waiting: 9 }
const lanes = { read: 'half-open', save: 'half-open', lifetime: 'half-open' } as const

function scene(changes: Partial<Scene> = {}): Scene {
  return {
    title: 'resilient-session-store, policy read-only',
    subtitle: '50 visitors, 150 requests/s, in turn to two processes on one Redis',
    message: 'Redis was killed. Carts come from memory; changes are refused.',
    elapsed: 15.3,
    total: 24,
    phases: { before: 'healthy', during: 'Redis killed', after: 'Redis back' },
    begun: { before: 0, during: 6.7 },
    tallies: { before: busy, during: busy, after: emptyTally() },
    recent: busy,
    latencies: { p50: 1.23, p99: 345.6, max: 4567 },
    underWay: 1234,
    processes: ['A', 'B'].map((name) => ({
      name,
      running: true,
      crashes: 0,
      sample: { store: { lanes, connection: 'connecting', queue: { saves: 12, destroys: 5, bytes: 0 } } },
    })),
    columns: (count) => Array.from({ length: count }, () => busy),
    ...changes,
  }
}

const SIZES = [SMALLEST, { columns: 80, rows: 24 }, { columns: 120, rows: 40 }, { columns: 250, rows: 70 }]

describe.each(SIZES)('the screen at $columns x $rows', (size) => {
  it.each(['none', '16', '256'] as const)('fits, with color depth %s', (depth) => {
    const processes = scene().processes.map((process) => ({ ...process, crashes: 12 }))
    const lines = drawScreen(scene({ processes }), size, createInk(depth))
    expect(lines.length).toBeLessThan(size.rows)
    for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(size.columns)
  })
})

describe('the screen', () => {
  const text = (changes: Partial<Scene> = {}) =>
    drawScreen(scene(changes), { columns: 80, rows: 24 }, createInk('none')).join('\n')
  const process = (changes: Partial<ProcessView>): Partial<Scene> => ({
    processes: [{ name: 'A', running: true, crashes: 0, sample: undefined, ...changes }],
  })

  it('shows what visitors got, the breakers, the queue and the times', () => {
    expect(text()).toMatch(/lost +55,555 +55,555 +55,555 +·/)
    expect(text()).toMatch(/shop A +half +half +half/)
    expect(text()).toContain('34 changes wait for Redis')
    expect(text()).toContain('p50 1.2 ms   p99 346 ms')
    expect(text()).toContain('15.3 of 24 s')
  })

  it('marks the phases that have begun', () => {
    expect(text()).toContain('━━ Redis killed ━')
    expect(text()).not.toContain('Redis back')
  })

  it('shows a crashed process, and a store without breakers', () => {
    const crashed = text(process({ running: false, crashes: 2 }))
    expect(crashed).toContain('starting again')
    expect(crashed).toContain('crashed: A 2x')
    expect(text(process({ sample: { store: { connection: 'reconnecting' } } }))).toContain('shop A   reconnecting')
  })
})

it('tells the progress in one line', () => {
  expect(drawProgress(scene())).toBe(
    ' 15 s  Redis killed  ok 12345  stale 1  refused 22  hung 333  error 4444  lost 55555  |  p50 1.2 ms  p99 346 ms  |  A half-open/half-open/half-open  B half-open/half-open/half-open',
  )
})
