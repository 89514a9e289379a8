/** P9: each operation that Redis could not carry out was told exactly once, and decided as told or configured. */
import type { Operation } from '../history.js'
import { decidingWord, type Facts, howSaved } from './facts.js'
import type { Violation } from './violation.js'

export function toldOnce(facts: Facts): Violation[] {
  const stray = facts.history.stores.flatMap(({ id, strayTold }) =>
    strayTold.map((call): Violation => {
      const what = `store ${id}: told of a failed ${call.operation} without its request`
      return { promise: 'P9', what, operations: [] }
    }),
  )
  const each = facts.history.operations.flatMap((operation) => {
    if (facts.unanswered(operation) || operation.settled === undefined) return []
    const what = mistold(facts, operation)
    return what === undefined ? [] : [{ promise: 'P9', what, operations: [operation.id] } as const]
  })
  return [...stray, ...each]
}

function mistold(facts: Facts, operation: Operation): string | undefined {
  const { name, sid, ended, told } = operation
  // A read that starts the session's expiry anew has a touch of its own.
  const calls = told.filter((call) => call.operation === name || !(name === 'get' && call.operation === 'touch'))
  const [least, most] = expectedCalls(facts, operation)
  if (calls.length < least || calls.length > most) {
    const expected = least === most ? `${least}` : `${least} or ${most}`
    return `told ${calls.length} times instead of ${expected}`
  }
  if (told.length - calls.length > 1) return `its background touch was told ${told.length - calls.length} times`
  const foreign = told.find((call) => call.sid !== sid)
  if (foreign !== undefined) return `told with the id ${foreign.sid}`
  if (
    ended?.kind === 'failed' &&
    ended.code === 'EREDISDOWN' &&
    ended.reason !== 'queue-full' &&
    !operation.sameError
  ) {
    return 'told another error than the caller got'
  }
  return undefined
}

/** How often `onRedisDown` is to be called for an operation that ended so: at least and at most. */
function expectedCalls(facts: Facts, operation: Operation): readonly [number, number] {
  const { name, ended } = operation
  if (ended === undefined) return [0, 1]
  switch (ended.kind) {
    case 'failed':
      if (ended.code === 'EREDISDOWN') return [1, 1]
      // A save that failed, and was then refused by what waits.
      return ended.code === 'ESTORECLOSED' ? [0, 0] : [0, 1]
    case 'none':
      // It failed, and the session was destroyed before the copy was served.
      return [0, destroyedMeanwhile(facts, operation) ? 1 : 0]
    case 'blank':
      return [1, 1]
    case 'session':
      if (ended.source === 'redis') return [0, 0]
      // A change that waits is served without asking Redis while Redis answers.
      return ended.source === 'stale' ? [1, 1] : [0, 1]
    case 'done':
      if (name === 'destroy') return decidingWord(facts.history, operation) === 'queue' ? [0, 1] : [0, 0]
      if (howSaved(facts.history, operation) === 'queued') return [waitsBehind(facts, operation) ? 0 : 1, 1]
      return howSaved(facts.history, operation) === 'dropped' ? [1, 1] : [0, 0]
  }
}

/** Behind a change that is being sent, a save waits without being tried. */
function waitsBehind(facts: Facts, save: Operation): boolean {
  const before = facts.queuedSaves(save.store, save.sid).filter((other) => other.settled!.seq < save.settled!.seq)
  return before.length > 0 || facts.sharesItsRequest(save)
}

function destroyedMeanwhile({ history }: Facts, { sid, store, called, settled }: Operation): boolean {
  return history.operations.some((other) => {
    if (other.name !== 'destroy' || other.sid !== sid || other.store !== store) return false
    return other.called.seq > called.seq && other.called.seq < settled!.seq
  })
}

/** What an operation that Redis could not carry out came to is what the handler answered, or else what is configured. */
export function decided(facts: Facts): Violation[] {
  return facts.history.operations.flatMap((operation) => {
    const { id, ended, told, name, content } = operation
    if (ended === undefined || told.length === 0 || told.some((call) => call.operation !== name)) return []
    const word = decidingWord(facts.history, operation)
    const broken = (what: string): Violation[] => [
      { promise: 'policy', what: `${what}, decided by '${word}'`, operations: [id] },
    ]
    if (ended.kind === 'failed') {
      const hopeless = ended.code !== 'EREDISDOWN' || ended.reason === 'queue-full' || ended.reason === 'blank'
      const forgiving = name === 'get' ? ['blank', 'stale-or-blank'].includes(word) : word !== 'fail'
      return forgiving && !hopeless && name !== 'touch' && !(name === 'set' && operation.over) ? broken('failed') : []
    }
    if (ended.kind === 'session' && ended.source === 'stale')
      return word.startsWith('stale') ? [] : broken('served stale')
    if (ended.kind === 'blank') return word.endsWith('blank') ? [] : broken('served blank')
    if (ended.kind === 'done' && (content !== undefined || name === 'destroy')) {
      return word === 'fail' ? broken('answered well') : []
    }
    return []
  })
}
