/** P4, over what Redis carried out: nothing destroyed comes back, and nothing late replaces what is newer. */
import type { Handle, Operation } from '../history.js'
import { FIELDS } from '../steps.js'
import { type State, type Stored, signature, surelyEmpty } from './database.js'
import { type Facts, howSaved } from './facts.js'
import type { Violation } from './violation.js'

/** Reasons that say that nothing was sent. */
const NEVER_SENT = new Set(['circuit-open', 'overloaded', 'blank', 'queue-full'])
/** How long a store that is being closed goes on, ms. */
const CLOSING = 600

/** Every value that was stored had the right to be. */
export function resurrection(facts: Facts): Violation[] {
  return facts.database.stored.flatMap((stored) => {
    const { write, before } = stored
    const saves = facts.savesOf.get(write.content.version) ?? []
    const broken = (what: string): Violation => ({ promise: 'P4', what, operations: saves.map(({ id }) => id) })
    if (before.revokedUntil > write.at) return [broken(`${write.content.version} was stored over a revocation`)]
    if (saves.some((save) => destroyedBefore(facts, save))) {
      return [broken(`${write.content.version} was saved after its store had destroyed the session`)]
    }
    const limit = Math.max(...saves.map((save) => mayBeStoredUntil(facts, save)))
    if (write.at > limit + facts.slack) {
      const late = Number.isFinite(limit) ? `${(write.at - limit).toFixed(1)} ms too late` : 'although it was refused'
      return [broken(`${write.content.version} was stored ${late}`)]
    }
    const save = saves[0]
    if (save === undefined) return []
    if (surelyEmpty(before, write.at, facts.slack)) {
      const created = before.content === undefined && neverStored(facts, stored)
      if (created || mayCreate(facts, save, write.at)) return []
      return [broken(`${write.content.version} brought a deleted session back`)]
    }
    return before.content === undefined || mayReplace(facts, stored, before, save)
      ? []
      : [broken(`${write.content.version} replaced ${before.content.version}, which it was not made from`)]
  })
}

/** Until when a save may reach Redis; at minus infinity never. */
export function mayBeStoredUntil(facts: Facts, save: Operation): number {
  const { ended, settled, told } = save
  const end = facts.store(save).end
  const crashed = end?.how === 'crashed' ? end.stamp.at : Number.POSITIVE_INFINITY
  const deadline = facts.deadlineOf(save)
  if (ended === undefined || settled === undefined) {
    // Nobody knows; it may have been queued before the crash.
    return Math.max(deadline, crashed + facts.history.settings.timeout)
  }
  if (ended.kind === 'failed') {
    const [first] = told
    if (first === undefined || (NEVER_SENT.has(first.reason) && ended.reason !== 'timeout'))
      return Number.NEGATIVE_INFINITY
    return ended.reason === 'timeout' ? settled.at : Math.max(settled.at, deadline)
  }
  switch (howSaved(facts.history, save)) {
    case 'queued': {
      const closed = end?.how === 'closed' ? end.stamp.at + CLOSING : Number.POSITIVE_INFINITY
      return Math.min(closed, crashed + facts.history.settings.timeout + facts.slack)
    }
    case 'dropped':
      return NEVER_SENT.has(told[0]?.reason ?? '') ? Number.NEGATIVE_INFINITY : Math.max(settled.at, deadline)
    default:
      return settled.at
  }
}

function destroyedBefore({ history }: Facts, { store, sid, called }: Operation): boolean {
  return history.operations.some(
    (other) => other.name === 'destroy' && other.store === store && other.sid === sid && other.called.seq < called.seq,
  )
}

/** Nothing was ever there: neither deleted nor lost. */
function neverStored({ database }: Facts, { write }: Stored): boolean {
  const first = database.states.get(write.sid)?.find(({ content }) => content !== undefined)
  return first === undefined || first.from >= write.at
}

/** A new session, or one that another server has lost. */
function mayCreate(facts: Facts, save: Operation, at: number): boolean {
  const handle = facts.handles.get(save.handle!) as Handle
  if (isNew(facts, handle, save)) return true
  const { restoreLost, degradation } = facts.history.settings
  if (!(restoreLost ?? degradation.save === 'queue')) return false
  const loads = line(facts, handle)
  // A copy was confirmed by some earlier read or save here.
  const copied = handle.source === 'stale'
  const before = facts.history.operations.filter(
    (each) =>
      loads.has(each.id) ||
      each.handle === handle.id ||
      (copied && each.store === handle.store && each.sid === handle.sid),
  )
  const since = Math.min(...before.map(({ called }) => called.at))
  return facts.serverChanged(since, at)
}

/** Redis has never confirmed it to this request, nor to the one whose waiting change it was loaded as. */
function isNew(facts: Facts, handle: Handle, save: Operation): boolean {
  const confirmed = facts.history.operations.some(
    (other) =>
      other.handle === handle.id &&
      other.settled !== undefined &&
      other.settled.seq < save.called.seq &&
      howSaved(facts.history, other) === 'written',
  )
  if (confirmed) return false
  if (handle.source === 'new') return true
  const maker = handle.source === 'queued' && handle.base !== undefined ? facts.makerOf(handle.base) : undefined
  return maker !== undefined && maker !== handle && isNew(facts, maker, save)
}

/** Ids of the loads behind a request's session. */
function line(facts: Facts, handle: Handle, ids = new Set<number>()): Set<number> {
  if (handle.loadedBy === undefined || ids.has(handle.loadedBy)) return ids
  ids.add(handle.loadedBy)
  const maker = handle.base === undefined ? undefined : facts.makerOf(handle.base)
  return handle.source === 'queued' && maker !== undefined ? line(facts, maker, ids) : ids
}

/** What is there was made by the same request, later, and acknowledged. */
function replacesItsOwnNext({ savesOf }: Facts, { content }: State, save: Operation, at: number): boolean {
  return (savesOf.get(content!.version) ?? []).some(
    (next) =>
      next.handle === save.handle &&
      next.called.seq > save.called.seq &&
      next.ended?.kind === 'done' &&
      next.settled!.at < at,
  )
}

/** Served stale or from the queue, and not confirmed to its request since. */
function isCompared({ history }: Facts, { id, source }: Handle, { settled }: Operation): boolean {
  if (source !== 'stale' && source !== 'queued') return false
  const until = settled?.seq ?? Number.POSITIVE_INFINITY
  return !history.operations.some(
    (other) => other.handle === id && howSaved(history, other) === 'written' && other.settled!.seq < until,
  )
}

/** It replaces what it was made from, or takes over what it was not made from, or need not look. */
function mayReplace(facts: Facts, { write }: Stored, before: State, save: Operation): boolean {
  const theirs = before.content!
  if (signature(theirs) === signature(write.content)) return true
  const handle = facts.handles.get(save.handle!) as Handle
  const replay = write.at > facts.deadlineOf(save) + facts.slack
  if (replay && replacesItsOwnNext(facts, before, save, write.at)) return false
  const { concurrency } = facts.history.settings
  if (concurrency === 'last-write' && !replay && !isCompared(facts, handle, save)) return true
  const makers = new Set([handle])
  if (howSaved(facts.history, save) === 'queued' || save.settled === undefined) {
    for (const other of facts.queuedSaves(save.store, save.sid)) makers.add(facts.handles.get(other.handle!) as Handle)
  }
  const lineage = new Set([...makers].flatMap((maker) => [...facts.lineage(maker)]))
  if (lineage.has(theirs.version)) return true
  if (concurrency !== 'merge') return false
  return FIELDS.every((field) => {
    const value = write.content[field]
    return (
      value === theirs[field] ||
      (value !== undefined && [...makers].some((maker) => facts.versionsOf(maker).has(value)))
    )
  })
}

/** At the end no destroyed session is there. */
export function ghosts(facts: Facts): Violation[] {
  const { operations, end, writes } = facts.history
  return operations.flatMap((destroy) => {
    if (destroy.name !== 'destroy' || end.keys[destroy.sid]?.content === undefined) return []
    const { end: gone } = facts.store(destroy)
    const violation: Violation = { promise: 'P4', what: `destroyed, and there at the end`, operations: [destroy.id] }
    if (gone === undefined) return [violation]
    // What only a store knew that is gone: not applied by then, or lost again by the server afterwards.
    const applied = writes.some(
      (write) => write.kind === 'revoke' && write.sid === destroy.sid && write.at >= destroy.called.at - facts.slack,
    )
    const unapplied = !applied && (gone.how === 'crashed' || (gone.report?.droppedDestroys ?? 0) > 0)
    const lost = facts.serverChanged(destroy.called.at, end.recoveredAt)
    const refused = destroy.ended?.kind === 'failed' && destroy.ended.code === 'ESTORECLOSED'
    return unapplied || lost || refused ? [] : [violation]
  })
}
