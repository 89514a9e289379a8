/**
 * One record for each operation, from its call to its answer, on tracing channels. Nothing is made or measured while
 * nobody listens.
 */
import { tracingChannel } from 'node:diagnostics_channel'
import {
  type DownReason,
  isSessionConflictError,
  isSessionRevokedError,
  RedisDownError,
  RedisFailure,
  SessionStoreError,
} from './errors.js'
import type { Operation } from './policy.js'
import { originOf } from './provenance.js'

/**
 * How an operation ended.
 *
 * - `ok`: Redis carried it out
 * - `none`: Redis has no such session
 * - `skipped`: a touch that was not needed
 * - `near`, `stale`, `queued`, `blank`: of `get`, what was served without asking Redis; of `set` and `destroy`, `queued`
 *   says that the write waits until Redis is back
 * - `dropped`: a save that was forgotten, as the policy says
 * - `down`: it failed because of Redis
 * - `revoked`, `conflict`: a save was refused
 * - `error`: anything else, such as a serializer that throws
 */
export type OperationOutcome =
  | 'ok'
  | 'none'
  | 'skipped'
  | 'near'
  | 'stale'
  | 'queued'
  | 'blank'
  | 'dropped'
  | 'down'
  | 'revoked'
  | 'conflict'
  | 'error'

/**
 * One operation. The same object is the message of all its tracing channels; what is optional is there from `asyncStart`
 * on. Holds no session id, no key and no session data.
 */
export interface OperationRecord {
  readonly operation: Operation
  /** The {@link ResilientStore} it was asked of. */
  readonly store: object
  readonly outcome?: OperationOutcome
  /** Why Redis could not carry it out, also where the policy made up for that. */
  readonly reason?: DownReason
  /** Of a session served without asking Redis: since Redis last confirmed it, ms. */
  readonly age?: number
  /** From its call to its answer, ms. */
  readonly duration?: number
  /** What its caller was told, where that is an error of this library: one of somebody else's may quote the session. */
  readonly error?: SessionStoreError | RedisFailure
}

/** A record while its operation is under way. */
export type OpenRecord = { -readonly [Key in keyof OperationRecord]: OperationRecord[Key] }

/**
 * Name for `tracingChannel()` of `node:diagnostics_channel`: the channels `start`, `end`, `asyncStart`, `asyncEnd` and
 * `error` behind it carry an {@link OperationRecord} for each operation. `start` and `end` are published where the store
 * was called, in its caller's async context; the others when the operation has settled.
 *
 * @example
 * ```ts
 * import { subscribe } from 'node:diagnostics_channel'
 * import { OPERATION_CHANNEL, type OperationRecord } from 'resilient-session-store'
 *
 * subscribe(`tracing:${OPERATION_CHANNEL}:asyncEnd`, (message) => {
 *   const { operation, outcome, duration } = message as OperationRecord
 *   if ((duration ?? 0) > 100) console.warn(`slow session ${operation}: ${outcome}`)
 * })
 * ```
 */
export const OPERATION_CHANNEL = 'resilient-session-store:operation'

const { start, end, asyncStart, asyncEnd, error: failed } = tracingChannel<unknown, OpenRecord>(OPERATION_CHANNEL)

/** Begins an operation; whoever listens is told of it. */
export function trace<T>(
  store: object,
  operation: Operation,
  begin: (record: OpenRecord | undefined) => Promise<T>,
): Promise<T> {
  const isFollowed =
    asyncEnd.hasSubscribers ||
    start.hasSubscribers ||
    end.hasSubscribers ||
    asyncStart.hasSubscribers ||
    failed.hasSubscribers
  if (!isFollowed) return begin(undefined)
  const record: OpenRecord = { operation, store }
  const startedAt = performance.now()
  const running = start.runStores(record, () => begin(record))
  end.publish(record)
  const settle = (): void => {
    record.duration = performance.now() - startedAt
    if (record.error !== undefined || record.outcome === 'error') failed.publish(record)
    asyncStart.publish(record)
    asyncEnd.publish(record)
  }
  running.then(
    (value) => {
      noteSuccess(record, value)
      settle()
    },
    (error: unknown) => {
      noteFailure(record, error)
      settle()
    },
  )
  return running
}

function noteSuccess(record: OpenRecord, value: unknown): void {
  const origin = typeof value === 'object' && value !== null ? originOf(value) : undefined
  if (origin === undefined || origin.source === 'redis' || origin.source === 'new') {
    record.outcome ??= value === null ? 'none' : 'ok'
    return
  }
  record.outcome = origin.source
  if (origin.confirmedAt !== undefined) record.age = Math.max(0, performance.now() - origin.confirmedAt)
}

function noteFailure(record: OpenRecord, error: unknown): void {
  if (error instanceof SessionStoreError || error instanceof RedisFailure) record.error = error
  if (error instanceof RedisDownError || error instanceof RedisFailure) {
    record.outcome = 'down'
    record.reason = error.reason
  } else if (isSessionRevokedError(error)) record.outcome = 'revoked'
  else record.outcome = isSessionConflictError(error) ? 'conflict' : 'error'
}
