import uPlot from 'uplot'
import type { Counts } from '../buckets.js'
import { KIND_LABELS, KINDS, type Kind } from '../model.js'
import { count } from '../words.js'
import type { ChartSpec } from './frame.js'
import type { PageData } from './page-data.js'
import { joinFor, type Stack, stack } from './stack.js'
import type { Palette } from './theme.js'

/** A column narrower than this cannot be told from its neighbours, in pixels. */
const COLUMN_PIXELS = 4

export interface AnswersOptions {
  readonly plot: HTMLElement
  readonly store: PageData['stores'][number]
  readonly data: PageData
  readonly colours: Palette
  readonly height: number
  readonly named: boolean
  /** Kinds that the legend names; the others did not occur. */
  readonly kinds: readonly Kind[]
}

/** Columns of what became of the requests sent at a time, stacked from good to bad. */
export function answersChart(options: AnswersOptions): ChartSpec {
  const { plot, store, data, colours, height, named, kinds } = options
  const whole = data.duration / 1000
  let shown = stack(store.counts, data.bucket, 1)
  const columns = ([from, to]: readonly [number, number]): Stack => {
    const buckets = ((to - from) * 1000) / data.bucket
    return stack(store.counts, data.bucket, joinFor(buckets, plot.clientWidth, COLUMN_PIXELS))
  }
  // All stores have the same scale, and it does not change with the zoom.
  const highest = Math.max(
    ...data.stores.map(({ counts }) => {
      const factor = joinFor(whole * (1000 / data.bucket), plot.clientWidth, COLUMN_PIXELS)
      return stack(counts, data.bucket, factor).highest
    }),
  )
  const filled = (kind: Kind): uPlot.Series => ({
    fill: colours.kinds[kind],
    width: 0,
    points: { show: false },
    ...(uPlot.paths.stepped ? { paths: uPlot.paths.stepped({ align: 1 }) } : {}),
  })
  const total = (kind: Kind) => store.counts[kind].reduce((sum, value) => sum + value, 0)
  return {
    plot,
    faults: store.faults,
    duration: data.duration,
    colours,
    height,
    named,
    legend: kinds.map((kind) => ({
      label: KIND_LABELS[kind],
      colour: colours.kinds[kind],
      mark: 'block',
      figure: (at) => {
        if (at === undefined) return count(total(kind))
        return `${count(shown.rates[kind][Math.floor(at / shown.width)] ?? 0)}/s`
      },
    })),
    series: [...KINDS].reverse().map(filled),
    scale: { range: (_, __, max) => [0, Math.max(highest, max ?? 0, 1) * 1.05] },
    axis: { space: 32, values: (_, splits) => splits.map((rate) => `${count(rate)}/s`) },
    data: (visible) => {
      shown = columns(visible)
      return [[...shown.x], ...shown.tops.map((top) => [...top])]
    },
  }
}

/** The kinds that occurred in any of these, and the good ones always. */
export function kindsIn(all: readonly Counts[]): Kind[] {
  return KINDS.filter((kind) => kind === 'fresh' || all.some((counts) => counts[kind].some((value) => value > 0)))
}
