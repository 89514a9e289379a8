/** node-redis as its README shows it, for each topology; nothing set that a newcomer would not have set. */
import { createClient, createCluster, createSentinel } from 'redis'
import type { Connection } from '../drivers/contract.js'

/** What the shop needs of any of node-redis's clients. */
export interface NodeRedis {
  /** Of a single connection only. */
  readonly isReady?: boolean
  on(event: 'error', listener: (error: unknown) => void): unknown
  connect(): Promise<unknown>
  destroy(): void
}

export function connectNodeRedis(redis: Connection): NodeRedis {
  const password = redis.password === undefined ? {} : { password: redis.password }
  switch (redis.topology) {
    case 'standalone':
      return createClient({ socket: { host: redis.host, port: redis.port }, ...password }) as unknown as NodeRedis
    case 'sentinel':
      return createSentinel({
        name: redis.name,
        sentinelRootNodes: [...redis.sentinels],
        nodeAddressMap: redis.natMap,
        nodeClientOptions: password,
      }) as unknown as NodeRedis
    case 'cluster':
      return createCluster({
        rootNodes: redis.nodes.map(({ host, port }) => ({ socket: { host, port } })),
        nodeAddressMap: redis.natMap,
        defaults: password,
      }) as unknown as NodeRedis
  }
}
