import type { RedisOptions } from 'ioredis'
import type { RedisClusterOptions } from '../../src/index.js'
import type { Connection } from '../drivers/contract.js'

/** The store's option `redis` for a connection to a rig. */
export function redisOption(redis: Connection): RedisOptions | RedisClusterOptions {
  const password = redis.password === undefined ? {} : { password: redis.password }
  switch (redis.topology) {
    case 'standalone':
      return { host: redis.host, port: redis.port, ...password }
    case 'sentinel':
      return { sentinels: [...redis.sentinels], name: redis.name, natMap: redis.natMap, ...password }
    case 'cluster':
      return { cluster: [...redis.nodes], natMap: redis.natMap, redisOptions: password }
  }
}
