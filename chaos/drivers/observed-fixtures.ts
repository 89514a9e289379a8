/** Hand-made accounts of healthy rigs, for tests that change one thing in them. */
import { clusterLines, type Fields, type Observed } from './observation.js'

const at = (number: number): { host: string; port: number } => ({ host: `10.0.0.${number}`, port: 6379 })

/** A master with two replicas, watched by three Sentinels. */
export function sentinelRig(): Observed[] {
  const data = [1, 2, 3].map(
    (number): Observed => ({
      ...{ name: `redis-${number}`, kind: 'redis', announced: at(number), role: number === 1 ? 'master' : 'replica' },
      info:
        number === 1
          ? { role: 'master', slave0: 'ip=10.0.0.2,state=online', slave1: 'ip=10.0.0.3,state=online' }
          : { role: 'slave', master_link_status: 'up' },
    }),
  )
  const sentinels = [1, 2, 3].map(
    (number): Observed => ({
      ...{ name: `sentinel-${number}`, kind: 'sentinel', announced: at(10 + number), role: 'sentinel', info: {} },
      watched: {
        master: { ip: '10.0.0.1', port: '6379', flags: 'master', 'role-reported': 'master' },
        replicas: [2, 3].map(replica),
        sentinels: [{ flags: 'sentinel' }, { flags: 'sentinel' }],
      },
    }),
  )
  return [...data, ...sentinels]
}

function replica(number: number): Fields {
  return {
    ...{ name: `10.0.0.${number}:6379`, flags: 'slave', 'role-reported': 'slave', 'master-link-status': 'ok' },
    ...{ 'master-host': '10.0.0.1', 'master-port': '6379' },
  }
}

/** Three masters, of which redis-2 serves the lowest slots, and a replica for each. */
export const CLUSTER_NODES = `\
id1 10.0.0.1:6379@16379 myself,master - 0 0 1 connected 5461-10922
id2 10.0.0.2:6379@16379 master - 0 0 2 connected 0-5460
id3 10.0.0.3:6379@16379 master - 0 0 3 connected 10923-16383 [10923->-id1]
id4 10.0.0.4:6379@16379,host slave id1 0 0 1 connected
id5 10.0.0.5:6379@16379 slave id2 0 0 2 connected
id6 10.0.0.6:6379@16379 slave id3 0 0 3 connected
`

export function clusterRig(): Observed[] {
  return [1, 2, 3, 4, 5, 6].map((number) => ({
    ...{ name: `redis-${number}`, kind: 'redis', announced: at(number) },
    ...(number <= 3
      ? { role: 'master', info: { role: 'master' } }
      : { role: 'replica', info: { role: 'slave', master_link_status: 'up' } }),
    cluster: { info: { cluster_state: 'ok', cluster_slots_ok: '16384' }, nodes: clusterLines(CLUSTER_NODES) },
  }))
}
