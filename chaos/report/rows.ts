/** What the page lists: all evidence, requests that went wrong up to a limit, and a sample of the others. Pure. */
import { type Exchange, GOOD_KINDS, type Kind, type StoreRun, type Verdict } from './model.js'

/** A record that is no request: `other operation`. */
export type Other = `other ${string}`

/** A line of the table, short names for a small page. */
export interface Row {
  /** The record's number. */
  readonly n: number
  /** When it was sent, or when it happened, in ms. */
  readonly at: number
  readonly visitor: string
  readonly action: string
  readonly process: string
  /** What the visitor got; for what is no request, what it is: `operation`, `audit`. */
  readonly kind: Kind | Other
  readonly outcome: string
  /** How long it took, in ms; absent for what takes no time. */
  readonly waited?: number
  /** What it is evidence against: `P3`; empty for a row of the sample. */
  readonly verdicts: readonly string[]
}

export interface RowLimits {
  /** Evidence rows of one verdict. */
  readonly evidence: number
  /** Rows that got no good answer and are no evidence. */
  readonly bad: number
  /** Other rows, spread over the run. */
  readonly sample: number
}

export const ROW_LIMITS: RowLimits = { evidence: 200, bad: 400, sample: 200 }

export function rowsOf(run: StoreRun, limits: RowLimits = ROW_LIMITS): Row[] {
  const { exchanges, others } = run
  const verdicts = verdictsByRecord([...run.promises, ...run.besides], limits.evidence)
  const rest = exchanges.filter(({ record }) => !verdicts.has(record))
  const isGood = ({ kind }: Exchange) => GOOD_KINDS.has(kind)
  const good = spread(rest.filter(isGood), limits.sample)
  const bad = spread(
    rest.filter((exchange) => !isGood(exchange)),
    limits.bad,
  )
  const requests = [...exchanges.filter(({ record }) => verdicts.has(record)), ...good, ...bad]
  const rows: Omit<Row, 'verdicts'>[] = [
    ...requests.map(({ record, start, visitor, action, process, kind, outcome, waited }) => ({
      n: record,
      at: round(start),
      visitor,
      action,
      process,
      kind,
      outcome,
      waited: round(waited),
    })),
    ...others
      .filter(({ record }) => verdicts.has(record))
      .map(({ record, what, at, visitor, action, process, outcome, waited }) => ({
        n: record,
        at: round(at),
        visitor,
        action,
        process,
        kind: `other ${what}` as const,
        outcome,
        ...(waited === undefined ? {} : { waited: round(waited) }),
      })),
  ]
  return rows.map((row) => ({ ...row, verdicts: verdicts.get(row.n) ?? [] })).sort((a, b) => a.at - b.at)
}

/** Which verdicts each record is evidence for; of one verdict no more than `limit` records. */
function verdictsByRecord(verdicts: readonly Verdict[], limit: number): Map<number, string[]> {
  const byRecord = new Map<number, string[]>()
  for (const { id, evidence } of verdicts) {
    const records = new Set(evidence.flatMap((piece) => piece.records))
    for (const record of [...records].slice(0, limit)) {
      const known = byRecord.get(record)
      if (known === undefined) byRecord.set(record, [id])
      else known.push(id)
    }
  }
  return byRecord
}

/** At most `limit` of these, at even distances. */
function spread<T>(items: readonly T[], limit: number): T[] {
  if (items.length <= limit) return [...items]
  return Array.from({ length: limit }, (_, index) => items[Math.floor((index * items.length) / limit)]!)
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10
}
