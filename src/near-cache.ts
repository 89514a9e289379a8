/**
 * Which cached sessions may be served although Redis is up, without asking it: those whose server announces every change
 * (see {@link Tracking}), has announced none of theirs since they were read, and has lately proven that the announcements
 * arrive. Own changes are announced like anybody's: Redis tells several changes of a key in one turn of its event loop
 * only once, so that one's own cannot be told from a foreign one that came right after it.
 */
import type { Clock } from './clock.js'
import type { CachedSession, FallbackCache } from './fallback-cache.js'
import { type Epoch, Tracking, type TrackingObstacle, type TrackingState } from './tracking.js'

/** The near cache as `health()` shows it. `silent`: its connection stands, but answers too late. */
export type NearHealth =
  | { readonly state: 'on' | 'connecting' | 'silent' }
  | { readonly state: 'off'; readonly reason: TrackingObstacle }

export interface NearCacheOptions {
  readonly cache: FallbackCache
  readonly clock: Clock
  /** How long ago, in ms, the last proof may lie. */
  readonly maxSilence: number
  /** The epoch of the server that has this session. */
  readonly epochOf: (sid: string) => Epoch | undefined
}

/** Announcements remembered for reads under way, in two halves; a read that more than one half overtakes proves nothing. */
const MAX_ANNOUNCED = 4_096

export class NearCache {
  readonly #options: NearCacheOptions
  #sequence = 0
  #recent = new Map<string, number>()
  #older = new Map<string, number>()
  /** What was announced up to here is forgotten. */
  #horizon = 0
  /** From here on it is in the recent half. */
  #begunAt = 0

  constructor(options: NearCacheOptions) {
    this.#options = options
  }

  /** Counts announcements and epochs: to be noted when a read is sent, for {@link proof}. */
  get sequence(): number {
    return this.#sequence
  }

  /** A server's state, to be kept up by whoever listens to it. */
  track(): Tracking {
    return new Tracking(() => ++this.#sequence)
  }

  /** These sessions have changed, or are gone. */
  announced(sids: Iterable<string>): void {
    for (const sid of sids) {
      this.#recent.set(sid, ++this.#sequence)
      this.#options.cache.unprove(sid)
      if (this.#recent.size < MAX_ANNOUNCED) continue
      this.#older = this.#recent
      this.#recent = new Map()
      this.#horizon = this.#begunAt
      this.#begunAt = this.#sequence
    }
  }

  /**
   * The epoch in which what a read has brought is known to be current; `undefined` where a change was announced meanwhile,
   * or may have been missed.
   *
   * @param begun the {@link sequence} when the read was sent
   */
  proof(sid: string, begun: number): Epoch | undefined {
    const epoch = this.#options.epochOf(sid)
    if (epoch === undefined || epoch.since > begun || this.#horizon > begun) return undefined
    const last = this.#recent.get(sid) ?? this.#older.get(sid) ?? 0
    return last > begun ? undefined : epoch
  }

  /** The session, if it is current; while its `endsAt` is unknown, Redis is to be asked for that. */
  get(sid: string): CachedSession | undefined {
    const epoch = this.#options.epochOf(sid)
    if (epoch === undefined || this.#isSilent(epoch)) return undefined
    return this.#options.cache.current(sid, epoch)
  }

  healthOf(state: TrackingState): NearHealth {
    if (state.state !== 'tracking') return state
    return { state: this.#isSilent(state) ? 'silent' : 'on' }
  }

  #isSilent({ provenAt }: Epoch): boolean {
    return this.#options.clock.monotonic() - provenAt > this.#options.maxSilence
  }
}
