/** The headline figures, side by side where there is more than one store. */
import type { StoreSummary, Summary } from '../summary.js'
import { count, duration, share } from '../words.js'
import { html, type Markup } from './html.js'

interface Figure {
  readonly name: string
  readonly note?: string
  readonly value: (store: StoreSummary) => string
  /** A figure that no visitor should have to see. */
  readonly bad?: (store: StoreSummary) => boolean
}

const FIGURES: readonly Figure[] = [
  {
    name: 'Good answers during faults',
    note: 'fresh, stale, queued, blank or 409',
    value: ({ duringFaults: { good, requests } }) => share(good, requests),
  },
  { name: 'Good answers', note: 'whole run', value: ({ good, requests }) => share(good, requests) },
  {
    name: 'p99 latency',
    note: 'during faults',
    value: ({ latencyDuringFaults }) => (latencyDuringFaults === null ? 'none' : duration(latencyDuringFaults.p99)),
  },
  {
    name: 'Longest wait',
    value: ({ latency }) => (latency === null ? 'none' : duration(latency.max)),
  },
  {
    name: 'Hung requests',
    note: 'no answer within 1 s',
    value: ({ hung }) => count(hung),
    bad: ({ hung }) => hung > 0,
  },
  {
    name: 'Visitors logged out',
    note: 'against their will',
    value: ({ loggedOut }) => count(loggedOut),
    bad: ({ loggedOut }) => loggedOut > 0,
  },
  {
    name: 'Acknowledged items lost',
    value: ({ items: { acknowledged, lost } }) => `${count(lost)} of ${count(acknowledged)}`,
    bad: ({ items }) => items.lost > 0,
  },
  {
    name: 'Ghosts',
    note: 'sessions that opened again after their logout',
    value: ({ ghosts }) => count(ghosts),
    bad: ({ ghosts }) => ghosts > 0,
  },
  {
    name: 'Time to recover',
    note: 'from the end of a fault until every answer was fresh',
    value: ({ recovery }) =>
      recovery === undefined ? 'no fault ended' : recovery === null ? 'never' : duration(recovery),
    bad: ({ recovery }) => recovery === null,
  },
]

const BROKEN: Figure = {
  name: 'Promises broken',
  value: ({ broken = [] }) => (broken.length === 0 ? 'none' : broken.join(' ')),
  bad: ({ broken = [] }) => broken.length > 0,
}

export function figuresSection({ stores }: Summary): Markup {
  return stores.length > 1 ? comparison(stores) : tiles(stores[0])
}

function tiles(store: StoreSummary): Markup {
  return html`<dl class="tiles">${FIGURES.map(
    (figure) => html`
    <div><dt>${figure.name}${note(figure)}</dt><dd>${shown(figure, store)}</dd></div>`,
  )}
  </dl>`
}

function comparison(stores: readonly StoreSummary[]): Markup {
  return html`<div class="scroll"><table class="figures">
    <caption class="hidden">The same scenario and seed with each store</caption>
    <thead><tr><td></td>${stores.map(({ name }) => html`<th scope="col">${name}</th>`)}</tr></thead>
    <tbody>${(stores.every(({ broken }) => broken !== undefined) ? [...FIGURES, BROKEN] : FIGURES).map(
      (figure) => html`
      <tr><th scope="row">${figure.name}${note(figure)}</th>${stores.map(
        (store) => html`<td>${shown(figure, store)}</td>`,
      )}</tr>`,
    )}
      <tr><th scope="row">Requests</th>${stores.map(({ requests }) => html`<td>${count(requests)}</td>`)}</tr>
    </tbody>
  </table></div>`
}

function note({ note }: Figure): Markup | undefined {
  return note === undefined ? undefined : html` <small>${note}</small>`
}

function shown({ value, bad }: Figure, store: StoreSummary): Markup {
  return bad?.(store) ? html`<strong class="bad">${value(store)}</strong>` : html`${value(store)}`
}
