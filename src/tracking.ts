/**
 * What one server's invalidation connection proves, as a state machine without input or output. Redis announces every
 * change of a key on that connection, in order, before or together with the answer to whoever made it. So the answer to
 * a PING proves that every change acknowledged before the PING was sent has been announced here.
 */

/** Why a server does not announce changes: a right is missing, or it does not know how (Redis before 6). */
export type TrackingObstacle = 'auth' | 'unsupported'

/**
 * A time in which a server announced every change. It is its identity that counts: after a break there is another one,
 * and nothing that was proven in the old one is.
 */
export interface Epoch {
  readonly state: 'tracking'
  /** The server's `run_id`. */
  readonly server: string
  /** Reads begun from here on are covered, see {@link NearCache.sequence}. */
  readonly since: number
  /** Every change acknowledged before this (monotonic ms) has been announced. */
  provenAt: number
}

export type TrackingState =
  | Epoch
  | { readonly state: 'connecting' }
  | { readonly state: 'off'; readonly reason: TrackingObstacle }

const CONNECTING: TrackingState = Object.freeze({ state: 'connecting' })

export class Tracking {
  readonly #nextSequence: () => number
  #state: TrackingState = CONNECTING

  constructor(nextSequence: () => number) {
    this.#nextSequence = nextSequence
  }

  get state(): TrackingState {
    return this.#state
  }

  /** From now on the server announces every change. @param provenAt when it was asked to, monotonic ms */
  begin(server: string, provenAt: number): void {
    this.#state = { state: 'tracking', server, since: this.#nextSequence(), provenAt }
  }

  /** A PING was answered. @param sentAt when it was sent, monotonic ms */
  prove(sentAt: number): void {
    if (this.#state.state === 'tracking' && sentAt > this.#state.provenAt) this.#state.provenAt = sentAt
  }

  /** Everything may have changed (FLUSHALL); what comes will be announced. */
  renew(): void {
    if (this.#state.state === 'tracking') this.begin(this.#state.server, this.#state.provenAt)
  }

  /** The connection is gone: whatever happens now is not announced. */
  end(): void {
    this.#state = CONNECTING
  }

  /** The server does not announce changes, or not to us. */
  refuse(reason: TrackingObstacle): void {
    this.#state = { state: 'off', reason }
  }

  /** The epoch under way, provided it is this server (its `run_id`) whose changes are announced. */
  epoch(server: string | undefined): Epoch | undefined {
    return this.#state.state === 'tracking' && this.#state.server === server ? this.#state : undefined
  }
}
