/** P6: what is served without Redis was confirmed recently enough, has not ended, and is the latest this store knows. */
import type { Content, Operation, StoreLife } from '../history.js'
import { signature } from './database.js'
import { type Facts, howSaved } from './facts.js'
import type { Violation } from './violation.js'

/** A value that a store learned from Redis, at some moment between these on its own clock. */
interface Confirmation {
  readonly content: string
  readonly from: number
  readonly to: number
  /** A replay's moment is known less well. */
  readonly exact: boolean
}

const SLACK = 5

export function staleness(facts: Facts): Violation[] {
  return facts.history.operations.flatMap((get) => {
    const { id, ended, settled } = get
    if (ended?.kind !== 'session' || settled === undefined) return []
    const what =
      ended.source === 'stale'
        ? staleServed(facts, get, ended.content)
        : ended.source === 'queued'
          ? queuedServed(facts, get, ended.content)
          : undefined
    const over = ended.source === 'redis' ? undefined : overServed(facts, get)
    return [what, over].flatMap((text) =>
      text === undefined ? [] : [{ promise: 'P6', what: text, operations: [id] } as const],
    )
  })
}

function staleServed(facts: Facts, get: Operation, content: Content): string | undefined {
  const maxStale = facts.history.settings.cache?.maxStale ?? 0
  const all = confirmations(facts, get)
  const known = all.filter((each) => each.content === signature(content) && each.from <= get.settled!.clock)
  if (known.length === 0) return `served ${content.version}, which Redis never confirmed to this store`
  const latest = Math.max(...known.map(({ to }) => to))
  const age = get.called.clock - latest
  if (age > maxStale + SLACK)
    return `served ${content.version}, confirmed ${age.toFixed()} ms ago, of at most ${maxStale}`
  const newer = all.find(
    (each) => each.exact && each.from > latest && each.to < get.called.clock && each.content !== signature(content),
  )
  return newer && `served ${content.version} although this store had a newer confirmation of ${newer.content}`
}

function queuedServed(facts: Facts, get: Operation, content: Content): string | undefined {
  const queued = facts.queuedSaves(get.store, get.sid).filter((save) => save.called.seq < get.settled!.seq)
  const served = queued.find((save) => save.content?.version === content.version)
  if (served === undefined) return `served ${content.version} as waiting, which it never took into its queue`
  const newer = queued.find(
    (save) => save.called.seq > served.settled!.seq && save.settled!.seq < get.called.seq && save !== served,
  )
  if (newer !== undefined) return `served ${content.version} although ${newer.content?.version} had been taken since`
  const { maxAge } = facts.history.settings.queue
  const bases = queued.map((save) => baseConfirmed(facts, save))
  const age = get.called.clock - Math.max(...bases)
  return age > maxAge + SLACK ? `served a waiting change ${age.toFixed()} ms old, of at most ${maxAge}` : undefined
}

/**
 * The latest moment at which Redis may have confirmed what a queued save was made from: when it was read, saved or
 * replayed, or compared with what was stored; its own moment for a new session.
 */
function baseConfirmed(facts: Facts, save: Operation): number {
  const handle = facts.handles.get(save.handle!)!
  const confirmed = facts.history.operations
    .filter(
      (each) =>
        each.id === handle.loadedBy ||
        (each.handle === save.handle &&
          (each.settled?.seq ?? Number.POSITIVE_INFINITY) < save.settled!.seq &&
          mayHaveCompared(facts, each)),
    )
    .map((each) => each.settled!.clock)
  const lineage = facts.lineage(handle)
  const replayed = facts.database.stored
    .filter(({ write }) => lineage.has(write.content.version) && write.at <= save.settled!.at)
    .map(({ write }) => facts.clockAt(facts.store(save), write.at))
  const known = [...confirmed, ...replayed, ...(mayHaveCompared(facts, save) ? [save.settled!.clock] : [])]
  return known.length > 0 ? Math.max(...known) : save.settled!.clock
}

/** Whether a save had an answer from Redis, be it only of its first round trip. */
function mayHaveCompared({ history }: Facts, save: Operation): boolean {
  if (howSaved(history, save) === 'written') return true
  return save.told.some(({ reason }) => reason === 'timeout' || reason === 'reset')
}

/** Served although every expiry that was ever set for it, here or in Redis, had passed on the store's clock. */
function overServed(facts: Facts, get: Operation): string | undefined {
  const store = facts.store(get)
  const ends: number[] = []
  for (const write of facts.history.writes) {
    if (write.kind !== 'set' && write.kind !== 'expire') continue
    if (write.sid !== get.sid || write.at > get.settled!.at + facts.slack) continue
    ends.push(facts.clockAt(store, write.at) + (write.ttl ?? Number.POSITIVE_INFINITY))
  }
  const ofSession = facts.history.operations.filter(({ sid }) => sid === get.sid)
  const life = Math.max(...ofSession.map(({ content }) => content?.life ?? 0))
  const waiting = get.ended?.kind === 'session' && get.ended.source === 'queued'
  for (const { store: by, settled, handle, ended } of ofSession) {
    // A change that waits, and a touch of it, count their own time.
    if (by !== get.store || handle === undefined || settled === undefined || settled.seq > get.settled!.seq) continue
    if (ended?.kind === 'done' || waiting) ends.push(settled.clock + Math.ceil(life / 1_000) * 1_000)
  }
  for (const { store: by, sid, called, settled, ended } of facts.history.operations) {
    // Redis said that it lived on, so that its end is as far from then as it was by Redis's own time.
    if (by !== get.store || sid !== get.sid || settled === undefined || settled.seq > get.settled!.seq) continue
    if (ended?.kind !== 'session' || ended.source !== 'redis') continue
    const asked = settled.at + facts.history.settings.timeout
    ends.push(settled.clock + endInRedis(facts, get.sid, asked) - called.at)
  }
  const end = Math.max(...ends)
  const past = get.called.clock - end
  return past > SLACK + facts.slack ? `served ${past.toFixed()} ms after the session's end` : undefined
}

/** The latest end that Redis had ever been told of by then. */
function endInRedis({ history }: Facts, sid: string, by: number): number {
  const ends = history.writes.map((write) => {
    if (write.kind === 'server') return write.at + (write.found[sid]?.ttl ?? 0)
    const sets = (write.kind === 'set' || write.kind === 'expire') && write.sid === sid && write.at <= by
    return sets ? write.at + (write.ttl ?? Number.POSITIVE_INFINITY) : 0
  })
  return Math.max(...ends)
}

function confirmations(facts: Facts, { store, sid, settled }: Operation): Confirmation[] {
  const life = facts.stores.get(store) as StoreLife
  const found: Confirmation[] = []
  for (const operation of facts.history.operations) {
    if (operation.store !== store || operation.sid !== sid || operation.settled === undefined) continue
    if (operation.called.seq > settled!.seq) continue
    const span = { from: operation.called.clock, to: operation.settled.clock, exact: true }
    const { ended } = operation
    if (ended?.kind === 'session' && ended.source === 'redis')
      found.push({ ...span, content: signature(ended.content) })
    const saved = howSaved(facts.history, operation)
    if (saved !== 'written' && saved !== 'queued') continue
    for (const { write } of facts.database.stored) {
      if (write.content.version !== operation.content?.version) continue
      const content = signature(write.content)
      if (saved === 'written') found.push({ ...span, content })
      else {
        const at = facts.clockAt(life, write.at)
        const spread = facts.history.settings.timeout + facts.slack
        found.push({ content, from: at - spread, to: at + spread, exact: false })
      }
    }
    // Whether it was stored is another check's business.
    if (saved === 'written') found.push({ ...span, content: signature(operation.content!) })
  }
  return found
}
