import uPlot from 'uplot'
import type { LaneState } from '../model.js'
import type { LaneHistory, StateChange } from '../states.js'
import type { ChartSpec } from './frame.js'
import type { PageData } from './page-data.js'
import type { Palette } from './theme.js'

const ROW = 15
const GROUP_GAP = 10

/** Each breaker in a row: a thin line while it is closed, a full bar while it is open, hatched while it is half-open. */
export function lanesChart(plot: HTMLElement, data: PageData, colours: Palette): ChartSpec {
  const { lanes, duration } = data
  const rows = layOut(lanes)
  const depth = rows.at(-1)!.top + ROW + GROUP_GAP / 2
  const marks = { open: colours.open, 'half-open': colours.halfOpen, closed: colours.closed }
  const countIn = (state: LaneState, at: number) =>
    lanes.filter(({ changes }) => stateAt(changes, at * 1000) === state).length
  const timeIn = (state: LaneState) =>
    lanes.reduce(
      (sum, lane) => sum + bars(lane.changes, duration).reduce((own, bar) => own + inState(bar, state), 0),
      0,
    )
  return {
    plot,
    faults: data.faults,
    duration,
    colours,
    height: depth + 32,
    named: false,
    legend: (['closed', 'half-open', 'open'] as const).map((state) => ({
      label: state,
      colour: marks[state],
      mark: state === 'closed' ? 'line' : 'block',
      figure: (at) => {
        if (at !== undefined) return `${countIn(state, at)} of ${lanes.length}`
        return `${((timeIn(state) / (lanes.length * duration)) * 100).toFixed(1)} %`
      },
    })),
    series: [{ show: true, points: { show: false }, paths: () => null }],
    scale: { range: [-depth, 0] },
    axis: {
      grid: { show: false },
      splits: () => rows.map(({ top }) => -(top + ROW / 2)),
      values: () => rows.map(({ label }) => label),
      filter: (_, splits) => splits,
      space: 1,
    },
    data: () => [
      [0, duration / 1000],
      [0, 0],
    ],
    over: (chart) => {
      for (const [index, { changes }] of lanes.entries()) {
        const y = chart.valToPos(-rows[index]!.top, 'y', true)
        for (const bar of bars(changes, duration)) drawBar(chart, bar, y, marks)
      }
    },
  }
}

function layOut(lanes: readonly LaneHistory[]): { top: number; label: string }[] {
  let top = -ROW + GROUP_GAP / 2
  return lanes.map(({ process, lane }, index) => {
    top += ROW + (index > 0 && lanes[index - 1]?.process !== process ? GROUP_GAP : 0)
    return { top, label: `${process} ${lane}` }
  })
}

interface Bar {
  readonly state: StateChange[1]
  readonly from: number
  readonly to: number
}

function bars(changes: readonly StateChange[], end: number): Bar[] {
  return changes.map(([from, state], index) => ({ state, from, to: changes[index + 1]?.[0] ?? end }))
}

function inState({ state, from, to }: Bar, wanted: LaneState): number {
  return state === wanted ? to - from : 0
}

function stateAt(changes: readonly StateChange[], at: number): StateChange[1] | undefined {
  return changes.findLast(([from]) => from <= at)?.[1]
}

function drawBar(chart: uPlot, { state, from, to }: Bar, y: number, marks: Readonly<Record<LaneState, string>>): void {
  if (state === 'unknown') return
  const { ctx, bbox } = chart
  const pixels = uPlot.pxRatio
  const left = Math.max(bbox.left, chart.valToPos(from / 1000, 'x', true))
  const right = Math.min(bbox.left + bbox.width, chart.valToPos(to / 1000, 'x', true))
  if (right <= left) return
  const width = Math.max(pixels, right - left)
  ctx.save()
  ctx.fillStyle = marks[state]
  if (state === 'closed') ctx.fillRect(left, y + (ROW / 2 - 1) * pixels, width, 2 * pixels)
  if (state === 'open') ctx.fillRect(left, y + 2 * pixels, width, (ROW - 4) * pixels)
  if (state === 'half-open') {
    ctx.strokeStyle = marks[state]
    ctx.lineWidth = 1.5 * pixels
    ctx.beginPath()
    ctx.rect(left, y + 2 * pixels, width, (ROW - 4) * pixels)
    ctx.clip()
    const height = ROW * pixels
    for (let x = left - height; x < right; x += 4 * pixels) {
      ctx.moveTo(x, y + height)
      ctx.lineTo(x + height, y)
    }
    ctx.stroke()
  }
  ctx.restore()
}
