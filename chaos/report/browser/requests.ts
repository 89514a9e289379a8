import { KIND_LABELS, type Kind } from '../model.js'
import type { Row } from '../rows.js'
import { count, counted, duration, moment } from '../words.js'
import { type Filter, matching, NO_FILTER } from './filter.js'

/** Rows beyond this are not put into the page: nobody reads them, and a filter narrows them. */
const SHOWN = 300

export interface RequestsTable {
  /** Shows the evidence for one verdict, or the row of one record. */
  showEvidence(verdict: string): void
  showRecord(record: number): void
  /** The time that the charts show, in ms; `undefined` when they show all. */
  setRange(range: { from: number; to: number } | undefined): void
}

/** The table of requests and the form that filters it. `onLook` is told when somebody wants to see a row's time. */
export function requestsTable(section: HTMLElement, rows: readonly Row[], onLook: (row: Row) => void): RequestsTable {
  const form = section.querySelector('form')!
  const body = section.querySelector('tbody')!
  const told = section.querySelector('output')!
  let range: { from: number; to: number } | undefined

  const field = (name: string) => form.elements.namedItem(name) as HTMLSelectElement & HTMLInputElement
  const read = (): Filter => ({
    evidence: field('evidence').value,
    kind: field('kind').value as Filter['kind'],
    process: field('process').value,
    text: field('text').value,
    ...(field('within').checked && range !== undefined ? { within: range } : {}),
  })
  const write = (filter: Partial<Filter>) => {
    const { evidence, kind, process, text } = { ...NO_FILTER, ...filter }
    field('evidence').value = evidence
    field('kind').value = kind
    field('process').value = process
    field('text').value = text
    field('within').checked = false
  }

  function show(): void {
    const found = matching(rows, read())
    body.replaceChildren(...found.slice(0, SHOWN).map((row) => rowElement(row, onLook)))
    const more = found.length > SHOWN ? `, the first ${count(SHOWN)} are shown` : ''
    told.textContent = `${counted(found.length, 'record')} of the ${count(rows.length)} listed${more}`
  }

  form.addEventListener('input', show)
  form.addEventListener('reset', () => setTimeout(show))
  form.addEventListener('submit', (event) => event.preventDefault())
  show()
  return {
    showEvidence(verdict) {
      write({ evidence: verdict })
      show()
    },
    showRecord(record) {
      write({ text: `#${record}` })
      show()
    },
    setRange(next) {
      range = next
      field('within').disabled = next === undefined
      if (field('within').checked) show()
    },
  }
}

function rowElement(row: Row, onLook: (row: Row) => void): HTMLTableRowElement {
  const line = document.createElement('tr')
  if (row.verdicts.length > 0) line.className = 'evidence'
  const look = document.createElement('button')
  look.type = 'button'
  look.textContent = moment(row.at)
  look.title = 'Show this moment in the charts'
  look.addEventListener('click', () => onLook(row))
  line.append(
    cell('time', look),
    cell('record', `#${row.n}`),
    cell('visitor', row.visitor),
    cell('action', row.action),
    cell('process', row.process),
    cell('kind', kindElement(row.kind)),
    cell('outcome', row.outcome),
    cell('waited', row.waited === undefined ? '' : duration(row.waited)),
    cell('verdicts', row.verdicts.join(' ')),
  )
  return line
}

function kindElement(kind: Row['kind']): Node {
  const element = document.createElement('span')
  const [, other] = /^other (.*)/.exec(kind) ?? []
  if (other !== undefined) {
    element.append(other)
    return element
  }
  const swatch = document.createElement('i')
  swatch.className = `block ${kind}`
  element.append(swatch, ` ${KIND_LABELS[kind as Kind]}`)
  return element
}

function cell(name: string, content: string | Node): HTMLTableCellElement {
  const element = document.createElement('td')
  element.className = name
  element.append(content)
  return element
}
