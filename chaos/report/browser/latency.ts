import uPlot from 'uplot'
import { duration as inWords } from '../words.js'
import { type ChartSpec, fontOf } from './frame.js'
import type { PageData } from './page-data.js'
import type { Palette } from './theme.js'

const LINES = [
  { name: 'max', dash: [2, 3], width: 1 },
  { name: 'p99', dash: [], width: 1.5 },
  { name: 'p50', dash: [], width: 2 },
] as const

const LOWEST = 0.5

/** Latencies over time, on a logarithmic scale, with the limits they are held to. */
export function latencyChart(plot: HTMLElement, data: PageData, colours: Palette): ChartSpec {
  const { latency, limits } = data
  const x = latency.p50.map((_, index) => ((index + 1) * data.bucket) / 1000)
  const highest = Math.max(...latency.max.map((value) => value ?? 0), ...limits.map(({ at }) => at))
  const top = 10 ** Math.ceil(Math.log10(highest * 1.2))
  const colourOf = { p50: colours.lines[0]!, p99: colours.lines[1]!, max: colours.muted }
  return {
    plot,
    faults: data.faults,
    duration: data.duration,
    colours,
    height: 200,
    named: false,
    legend: [...LINES].reverse().map(({ name, dash }) => ({
      label: name,
      colour: colourOf[name],
      mark: dash.length > 0 ? 'dashed' : 'line',
      figure: (at) => {
        if (at === undefined) return data.total === null ? 'none' : inWords(data.total[name])
        const value = latency[name][Math.floor((at * 1000) / data.bucket)]
        return value === null || value === undefined ? 'none' : inWords(value)
      },
    })),
    series: LINES.map(({ name, dash, width }) => ({
      stroke: colourOf[name],
      width,
      dash: [...dash],
      points: { show: false },
    })),
    scale: { distr: 3, log: 10, range: () => [LOWEST, top] },
    axis: {
      space: 24,
      splits: () => [1, 10, 100, 1000, 10_000, 100_000].filter((value) => value >= LOWEST && value <= top),
      values: (_, splits) => splits.map((ms) => (ms < 1000 ? `${ms} ms` : `${ms / 1000} s`)),
      filter: (_, splits) => splits,
    },
    data: () => [
      x,
      ...LINES.map(({ name }) => latency[name].map((value) => (value === null ? null : Math.max(LOWEST, value)))),
    ],
    over: (chart) => drawLimits(chart, limits, colours),
  }
}

function drawLimits(chart: uPlot, limits: PageData['limits'], colours: Palette): void {
  const { ctx, bbox } = chart
  const pixels = uPlot.pxRatio
  ctx.save()
  ctx.strokeStyle = colours.ink
  ctx.fillStyle = colours.ink
  ctx.lineWidth = pixels
  ctx.font = fontOf(colours, 11 * pixels)
  ctx.textAlign = 'right'
  ctx.textBaseline = 'bottom'
  for (const { label, at } of limits) {
    const y = Math.round(chart.valToPos(at, 'y', true))
    ctx.globalAlpha = 0.45
    ctx.beginPath()
    ctx.moveTo(bbox.left, y)
    ctx.lineTo(bbox.left + bbox.width, y)
    ctx.stroke()
    ctx.globalAlpha = 1
    ctx.fillText(label, bbox.left + bbox.width - 4 * pixels, y - 2 * pixels)
  }
  ctx.restore()
}
