import type { Clock } from '../../src/clock.js'

/** A clock that stands still until a test moves it. Its two times can be moved apart, as setting a machine's clock does. */
export class FakeClock implements Clock {
  #monotonic = 1_000_000
  #wall = Date.UTC(2030, 0, 1)

  monotonic(): number {
    return this.#monotonic
  }

  wall(): number {
    return this.#wall
  }

  /** Time passes. */
  advance(ms: number): void {
    this.#monotonic += ms
    this.#wall += ms
  }

  /** Somebody sets the machine's clock: no time passes. */
  setWall(ms: number): void {
    this.#wall = ms
  }
}
