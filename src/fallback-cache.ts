import { LRUCache } from 'lru-cache'
import type { Clock } from './clock.js'
import { owned, type Raw } from './redis/sessions.js'
import type { ResolvedCache } from './resolve-options.js'
import type { Epoch } from './tracking.js'

/** A session as Redis last confirmed it, in its serialized form: every reader parses a copy of its own. */
export interface CachedSession {
  raw: Raw
  /** When the command left whose answer confirmed it, monotonic ms. */
  readonly confirmedAt: number
  /** When the session ends, monotonic ms; `undefined` while unknown: it is not served then. */
  expiresAt: number | undefined
  /** Which server confirmed it: its `run_id`, where known. */
  readonly server?: string | undefined
  /** In which epoch it is known to be unchanged, for the near cache. */
  epoch?: Epoch | undefined
  /** When Redis itself says that the session ends, monotonic ms; for the near cache, which knows nothing else to trust. */
  endsAt?: number | undefined
  /** When it was last proven to be unchanged, monotonic ms. */
  provenAt?: number | undefined
}

/** When Redis last confirmed a session: by sending it, or by announcing no change of it. */
export function lastConfirmed({ confirmedAt, provenAt = confirmedAt }: CachedSession): number {
  return Math.max(confirmedAt, provenAt)
}

/** Serialized sessions for the time without Redis: bounded in number, bytes and age. */
export class FallbackCache {
  readonly #entries: LRUCache<string, CachedSession>
  readonly #maxStale: number
  readonly #clock: Clock
  /** When everything was dropped last, monotonic ms. */
  #clearedAt = Number.NEGATIVE_INFINITY

  constructor(options: Omit<ResolvedCache, 'near'>, clock: Clock) {
    this.#maxStale = options.maxStale
    this.#clock = clock
    this.#entries = new LRUCache<string, CachedSession>({
      max: options.max,
      maxSize: options.maxBytes,
      sizeCalculation: ({ raw }, sid) => (typeof raw === 'string' ? raw.length * 2 : raw.length) + sid.length * 2,
    })
  }

  get size(): number {
    return this.#entries.size
  }

  get bytes(): number {
    return this.#entries.calculatedSize
  }

  /** What may be served without Redis now. */
  get(sid: string): CachedSession | undefined {
    const entry = this.#entries.get(sid)
    if (entry === undefined) return undefined
    const now = this.#clock.monotonic()
    if (now - lastConfirmed(entry) > this.#maxStale || (entry.expiresAt ?? now + 1) <= now) {
      this.#entries.delete(sid)
      return undefined
    }
    return entry.expiresAt === undefined ? undefined : entry
  }

  /** What is known to be unchanged in this epoch, and to be there. */
  current(sid: string, epoch: Epoch): CachedSession | undefined {
    const entry = this.#entries.get(sid)
    if (entry === undefined || entry.epoch !== epoch) return undefined
    if (entry.endsAt !== undefined && entry.endsAt <= this.#clock.monotonic()) return undefined
    entry.provenAt = epoch.provenAt
    return entry
  }

  /** The session has changed: a copy remains for the time without Redis. */
  unprove(sid: string): void {
    const entry = this.#entries.peek(sid)
    if (entry !== undefined) entry.epoch = undefined
  }

  /** When the session ends, as far as this process knows. */
  expiryOf(sid: string): number | undefined {
    return this.#entries.peek(sid)?.expiresAt
  }

  /** Keeps what Redis confirmed, unless something confirmed later is here already, or all was dropped since. */
  put(sid: string, entry: CachedSession): void {
    if (entry.confirmedAt < this.#clearedAt) return
    const known = this.#entries.peek(sid)
    if (known !== undefined && known.confirmedAt > entry.confirmedAt) return
    entry.raw = owned(entry.raw)
    this.#entries.set(sid, entry)
  }

  /** The session's expiry was set or learned. It says nothing about the value. */
  setExpiry(sid: string, expiresAt: number): void {
    const entry = this.#entries.peek(sid)
    if (entry !== undefined) entry.expiresAt = expiresAt
  }

  delete(sid: string): void {
    this.#entries.delete(sid)
  }

  clear(): void {
    this.#clearedAt = this.#clock.monotonic()
    this.#entries.clear()
  }
}
