/** The frame of the table of requests and the form that filters it. */
import { KIND_LABELS, KINDS } from '../model.js'
import type { Row } from '../rows.js'
import { count } from '../words.js'
import { html, type Markup } from './html.js'

export function requestsSection(rows: readonly Row[], total: number): Markup {
  const requests = rows.filter(({ kind }) => !kind.startsWith('other ')).length
  const verdicts = [...new Set(rows.flatMap((row) => row.verdicts))].sort((a, b) =>
    a.localeCompare(b, 'en', { numeric: true }),
  )
  const processes = [...new Set(rows.map(({ process }) => process))].sort()
  const kinds = KINDS.filter((kind) => rows.some((row) => row.kind === kind))
  const evidence = (id: string) => count(rows.filter((row) => row.verdicts.includes(id)).length)
  return html`
    <p class="lead">${
      requests === total
        ? `All ${count(total)} requests.`
        : `${count(requests)} of ${count(total)} requests: what is evidence, what went wrong, and a sample of the rest. The history holds them all.`
    } A time opens that moment in the charts.</p>
    <form class="filters">
      <label>Evidence for <select name="evidence"><option value="all">anything or nothing</option>${
        verdicts.length > 0 && html`<option value="evidence">any breach</option>`
      }${verdicts.map((id) => html`<option value="${id}">${id} (${evidence(id)})</option>`)}</select></label>
      <label>Answer <select name="kind"><option value="all">any</option><option value="bad">not good</option>${kinds.map(
        (kind) => html`<option value="${kind}">${KIND_LABELS[kind]}</option>`,
      )}</select></label>
      <label>Process <select name="process"><option value="all">any</option>${processes.map((name) => html`<option>${name}</option>`)}</select></label>
      <label>Search <input name="text" type="search" placeholder="visitor, action, #record" autocomplete="off"></label>
      <label class="check"><input name="within" type="checkbox" disabled> only what the charts show</label>
      <button type="reset">Reset</button>
    </form>
    <p><output aria-live="polite"></output></p>
    <div class="scroll rows" tabindex="0" role="region" aria-label="Requests"><table>
      <thead><tr><th scope="col">Sent</th><th scope="col">Record</th><th scope="col">Visitor</th><th scope="col">Action</th><th scope="col">Process</th><th scope="col">Answer</th><th scope="col">Status</th><th scope="col" class="number">Wait</th><th scope="col">Evidence for</th></tr></thead>
      <tbody></tbody>
    </table></div>`
}
