/** What a verdict is made from, and of. */
import type { Policy, StoreName } from '../app/messages.js'
import type { History } from '../history.js'

/** One line of the verdict. */
export interface Check {
  readonly name: string
  /** What was found, in words. */
  readonly found: string
  readonly held: boolean
  /** Shown even when it held. */
  readonly headline: boolean
}

/** A run to be judged. */
export interface Judged {
  readonly history: History
  readonly store: StoreName
  readonly policy: Policy
  /** The application processes; each must recover. */
  readonly processes: readonly string[]
  /** Arrivals that could not be sent. */
  readonly skipped: number
  /** When the run ended. */
  readonly now: number
}
