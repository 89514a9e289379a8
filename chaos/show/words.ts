/** Figures in words. Pure. */

/** Milliseconds as seconds, to two digits after the point. */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`
}

/** A share as a percentage, never rounded up to 100. */
export function percent(share: number): string {
  if (share === 1) return '100 %'
  return `${Math.min(99.9, share * 100).toFixed(1)} %`
}

/** A time to the answer, short. */
export function milliseconds(ms: number): string {
  if (ms < 100) return `${ms.toFixed(1)} ms`
  return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`
}
