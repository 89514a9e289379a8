/** Between two attempts to connect, ms: doubles from the first to the last, with 30 % jitter. */
export const BACKOFF: { readonly first: number; readonly last: number } = Object.freeze({ first: 20, last: 250 })

/** So that many processes do not come back all at once. */
export function jittered(ms: number): number {
  return Math.round(ms * (0.7 + 0.3 * Math.random()))
}
