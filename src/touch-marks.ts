/** Expiries remembered at most; beyond it the oldest is forgotten, and its next touch is sent. */
const MAX_MARKS = 50_000

/** The expiry that this process last set for each session, so that a touch that would hardly move it can be skipped. */
export class TouchMarks {
  readonly #expiries = new Map<string, number>()

  /** Whether what is set already ends at most `slack` ms before `expiresAt` (monotonic ms), and not after it; never with a slack of 0. */
  covers(sid: string, expiresAt: number, slack: number): boolean {
    const set = this.#expiries.get(sid)
    return slack > 0 && set !== undefined && set <= expiresAt && expiresAt - set <= slack
  }

  set(sid: string, expiresAt: number): void {
    this.#expiries.delete(sid)
    this.#expiries.set(sid, expiresAt)
    if (this.#expiries.size > MAX_MARKS) {
      for (const oldest of this.#expiries.keys()) return void this.#expiries.delete(oldest)
    }
  }

  delete(sid: string): void {
    this.#expiries.delete(sid)
  }

  clear(): void {
    this.#expiries.clear()
  }
}
