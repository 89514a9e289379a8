/** Which rows of the table are shown. Pure. */
import { GOOD_KINDS, KINDS, type Kind } from '../model.js'
import type { Row } from '../rows.js'

export interface Filter {
  /** `all`, `evidence` for any verdict, or `P3` for one. */
  readonly evidence: string
  /** `all`, `bad`, or one kind. */
  readonly kind: 'all' | 'bad' | Kind
  /** `all`, or the name of one. */
  readonly process: string
  /** Words that a row must hold, each somewhere. */
  readonly text: string
  /** When it was sent, in ms; any time when absent. */
  readonly within?: { readonly from: number; readonly to: number }
}

const BAD_KINDS: ReadonlySet<string> = new Set(KINDS.filter((kind) => !GOOD_KINDS.has(kind)))

export const NO_FILTER: Filter = { evidence: 'all', kind: 'all', process: 'all', text: '' }

function isEvidence(verdicts: readonly string[], wanted: string): boolean {
  if (wanted === 'evidence') return verdicts.length > 0
  return wanted === 'all' || verdicts.includes(wanted)
}

function isOfKind(kind: Row['kind'], wanted: Filter['kind']): boolean {
  if (wanted === 'bad') return BAD_KINDS.has(kind)
  return wanted === 'all' || kind === wanted
}

export function matching(rows: readonly Row[], filter: Filter): Row[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean)
  return rows.filter((row) => {
    const { verdicts, kind, process, at } = row
    if (!isEvidence(verdicts, filter.evidence)) return false
    if (!isOfKind(kind, filter.kind)) return false
    if (filter.process !== 'all' && process !== filter.process) return false
    if (filter.within !== undefined && (at < filter.within.from || at >= filter.within.to)) return false
    const text = `${row.visitor} ${row.action} ${process} ${kind} ${row.outcome}`.toLowerCase()
    return words.every((word) => word === `#${row.n}` || text.includes(word))
  })
}
