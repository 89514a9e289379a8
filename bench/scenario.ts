import type { RedisServer } from '../test/support/redis-server.js'
import type { Worker } from './crew.js'
import type { SubjectName } from './subjects/index.js'

/** One comparison: the same task by each subject. */
export interface Comparison {
  readonly title: string
  readonly task: string
  readonly concurrency: number
}

/** What a scenario is given to work with; all of it is closed afterwards. */
export interface Bench {
  readonly redis: RedisServer
  /** Starts the subjects, each in a process of its own, with sessions of about so many bytes. */
  readonly start: (names: readonly SubjectName[], bytes: number) => Promise<Worker[]>
  /** Measures subjects side by side, prints and records the result. The first is what the others are compared with. */
  readonly compare: (workers: readonly Worker[], comparison: Comparison) => Promise<void>
  /** Prints and records figures that are no comparison. */
  readonly note: (title: string, figures: Readonly<Record<string, number | string>>) => void
}

export interface Scenario {
  readonly name: string
  readonly about: string
  readonly run: (bench: Bench) => Promise<void>
}
