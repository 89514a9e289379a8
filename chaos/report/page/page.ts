/** The whole page. Pure: the same run makes the same page. */
import { createHash } from 'node:crypto'
import { HUNG_AFTER } from '../../workload/classify.js'
import type { PageData } from '../browser/page-data.js'
import { BUCKET, countKinds, latenciesOf, latencySeries } from '../buckets.js'
import type { Fault, ReportInput, StoreRun } from '../model.js'
import { rowsOf } from '../rows.js'
import { gauges, laneHistories } from '../states.js'
import type { Summary } from '../summary.js'
import { count, counted, duration } from '../words.js'
import { figuresSection } from './figures.js'
import { html, inlineJson, Markup } from './html.js'
import { requestsSection } from './requests.js'
import { chartFrame, faultButtons, faultsInWords, secondsTable } from './timeline.js'
import { overall, verdictTable } from './verdicts.js'

/** What is inlined into the page. */
export interface PageAssets {
  readonly script: string
  readonly style: string
  /** Licences of what is inlined, to be shown. */
  readonly licences: string
}

export function renderPage(input: ReportInput, summary: Summary, assets: PageAssets): string {
  const { subject, title, facts, command } = input
  const data = pageData(input)
  const [figures] = summary.stores
  const counts = data.stores[0]!.counts
  const faults = faultsInWords(subject.faults, subject.duration)
  // Neither could end its own element: bundlers and CSS have other ways to write this.
  const script = assets.script.replaceAll('</script', '<\\/script')
  const style = assets.style.replaceAll('</style', '<\\/style')
  const policy = `default-src 'none'; script-src '${digest(script)}'; style-src '${digest(style)}'; base-uri 'none'; form-action 'none'`
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${title}: chaos run</title>
<style>${new Markup(style)}</style>
</head>
<body>
<header>
  <nav aria-label="Sections"><a href="#timeline">Timeline</a> ${
    data.stores.length > 1 && html`<a href="#compared">Side by side</a> `
  }<a href="#promises">Promises</a> <a href="#requests">Requests</a> <a href="#run">Run</a> <button type="button" id="scheme"></button></nav>
  <h1>${title}</h1>
  ${overall(subject)}
  <p>${input.lead}</p>
  <p class="lead">${input.conditions.join(', ')}, ${count(figures.requests)} requests in ${duration(subject.duration)}, ${counted(subject.faults.length, 'fault')}</p>
</header>
<main>
  <section aria-label="Figures">${figuresSection(summary)}</section>
  <section id="timeline">
    <h2>Timeline</h2>
    <noscript><p>The charts and the table of requests need JavaScript; nothing is loaded from anywhere.</p></noscript>
    <p class="lead">Faults are shaded. Drag over a chart to look closer; on the keyboard, arrows move the cursor, + and − zoom, Esc shows the whole run.</p>
    ${faultButtons(subject.faults, subject.duration)}
    <p id="status" class="hidden" role="status"></p>${chartFrame({
      name: 'answers',
      title: 'Answers per second',
      note: 'What became of the requests sent at that time.',
      described: `${faults} ${Object.entries(figures.answers)
        .filter(([, value]) => value > 0)
        .map(([kind, value]) => `${kind} ${count(value)}`)
        .join(', ')}.`,
    })}${chartFrame({
      name: 'latency',
      title: 'Latency',
      note: 'Of the requests sent in the second before; logarithmic. No answer yet counts as waiting until the run ended.',
      described: `${faults} ${figures.latency ? `p50 ${duration(figures.latency.p50)}, p99 ${duration(figures.latency.p99)}, longest ${duration(figures.latency.max)}.` : ''}`,
    })}${
      data.lanes.length > 0 &&
      chartFrame({
        name: 'lanes',
        title: 'Circuit breakers',
        note: 'By process and lane.',
        described: faults,
      })
    }${
      data.gauges.queued.length > 0 &&
      chartFrame({
        name: 'queued',
        title: 'Queue',
        note: 'Changes that wait for Redis, by process.',
        described: faults,
      })
    }${
      data.gauges.inFlight.length > 0 &&
      chartFrame({ name: 'inFlight', title: 'In flight', note: 'Requests under way, by process.', described: faults })
    }${
      data.gauges.stall.length > 0 &&
      chartFrame({
        name: 'stall',
        title: 'Event loop',
        note: 'How long it stood still, by process: what the machine itself took.',
        described: faults,
      })
    }${
      data.gauges.memory.length > 0 &&
      chartFrame({ name: 'memory', title: 'Memory', note: 'Resident, by process.', described: faults })
    }
    ${secondsTable(counts, latencySeries(subject.exchanges, subject.duration))}
  </section>
  ${data.stores.length > 1 && comparedSection(data)}
  <section id="promises">
    <h2>Promises</h2>
    ${
      subject.promises.length === 0
        ? html`<p>Nobody judged this run.</p>`
        : html`${verdictTable('Promise', subject.promises)}
    <div id="besides"><h3>Besides</h3>
    <p class="lead">Whether the application's own choices were followed, and whether the run proves anything.</p>
    ${verdictTable('Demand', subject.besides)}</div>`
    }
  </section>
  <section id="requests" class="${data.rows.every(({ verdicts }) => verdicts.length === 0) && 'idle'}">
    <h2 tabindex="-1">Requests</h2>${requestsSection(data.rows, subject.exchanges.length)}
  </section>
  <section id="run">
    <h2>Run</h2>
    <dl class="facts">${facts.map(
      ({ name, value }) => html`
      <div class="${value.length > 40 && 'wide'}"><dt>${name}</dt><dd>${value}</dd></div>`,
    )}
    </dl>
    <h3>To run it again</h3>
    <p class="command"><code id="command">${command}</code> <button type="button" id="copy">Copy</button></p>
  </section>
</main>
<footer><details><summary>Licences of what this page contains</summary><pre>${assets.licences}</pre></details></footer>
<script type="application/json" id="data">${inlineJson(data)}</script>
<script>${new Markup(script)}</script>
</body>
</html>
`.text
}

function comparedSection({ stores }: PageData): Markup {
  return html`<section id="compared">
    <h2>Side by side</h2>
    <p class="lead">The same scenario and seed with each store, on the same scales.</p>${stores.map(({ name }, index) =>
      chartFrame({ name: `store-${index}`, title: name, note: '', described: 'Answers per second' }),
    )}
  </section>`
}

/** What the script draws. */
export function pageData({ subject, compared }: ReportInput): PageData {
  const all = [subject, ...compared]
  const duration = Math.max(...all.map((run) => run.duration))
  const latency = latencySeries(subject.exchanges, subject.duration)
  const series = (name: 'p50' | 'p99' | 'max') =>
    latency.map((at) => (at === null ? null : Math.round(at[name] * 10) / 10))
  return {
    bucket: BUCKET,
    duration,
    faults: named(subject.faults, subject.duration),
    stores: all.map((run) => ({
      name: run.name,
      counts: countKinds(run.exchanges, duration),
      faults: named(run.faults, run.duration),
    })),
    latency: { p50: series('p50'), p99: series('p99'), max: series('max') },
    total: latenciesOf(subject.exchanges) ?? null,
    limits: limitsOf(subject),
    lanes: laneHistories(subject.samples),
    gauges: {
      queued: gauges(subject.samples, 'queued'),
      inFlight: gauges(subject.samples, 'inFlight'),
      stall: gauges(subject.samples, 'stall'),
      memory: gauges(subject.samples, 'memory'),
    },
    rows: rowsOf(subject),
  }
}

function named(faults: readonly Fault[], end: number): PageData['faults'] {
  return faults.map(({ name, target, from, to = end }) => ({
    label: target === undefined ? name : `${name} ${target}`,
    from,
    to,
  }))
}

function limitsOf({ timeout }: StoreRun): PageData['limits'] {
  const hung = { label: `hung after ${duration(HUNG_AFTER)}`, at: HUNG_AFTER }
  return timeout === undefined ? [hung] : [{ label: `timeout ${duration(timeout)}`, at: timeout }, hung]
}

function digest(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}
