import type { Lane } from '../src/lanes.js'
import type { Connection } from '../src/redis/connect.js'
import type { WriteRequest } from '../src/redis/sessions.js'
import type { Variant } from './measure.js'

/** What a scenario is given to work with; all of it is closed afterwards. */
export interface Bench {
  /** A connection to the run's own Redis and a lane of writes on it. */
  readonly openLane: () => Promise<{ connection: Connection; lane: Lane<WriteRequest, unknown> }>
  /** A serialized session of about so many bytes. */
  readonly session: (bytes: number) => string
  /** Measures variants side by side, prints and records the result. The first is what the others are compared with. */
  readonly compare: (title: string, concurrency: number, variants: readonly Variant[]) => Promise<void>
}

export interface Scenario {
  readonly name: string
  readonly about: string
  readonly run: (bench: Bench) => Promise<void>
}
