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

/** A machine so busy that it blocks this process for so long decides by itself what times out, ms. */
const DISTURBING = 50
/** How far back a look at the lag goes, ms, and how much of that may be lost. */
const LOOK_BACK = 500
const BUSY = 0.4

/** Whether lags are such that what happened says little about the store. */
export function isDisturbed(noted: readonly Pick<Lag, 'ms'>[]): boolean {
  return noted.some(({ ms }) => ms >= DISTURBING)
}

/** Whether this process has just had much less of the machine than it asked for. */
export function isBusy(): boolean {
  const since = performance.now() - LOOK_BACK
  let lost = 0
  for (let at = lags.length - 1; at >= 0 && (lags[at] as Lag).at >= since; at--) lost += (lags[at] as Lag).ms
  return lost > BUSY * LOOK_BACK
}

/** What was noted since then (performance.now()). */
export function lagsSince(then: number): Lag[] {
  return lags.filter(({ at, ms }) => at + ms >= then)
}
