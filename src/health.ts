import type { DownReason } from './errors.js'
import type { FallbackCache } from './fallback-cache.js'
import type { LaneName, LaneState } from './lanes.js'
import type { NearHealth } from './near-cache.js'
import type { Node } from './node.js'
import type { ConnectionState } from './redis/connect.js'
import type { WriteQueue } from './write-queue.js'

/** One server's part. */
interface ServerHealth {
  readonly lanes: Readonly<Record<LaneName, LaneState>>
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
  }
}

/** The worst of these. */
function serverHealth(nodes: readonly Node[]): ServerHealth {
  const lane = (name: LaneName): LaneState => {
    const states = nodes.map(({ lanes }) => lanes[name].state)
    const worst = states.find(({ state }) => state === 'open') ?? states.find(({ state }) => state !== 'closed')
    return worst ?? { state: 'closed' }
  }
  const lost = nodes.find(({ connection }) => connection.state !== 'ready')?.connection
  return {
    lanes: { read: lane('read'), save: lane('save'), lifetime: lane('lifetime') },
    connection: lost === undefined ? { state: 'ready' } : { state: lost.state, reason: lost.failure.reason },
  }
}
