import type { DownReason } from './errors.js'
import type { FallbackCache } from './fallback-cache.js'
import type { LaneName, LaneState } from './lanes.js'
import type { Lanes } from './operations.js'
import type { Connection, ConnectionState } from './redis/connect.js'
import type { WriteQueue } from './write-queue.js'

/** What works and what does not. Holds no session id, no session data and no credentials. */
export interface Health {
  /** `down`: neither reads nor saves reach Redis; `degraded`: anything less than all well. */
  readonly status: 'up' | 'degraded' | 'down'
  readonly lanes: Readonly<Record<LaneName, LaneState>>
  readonly connection: { readonly state: ConnectionState; readonly reason?: DownReason }
  /** The fallback cache; none where it is off. */
  readonly cache?: { readonly sessions: number; readonly bytes: number }
  readonly queue: {
    readonly saves: number
    readonly destroys: number
    readonly bytes: number
    readonly replaying: boolean
  }
  /** Sessions this process knows to be destroyed. */
  readonly revocations: number
  /** Operations under way. */
  readonly inFlight: number
}

export interface HealthInput {
  readonly lanes: Lanes
  readonly connection: Connection
  readonly cache: FallbackCache | undefined
  readonly queue: WriteQueue
  readonly replaying: boolean
  readonly revocations: number
  readonly closed: boolean
}

export function healthOf(input: HealthInput): Health {
  const { connection, cache, queue } = input
  const { read, save, lifetime } = input.lanes
  const closed = (lane: { breaker: { closed: boolean } }): boolean => lane.breaker.closed
  const ready = connection.state === 'ready'
  const waiting = queue.saves.size + queue.destroys.size
  const well = ready && closed(read) && closed(save) && closed(lifetime) && waiting === 0
  const down = input.closed || (!closed(read) && !closed(save))
  return {
    status: down ? 'down' : well ? 'up' : 'degraded',
    lanes: { read: read.state, save: save.state, lifetime: lifetime.state },
    connection: ready ? { state: 'ready' } : { state: connection.state, reason: connection.failure.reason },
    ...(cache && { cache: { sessions: cache.size, bytes: cache.bytes } }),
    queue: {
      saves: queue.saves.size,
      destroys: queue.destroys.size,
      bytes: queue.bytes,
      replaying: input.replaying,
    },
    revocations: input.revocations,
    inFlight: read.inFlight + save.inFlight + lifetime.inFlight,
  }
}
