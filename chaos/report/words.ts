/** Figures in words, for people. Pure; used for the page and within it. */

const WHOLE: Intl.NumberFormat = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

/** A count: `12,345`. */
export function count(value: number): string {
  return WHOLE.format(value)
}

/** A count and what it counts: `1 request`, `3 requests`. */
export function counted(value: number, noun: string): string {
  if (value === 1) return `1 ${noun}`
  return `${count(value)} ${noun}${noun.endsWith('ch') ? 'es' : 's'}`
}

/** A share: never 100 % or 0 % unless it is. */
export function share(part: number, whole: number): string {
  if (whole === 0) return 'none'
  const percent = (part / whole) * 100
  if (part === whole) return '100 %'
  if (part === 0) return '0 %'
  return `${Math.min(99.9, Math.max(0.1, percent)).toFixed(1)} %`
}

/** A duration in ms, short: `0.8 ms`, `42 ms`, `1.25 s`. */
export function duration(ms: number): string {
  if (ms === 0) return '0 ms'
  if (ms < 9.95) return `${ms.toFixed(1)} ms`
  if (ms < 999.5) return `${ms.toFixed(0)} ms`
  return ms < 99_950 ? `${(ms / 1000).toFixed(ms < 9995 ? 2 : 1)} s` : `${(ms / 1000).toFixed(0)} s`
}

/** A moment of the run, in ms, for tables: `12.345 s`. */
export function moment(ms: number): string {
  return `${(ms / 1000).toFixed(3)} s`
}

/** Bytes: `48 MB`. */
export function megabytes(bytes: number): string {
  return `${WHOLE.format(bytes / 1e6)} MB`
}
