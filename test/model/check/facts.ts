/** A history by id, with what several checks ask of it. */
import { PRESETS, WORDS } from '../../../src/policy.js'
import type { Handle, History, Operation, StoreLife } from '../history.js'
import { type Database, databaseOf, slackOf } from './database.js'

/** What one turn of the event loop takes at most, ms. */
const SAME_TURN = 5

export class Facts {
  readonly history: History
  readonly database: Database
  readonly slack: number
  readonly stores: ReadonlyMap<number, StoreLife>
  readonly handles: ReadonlyMap<number, Handle>
  /** What may have written a version: the save it was made for, and touches that became saves. */
  readonly savesOf = new Map<string, Operation[]>()
  readonly #handleOf = new Map<string, Handle>()
  readonly #versionsOf = new Map<number, Set<string>>()

  constructor(history: History) {
    this.history = history
    this.database = databaseOf(history)
    this.slack = slackOf(history)
    this.stores = new Map(history.stores.map((store) => [store.id, store]))
    this.handles = new Map(history.handles.map((handle) => [handle.id, handle]))
    for (const operation of history.operations) {
      const { content, handle: id } = operation
      if (content?.version === undefined || id === undefined) continue
      group(this.savesOf, content.version).push(operation)
      const handle = this.handles.get(id) as Handle
      if (!this.#handleOf.has(content.version)) this.#handleOf.set(content.version, handle)
      const versions = this.#versionsOf.get(id) ?? new Set()
      this.#versionsOf.set(id, versions.add(content.version))
    }
  }

  store(operation: Operation): StoreLife {
    return this.stores.get(operation.store) as StoreLife
  }

  /** Whether this operation's process crashed before it was answered: nobody knows what became of it. */
  unanswered(operation: Operation): boolean {
    return operation.settled === undefined && this.store(operation).end?.how === 'crashed'
  }

  /** The request's session that made a version. */
  makerOf(version: string): Handle | undefined {
    return this.#handleOf.get(version)
  }

  /** Versions a request made itself. */
  versionsOf(handle: Handle): ReadonlySet<string> {
    return this.#versionsOf.get(handle.id) ?? new Set()
  }

  /**
   * What a request's save may replace by right: what its session was loaded as and what it has written itself; where
   * it was loaded from a change that waited, also what that change was made from.
   */
  lineage(handle: Handle, seen = new Set<number>()): Set<string> {
    if (seen.has(handle.id)) return new Set()
    seen.add(handle.id)
    const line = new Set(this.versionsOf(handle))
    if (handle.base === undefined) return line
    line.add(handle.base)
    const maker = handle.source === 'queued' ? this.makerOf(handle.base) : undefined
    if (maker !== undefined) for (const version of this.lineage(maker, seen)) line.add(version)
    return line
  }

  /** Saves of this session that this store has taken into its queue, in the order of their acknowledgement. */
  queuedSaves(store: number, sid: string): Operation[] {
    return this.history.operations
      .filter((each) => each.store === store && each.sid === sid && howSaved(this.history, each) === 'queued')
      .sort((a, b) => (a.settled?.seq ?? 0) - (b.settled?.seq ?? 0))
  }

  /** Whether a later save of the same request was kept before this one ended: it has all that this one has. */
  superseded({ handle, called, settled }: Operation): boolean {
    return this.history.operations.some(
      (other) =>
        other.handle === handle &&
        other.content !== undefined &&
        other.called.seq > called.seq &&
        other.ended?.kind === 'done' &&
        howSaved(this.history, other) !== 'dropped' &&
        // The two may be answered in one turn, in any order.
        other.settled!.at <= (settled?.at ?? Number.POSITIVE_INFINITY) + SAME_TURN,
    )
  }

  /** Whether another save of the same request ran meanwhile: where the session is now may have been said of that one. */
  sharesItsRequest({ id, handle, called, settled }: Operation): boolean {
    return this.history.operations.some(
      (other) =>
        other.id !== id &&
        other.handle === handle &&
        other.content !== undefined &&
        other.called.seq < (settled?.seq ?? Number.POSITIVE_INFINITY) &&
        (other.settled?.seq ?? Number.POSITIVE_INFINITY) > called.seq,
    )
  }

  /** How much this process stole from its operations between these, ms. */
  lagDuring(from: number, to: number): number {
    let sum = 0
    for (const { at, ms } of this.history.lags) if (at >= from && at - ms <= to) sum += ms
    return sum
  }

  /** The latest moment at which a save that is on its way may be carried out. */
  deadlineOf({ called }: Operation): number {
    const { timeout, serializerMs } = this.history.settings
    const deadline = called.at + timeout + serializerMs
    // The serializer's own timer is late too.
    return deadline + this.lagDuring(called.at, deadline + 100) + (serializerMs > 0 ? 5 : 0)
  }

  /** Whether a server died so close to this moment that what it did then may have gone untold. */
  diedAround(at: number): boolean {
    return this.history.writes.some((write) => write.kind === 'server' && at > write.diedAt - 5 && at < write.at + 5)
  }

  /** Whether another server process answered for the first time in this span. */
  serverChanged(from: number, to: number): boolean {
    return this.history.writes.some((write) => write.kind === 'server' && write.diedAt <= to && write.at >= from)
  }

  /** A store's monotonic clock at a moment of the history. */
  clockAt({ advances }: StoreLife, at: number): number {
    return advances.reduce((clock, advance) => (advance.at <= at ? clock + advance.by : clock), at)
  }
}

/** The word that decides an operation that Redis could not carry out. */
export function decidingWord({ settings: { degradation } }: History, operation: Operation): string {
  const kind = operation.name === 'get' ? 'read' : operation.name === 'destroy' ? 'destroy' : 'save'
  const words: readonly string[] = WORDS[kind]
  return operation.word !== undefined && words.includes(operation.word) ? operation.word : degradation[kind]
}

/**
 * What became of a save that its caller was told is done: written at once, taken into the queue, or dropped as the
 * policy says.
 */
export function howSaved(history: History, operation: Operation): 'written' | 'queued' | 'dropped' | undefined {
  const { content, ended, told, over } = operation
  if (content === undefined || ended?.kind !== 'done' || touchedInVain(history, operation)) return undefined
  if (told.length > 0 && decidingWord(history, operation) === 'drop') return 'dropped'
  // Over by its own cookie it is a delete.
  if (over) return undefined
  if (told.length > 0) return 'queued'
  return ended.source === 'redis' ? 'written' : ended.source === 'queued' ? 'queued' : undefined
}

/** A touch of what this store knows to be destroyed does nothing, and says nothing. */
function touchedInVain(history: History, touch: Operation): boolean {
  return touch.name === 'touch' && touch.told.length === 0 && knewDestroyed(history, touch)
}

/** Whether an operation's store knew by its end that the session was destroyed: by itself, or from a save's answer. */
export function knewDestroyed({ operations, writes, stores }: History, { store, sid, settled }: Operation): boolean {
  const by = settled!.seq
  const own = operations.filter((other) => other.store === store && other.sid === sid && other.called.seq < by)
  if (own.some(({ name }) => name === 'destroy')) return true
  // Redis told it: to a save that was refused, or to a replay. That shows before the save's caller hears of it.
  const { outcomes } = stores.find(({ id }) => id === store) as StoreLife
  const saves = own.filter(({ content }) => content !== undefined)
  return outcomes.some(({ record, stamp }) => {
    if (record.type !== 'revoked' || record.reason !== 'revoked' || stamp.seq > by) return false
    const marked = writes.some((write) => write.kind === 'revoke' && write.sid === sid && write.at <= stamp.at)
    return marked && saves.some(({ called }) => called.seq < stamp.seq)
  })
}

/** The preset by its name, for reports. */
export function presetName({ settings: { degradation } }: History): string {
  const same = Object.entries(PRESETS).find(([, preset]) => JSON.stringify(preset) === JSON.stringify(degradation))
  return same?.[0] ?? JSON.stringify(degradation)
}

function group<Key, Value>(map: Map<Key, Value[]>, key: Key): Value[] {
  const known = map.get(key)
  if (known !== undefined) return known
  const fresh: Value[] = []
  map.set(key, fresh)
  return fresh
}
