/** A history as a person reads it: one line an event, in time. */

import { presetName } from './check/facts.js'
import type { Violation } from './check/index.js'
import type { Content, Ending, FoundKey, History, Operation, Write } from './history.js'

/** Settings, violations, then who did what when. */
export function printHistory(history: History, violations: readonly Violation[]): string {
  const { degradation: _, ...settings } = history.settings
  const shown = new Set(violations.flatMap(({ operations }) => operations))
  const lines = [
    ...history.operations.flatMap((operation) => linesOf(history, operation, shown.has(operation.id))),
    ...history.writes.map((write) => ({ at: write.at, text: `      redis: ${writeText(write)}` })),
    ...history.faults.map(({ at, what }) => ({ at, text: `  *** ${what}` })),
    ...history.lags
      .filter(({ ms }) => ms > 15)
      .map(({ at, ms }) => ({ at, text: `  ... a lag of ${ms.toFixed()} ms` })),
    ...history.stores.flatMap(({ id, outcomes, end }) => [
      ...outcomes.map(({ stamp, record, queued }) => ({
        at: stamp.at,
        text: `      store ${id}: ${JSON.stringify(record)}, ${queued} waiting`,
      })),
      ...(end ? [{ at: end.stamp.at, text: `      store ${id}: ${end.how} ${JSON.stringify(end.report ?? '')}` }] : []),
    ]),
    { at: history.end.healedAt, text: '  *** healed' },
    { at: history.end.recoveredAt, text: history.end.recovered ? '  *** recovered' : '  *** NOT recovered' },
  ]
  lines.sort((a, b) => a.at - b.at)
  return [
    ...violations.map(
      ({ promise, what, operations }) => `${promise}: ${what} (operations ${operations.join(', ') || '-'})`,
    ),
    `${presetName(history)} ${JSON.stringify(settings)}, clocks within ${history.clockError.toFixed(2)} ms`,
    ...lines.map(({ at, text }) => `${at.toFixed(1).padStart(8)} ${text}`),
    `at the end: ${Object.entries(history.end.keys).map(foundText).join(', ')}`,
  ].join('\n')
}

function linesOf(history: History, operation: Operation, shown: boolean): { at: number; text: string }[] {
  const { id, name, sid, store, called, settled, ended, content, told, handle, word } = operation
  const mark = shown ? '>>>' : '   '
  const who = `${mark} ${id}. store ${store} ${name} ${sid}`
  const from = history.handles.find((each) => each.id === handle)
  const by = from ? ` by request ${from.id} (${from.source}${from.base ? ` ${from.base}` : ''})` : ''
  const flags = `${operation.over ? ', over' : ''}${operation.remember ? ', remember' : ''}${word ? `, answer ${word}` : ''}`
  return [
    { at: called.at, text: `${who}${content ? ` ${contentText(content)}` : ''}${by}${flags}` },
    ...told.map((call) => ({ at: call.stamp.at, text: `${mark} ${id}.   told: ${call.operation} ${call.reason}` })),
    ...(settled && ended ? [{ at: settled.at, text: `${mark} ${id}.   -> ${endingText(ended)}` }] : []),
    ...(settled ? [] : [{ at: called.at, text: `${mark} ${id}.   never settled` }]),
  ]
}

function endingText(ended: Ending): string {
  switch (ended.kind) {
    case 'session':
      return `${contentText(ended.content)} (${ended.source})`
    case 'done':
      return ended.source ? `done (${ended.source})` : 'done'
    case 'failed':
      return `${ended.code} ${ended.reason ?? ''}`
    default:
      return ended.kind
  }
}

function contentText({ version, a, b, c }: Content): string {
  return `${version}[${[a, b, c].map((value) => value?.split('.')[1] ?? '-').join(' ')}]`
}

function writeText(write: Write): string {
  switch (write.kind) {
    case 'set':
      return `SET ${write.sid} ${contentText(write.content)} for ${write.ttl ?? 'ever'}${write.ifPresent ? ' XX' : ''}`
    case 'server':
      return `another server, with ${Object.entries(write.found).map(foundText).join(', ')}`
    case 'expire':
      return `PEXPIRE ${write.sid} ${write.ttl}`
    default:
      return `${write.kind} ${write.sid}`
  }
}

function foundText([sid, { content, revoked }]: [string, FoundKey]): string {
  return `${sid} ${content ? contentText(content) : 'none'}${revoked ? ' revoked' : ''}`
}
