import uPlot from 'uplot'
import type { Gauge } from '../states.js'
import type { ChartSpec } from './frame.js'
import type { PageData } from './page-data.js'
import type { Palette } from './theme.js'

const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3]]

export interface GaugeOptions {
  readonly plot: HTMLElement
  readonly gauges: readonly Gauge[]
  readonly data: PageData
  readonly colours: Palette
  /** A figure with its unit, in the legend and on the scale. */
  readonly words: (value: number) => string
  /** The scale reaches at least up to here. */
  readonly least: number
  /** What one step of the scale must be a multiple of. */
  readonly increments: readonly number[]
}

/** One line for each process. */
export function gaugeChart({ plot, gauges, data, colours, words, least, increments }: GaugeOptions): ChartSpec {
  const highest = Math.max(least, ...gauges.flatMap(({ values }) => values))
  const colour = (index: number) => colours.lines[index % colours.lines.length]!
  const tables = gauges.map(({ at, values }): uPlot.AlignedData => [at.map((ms) => ms / 1000), [...values]])
  const joined = uPlot.join(tables)
  const paths = uPlot.paths.stepped?.({ align: 1 })
  return {
    plot,
    faults: data.faults,
    duration: data.duration,
    colours,
    height: 130,
    named: false,
    legend: gauges.map(({ process, at, values }, index) => ({
      label: process,
      colour: colour(index),
      mark: DASHES[index % DASHES.length]!.length > 0 ? 'dashed' : 'line',
      figure: (moment) => {
        if (moment === undefined) return `peak ${words(Math.max(...values))}`
        const value = values[at.findLastIndex((ms) => ms <= moment * 1000)]
        return value === undefined ? '' : words(value)
      },
    })),
    series: gauges.map((_, index) => ({
      stroke: colour(index),
      width: 1.5,
      dash: [...DASHES[index % DASHES.length]!],
      spanGaps: true,
      points: { show: false },
      ...(paths ? { paths } : {}),
    })),
    scale: { range: () => [0, highest * 1.1] },
    axis: { space: 22, incrs: [...increments], values: (_, splits) => splits.map(words) },
    data: () => joined,
  }
}
