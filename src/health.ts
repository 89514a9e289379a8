import type { DownReason } from './errors.js'
import type { FallbackCache } from './fallback-cache.js'
import type { LaneName, LaneState } from './lanes.js'
import type { NearHealth } from './near-cache.js'
import type { Node } from './node.js'
import type { ConnectionState } from './redis/connect.js'
import type { WriteQueue } from './write-queue.js'

/** A lane's state, and since when it works (`closed`) or does not: ISO 8601, by the wall clock. */
export interface LaneHealth extends LaneState {
  readonly since: string
}

/** One server's part. */
interface ServerHealth {
  readonly lanes: Readonly<Record<LaneName, LaneHealth>>
  readonly connection: { readonly state: ConnectionState; readonly reason?: DownReason }
}

/** One master of a Cluster. */
export interface MasterHealth extends ServerHealth {
  /** `host:port` */
  readonly master: string
}

/** What works and what does not. Holds no session id, no session data and no credentials. */
export interface Health extends ServerHealth {
  /** `down`: neither reads nor saves reach Redis (on Cluster any master); `degraded`: anything less than all well. */
  readonly status: 'up' | 'degraded' | 'down'
  /** On Cluster each master by itself; `lanes` and `connection` then show the worst of them. */
  readonly masters?: readonly MasterHealth[]
  /** The cache; none where it is off. `near` where that is asked for; it has no say in `status`. */
  readonly cache?: { readonly sessions: number; readonly bytes: number; readonly near?: NearHealth }
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
  /** Whether `close()` was called. */
  readonly closed: boolean
}

export interface HealthInput {
  readonly nodes: readonly Node[]
  readonly cache: FallbackCache | undefined
  readonly near: NearHealth | undefined
  readonly queue: WriteQueue
  readonly replaying: boolean
  readonly revocations: number
  readonly closed: boolean
}

export function healthOf(input: HealthInput): Health {
  const { nodes, cache, near, queue } = input
  const waiting = queue.saves.size + queue.destroys.size
  const well = nodes.every((node) => node.isWell) && waiting === 0
  const down = input.closed || nodes.every(({ lanes }) => !lanes.read.breaker.closed && !lanes.save.breaker.closed)
  const masters = nodes.flatMap((node) =>
    node.name === undefined ? [] : [{ master: node.name, ...serverHealth([node]) }],
  )
  let inFlight = 0
  for (const node of nodes) node.eachLane((lane) => (inFlight += lane.inFlight))
  return {
    status: down ? 'down' : well ? 'up' : 'degraded',
    ...serverHealth(nodes),
    ...(masters.length > 0 && { masters }),
    ...(cache && { cache: { sessions: cache.size, bytes: cache.bytes, ...(near && { near }) } }),
    queue: {
      saves: queue.saves.size,
      destroys: queue.destroys.size,
      bytes: queue.bytes,
      replaying: input.replaying,
    },
    revocations: input.revocations,
    inFlight,
    closed: input.closed,
  }
}

/** The worst of these. */
function serverHealth(nodes: readonly Node[]): ServerHealth {
  const lane = (name: LaneName): LaneHealth => {
    const states = nodes.map(({ lanes, since }) => ({ ...lanes[name].state, since: since[name] }))
    // All is well since the last of them is, and not well since the first is not.
    const first = (state: LaneState['state']): LaneHealth | undefined =>
      states.filter((each) => each.state === state).sort((a, b) => (a.since < b.since ? -1 : 1))[0]
    const closed = states.reduce((a, b) => (a.since < b.since ? b : a))
    return first('open') ?? first('half-open') ?? closed
  }
  const lost = nodes.find(({ connection }) => connection.state !== 'ready')?.connection
  return {
    lanes: { read: lane('read'), save: lane('save'), lifetime: lane('lifetime') },
    connection: lost === undefined ? { state: 'ready' } : { state: lost.state, reason: lost.failure.reason },
  }
}
