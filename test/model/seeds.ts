/** Histories that broke a promise once. They are played before any others, several times each: timing has its part. */
import type { Script } from './steps.js'

export interface Regression {
  /** What was wrong. */
  readonly name: string
  /** Where it was found: the generator may have changed since. */
  readonly found: { readonly seed: number; readonly path: string }
  readonly script: Script
}

export const REGRESSIONS: readonly Regression[] = []
