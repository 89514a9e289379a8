/** P8: what was acknowledged is in Redis, or waited and was written, or its loss was told by one event with a reason. */
import type { Operation, Outcome, StoreLife } from '../history.js'
import { type Facts, howSaved } from './facts.js'
import type { Violation } from './violation.js'

const QUEUE_LOSSES = new Set(['expired', 'overflow', 'shutdown'])

/** Saves that were acknowledged as written are there when they are acknowledged; so is the end of a session. */
export function acknowledged(facts: Facts): Violation[] {
  const { operations, writes } = facts.history
  return operations.flatMap((save) => {
    const { sid, called, settled, ended, content, over, told } = save
    if (ended?.kind !== 'done' || content === undefined || settled === undefined) return []
    if (facts.diedAround(settled.at)) return []
    const inTime = ({ at }: { at: number }): boolean => at >= called.at - facts.slack && at <= settled.at + facts.slack
    if (over) {
      const deleted = writes.some((write) => write.kind === 'delete' && write.sid === sid && inTime(write))
      return deleted || told.length > 0 || destroyedHere(facts, save)
        ? []
        : lost(save, 'its end was never told to Redis')
    }
    if (howSaved(facts.history, save) !== 'written' || (save.remember && notAsave(facts, save))) return []
    const stored = facts.database.stored.some(({ write }) => write.content.version === content.version && inTime(write))
    return stored || facts.sharesItsRequest(save)
      ? []
      : lost(save, `${content.version} was acknowledged and never stored`)
  })

  function lost({ id }: Operation, what: string): Violation[] {
    return [{ promise: 'P8', what, operations: [id] }]
  }
}

/** A touch of a session that was never loaded saves nothing. */
function notAsave(facts: Facts, touch: Operation): boolean {
  return facts.handles.get(touch.handle!)?.source === 'new'
}

function destroyedHere({ history }: Facts, { store, sid, settled }: Operation): boolean {
  return history.operations.some(
    (other) =>
      other.name === 'destroy' && other.store === store && other.sid === sid && other.called.seq < settled!.seq,
  )
}

/** Every save that waited was written in the end, or its store told of as many losses as there are. */
export function queueDrained(facts: Facts): Violation[] {
  return facts.history.stores.flatMap((store) => {
    if (store.end?.how === 'crashed') return []
    const latest = new Map<string, Operation>()
    for (const operation of facts.history.operations) {
      if (operation.store !== store.id) continue
      const saves = facts.queuedSaves(store.id, operation.sid).filter((save) => !facts.superseded(save))
      for (const save of saves) latest.set(save.sid, save)
    }
    const unwritten = [...latest.values()].filter(
      (save) =>
        !overtaken(facts, save) &&
        !facts.database.stored.some(({ write }) => write.content.version === save.content?.version),
    )
    const losses = store.outcomes.filter(isLoss).length
    if (unwritten.length <= losses) return []
    const what = `store ${store.id}: ${unwritten.length} queued saves never reached Redis, ${losses} losses told`
    return [{ promise: 'P8', what, operations: unwritten.map(({ id }) => id) } as const]
  })
}

/** Whether a later save of the same request was written by itself: it had all that this one has. */
function overtaken({ history }: Facts, { handle, called }: Operation): boolean {
  return history.operations.some(
    (other) => other.handle === handle && other.called.seq > called.seq && howSaved(history, other) === 'written',
  )
}

function isLoss({ record }: Outcome): boolean {
  if (record.type === 'dropped') {
    return record.operation === 'set' && (QUEUE_LOSSES.has(record.reason) || record.reason === 'error')
  }
  if (record.type === 'conflict') return record.queued && record.resolution === 'refused'
  return record.type === 'revoked' && record.queued
}

/** Whether an event tells that a save has left the queue. */
function isEnd(outcome: Outcome): boolean {
  return isLoss(outcome) || (outcome.record.type === 'replayed' && outcome.record.operation === 'set')
}

/** Each save that waited has one outcome: the queue is as long as the events say, at every moment. */
export function oneOutcomeEach({ history }: Facts): Violation[] {
  return history.stores.flatMap((store) => {
    const wrong = firstDisagreement(store)
    return wrong === undefined ? [] : [{ promise: 'P8', what: `store ${store.id}: ${wrong}`, operations: [] } as const]
  })
}

function firstDisagreement({ outcomes, holdings, end }: StoreLife): string | undefined {
  let waiting = 0
  let at = 0
  for (const outcome of outcomes) {
    const { record, queued, stamp } = outcome
    const shutdown = record.type === 'dropped' && record.reason === 'shutdown'
    for (; at < holdings.length && holdings[at]!.stamp.seq < stamp.seq && !shutdown; at++) {
      if (holdings[at]!.queuedSaves !== waiting)
        return disagreement(holdings[at]!.queuedSaves, waiting, holdings[at]!.stamp.at)
    }
    if (record.type === 'queued' && record.operation === 'set') {
      // A further change of a session that waits already.
      if (queued === waiting) continue
      waiting++
    } else if (isEnd(outcome)) waiting--
    if (queued !== waiting && !shutdown) return disagreement(queued, waiting, stamp.at)
  }
  const last = holdings.at(-1)
  if (end?.how === 'crashed' || last === undefined) return undefined
  return last.queuedSaves === waiting ? undefined : disagreement(last.queuedSaves, waiting, last.stamp.at)
}

function disagreement(held: number, told: number, at: number): string {
  return `the queue held ${held} saves at ${at.toFixed(1)} ms, its events tell of ${told}`
}

/** What was refused or dropped was told by exactly one event each. */
export function refusalsTold({ history }: Facts): Violation[] {
  return history.stores.flatMap((store) => {
    if (store.end !== undefined) return []
    const own = history.operations.filter((operation) => operation.store === store.id)
    const failed = (code: string): number =>
      own.filter(({ ended }) => ended?.kind === 'failed' && ended.code === code).length
    const told = (matches: (record: Outcome['record']) => boolean): number =>
      store.outcomes.filter(({ record }) => matches(record)).length
    const dropped = own.filter((save) => howSaved(history, save) === 'dropped').length
    const touches = [...own, { told: store.strayTold }]
      .flatMap((each) => each.told)
      .filter((call) => call.operation === 'touch')
    const pairs: [string, number, number][] = [
      [
        'conflicts',
        failed('ESESSIONCONFLICT'),
        told((record) => record.type === 'conflict' && !record.queued && record.resolution === 'refused'),
      ],
      ['revocations', failed('ESESSIONREVOKED'), told((record) => record.type === 'revoked' && !record.queued)],
      [
        'dropped saves',
        dropped,
        told((record) => record.type === 'dropped' && record.operation === 'set' && !isLoss({ record } as Outcome)),
      ],
      ['dropped touches', touches.length, told((record) => record.type === 'dropped' && record.operation === 'touch')],
    ]
    return pairs.flatMap(([name, happened, events]) => {
      const what = `store ${store.id}: ${happened} ${name}, ${events} events of them`
      return happened === events ? [] : [{ promise: 'P8', what, operations: [] } as const]
    })
  })
}
