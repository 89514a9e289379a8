/** Stacked bars of outcomes over time, in eighths of a terminal cell. Pure. */
import { OUTCOMES, type Outcome } from '../workload/classify.js'
import type { Ink } from './ink.js'
import { sum, type Tally } from './summary.js'

type Part = Outcome | 'waiting'

/** From the bottom up. */
const STACK: readonly Part[] = [...OUTCOMES, 'waiting']

/** What stands for an outcome where there is no color. */
export const LETTERS: Readonly<Record<Part, string>> = {
  ok: '#',
  stale: '=',
  refused: '-',
  hung: '?',
  error: '!',
  lost: 'X',
  waiting: '.',
}

const EIGHTHS = ['', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
const PER_CELL = 8

/** Draws one character per column and `height` lines, the top one first. Empty columns stay empty. */
export function drawChart(columns: readonly Tally[], height: number, ink: Ink): string[] {
  const stacks = columns.map((column) => stack(column, height * PER_CELL))
  return Array.from({ length: height }, (_, line) => {
    const bottom = (height - 1 - line) * PER_CELL
    return stacks.map((units) => drawCell(units.slice(bottom, bottom + PER_CELL), ink)).join('')
  })
}

/**
 * Divides `units` among the parts of a column, from the bottom up. Whatever happened at all gets a unit: one visitor
 * logged out must not vanish in the rounding. The largest part pays.
 */
export function stack(column: Tally, units: number): Part[] {
  const total = sum(column)
  if (total === 0) return []
  const shares = STACK.map((part) => ({
    part,
    units: column[part] === 0 ? 0 : Math.max(1, Math.round((column[part] / total) * units)),
  }))
  const largest = shares.reduce((most, share) => (share.units > most.units ? share : most))
  largest.units += units - shares.reduce((all, share) => all + share.units, 0)
  return shares.flatMap((share) => Array<Part>(Math.max(0, share.units)).fill(share.part))
}

/** One cell holds two colors at most: the lower one, and above it the gravest of the rest. */
function drawCell(units: readonly Part[], ink: Ink): string {
  const [lowest] = units
  if (lowest === undefined) return ' '
  if (!ink.colored) return LETTERS[most(units)]
  const rest = units.findIndex((part) => part !== lowest)
  if (rest === -1) return ink.paint(lowest, '█')
  const above = units.slice(rest).filter((part) => part !== 'waiting')
  return ink.on(lowest, above.at(-1) ?? 'waiting', EIGHTHS[rest] ?? ' ')
}

/** The part that takes most of a cell; of equals the graver one. */
function most(units: readonly Part[]): Part {
  const counts = new Map<Part, number>()
  for (const part of units) counts.set(part, (counts.get(part) ?? 0) + 1)
  let winner: Part = 'waiting'
  let best = 0
  for (const part of STACK) {
    const count = counts.get(part) ?? 0
    if (count > 0 && count >= best && part !== 'waiting') {
      winner = part
      best = count
    }
  }
  return winner
}
