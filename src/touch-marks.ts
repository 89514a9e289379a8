/** Expiries remembered at most; beyond it the older half is forgotten, and those sessions' next touches are sent. */
const MAX_MARKS = 50_000

/** The expiry that this process last set for each session, so that a touch that would hardly move it can be skipped. */
export class TouchMarks {
  /** Two generations: keeping every mark in order of age would cost more than the marks themselves. */
  #young = new Map<string, number>()
  #old = new Map<string, number>()

  /** Whether what is set already ends at most `slack` ms before `expiresAt` (monotonic ms), and not after it; never with a slack of 0. */
  covers(sid: string, expiresAt: number, slack: number): boolean {
    if (slack <= 0) return false
    const set = this.#young.get(sid) ?? this.#old.get(sid)
    return set !== undefined && set <= expiresAt && expiresAt - set <= slack
  }

  set(sid: string, expiresAt: number): void {
    this.#young.set(sid, expiresAt)
    if (this.#young.size < MAX_MARKS / 2) return
    this.#old = this.#young
    this.#young = new Map()
  }

  delete(sid: string): void {
    this.#young.delete(sid)
    this.#old.delete(sid)
  }

  clear(): void {
    this.#young.clear()
    this.#old.clear()
  }
}
