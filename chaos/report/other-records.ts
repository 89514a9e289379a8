import type { HistoryRecord, RequestRecord } from '../records.js'
import type { OtherRecord, Verdict } from './model.js'

/** The evidence that is no request, as lines of the table. Pure. */
export function otherRecords(records: readonly HistoryRecord[], verdicts: readonly Verdict[]): OtherRecord[] {
  const named = new Set(verdicts.flatMap(({ evidence }) => evidence.flatMap((piece) => piece.records)))
  const visitors = new Map<number | undefined, string>()
  for (const record of records) if (record.kind === 'request') visitors.set(record.id, record.visitor)
  return [...named].flatMap((number) => {
    const record = records[number]
    if (record === undefined || record.kind === 'request' || record.kind === 'end') return []
    return [
      { ...NOBODY, ...lineOf(record, (request) => visitors.get(request) ?? ''), record: number, what: record.kind },
    ]
  })
}

const NOBODY = { visitor: '', action: '', process: '' }

type Line = Omit<OtherRecord, 'record' | 'what' | keyof typeof NOBODY> & Partial<typeof NOBODY>

function lineOf(
  record: Exclude<HistoryRecord, RequestRecord | { kind: 'end' }>,
  visitorOf: (request: number | undefined) => string,
): Line {
  switch (record.kind) {
    case 'operation': {
      const { operation: action, process, request, start: at, end, outcome = 'never settled', reason = '' } = record
      const took = end === undefined ? {} : { waited: end - at }
      return { action, process, visitor: visitorOf(request), at, outcome: `${outcome} ${reason}`.trim(), ...took }
    }
    case 'told': {
      const { operation, process, request, at, reason } = record
      return { action: 'onRedisDown', process, visitor: visitorOf(request), at, outcome: `${operation} ${reason}` }
    }
    case 'event': {
      const { name: action, process, at, detail } = record
      return { action, process, at, outcome: Object.values(detail).filter(isWord).join(' ') }
    }
    case 'fault': {
      const { fault: action, at, target, end } = record
      return { action, at, outcome: target, ...(end === undefined ? {} : { waited: end - at }) }
    }
    case 'process':
      return { action: record.event, process: record.process, at: record.at, outcome: record.how ?? '' }
    case 'sample': {
      const { process, at, stall, store } = record
      return { action: 'sample', process, at, outcome: `stood still for ${stall.toFixed()} ms, ${store?.status ?? ''}` }
    }
    case 'audit': {
      const { visitor, at, stay, found, missing } = record
      const state = found === undefined ? 'nobody could tell' : found ? 'session open' : 'no session'
      return { action: 'asked at the end', visitor, at, outcome: `${stay}: ${state}, ${missing.length} items missing` }
    }
  }
}

function isWord(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number'
}
