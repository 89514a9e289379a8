import { LRUCache } from 'lru-cache'
import type { Clock } from './clock.js'

/** Destroyed sessions remembered at most; beyond it the oldest is forgotten (its delete has long been confirmed or is queued). */
const MAX_REVOCATIONS = 100_000

/** What this process knows to be destroyed: for `revokeFor` ms after a destroy its session is not served or saved. */
export class Revocations {
  readonly #known: LRUCache<string, true>

  constructor(revokeFor: number, clock: Clock) {
    this.#known = new LRUCache<string, true>({
      // Not `max`: the cache would reserve room for all of them at once, 3 MB and 17 ms for each store.
      maxSize: MAX_REVOCATIONS,
      sizeCalculation: () => 1,
      ttl: revokeFor,
      ttlResolution: 0,
      perf: { now: () => clock.monotonic() },
    })
  }

  get size(): number {
    return this.#known.size
  }

  add(sid: string): void {
    // Stryker disable next-line BooleanLiteral: only the keys are looked at
    this.#known.set(sid, true)
  }

  /** What is left of a revocation's life, ms; at least 1. */
  remaining(sid: string): number {
    return Math.max(1, Math.ceil(this.#known.getRemainingTTL(sid)))
  }

  /** All of them, each with what is left of its life in ms. */
  *entries(): Generator<[sid: string, remaining: number], void, void> {
    for (const sid of this.#known.keys()) {
      const remaining = Math.ceil(this.#known.getRemainingTTL(sid))
      if (remaining > 0) yield [sid, remaining]
    }
  }

  has(sid: string): boolean {
    return this.#known.size > 0 && this.#known.has(sid)
  }
}
