/** What the application processes said about themselves, over time. Pure. */
import { LANES, type LaneName, type LaneState, type Sample } from './model.js'

/** From when on a breaker was in a state; the state lasts until the next entry. */
export type StateChange = readonly [at: number, state: LaneState | 'unknown']

export interface LaneHistory {
  readonly process: string
  readonly lane: LaneName
  readonly changes: readonly StateChange[]
}

/** A figure of one process over time. */
export interface Gauge {
  readonly process: string
  readonly at: readonly number[]
  readonly values: readonly number[]
}

export type GaugeName = 'queued' | 'inFlight' | 'stall' | 'memory'

/** A process that says nothing for this long is not known to be in its last state any more, in ms. */
const SILENT_AFTER = 2000

/** The breakers of each process, in order of process and lane; empty for a store without breakers. */
export function laneHistories(samples: readonly Sample[]): LaneHistory[] {
  return [...byProcess(samples)].flatMap(([process, own]) => {
    if (!own.some(({ lanes }) => lanes !== undefined)) return []
    return LANES.map((lane) => ({ process, lane, changes: changesOf(own, lane) }))
  })
}

function changesOf(samples: readonly Sample[], lane: LaneName): StateChange[] {
  const changes: StateChange[] = []
  let heard = 0
  const change = (at: number, state: StateChange[1]) => {
    if (changes.at(-1)?.[1] !== state) changes.push([at, state])
  }
  for (const { at, lanes } of samples) {
    if (changes.length > 0 && at - heard > SILENT_AFTER) change(heard + SILENT_AFTER, 'unknown')
    change(at, lanes?.[lane] ?? 'unknown')
    heard = at
  }
  return changes
}

/** One figure of each process that tells it. */
export function gauges(samples: readonly Sample[], name: GaugeName): Gauge[] {
  return [...byProcess(samples)].flatMap(([process, own]) => {
    const told = own.filter((sample) => sample[name] !== undefined)
    if (told.length === 0) return []
    return [{ process, at: told.map(({ at }) => at), values: told.map((sample) => sample[name] ?? 0) }]
  })
}

function byProcess(samples: readonly Sample[]): Map<string, Sample[]> {
  const groups = new Map<string, Sample[]>()
  for (const sample of [...samples].sort((a, b) => a.process.localeCompare(b.process) || a.at - b.at)) {
    const group = groups.get(sample.process)
    if (group === undefined) groups.set(sample.process, [sample])
    else group.push(sample)
  }
  return groups
}
