import type { Clock } from '../../src/clock.js'

/** Real time, which steps move: ages run ahead, the wall clock jumps. */
export class ModelClock implements Clock {
  #ahead = 0
  #wall = 0

  monotonic(): number {
    return performance.now() + this.#ahead
  }

  wall(): number {
    return Date.now() + this.#ahead + this.#wall
  }

  /** For the store's ages more time has passed than did. */
  advance(ms: number): void {
    this.#ahead += ms
  }

  /** Somebody sets the machine's clock. */
  setWall(by: number): void {
    this.#wall += by
  }
}
