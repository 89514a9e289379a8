/** HTML from data: whatever is put into a template is escaped, unless it is HTML already. */

/** Markup that may be put into a page as it is. */
export class Markup {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

type Value = string | number | Markup | undefined | false | readonly Value[]

/** A template for HTML; `undefined` and `false` leave nothing. For the content of elements and for quoted attributes. */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Markup {
  return new Markup(parts.reduce((text, part, index) => text + render(values[index - 1]) + part))
}

function render(value: Value): string {
  if (value === undefined || value === false) return ''
  if (value instanceof Markup) return value.text
  if (Array.isArray(value)) return value.map(render).join('')
  return escapeText(String(value))
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!)
}

/** JSON for a `<script type="application/json">`: nothing in it can end the element or begin a comment. */
export function inlineJson(data: unknown): Markup {
  return new Markup(JSON.stringify(data).replaceAll('<', '\\u003c'))
}
