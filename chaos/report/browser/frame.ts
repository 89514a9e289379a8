/** What all charts share: one time axis, shaded faults, one cursor, a legend that shows the figures under it. */
import uPlot from 'uplot'
import { duration as inWords } from '../words.js'
import type { PageData } from './page-data.js'
import type { Palette } from './theme.js'

/** One entry of a chart's legend. */
export interface LegendEntry {
  readonly label: string
  readonly colour: string
  readonly mark: 'block' | 'line' | 'dashed'
  /** The figure at a time in s, in words; without a time, the one for the whole run. */
  readonly figure: (at: number | undefined) => string
}

export interface ChartSpec {
  readonly plot: HTMLElement
  readonly faults: PageData['faults']
  readonly duration: number
  readonly colours: Palette
  readonly height: number
  /** Names the faults above the plot. */
  readonly named: boolean
  readonly legend: readonly LegendEntry[]
  readonly series: readonly uPlot.Series[]
  readonly scale: uPlot.Scale
  readonly axis: uPlot.Axis
  /** The data for what is visible, x in s. */
  readonly data: (visible: readonly [from: number, to: number]) => uPlot.AlignedData
  /** Draws over the series. */
  readonly over?: (chart: uPlot) => void
}

export interface Chart {
  readonly plot: HTMLElement
  /** Shows the time from `from` to `to`, in s. */
  show(from: number, to: number): void
  /** Puts the cursor there, in s; `undefined` takes it away. */
  point(at: number | undefined): void
  resize(): void
  destroy(): void
}

/** Called with a time in s, or with none when the pointer leaves. */
export type OnPoint = (at: number | undefined) => void
export type OnSelect = (from: number, to: number) => void

const AXIS_WIDTH = 72
const AXIS_WIDTH_NARROW = 64
const NARROW = 560
const NARROW_FAULT = 8

export function fontOf({ font }: Palette, size = 11): string {
  return `${size}px ${font}`
}

export function createChart(spec: ChartSpec, onPoint: OnPoint, onSelect: OnSelect): Chart {
  const { plot, colours } = spec
  const narrow = plot.clientWidth < NARROW
  const showFigures = legend(plot, spec.legend)
  const axis: uPlot.Axis = {
    stroke: colours.muted,
    font: fontOf(colours),
    grid: { stroke: colours.hairline, width: 1 },
    ticks: { show: false },
    gap: 6,
  }
  const whole: readonly [number, number] = [0, spec.duration / 1000]
  let quiet = false
  const options: uPlot.Options = {
    width: plot.clientWidth,
    height: spec.height,
    padding: [spec.named ? 22 : 8, 12, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      points: { show: false },
      drag: { x: true, y: false, setScale: false },
    },
    scales: { x: { time: false, range: (_, min, max) => [min, max] }, y: spec.scale },
    series: [{}, ...spec.series],
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 24,
        space: 60,
        values: (_, splits) => splits.map((at) => `${Number(at.toFixed(3))} s`),
      },
      { ...axis, size: narrow ? AXIS_WIDTH_NARROW : AXIS_WIDTH, ...spec.axis },
    ],
    hooks: {
      drawClear: [(chart) => shade(chart, spec)],
      draw: [(chart) => spec.over?.(chart), (chart) => edges(chart, spec)],
      setCursor: [
        (chart) => {
          const { left = -1 } = chart.cursor
          const at = left < 0 ? undefined : chart.posToVal(left, 'x')
          showFigures(at)
          if (!quiet) onPoint(at)
        },
      ],
      setSelect: [
        (chart) => {
          const { left, width } = chart.select
          if (width < 4) return
          chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
          onSelect(chart.posToVal(left, 'x'), chart.posToVal(left + width, 'x'))
        },
      ],
    },
  }
  plot.replaceChildren()
  const chart = new uPlot(options, spec.data(whole), plot)
  // uPlot's own answer to a double click knows only its own chart.
  chart.over.addEventListener(
    'dblclick',
    (event) => {
      event.stopImmediatePropagation()
      onSelect(...whole)
    },
    true,
  )
  chart.setScale('x', { min: whole[0], max: whole[1] })
  return {
    plot,
    show(from, to) {
      chart.batch(() => {
        chart.setData(spec.data([from, to]), false)
        chart.setScale('x', { min: from, max: to })
      })
    },
    point(at) {
      quiet = true
      chart.setCursor({ left: at === undefined ? -10 : chart.valToPos(at, 'x'), top: 0 })
      quiet = false
    },
    resize: () => chart.setSize({ width: plot.clientWidth, height: spec.height }),
    destroy: () => chart.destroy(),
  }
}

function legend(plot: HTMLElement, entries: readonly LegendEntry[]): (at: number | undefined) => void {
  const list = plot.parentElement?.querySelector('.legend')
  const figures = entries.map(({ label, colour, mark }) => {
    const item = document.createElement('li')
    const swatch = document.createElement('i')
    swatch.className = mark
    swatch.style.color = colour
    const figure = document.createElement('b')
    item.append(swatch, ` ${label} `, figure)
    return { item, figure }
  })
  const when = document.createElement('li')
  when.className = 'when'
  list?.replaceChildren(when, ...figures.map(({ item }) => item))
  const show = (at: number | undefined) => {
    when.textContent = at === undefined ? 'Whole run' : `At ${at.toFixed(2)} s`
    for (const [index, { figure }] of figures.entries()) figure.textContent = entries[index]!.figure(at)
  }
  show(undefined)
  return show
}

function shade(chart: uPlot, { faults, colours, named }: ChartSpec): void {
  const { ctx, bbox } = chart
  const pixels = uPlot.pxRatio
  ctx.save()
  ctx.beginPath()
  ctx.rect(bbox.left, 0, bbox.width, bbox.top + bbox.height)
  ctx.clip()
  ctx.font = fontOf(colours, 11 * pixels)
  ctx.textAlign = 'left'
  ctx.textBaseline = 'middle'
  let free = bbox.left
  for (const { label, from, to } of faults) {
    const left = chart.valToPos(from / 1000, 'x', true)
    const right = Math.max(left + pixels, chart.valToPos(to / 1000, 'x', true))
    ctx.fillStyle = colours.fault
    ctx.fillRect(left, bbox.top, right - left, bbox.height)
    if (!named) continue
    ctx.fillStyle = colours.faultEdge
    ctx.fillRect(left, bbox.top - 4 * pixels, right - left, 3 * pixels)
    const words = `${label}, ${inWords(to - from)}`
    const width = ctx.measureText(words).width
    const start = Math.max(bbox.left, Math.min(left, bbox.left + bbox.width - width))
    if (right < bbox.left || left > bbox.left + bbox.width || start < free) continue
    ctx.fillStyle = colours.ink
    ctx.fillText(words, start, bbox.top - 12 * pixels)
    free = start + width + 8 * pixels
  }
  ctx.restore()
}

/** Where faults begin and end, over what would hide it. */
function edges(chart: uPlot, { faults, colours }: ChartSpec): void {
  const { ctx, bbox } = chart
  ctx.save()
  ctx.strokeStyle = colours.faultEdge
  ctx.lineWidth = uPlot.pxRatio
  ctx.setLineDash([2 * uPlot.pxRatio, 2 * uPlot.pxRatio])
  const place = (at: number) => Math.round(chart.valToPos(at / 1000, 'x', true))
  const places = faults.flatMap(({ from, to }) => {
    const [left, right] = [place(from), place(to)]
    // Edges so near to each other would hide what is between them.
    return right - left < NARROW_FAULT * uPlot.pxRatio ? [] : [left, right]
  })
  for (const x of places) {
    if (x < bbox.left || x > bbox.left + bbox.width) continue
    ctx.beginPath()
    ctx.moveTo(x, bbox.top)
    ctx.lineTo(x, bbox.top + bbox.height)
    ctx.stroke()
  }
  ctx.restore()
}
