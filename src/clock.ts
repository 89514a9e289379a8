/** Time, injectable. Ages and deadlines use the monotonic clock; the wall clock is only compared with cookies. */
export interface Clock {
  /** Milliseconds since an arbitrary point; never jumps. */
  monotonic(): number
  /** Milliseconds since the epoch, as `Date.now()`. */
  wall(): number
}

/** The real time. */
export const systemClock: Clock = Object.freeze({
  monotonic: () => performance.now(),
  wall: () => Date.now(),
})
