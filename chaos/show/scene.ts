import type { ShopProcess } from '../app/shop-process.js'
import type { History, SampleRecord } from '../history.js'
import {
  columns,
  type Latencies,
  latencies,
  outageOf,
  type Phase,
  phaseAt,
  type Tally,
  tallyDecided,
  tallyPhases,
} from './summary.js'

/** All that the screen shows at one moment. */
export interface Scene {
  readonly title: string
  readonly subtitle: string
  /** One sentence on what is going on. */
  readonly message: string
  /** Seconds since the traffic began, and in all. */
  readonly elapsed: number
  readonly total: number
  /** What the phases are called. */
  readonly phases: Readonly<Record<Phase, string>>
  /** When each phase began, in seconds, as far as it has. */
  readonly begun: Partial<Readonly<Record<Phase, number>>>
  readonly tallies: Readonly<Record<Phase, Tally>>
  /** What visitors got in the last second. */
  readonly recent: Tally
  readonly latencies: Latencies | undefined
  /** Requests without an answer yet. */
  readonly underWay: number
  readonly processes: readonly ProcessView[]
  /** What became of the requests, for a chart so many columns wide. */
  columns(count: number): readonly Tally[]
}

export interface ProcessView {
  readonly name: string
  readonly running: boolean
  readonly crashes: number
  readonly sample: Pick<SampleRecord, 'store'> | undefined
}

/** What stays the same during a run. */
export interface Staging {
  readonly title: string
  readonly subtitle: string
  readonly messages: Readonly<Record<Phase, string>>
  readonly phases: Readonly<Record<Phase, string>>
  /** Length of the traffic, in ms. */
  readonly total: number
  readonly history: History
  readonly processes: readonly Pick<ShopProcess, 'name' | 'running' | 'crashes' | 'sample'>[]
}

/** Puts together what the screen shows at `now`, in ms since the traffic began. */
export function composeScene(staging: Staging, now: number): Scene {
  const { history, total } = staging
  const requests = history.of('request')
  const { from, to } = outageOf(history)
  const elapsed = Math.min(now, total)
  return {
    title: staging.title,
    subtitle: staging.subtitle,
    message: staging.messages[phaseAt(history, now)],
    elapsed: elapsed / 1000,
    total: total / 1000,
    phases: staging.phases,
    begun: {
      before: 0,
      ...(Number.isFinite(from) ? { during: from / 1000 } : {}),
      ...(Number.isFinite(to) ? { after: to / 1000 } : {}),
    },
    tallies: tallyPhases(history, now),
    recent: tallyDecided(requests, { from: elapsed - 1000, to: elapsed }, now),
    latencies: latencies(requests, { from: elapsed - 2000, to: elapsed }, now),
    underWay: requests.reduce((count, { end }) => (end === undefined ? count + 1 : count), 0),
    processes: staging.processes,
    columns: (count) => columns(requests, total, count, now),
  }
}
