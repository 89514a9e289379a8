/** The machine's monotonic clock, in ms: the same in every process, whatever the wall clock does. */
export function monotonic(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
