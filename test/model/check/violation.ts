/** A promise (design.md §3) that a history shows broken. `harness`: the history contradicts itself, so it proves nothing. */
export interface Violation {
  readonly promise: 'P1' | 'P2' | 'P3' | 'P4' | 'P5' | 'P6' | 'P7' | 'P8' | 'P9' | 'P10' | 'P11' | 'policy' | 'harness'
  readonly what: string
  /** {@link Operation.id} of what shows it. */
  readonly operations: readonly number[]
}
