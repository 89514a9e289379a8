/** One Redis server as the store uses it (the only one, or a master of a Cluster): its connection and its lanes. */
import type { Redis } from 'ioredis'
import type { RedisFailure } from './errors.js'
import { Lane, type LaneConnection, type LaneName, type LaneState, type Send } from './lanes.js'
import type { ConnectionState } from './redis/connect.js'
import type { ReadReply, ReadRequest, WriteRequest } from './redis/sessions.js'
import type { ResolvedOptions } from './resolve-options.js'

export interface Lanes {
  readonly read: Lane<ReadRequest, ReadReply>
  readonly save: Lane<WriteRequest, unknown>
  readonly lifetime: Lane<WriteRequest, unknown>
}

/** A server's connection, as far as the store follows it. */
export interface ServerConnection extends LaneConnection {
  /** None where it is not one server. */
  readonly client?: Redis
  readonly state: ConnectionState
  /** Why commands cannot be sent. */
  readonly failure: RedisFailure
  /** Which server answers: its `run_id`, where known. */
  readonly runId: string | undefined
  start(): void
  close(): Promise<void>
}

/** How a node reaches its server. */
export interface Transport {
  readonly connection: ServerConnection
  readonly sendReads: Send<ReadRequest, ReadReply>
  readonly sendWrites: Send<WriteRequest, unknown>
  /** Tries what a lane's commands need, without side effects. */
  readonly probe: (lane: LaneName) => Promise<unknown>
  /** Whether the scripts and the commands that no probe tries may run there. */
  readonly checkRights: () => Promise<unknown>
  /** The server's session ids, a chunk a round trip. */
  readonly scan: (count: number, bounded: <T>(reply: Promise<T>) => Promise<T>) => AsyncGenerator<string[], void, void>
}

export class Node {
  /** `host:port` on Cluster; `undefined` where there is one server. */
  readonly name: string | undefined
  readonly lanes: Lanes
  readonly transport: Transport
  /** Since when each lane works, or does not: ISO 8601. */
  readonly since: Record<LaneName, string>

  constructor(
    name: string | undefined,
    transport: Transport,
    options: Pick<ResolvedOptions, 'timeout' | 'breaker' | 'maxInFlight'>,
    onChange: (node: Node, lane: LaneName, state: LaneState) => void,
  ) {
    this.name = name
    this.transport = transport
    const now = new Date().toISOString()
    this.since = { read: now, save: now, lifetime: now }
    const works = { read: true, save: true, lifetime: true }
    const { timeout, breaker, maxInFlight } = options
    const lane = <Request, Reply>(laneName: LaneName, send: Send<Request, Reply>): Lane<Request, Reply> =>
      new Lane<Request, Reply>({
        name: laneName,
        server: name,
        ...{ timeout, breaker, maxInFlight, send },
        connection: transport.connection,
        probe: () => transport.probe(laneName),
        onChange: (_, state) => {
          // Each probe of a breaker that stays open is a change of its state, too.
          if (works[laneName] !== (state.state === 'closed')) this.since[laneName] = new Date().toISOString()
          works[laneName] = state.state === 'closed'
          onChange(this, laneName, state)
        },
      })
    this.lanes = {
      read: lane('read', transport.sendReads),
      save: lane('save', transport.sendWrites),
      lifetime: lane('lifetime', transport.sendWrites),
    }
  }

  get connection(): ServerConnection {
    return this.transport.connection
  }

  /** Which server answers there: its `run_id`, where known. */
  get runId(): string | undefined {
    return this.transport.connection.runId
  }

  get isWell(): boolean {
    return this.connection.state === 'ready' && this.everyLane((lane) => lane.breaker.closed)
  }

  everyLane(holds: (lane: Lanes[LaneName]) => boolean): boolean {
    return holds(this.lanes.read) && holds(this.lanes.save) && holds(this.lanes.lifetime)
  }

  eachLane(run: (lane: Lanes[LaneName]) => void): void {
    run(this.lanes.read)
    run(this.lanes.save)
    run(this.lanes.lifetime)
  }

  /** Stops the lanes' timers and lets go of the connection. */
  async close(): Promise<void> {
    this.eachLane((lane) => lane.shutdown())
    await this.connection.close()
  }
}

/** What a node, or the whole of them, tells the store. */
export interface NodeEvents {
  /** Commands can be sent (again). `sameServer` is false when another `run_id` answers than before. */
  readonly onReady: (node: Node, sameServer: boolean) => void
  readonly onLost: (node: Node, failure: RedisFailure) => void
  readonly onLaneChange: (node: Node, lane: LaneName, state: LaneState) => void
  /** Other masters have these sessions now. */
  readonly onMoved: (isMoved: (sid: string) => boolean) => void
  /** The node has no sessions any more. */
  readonly onRetired: (node: Node) => void
  /** A command on this session was sent to another server than the one that is known to have it. */
  readonly onRedirected: (sid: string) => void
}

/** Every server that has sessions. */
export interface Nodes {
  /** The one that has this session. */
  of(sid: string): Node
  /** All of them, each once. */
  all(): readonly Node[]
  /** Settles when it is known which servers there are; at once where it is. */
  known(): Promise<void> | undefined
  start(): void
  close(): Promise<void>
}
