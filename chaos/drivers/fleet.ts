/** What a rig is built from: servers that can be started, ended, frozen and cut off, however a driver runs them. */
import type { RedisConfig } from '../../test/support/redis-config.js'
import type { RespValue } from '../../test/support/resp.js'
import type { Address, DriverName, Fault, RigSettings, Topology } from './contract.js'

/** How to set up one server of a fleet. */
export interface NodeSpec {
  readonly name: string
  readonly kind: 'redis' | 'sentinel'
  /** Its part of the topology, as lines of redis.conf; `addressOf` says where another node is for its peers. */
  config(addressOf: (name: string) => Address): RedisConfig
}

/** One server. A verb that does not apply (resuming one that runs) rejects: a fault that does not bite is an error. */
export interface FleetNode {
  readonly name: string
  readonly kind: 'redis' | 'sentinel'
  /** Where its peers reach it. */
  readonly announced: Address
  /** Where this machine reaches it. */
  readonly reach: Address
  /** Starts it with whatever it kept; `answering` resolves as soon as it replies, be it LOADING. */
  start(until?: 'ready' | 'answering'): Promise<void>
  /** SIGKILL. Resolves when it is gone. */
  kill(): Promise<void>
  /** SIGTERM. Resolves when it is gone. */
  stop(): Promise<void>
  pause(): Promise<void>
  resume(): Promise<void>
  /** Deletes its data, while it is down. */
  wipe(): Promise<void>
  /** Silence between it and the other nodes; whoever uses `reach` is not affected. */
  cut(): Promise<void>
  /** Ends {@link cut}. */
  rejoin(): Promise<void>
  /** A command over a connection that is held, as a user of its own. @throws {RespError} for an error reply. */
  cli(...words: readonly (string | number)[]): Promise<RespValue>
}

/** The servers of one rig. */
export interface Fleet {
  readonly version: string
  readonly nodes: readonly FleetNode[]
  /** Ends and removes all of it. */
  close(): Promise<void>
}

/** A driver's part: it makes fleets, none of whose servers runs yet. */
export interface Shipyard {
  readonly name: DriverName
  readonly description: string
  /** Why a fault on servers cannot be made by this driver on this machine. */
  refusal(topology: Topology, fault: Fault): string | undefined
  raise(topology: Topology, specs: readonly NodeSpec[], settings: RigSettings): Promise<Fleet>
  close(): Promise<void>
}
