import type { Facts } from './facts.js'

/** The promises of docs/guarantees.md. */
export type PromiseName = 'P1' | 'P2' | 'P3' | 'P4' | 'P5' | 'P6' | 'P7' | 'P8' | 'P9' | 'P10' | 'P11'

/** What shows that a promise was broken: in words, and the numbers of the records behind it. */
export interface Evidence {
  readonly what: string
  readonly records: readonly number[]
}

/** What a checker found. `checked`: how many things could have shown a breach; `of` says what they are. */
export type Finding =
  | { readonly verdict: 'held'; readonly checked: number; readonly of: string }
  | {
      readonly verdict: 'broken'
      readonly checked: number
      readonly of: string
      /** How many there are; `evidence` has the first of them. */
      readonly breaches: number
      readonly evidence: readonly Evidence[]
    }
  | { readonly verdict: 'not-exercised'; readonly why: string }

/** Judges one promise over a history. Pure. */
export type Checker = (facts: Facts) => Finding

/** Breaches that are kept with their evidence. */
const KEPT = 20

/**
 * The finding for so many checked things and the breaches among them; with nothing checked the promise was not
 * exercised.
 */
export function findingOf(checked: number, of: string, breaches: readonly Evidence[]): Finding {
  if (breaches.length > 0) {
    return { verdict: 'broken', checked, of, breaches: breaches.length, evidence: breaches.slice(0, KEPT) }
  }
  return checked > 0 ? { verdict: 'held', checked, of } : { verdict: 'not-exercised', why: `there were no ${of}` }
}
