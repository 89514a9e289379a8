/** The verdicts: what was demanded, what came of it, and what shows it. */
import type { Evidence, StoreRun, Verdict } from '../model.js'
import { count, counted } from '../words.js'
import { html, type Markup } from './html.js'

const VERDICTS = {
  held: { sign: '✓', word: 'held' },
  broken: { sign: '✗', word: 'broken' },
  'not-exercised': { sign: '–', word: 'not exercised' },
} as const

export function verdictTable(caption: string, verdicts: readonly Verdict[]): Markup {
  return html`<div class="scroll"><table class="verdicts">
    <caption class="hidden">${caption}</caption>
    <thead><tr><th scope="col">${caption}</th><th scope="col">Verdict</th><th scope="col">What was found</th></tr></thead>
    <tbody>${verdicts.map(row)}
    </tbody>
  </table></div>`
}

function row(judged: Verdict): Markup {
  const { id, title, verdict, found, evidence } = judged
  const { sign, word } = VERDICTS[verdict]
  const numbered = /^P\d/.test(id)
  return html`
      <tr class="${verdict}" id="${id}">
        <th scope="row" class="${numbered && 'numbered'}">${numbered && html`<span class="id">${id}</span> `}${title}</th>
        <td class="verdict"><span aria-hidden="true">${sign}</span> ${word}</td>
        <td class="found">${found}${evidence.length > 0 && evidenceOf(judged)}</td>
      </tr>`
}

function evidenceOf({ id, breaches, evidence }: Verdict): Markup {
  const records = new Set(evidence.flatMap((piece) => piece.records)).size
  const which = breaches > evidence.length ? `The first ${count(evidence.length)}` : 'Evidence'
  return html`
          ${records > 0 && html`<a href="#evidence-${id}">Show ${counted(records, 'record')} in the table</a>`}
          <details><summary>${which}</summary><ul>${evidence.map(piece)}</ul></details>`
}

function piece({ what, records }: Evidence): Markup {
  return html`
            <li>${what}${records.map((record) => html` <a href="#record-${record}">#${record}</a>`)}</li>`
}

/** One sentence over everything that was demanded. */
export function overall({ promises, besides }: StoreRun): Markup {
  if (promises.length === 0) return html`<p class="verdict not-exercised">Nobody judged this run</p>`
  const broken = (verdicts: readonly Verdict[]) => verdicts.filter(({ verdict }) => verdict === 'broken')
  const names = broken(promises).map(({ id }) => id)
  const others = broken(besides).map(({ title }) => title)
  const idle = promises.filter(({ verdict }) => verdict === 'not-exercised').length
  const kept = `${counted(promises.length - idle, 'promise')} held${idle > 0 ? `, ${idle} not exercised` : ''}`
  const first = names.length > 0 ? `${names.length} of ${promises.length} promises broken: ${names.join(', ')}` : kept
  const rest = others.length > 0 ? `; but not: ${others.join('; ')}` : ''
  const verdict = names.length + others.length === 0 ? 'held' : 'broken'
  return html`<p class="verdict ${verdict}"><span aria-hidden="true">${VERDICTS[verdict].sign}</span> ${first}${rest}</p>`
}
