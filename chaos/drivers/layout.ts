/** Which servers a topology is made of, and the configuration that makes them one. Pure. */
import type { RedisConfig } from '../../test/support/redis-config.js'
import type { Address, RigSettings, Topology } from './contract.js'
import type { NodeSpec } from './fleet.js'

/** What the Sentinels call the master. */
export const MASTER_NAME = 'mymaster'
/** How many data nodes each topology has. */
const DATA_NODES: Readonly<Record<Topology, number>> = { standalone: 1, sentinel: 3, cluster: 6 }
export const SENTINELS = 3
/** A majority of the Sentinels. */
const QUORUM = 2
const DOWN_AFTER = 1_000

/** The names of the data nodes, the first masters first. */
export function dataNodes(topology: Topology): string[] {
  return Array.from({ length: DATA_NODES[topology] }, (_, index) => `redis-${index + 1}`)
}

/** The names of the Sentinels; none but in their own topology. */
export function sentinelNodes(topology: Topology): string[] {
  return topology === 'sentinel' ? Array.from({ length: SENTINELS }, (_, index) => `sentinel-${index + 1}`) : []
}

/** All servers of a topology. */
export function layOut(topology: Topology, settings: RigSettings): NodeSpec[] {
  const data = dataNodes(topology).map(
    (name): NodeSpec => ({
      name,
      kind: 'redis',
      config: (addressOf) => ({
        ...dataConfig(settings),
        ...(topology === 'sentinel' && replicationConfig(addressOf(name), settings)),
        ...(topology === 'sentinel' && name !== 'redis-1' && { replicaof: words(addressOf('redis-1')) }),
        ...(topology === 'cluster' && clusterConfig(addressOf(name), settings)),
      }),
    }),
  )
  const sentinels = sentinelNodes(topology).map(
    (name): NodeSpec => ({
      name,
      kind: 'sentinel',
      config: (addressOf) => sentinelConfig(addressOf(name), addressOf('redis-1'), settings),
    }),
  )
  return [...data, ...sentinels]
}

function dataConfig({ password }: RigSettings): RedisConfig {
  return {
    // A replica that is cut off is found out, and one that comes back is served, sooner than after a minute.
    'repl-timeout': 5,
    'repl-diskless-sync-delay': 0,
    ...(password !== undefined && { masterauth: password }),
  }
}

function replicationConfig(self: Address, { minReplicas = true }: RigSettings): RedisConfig {
  return {
    'replica-announce-ip': self.host,
    'replica-announce-port': self.port,
    ...minReplicasConfig(minReplicas),
  }
}

/** A master refuses writes that no replica would get. */
export function minReplicasConfig(on: boolean): RedisConfig {
  return { 'min-replicas-to-write': on ? 1 : 0, 'min-replicas-max-lag': on ? 1 : 10 }
}

function clusterConfig(self: Address, { downAfter = DOWN_AFTER }: RigSettings): RedisConfig {
  return {
    'cluster-enabled': 'yes',
    'cluster-config-file': 'nodes.conf',
    'cluster-node-timeout': downAfter,
    'cluster-announce-ip': self.host,
    // One dead shard is to leave the others at work.
    'cluster-require-full-coverage': 'no',
    'cluster-replica-validity-factor': 0,
  }
}

function sentinelConfig(
  self: Address,
  master: Address,
  { password, downAfter = DOWN_AFTER }: RigSettings,
): RedisConfig {
  return {
    sentinel: [
      `announce-ip ${self.host}`,
      `announce-port ${self.port}`,
      `monitor ${MASTER_NAME} ${words(master)} ${QUORUM}`,
      `down-after-milliseconds ${MASTER_NAME} ${downAfter}`,
      `failover-timeout ${MASTER_NAME} 5000`,
      `parallel-syncs ${MASTER_NAME} 1`,
      ...(password === undefined ? [] : [`auth-pass ${MASTER_NAME} ${password}`]),
    ],
  }
}

function words({ host, port }: Address): string {
  return `${host} ${port}`
}
