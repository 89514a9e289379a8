/** The screen of a run: a scene in, lines out. Pure. */
import { OUTCOMES, type Outcome } from '../workload/classify.js'
import { drawChart, LETTERS } from './chart.js'
import { type Ink, padEnd, padStart, widthOf } from './ink.js'
import { drawPanel, PANEL } from './panel.js'
import type { Scene } from './scene.js'
import { PHASES } from './summary.js'

/** Of a terminal, in characters. */
export interface Size {
  readonly columns: number
  readonly rows: number
}

/** The smallest terminal the screen fits. */
export const SMALLEST: Size = { columns: 76, rows: 20 }

const MARGIN = '  '
const AXIS = 5
const LABEL = 9
const GAP = 2
const NUMBER = 8
const TABLE = LABEL + 4 * NUMBER + 3
const MEANING = 25
const WIDEST = 130
const TALLEST_CHART = 16
const LINES_BESIDE_CHART = 14

const PHASE_TINTS = { before: 'good', during: 'bad', after: 'good' } as const

const MEANINGS: Readonly<Record<Outcome, string>> = {
  ok: 'as usual',
  stale: 'served from memory',
  refused: '503, try again soon',
  hung: 'no answer in 1 s',
  error: 'other 5xx, dead socket',
  lost: 'logged out',
}

/** Lines for a terminal of that size: never wider, and one fewer than its rows. */
export function drawScreen(scene: Scene, size: Size, ink: Ink): string[] {
  const width = Math.min(size.columns, WIDEST) - 2 * MARGIN.length
  const height = Math.max(4, Math.min(TALLEST_CHART, size.rows - 1 - LINES_BESIDE_CHART))
  const clock = `${scene.elapsed.toFixed(1).padStart(4)} of ${scene.total} s`
  return [
    spread(ink.paint('strong', scene.title), clock, width),
    ink.paint('dim', scene.subtitle.slice(0, width)),
    '',
    ...drawTimeline(scene, width, height, ink),
    `${' '.repeat(AXIS)}${scene.message.slice(0, width - AXIS)}`,
    '',
    ...beside(drawTable(scene, width, ink), drawPanel(scene, ink), width),
  ].map((line) => MARGIN + line)
}

function spread(left: string, right: string, width: number): string {
  return padEnd(left, width - widthOf(right)) + right
}

function drawTimeline(scene: Scene, width: number, height: number, ink: Ink): string[] {
  const plot = width - AXIS
  const labels = new Map([
    [0, '100%'],
    [height - 1, '0%'],
    [Math.floor((height - 1) / 2), '50%'],
  ])
  const bars = drawChart(scene.columns(plot), height, ink).map(
    (bar, line) => `${ink.paint('dim', (labels.get(line) ?? '').padStart(AXIS - 1))} ${bar}`,
  )
  return [...bars, ' '.repeat(AXIS) + drawPhases(scene, plot, ink)]
}

/** A line under the chart that says from when to when each phase was. */
function drawPhases({ begun, elapsed, total, phases }: Scene, plot: number, ink: Ink): string {
  const columnOf = (time: number) => Math.min(plot, Math.round((time / total) * plot))
  let line = ''
  PHASES.forEach((phase, index) => {
    const from = begun[phase]
    if (from === undefined) return
    const next = PHASES[index + 1]
    const to = (next === undefined ? undefined : begun[next]) ?? elapsed
    const room = columnOf(to) - columnOf(from)
    const name = ` ${phases[phase]} `
    const text = room >= name.length + 4 ? `━━${name}`.padEnd(room, '━') : '━'.repeat(Math.max(0, room))
    line += ink.paint(PHASE_TINTS[phase], text)
  })
  return line + ink.paint('dim', '─'.repeat(Math.max(0, plot - widthOf(line))))
}

/** What visitors got: in the last second, and in each phase. */
function drawTable(scene: Scene, width: number, ink: Ink): string[] {
  const meaning = width >= TABLE + MEANING + PANEL ? MEANING : 0
  const label = (name: string, what: string) =>
    meaning > 0 ? padEnd(name, LABEL + GAP) + padEnd(what, meaning - GAP) : padEnd(name, LABEL)
  const numbers = (cells: readonly string[]) => cells.map((cell) => padStart(cell, NUMBER)).join('')
  const count = (many: number) => (many === 0 ? ink.paint('dim', '·') : many.toLocaleString('en'))
  const rows = OUTCOMES.map((outcome) => {
    const mark = ink.colored ? ink.paint(outcome, '■') : LETTERS[outcome]
    const counts = [scene.recent, ...PHASES.map((phase) => scene.tallies[phase])].map((tally) => count(tally[outcome]))
    return label(`${mark} ${outcome}`, ink.paint('dim', MEANINGS[outcome])) + numbers(counts)
  })
  return [ink.paint('dim', label('answers', '') + numbers(['now/s', ...PHASES])), ...rows]
}

function beside(left: readonly string[], right: readonly string[], width: number): string[] {
  return left.map((line, index) => {
    const other = right[index] ?? ''
    return other === '' ? line : padEnd(line, width - PANEL) + other
  })
}
