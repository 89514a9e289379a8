/** Saves and deletes that wait in memory until Redis is back: one per session, bounded. Holds them; `replay.ts` sends them. */
import type { QueueOptions } from './options.js'
import type { Provenance } from './provenance.js'
import { owned, type Raw } from './redis/sessions.js'

/** The latest state of a session that Redis has not acknowledged. */
export interface PendingSave {
  readonly sid: string
  /** What the session was loaded from; `undefined` where nothing was stored. */
  base: Raw | undefined
  /** Which server confirmed the base: its `run_id`, where known. */
  server?: string | undefined
  /** SHA-1 digests of earlier payloads of this process that Redis may have applied: to replace them is no conflict. */
  readonly attempts: Set<string>
  payload: Raw
  /** The session's end, monotonic ms; Infinity for none. */
  expiresAt: number
  /** May be served from here until then, monotonic ms. */
  readonly servedUntil: number
  readonly queuedAt: number
  /** The session behind the payload, and which of its saves it is. */
  from?: { readonly provenance: Provenance; readonly order: number } | undefined
  /** Counts the payloads, so that a replay knows whether it sent the latest. */
  version: number
}

/** A delete that Redis has not acknowledged. */
export interface PendingDestroy {
  readonly sid: string
  readonly queuedAt: number
}

/** What a save adds to the queue. */
export type NewSave = Omit<PendingSave, 'version' | 'attempts'> & { readonly attempts: Iterable<string> }

/** Deletes held at most. At the bound pending saves make room; with none left, deletes are refused. */
const MAX_DESTROYS = 100_000

/** Digests remembered for one session; the newest count. */
const MAX_ATTEMPTS = 64

export class WriteQueue {
  readonly #options: Readonly<Required<QueueOptions>>
  readonly #maxDestroys: number
  readonly #saves = new Map<string, PendingSave>()
  readonly #destroys = new Map<string, PendingDestroy>()
  #bytes = 0
  #saturated = false
  #closed = false

  constructor(options: Readonly<Required<QueueOptions>>, maxDestroys: number = MAX_DESTROYS) {
    this.#options = options
    this.#maxDestroys = maxDestroys
  }

  get saves(): ReadonlyMap<string, PendingSave> {
    return this.#saves
  }

  get destroys(): ReadonlyMap<string, PendingDestroy> {
    return this.#destroys
  }

  get bytes(): number {
    return this.#bytes
  }

  /** A delete was refused for want of room: nothing this process remembers can be trusted until it has drained. */
  get saturated(): boolean {
    return this.#saturated
  }

  /** Takes a session's latest state; false when the queue is full. A known session may still be refused for its bytes. */
  addSave(save: NewSave): boolean {
    if (this.#closed) return false
    const known = this.#saves.get(save.sid)
    const bytes = sizeOf(save.payload) + (known === undefined ? overhead(save.sid, save.base) : 0)
    const freed = known === undefined ? 0 : sizeOf(known.payload)
    if (known === undefined && this.#saves.size >= this.#options.max) return false
    if (this.#destroys.size >= this.#maxDestroys) return false
    if (this.#bytes + bytes - freed > this.#options.maxBytes) return false
    this.#bytes += bytes - freed
    if (known === undefined) {
      const base = save.base === undefined ? undefined : owned(save.base)
      const payload = owned(save.payload)
      this.#saves.set(save.sid, { ...save, base, payload, attempts: new Set(save.attempts), version: 0 })
    } else {
      known.payload = owned(save.payload)
      known.from = save.from
      known.expiresAt = save.expiresAt
      known.version++
      for (const digest of save.attempts) noteAttempt(known, digest)
    }
    return true
  }

  /** What was pending is written, refused or of no use any more. */
  removeSave(sid: string): PendingSave | undefined {
    const save = this.#saves.get(sid)
    if (save === undefined) return undefined
    this.#saves.delete(sid)
    this.#bytes -= sizeOf(save.payload) + overhead(sid, save.base)
    return save
  }

  /** The session was touched: what waits lives until then (monotonic ms). */
  extend(sid: string, expiresAt: number): void {
    const save = this.#saves.get(sid)
    if (save !== undefined) save.expiresAt = expiresAt
  }

  /**
   * What waits is now made from something newer: what was sent is written, but the session has changed again since; or
   * somebody else's change was merged in. Nothing for one that waits no longer.
   */
  rebase(save: PendingSave, base: Raw, payload: Raw = save.payload): void {
    if (this.#saves.get(save.sid) !== save) return
    this.#bytes += sizeOf(base) - (save.base === undefined ? 0 : sizeOf(save.base))
    this.#bytes += sizeOf(payload) - sizeOf(save.payload)
    save.base = owned(base)
    save.payload = owned(payload)
  }

  /**
   * Takes a delete, whatever it costs.
   *
   * @returns the saves given up to make room, or `undefined` when there was none to be had and the delete is refused
   */
  addDestroy(destroy: PendingDestroy): PendingSave[] | undefined {
    if (this.#closed) return undefined
    const known = this.#destroys.get(destroy.sid)
    if (known !== undefined) return []
    const evicted: PendingSave[] = []
    if (this.#destroys.size >= this.#maxDestroys) {
      const [oldest] = this.#saves.values()
      if (oldest === undefined) {
        this.#saturated = true
        return undefined
      }
      this.removeSave(oldest.sid)
      evicted.push(oldest)
    }
    this.#destroys.set(destroy.sid, destroy)
    return evicted
  }

  /** Takes a session's delete out; it is returned to whoever is to tell how it ended. */
  removeDestroy(sid: string): PendingDestroy | undefined {
    const destroy = this.#destroys.get(sid)
    this.#destroys.delete(sid)
    if (this.#destroys.size === 0) this.#saturated = false
    return destroy
  }

  /** Takes nothing more: nobody is left to send it. */
  close(): void {
    this.#closed = true
  }

  /** Forgets all saves: every session was deleted. */
  clearSaves(): PendingSave[] {
    const saves = [...this.#saves.values()]
    this.#saves.clear()
    this.#bytes = 0
    return saves
  }
}

/** Redis may have applied a payload with this digest. */
export function noteAttempt({ attempts }: PendingSave, digest: string): void {
  attempts.add(digest)
  if (attempts.size > MAX_ATTEMPTS) for (const oldest of attempts) return void attempts.delete(oldest)
}

function sizeOf(value: Raw): number {
  return typeof value === 'string' ? value.length * 2 : value.length
}

function overhead(sid: string, base: Raw | undefined): number {
  return sid.length * 2 + (base === undefined ? 0 : sizeOf(base))
}
