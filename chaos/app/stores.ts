import type { Request } from 'express'
import session from 'express-session'
import type { ShopConfig } from './messages.js'
import type { Recorder } from './recorder.js'
import type { ShopStore } from './shop-store.js'

/** What all stores share that have no words of their own. */
const PLAIN = {
  follow: [],
  savedTo: () => 'done',
  sourceOf: () => undefined,
  save: (request: Request): Promise<void> =>
    new Promise((resolve, reject) => {
      request.session.save((error?: unknown) => (error ? reject(error) : resolve()))
    }),
} as const satisfies Partial<ShopStore>

export async function openStore(config: ShopConfig, recorder: Recorder): Promise<ShopStore> {
  switch (config.store) {
    case 'resilient':
      return (await import('./resilient.js')).openResilientStore(config, recorder)
    case 'connect-redis':
      return openConnectRedis(config, recorder)
    case 'connect-redis-8':
      return openConnectRedis8(config, recorder)
    case 'memory':
      return openMemoryStore(recorder)
  }
}

/** As connect-redis's README shows it, and an `error` listener: without one node-redis ends the process at the kill. */
async function openConnectRedis({ redis }: ShopConfig, recorder: Recorder): Promise<ShopStore> {
  const [{ RedisStore }, clients] = await Promise.all([import('connect-redis'), import('./node-redis.js')])
  const client = clients.connectNodeRedis(redis)
  client.on('error', (error: unknown) => recorder.event('client-error', { error: wordOf(error) }))
  client.connect().catch(() => {})
  const store = new RedisStore({ client: client as never })
  recorder.watch(store, () => 'session')
  return {
    ...PLAIN,
    store,
    sample: () => ({ connection: client.isReady === false ? 'reconnecting' : 'ready' }),
    close: async () => client.destroy(),
  }
}

/** The last connect-redis that takes ioredis, with ioredis 5 as its README shows it. */
async function openConnectRedis8({ redis }: ShopConfig, recorder: Recorder): Promise<ShopStore> {
  const [{ RedisStore }, { Redis, Cluster }] = await Promise.all([import('connect-redis-8'), import('ioredis5')])
  const password = redis.password === undefined ? {} : { password: redis.password }
  const client =
    redis.topology === 'standalone'
      ? new Redis({ host: redis.host, port: redis.port, ...password })
      : redis.topology === 'sentinel'
        ? new Redis({ sentinels: [...redis.sentinels], name: redis.name, natMap: redis.natMap, ...password })
        : new Cluster([...redis.nodes], { natMap: redis.natMap, redisOptions: password })
  client.on('error', (error: unknown) => recorder.event('client-error', { error: wordOf(error) }))
  const store = new RedisStore({ client: client as never })
  recorder.watch(store, () => 'session')
  return { ...PLAIN, store, sample: () => ({ connection: client.status }), close: async () => client.disconnect() }
}

async function openMemoryStore(recorder: Recorder): Promise<ShopStore> {
  const store = new session.MemoryStore()
  recorder.watch(store, () => 'session')
  return { ...PLAIN, store, sample: () => ({ connection: 'none' }), close: async () => {} }
}

function wordOf(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string }
  return code ?? message ?? 'unknown'
}
