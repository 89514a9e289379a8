/**
 * What a driver gives to a chaos run: a rig of real Redis servers, how an application reaches it, and the faults that
 * can be done to it. Types only; everything that crosses a process or goes into a history is plain JSON. Both drivers
 * pass one suite (rig.test.ts).
 */

/** standalone: one server. sentinel: a master, two replicas, three Sentinels. cluster: three masters, three replicas. */
export type Topology = 'standalone' | 'sentinel' | 'cluster'

/** `process`: redis-server processes of this machine. `docker`: containers of docker-compose.yml. */
export type DriverName = 'process' | 'docker'

/** How the servers are set up. */
export interface RigSettings {
  /** Every write is on disk before it is answered, and so survives a kill. @default true */
  readonly appendonly?: boolean
  /** As in redis.conf: `10mb`; the eviction policy is `noeviction`. @default no limit */
  readonly maxmemory?: string
  /** Of the default user, on every data node. @default none */
  readonly password?: string
  /**
   * A master without a replica that has acknowledged within 1 s refuses writes (NOREPLICAS), so that one which is cut
   * off stops taking them (`min-replicas-to-write`, `min-replicas-max-lag`). Sentinel only: a shard of the rig's cluster
   * has one replica, and would refuse all writes after each failover. @default true
   */
  readonly minReplicas?: boolean
  /** After how many ms of silence a node counts as down for Sentinel or for the cluster. @default 1000 */
  readonly downAfter?: number
}

/** Where something listens. */
export interface Address {
  readonly host: string
  readonly port: number
}

/**
 * How one application process connects, as JSON. Each has proxies of its own, one for every node; `natMap` (as ioredis
 * calls it: `host:port` that a node announces → where this process reaches it) keeps it behind them when Sentinel or
 * the cluster names a node. So does `nodeAddressMap` of node-redis, which takes the same object.
 */
export type Connection =
  | (Address & { readonly topology: 'standalone'; readonly url: string; readonly password?: string })
  | {
      readonly topology: 'sentinel'
      /** What the Sentinels call the master. */
      readonly name: string
      readonly sentinels: readonly Address[]
      readonly natMap: Readonly<Record<string, Address>>
      /** Of the data nodes; the Sentinels have none. */
      readonly password?: string
    }
  | {
      readonly topology: 'cluster'
      readonly nodes: readonly Address[]
      readonly natMap: Readonly<Record<string, Address>>
      readonly password?: string
    }

/**
 * Nodes that a fault is aimed at, looked up when it begins:
 * - `master`: the master (cluster: of the first shard), `replica`: one replica of that master (cluster: the replica),
 *   `replicas`: all of them
 * - `masters`, `all`: all masters, all data nodes
 * - `majority`: so many that the rest cannot elect a master: two Sentinels, or two cluster masters
 * - `shard`: a cluster master with its replica (the first shard)
 * - `{ key }`: the master that holds this key; `{ shardOf }`: that one with its replicas
 * - `{ node }`: a node by name, whatever its role
 */
export type Target =
  | 'master'
  | 'replica'
  | 'replicas'
  | 'masters'
  | 'all'
  | 'majority'
  | 'shard'
  | { readonly key: string }
  | { readonly shardOf: string }
  | { readonly node: string }

interface AtNodes {
  /** @default 'master' */
  readonly target?: Target
}

/** Aimed at connections: those of one application process or of all, to some nodes or to all. */
interface AtConnections {
  /** One application process, as named to {@link Rig.connection}. @default every one */
  readonly app?: string
  /** @default every node, Sentinels included */
  readonly target?: Target
}

/**
 * A fault, as data. Ends with {@link Injected.heal} unless it says "momentary". What a client sees stands behind the
 * dash.
 */
export type Fault =
  // Servers
  /** SIGKILL. Back with what was on disk, or `empty` — FIN, then ECONNREFUSED. */
  | ({ readonly kind: 'kill'; readonly back?: 'same' | 'empty' } & AtNodes)
  /** SIGTERM, an orderly shutdown; `heal` starts it again — as for a kill. */
  | ({ readonly kind: 'stop' } & AtNodes)
  /** SIGSTOP — silence; new connections succeed and are silent; on resume, what was sent is carried out. */
  | ({ readonly kind: 'pause' } & AtNodes)
  /** Restarted with a dataset that takes `seconds` to load — LOADING, until loaded or healed. */
  | ({ readonly kind: 'loading'; readonly seconds: number } & AtNodes)
  /** The server does nothing else for so long; heals by itself — silence. */
  | ({ readonly kind: 'debug-sleep'; readonly seconds: number } & AtNodes)
  /** `CLIENT PAUSE … WRITE` — writes are silent, reads are answered. */
  | ({ readonly kind: 'client-pause' } & AtNodes)
  /** The memory limit is below what is in use — OOM for what needs memory; reads and deletes work. */
  | ({ readonly kind: 'fill-memory' } & AtNodes)
  /** `replica`: READONLY for writes. `min-replicas`: NOREPLICAS for writes. Reads work. */
  | ({ readonly kind: 'read-only'; readonly how: 'replica' | 'min-replicas' } & AtNodes)
  /** All data nodes get another password and applications are disconnected; `heal` sets the old one — WRONGPASS, NOAUTH. */
  | { readonly kind: 'rotate-password' }
  /** No more clients than are connected; applications are disconnected — "ERR max number of clients reached". */
  | ({ readonly kind: 'max-clients' } & AtNodes)
  /** All data is deleted, on all masters. Momentary. */
  | { readonly kind: 'flush' }

  // Replication
  /** An orderly failover of the master, or of a cluster shard: done when another node is master. Momentary. */
  | ({ readonly kind: 'failover' } & AtNodes)
  /**
   * The master's replicas stop following it but stay electable, and the master goes on (`min-replicas` is off meanwhile):
   * what is written now is lost if it is killed now. `heal` lets them follow whoever is master then.
   */
  | { readonly kind: 'lag' }
  /**
   * `all`: silence between the node and everyone. `peers`: the other nodes only; applications still reach it. `apps`: the
   * other way round.
   */
  | ({ readonly kind: 'partition'; readonly from: 'all' | 'peers' | 'apps' } & AtNodes)

  // Connections, through the applications' proxies
  /** One application process reaches nothing — silence; new connections succeed and are silent. */
  | { readonly kind: 'partition-app'; readonly app: string }
  /** Every message is so many ms late, each way; `jitter` more or less. */
  | ({ readonly kind: 'latency'; readonly ms: number; readonly jitter?: number } & AtConnections)
  /** So much of the messages (0–1) is lost and sent again, as TCP does: late by 200 ms, 400 ms, … never reordered. */
  | ({ readonly kind: 'loss'; readonly share: number } & AtConnections)
  /** Connections are refused, and those that exist reset — ECONNREFUSED. */
  | ({ readonly kind: 'refuse' } & AtConnections)
  /** All connections are reset now — ECONNRESET; new ones work. Momentary. */
  | ({ readonly kind: 'reset' } & AtConnections)
  /** The servers' side of each connection is gone and nobody told the client — silence on these; new ones work. */
  | ({ readonly kind: 'half-open' } & AtConnections)
  /** Connections are cut after the first byte of the reply to every `nth` command of this name (default: any, each). */
  | ({ readonly kind: 'cut-mid-reply'; readonly command?: string; readonly nth?: number } & AtConnections)
  /** Redis carries out the commands of this name (default: all); replies and whatever follows them are lost — silence. */
  | ({ readonly kind: 'lose-replies'; readonly command?: string } & AtConnections)

export type FaultKind = Fault['kind']

/** A fault that was begun. */
export interface Injected {
  readonly fault: Fault
  /** The nodes it was aimed at, by name. */
  readonly nodes: readonly string[]
  /** Ends it. Resolves when the nodes answer again; {@link Rig.settled} waits for more. A second call does nothing. */
  heal(): Promise<void>
}

/** One server as it is now. */
export interface NodeState {
  /** `redis-1`…, `sentinel-1`…; stays the same whatever role it has. */
  readonly name: string
  readonly kind: 'redis' | 'sentinel'
  readonly announced: Address
  /** `down`: ended or paused by a fault of ours; `silent`: no answer within 1 s; `loading`: LOADING. */
  readonly role: 'master' | 'replica' | 'sentinel' | 'down' | 'silent' | 'loading'
  /** INFO's `run_id`, where it answers. A new one is a new server. */
  readonly runId?: string
  /** Bytes in use, where a data node answers. */
  readonly usedMemory?: number
}

/** A rig as it is now. */
export interface RigState {
  readonly nodes: readonly NodeState[]
  /** Why it is not settled, one line each, naming nodes; empty when it is. */
  readonly unsettled: readonly string[]
}

/** A master with its replicas, and the slots it serves. Without a cluster there is one, which serves them all. */
export interface Shard {
  readonly master: string
  readonly replicas: readonly string[]
  readonly slots: readonly (readonly [number, number])[]
}

/** A running topology. */
export interface Rig extends AsyncDisposable {
  readonly driver: DriverName
  readonly topology: Topology
  /** Of the servers: `7.0.15`. */
  readonly version: string
  /** How the application process of this name connects; the same at every call. Its proxies are made at the first. */
  connection(app: string): Promise<Connection>
  /** How to connect without any proxy: for audits, which no network fault but a partition disturbs. */
  direct(): Connection
  /**
   * Begins a fault; resolves once it is done to the nodes.
   * @throws {UnsupportedFaultError} where this driver cannot make it here: {@link Driver.refusal} tells before.
   */
  inject(fault: Fault): Promise<Injected>
  /** Where a node is for the others: the key in a {@link Connection}'s `natMap`, as `host:port`. */
  announced(node: string): Address
  /** Who is master of what, by the account of those who decide. Waits out an election in which nobody knows. */
  shards(): Promise<readonly Shard[]>
  /** Looks at every node. */
  state(): Promise<RigState>
  /**
   * Resolves when the rig is whole: every node up; the Sentinels agree on the master and all replicas, which follow it;
   * the cluster's state is ok on every node, all slots are served and each master has its replica.
   * @throws {WaitTimeoutError} after `timeoutMs` (default 60 000), saying what was still missing.
   */
  settled(timeoutMs?: number): Promise<void>
  /** A command to one node over a connection of the rig's own, which works behind every fault but the node's silence. */
  command(node: string, ...words: readonly (string | number)[]): Promise<unknown>
  /** Ends everything and removes what was made: servers, proxies, networks, rules, files. More calls do nothing. */
  close(): Promise<void>
}

/** A way to run real Redis servers. */
export interface Driver extends AsyncDisposable {
  readonly name: DriverName
  /** In words, for reports: the engine and the image, or the path of the server. */
  readonly description: string
  /** Why this fault cannot be made in this topology on this machine; undefined where it can. */
  refusal(topology: Topology, fault: Fault): string | undefined
  /** Starts a topology of its own, settled when the promise resolves. Several can run at a time. */
  open(topology: Topology, settings?: RigSettings): Promise<Rig>
  /** Ends what it started: an engine, not the rigs. */
  close(): Promise<void>
}
