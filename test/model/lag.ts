/** How late this process is for its own timers: what a blocked event loop takes from an operation is not its fault. */
import { performance } from 'node:perf_hooks'

const EVERY = 10
/** Less than this is the timers' own coarseness, ms. */
const NOTED = 4
const KEPT = 4_096

interface Lag {
  /** performance.now() */
  readonly at: number
  readonly ms: number
}

const lags: Lag[] = []
let timer: NodeJS.Timeout | undefined

/** Begins to watch, once for the process. It keeps nothing alive. */
export function watchLag(): void {
  if (timer !== undefined) return
  let due = performance.now() + EVERY
  timer = setInterval(() => {
    const now = performance.now()
    if (now - due > NOTED) {
      lags.push({ at: now, ms: now - due })
      if (lags.length > 2 * KEPT) lags.splice(0, KEPT)
    }
    due = now + EVERY
  }, EVERY).unref()
}

/** What was noted since then (performance.now()). */
export function lagsSince(then: number): Lag[] {
  return lags.filter(({ at, ms }) => at + ms >= then)
}
