import type { Request } from 'express'
import session from 'express-session'
import type { ShopConfig, StoreReport } from './messages.js'

/** A session store as the shop uses it, with what each store has of its own behind one face. */
export interface ShopStore {
  readonly store: session.Store
  save(request: Request): Promise<void>
  sourceOf(request: Request): string | undefined
  report(): StoreReport
  close(): Promise<void>
}

/** Tells the driver what the store told the application. */
export type Note = (name: string, detail: string) => void

export function openStore(config: ShopConfig, note: Note): Promise<ShopStore> {
  switch (config.store) {
    case 'resilient':
      return openResilientStore(config, note)
    case 'connect-redis':
      return openConnectRedis(config, note)
    case 'memory':
      return openMemoryStore()
  }
}

async function openResilientStore({ redis, policy }: ShopConfig, note: Note): Promise<ShopStore> {
  const { ResilientStore, saveSession, sessionStatus } = await import('../../src/index.js')
  const store = new ResilientStore({
    redis: `redis://${redis.host}:${redis.port}`,
    cache: true,
    degradation: policy,
    onRedisDown(error, request) {
      note('down', `${error.operation} ${error.reason}`)
      // The staff's page fails closed: nobody gets in on what a process remembers.
      if (request?.url?.startsWith('/admin')) return error.operation === 'get' ? 'fail' : undefined
      // Logging out works without Redis: the process forgets the session now, Redis does when it is back.
      if (request?.url?.startsWith('/logout')) {
        if (error.operation === 'get') return 'blank'
        if (error.operation === 'destroy') return 'queue'
      }
      return undefined
    },
  })
  store.on('down', ({ lane, reason }) => note('breaker-open', `${lane} ${reason ?? ''}`.trim()))
  store.on('up', ({ lane }) => note('breaker-closed', lane))
  store.on('queued', ({ operation, reason }) => note('queued', `${operation} ${reason}`))
  store.on('replayed', ({ operation }) => note('replayed', operation))
  store.on('dropped', ({ operation, reason }) => note('dropped', `${operation} ${reason}`))
  store.on('conflict', ({ queued }) => note('conflict', queued ? 'queued' : 'direct'))
  store.on('revoked', ({ queued }) => note('revoked', queued ? 'queued' : 'direct'))
  return {
    store,
    save: (request) => saveSession(request),
    sourceOf: (request) => sessionStatus(request).source,
    report() {
      const { lanes, connection, queue } = store.health()
      return {
        lanes: { read: lanes.read.state, save: lanes.save.state, lifetime: lanes.lifetime.state },
        connection: connection.state,
        queued: queue.saves + queue.destroys,
      }
    },
    close: async () => void (await store.close(1000)),
  }
}

/** As connect-redis's README shows it, and an `error` listener: without one node-redis ends the process at the kill. */
async function openConnectRedis({ redis }: ShopConfig, note: Note): Promise<ShopStore> {
  const [{ RedisStore }, { createClient }] = await Promise.all([import('connect-redis'), import('redis')])
  const client = createClient({ socket: { host: redis.host, port: redis.port } })
  client.on('error', (error: Error) => note('client-error', (error as NodeJS.ErrnoException).code ?? error.message))
  client.connect().catch(() => {})
  return {
    store: new RedisStore({ client }),
    save: saveByCallback,
    sourceOf: () => undefined,
    report: () => ({ connection: client.isReady ? 'ready' : 'reconnecting', queued: 0 }),
    close: async () => client.destroy(),
  }
}

async function openMemoryStore(): Promise<ShopStore> {
  return {
    store: new session.MemoryStore(),
    save: saveByCallback,
    sourceOf: () => undefined,
    report: () => ({ connection: 'none', queued: 0 }),
    close: async () => {},
  }
}

function saveByCallback(request: Request): Promise<void> {
  return new Promise((resolve, reject) => {
    request.session.save((error?: unknown) => (error ? reject(error) : resolve()))
  })
}
