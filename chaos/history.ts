import type { HistoryRecord } from './records.js'

export type * from './records.js'

type OfKind<Kind extends HistoryRecord['kind']> = Extract<HistoryRecord, { kind: Kind }>

/** A run's history: append only. Requests, operations and faults are completed in place when their end is known. */
export class History {
  readonly records: HistoryRecord[] = []
  readonly #byKind = new Map<HistoryRecord['kind'], HistoryRecord[]>()
  readonly #numbers = new Map<HistoryRecord, number>()

  constructor(records: Iterable<HistoryRecord> = []) {
    for (const record of records) this.add(record)
  }

  add(record: HistoryRecord): void {
    this.#numbers.set(record, this.records.length)
    this.records.push(record)
    const known = this.#byKind.get(record.kind)
    if (known === undefined) this.#byKind.set(record.kind, [record])
    else known.push(record)
  }

  /** All records of a kind, in their order. */
  of<Kind extends HistoryRecord['kind']>(kind: Kind): readonly OfKind<Kind>[] {
    return (this.#byKind.get(kind) ?? []) as OfKind<Kind>[]
  }

  /** A record's number. @throws {RangeError} for a record that is not part of this history. */
  numberOf(record: HistoryRecord): number {
    const number = this.#numbers.get(record)
    if (number === undefined) throw new RangeError(`no such ${record.kind} in this history`)
    return number
  }
}
