import { count, megabytes } from '../words.js'
import { answersChart, kindsIn } from './answers.js'
import { type Chart, type ChartSpec, createChart } from './frame.js'
import { gaugeChart } from './gauges.js'
import { pressed, type View } from './keys.js'
import { lanesChart } from './lanes.js'
import { latencyChart } from './latency.js'
import type { PageData } from './page-data.js'
import { requestsTable } from './requests.js'
import { followScheme, palette } from './theme.js'

const data: PageData = JSON.parse(document.getElementById('data')!.textContent!)
const whole = data.duration / 1000
const step = data.bucket / 1000
let charts: Chart[] = []
let view: View = { from: 0, to: whole, at: undefined }

const plotOf = (name: string) => document.querySelector<HTMLElement>(`[data-chart="${name}"]`)
const status = document.getElementById('status')!
const table = requestsTable(document.getElementById('requests')!, data.rows, ({ at }) => {
  look({ from: Math.max(0, at / 1000 - 1), to: Math.min(whole, at / 1000 + 1), at: at / 1000 })
  document.getElementById('timeline')!.scrollIntoView()
})

function specs(): ChartSpec[] {
  const colours = palette()
  const found: ChartSpec[] = []
  const draw = (name: string, spec: (plot: HTMLElement) => ChartSpec) => {
    const plot = plotOf(name)
    if (plot !== null) found.push(spec(plot))
  }
  const [subject] = data.stores
  const own = kindsIn([subject!.counts])
  draw('answers', (plot) =>
    answersChart({ plot, store: subject!, data, colours, height: 260, named: true, kinds: own }),
  )
  draw('latency', (plot) => latencyChart(plot, data, colours))
  draw('lanes', (plot) => lanesChart(plot, data, colours))
  const whole = { words: count, least: 4, increments: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000] }
  const time = { ...whole, words: (ms: number) => `${count(ms)} ms`, least: 20 }
  const memory = { words: megabytes, least: 0, increments: [1e7, 2e7, 5e7, 1e8, 2e8, 5e8] }
  draw('queued', (plot) => gaugeChart({ plot, gauges: data.gauges.queued, data, colours, ...whole }))
  draw('inFlight', (plot) => gaugeChart({ plot, gauges: data.gauges.inFlight, data, colours, ...whole }))
  draw('stall', (plot) => gaugeChart({ plot, gauges: data.gauges.stall, data, colours, ...time }))
  draw('memory', (plot) => gaugeChart({ plot, gauges: data.gauges.memory, data, colours, ...memory }))
  for (const [index, store] of data.stores.entries()) {
    const kinds = kindsIn([store.counts])
    draw(`store-${index}`, (plot) => answersChart({ plot, store, data, colours, height: 150, named: true, kinds }))
  }
  return found
}

function drawAll(): void {
  for (const chart of charts) chart.destroy()
  charts = specs().map((spec) => createChart(spec, point, (from, to) => look({ ...view, from, to })))
  look(view)
}

function point(at: number | undefined): void {
  view = { ...view, at }
  for (const chart of charts) chart.point(at)
}

function look(next: View): void {
  view = next
  const all = view.from <= 0 && view.to >= whole
  for (const chart of charts) chart.show(view.from, view.to)
  point(view.at)
  table.setRange(all ? undefined : { from: view.from * 1000, to: view.to * 1000 })
  document.getElementById('whole')!.toggleAttribute('disabled', all)
}

for (const plot of document.querySelectorAll<HTMLElement>('[data-chart]')) {
  plot.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const next = pressed(event.key, event.shiftKey, view, whole, step)
    if (next === undefined) return
    event.preventDefault()
    look(next)
    const figures = plot.parentElement?.querySelectorAll('.legend li') ?? []
    status.textContent = [...figures].map(({ textContent }) => textContent).join(', ')
  })
}

for (const button of document.querySelectorAll<HTMLButtonElement>('[data-from]')) {
  button.addEventListener('click', () => {
    const from = Number(button.dataset.from) / 1000
    const to = Number(button.dataset.to) / 1000
    const margin = Math.max(1, (to - from) * 0.25)
    look({ from: Math.max(0, from - margin), to: Math.min(whole, to + margin), at: undefined })
  })
}
document.getElementById('whole')!.addEventListener('click', () => look({ from: 0, to: whole, at: undefined }))

const copy = document.getElementById('copy')
copy?.addEventListener('click', async () => {
  await navigator.clipboard.writeText(document.getElementById('command')!.textContent!)
  copy.textContent = 'Copied'
})

/** Evidence is linked to as `#evidence-P3`, one record as `#record-123`. */
function followHash(): void {
  const [, what, which] = /^#(evidence|record)-(\w+)$/.exec(location.hash) ?? []
  if (which === undefined) return
  if (what === 'evidence') table.showEvidence(which)
  else table.showRecord(Number(which))
  const section = document.getElementById('requests')!
  section.scrollIntoView()
  section.querySelector<HTMLElement>('h2')!.focus({ preventScroll: true })
}

addEventListener('hashchange', followHash)
document.addEventListener('click', ({ target }) => {
  // A second click on a link leaves the address as it is: no change to follow.
  const link = target instanceof Element ? target.closest('a') : null
  if (link !== null && link.hash !== '' && link.hash === location.hash) followHash()
})
let width = innerWidth
addEventListener('resize', () => {
  if (innerWidth === width) return
  width = innerWidth
  drawAll()
})
followScheme(document.getElementById('scheme') as HTMLButtonElement, drawAll)
drawAll()
followHash()
