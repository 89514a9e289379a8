/** The frames of the charts; the page's script draws into them. And the same figures as a table. */
import { BUCKET, type Counts, type Latencies } from '../buckets.js'
import { type Fault, KIND_LABELS, KINDS } from '../model.js'
import { counted, duration, moment } from '../words.js'
import { html, type Markup } from './html.js'

export interface ChartFrame {
  readonly name: string
  readonly title: string
  readonly note: string
  /** For whoever cannot see the chart. */
  readonly described: string
}

export function chartFrame({ name, title, note, described }: ChartFrame): Markup {
  return html`
    <figure>
      <figcaption><h3>${title}</h3><p>${note}</p></figcaption>
      <ul class="legend"></ul>
      <div class="plot" data-chart="${name}" tabindex="0" role="application" aria-label="${title}" aria-roledescription="chart" aria-description="${described}"></div>
    </figure>`
}

/** Buttons that show one fault each in the charts. */
export function faultButtons(faults: readonly Fault[], end: number): Markup {
  return html`<div class="faults" role="group" aria-label="Show in the charts">
      <button type="button" id="whole">Whole run</button>${faults.map(
        ({ name, target, from, to = end }) => html`
      <button type="button" data-from="${from}" data-to="${to}">${name}${target && ` ${target}`} <small>at ${duration(from)}, for ${duration(to - from)}</small></button>`,
      )}
    </div>`
}

const SECOND = 1000 / BUCKET

/** One line a second: what the first two charts show, to be read. */
export function secondsTable(counts: Counts, latency: readonly (Latencies | null)[]): Markup {
  const kinds = KINDS.filter((kind) => kind === 'fresh' || counts[kind].some((value) => value > 0))
  const seconds = Array.from({ length: Math.ceil(latency.length / SECOND) }, (_, index) => index)
  return html`<details class="seconds"><summary>These figures as a table, ${counted(seconds.length, 'second')}</summary>
    <div class="scroll"><table>
    <thead><tr><th scope="col">From</th>${kinds.map((kind) => html`<th scope="col">${KIND_LABELS[kind]}</th>`)}<th scope="col">p50</th><th scope="col">p99</th><th scope="col">max</th></tr></thead>
    <tbody>${seconds.map((second) => {
      const from = second * SECOND
      const last = latency[Math.min(latency.length, from + SECOND) - 1]
      const sum = (values: readonly number[]) => values.slice(from, from + SECOND).reduce((all, one) => all + one, 0)
      return html`
      <tr><th scope="row">${second} s</th>${kinds.map((kind) => html`<td>${sum(counts[kind])}</td>`)}${(
        ['p50', 'p99', 'max'] as const
      ).map((name) => html`<td>${last ? duration(last[name]) : ''}</td>`)}</tr>`
    })}
    </tbody></table></div></details>`
}

/** The faults in words, for descriptions. */
export function faultsInWords(faults: readonly Fault[], end: number): string {
  if (faults.length === 0) return 'No fault.'
  const words = faults.slice(0, 5).map(({ name, from, to = end }) => `${name} from ${moment(from)} to ${moment(to)}`)
  return `${words.join('; ')}${faults.length > 5 ? `; and ${faults.length - 5} more` : ''}.`
}
