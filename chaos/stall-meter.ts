import { monotonic } from './monotonic.js'

/** Between two looks at the clock, in ms. */
const TICK = 10

/**
 * Measures how long this process's event loop stands still. perf_hooks' histogram leaves stalls out when it is reset
 * often.
 */
export class StallMeter {
  #last = monotonic()
  #longest = 0
  readonly #timer: NodeJS.Timeout = setInterval(() => this.#look(), TICK)

  /** The longest stall since the last call, in ms. */
  take(): number {
    this.#look()
    const longest = this.#longest
    this.#longest = 0
    return longest
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    const now = monotonic()
    this.#longest = Math.max(this.#longest, now - this.#last - TICK)
    this.#last = now
  }
}
