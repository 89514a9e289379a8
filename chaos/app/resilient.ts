import { Redis } from 'ioredis'
import {
  ResilientStore,
  type ResilientStoreOptions,
  requestContext,
  saveSession,
  sessionStatus,
} from '../../src/index.js'
import type { Connection } from '../drivers/contract.js'
import { openBrokenStore } from './broken-store.js'
import type { ShopConfig } from './messages.js'
import { FORTHRIGHT, type Recorder } from './recorder.js'
import { redisOption } from './redis-option.js'
import type { ShopStore } from './shop-store.js'

/** The store's events as they are written down; `down` and `up` are its breakers'. */
const EVENTS = ['down', 'up', 'queued', 'replayed', 'dropped', 'conflict', 'revoked', 'restored'] as const

/** The library under test, set up as its README shows it. */
export function openResilientStore(config: ShopConfig, recorder: Recorder): ShopStore {
  const { settings, policy, redis, defect } = config
  const options: ResilientStoreOptions = {
    redis: redisOption(redis),
    timeout: settings.timeout,
    cache: { max: settings.cacheMax, maxBytes: settings.cacheMaxBytes, maxStale: settings.maxStale },
    queue: { max: settings.queueMax, maxBytes: settings.queueMaxBytes, maxAge: settings.queueMaxAge },
    maxInFlight: settings.maxInFlight,
    revokeFor: settings.revokeFor,
    degradation: policy,
    onRedisDown(error, request, sid) {
      recorder.told(error.operation, error.reason, request, sid)
      // The staff's page fails closed: nobody gets in on what a process remembers.
      if (request?.url?.startsWith('/admin')) return error.operation === 'get' ? 'fail' : undefined
      // Logging out works without Redis: the process forgets the session now, Redis does when it is back.
      if (request?.url?.startsWith('/logout')) {
        if (error.operation === 'get') return 'blank'
        if (error.operation === 'destroy') return 'queue'
      }
      return undefined
    },
  }
  const plain = defect === undefined ? undefined : new Redis(String(urlOf(redis)))
  plain?.on('error', () => {})
  const store =
    defect === undefined || plain === undefined ? new ResilientStore(options) : openBrokenStore(defect, options, plain)
  for (const name of EVENTS) {
    store.on(name, ({ type: _, ...detail }: { readonly type: string }) => recorder.event(name, detail))
  }
  FORTHRIGHT.add(store)
  recorder.watch(store, (session, sid) => {
    const { source } = sessionStatus({ session, sessionID: sid } as never)
    return source === 'new' ? 'session' : source
  })
  return {
    store,
    follow: [requestContext()],
    save: (request) => saveSession(request),
    savedTo: (request) => (sessionStatus(request).source === 'queued' ? 'queued' : 'redis'),
    sourceOf: (request) => sessionStatus(request).source,
    sample() {
      const { status, lanes, connection, cache, queue, revocations, inFlight } = store.health()
      return {
        status,
        lanes: { read: lanes.read.state, save: lanes.save.state, lifetime: lanes.lifetime.state },
        connection: connection.state,
        ...(cache === undefined ? {} : { cache }),
        queue: { saves: queue.saves, destroys: queue.destroys, bytes: queue.bytes },
        revocations,
        inFlight,
      }
    },
    async close() {
      await store.close(1000)
      plain?.disconnect()
    },
  }
}

/** Broken stores are tried on a single server. */
function urlOf(redis: Connection): string | undefined {
  return redis.topology === 'standalone' ? redis.url : undefined
}
