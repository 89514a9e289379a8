/** What the store tells of itself: each outcome once, as one record, on the store's emitter and one diagnostics channel. */
import { channel } from 'node:diagnostics_channel'
import type { EventEmitter } from 'node:events'
import type { DownReason } from './errors.js'
import type { LaneName } from './lanes.js'
import type { Operation } from './policy.js'

/** A lane's breaker opened: its operations fail at once, until the store's own probe succeeds. */
export interface DownRecord {
  readonly type: 'down'
  readonly lane: LaneName
  /** On Cluster whose: `host:port`. */
  readonly master?: string
  readonly reason: DownReason | undefined
}

/** A lane's breaker closed: its operations reach Redis again. Or, on Cluster, another master has its sessions now. */
export interface UpRecord {
  readonly type: 'up'
  readonly lane: LaneName
  /** On Cluster whose: `host:port`. */
  readonly master?: string
  /** Since the breaker opened, ms. */
  readonly downFor: number
}

/** What was asked for will not happen, and nobody else is told: a touch, a save under `'drop'`, a save whose response was sent. */
export interface DroppedRecord {
  readonly type: 'dropped'
  readonly operation: Operation
  readonly reason: DownReason | QueueLoss | 'revoked' | 'conflict' | 'key-unknown' | 'error'
}

/** Why a queued save or delete was given up. */
export type QueueLoss = 'expired' | 'overflow' | 'shutdown'

/** A save or delete waits in memory until Redis is back. */
export interface QueuedRecord {
  readonly type: 'queued'
  readonly operation: 'set' | 'destroy'
  readonly reason: DownReason
}

/** A queued save or delete reached Redis. */
export interface ReplayedRecord {
  readonly type: 'replayed'
  readonly operation: 'set' | 'destroy'
  /** `already-there`: an earlier attempt, or another process, had written the very same; of a delete, there was none left. */
  readonly outcome: 'written' | 'already-there'
  /** Since it was queued, ms. */
  readonly waited: number
}

/** The stored session is not the one a save was made from. */
export interface ConflictRecord {
  readonly type: 'conflict'
  readonly operation: 'set'
  /** Whether the save had waited in the queue. */
  readonly queued: boolean
  /** `refused`: what is stored stays. `merged`: both changes are kept, and where they clashed this one stands. */
  readonly resolution: 'refused' | 'merged'
  /** Top-level keys that both had changed, differently; 0 where nothing was merged. */
  readonly clashes: number
}

/** A save was refused because its session was destroyed (`revoked`), or deleted since it was loaded (`gone`). */
export interface RevokedRecord {
  readonly type: 'revoked'
  readonly operation: 'set'
  readonly reason: 'revoked' | 'gone'
  readonly queued: boolean
}

/** A session that another server no longer had was written again, from what this process knew. */
export interface RestoredRecord {
  readonly type: 'restored'
  readonly operation: 'set'
  readonly queued: boolean
}

/** Any record the store publishes. None holds a session id or session data. */
export type OutcomeRecord =
  | DownRecord
  | UpRecord
  | DroppedRecord
  | QueuedRecord
  | ReplayedRecord
  | ConflictRecord
  | RevokedRecord
  | RestoredRecord

/** The store's events and what their listeners get. */
export type StoreEvents = {
  [Type in OutcomeRecord['type']]: [Extract<OutcomeRecord, { type: Type }>]
}

/** Name of the `node:diagnostics_channel` that carries every {@link OutcomeRecord}. */
export const OUTCOME_CHANNEL = 'resilient-session-store:outcome'

const outcomes = channel(OUTCOME_CHANNEL)

/** Publishes a record. A listener that throws hurts nobody but itself: it throws on a tick of its own. */
export function publish(emitter: EventEmitter, record: OutcomeRecord): void {
  if (outcomes.hasSubscribers) outcomes.publish(record)
  if (emitter.listenerCount(record.type) === 0) return
  // Not by `emit`: there the first that throws keeps the record from those after it.
  for (const listener of emitter.rawListeners(record.type)) {
    try {
      listener.call(emitter, record)
    } catch (error) {
      process.nextTick(() => {
        throw error
      })
    }
  }
}
