import type { Random } from '../../test/support/random.js'

/** One arrival: when, and two numbers in [0, 1) that choose who comes and what they do. */
export interface Arrival {
  /** Milliseconds since the run began. */
  readonly at: number
  readonly who: number
  readonly what: number
}

/**
 * Open-loop arrivals at `rate` a second, exponentially spaced (a Poisson process). Each arrival draws the same count of
 * numbers whatever became of the ones before, so one seed gives one schedule, however slow the answers are.
 */
export function* arrivals(random: Random, rate: number): Generator<Arrival, never> {
  if (!(rate > 0)) throw new RangeError(`rate must be above 0, got ${rate}`)
  let at = 0
  for (;;) {
    at += (-Math.log(1 - random()) / rate) * 1000
    yield { at, who: random(), what: random() }
  }
}
