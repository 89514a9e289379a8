// What the tests of the near cache share: a store whose two connections go over a proxy each.
import type { SessionData } from 'express-session'
import { Redis, type RedisOptions } from 'ioredis'
import type { NearHealth, ResilientStore, ResilientStoreOptions } from '../../../src/index.js'
import { provenanceOf, type SessionSource } from '../../../src/provenance.js'
import type { RedisServer } from '../../support/redis-server.js'
import { type ProxyTarget, startProxy, type TcpProxy } from '../../support/tcp-proxy.js'
import { until } from '../../support/wait.js'
import { afterThis, openClient, openStore, readyStore, type TestSession } from '../store-kit.js'

export interface Read {
  readonly session: TestSession | null
  /** `undefined` where there is no session. */
  readonly source: SessionSource | undefined
}

/** A session and where it came from. */
export async function read(store: ResilientStore, sid: string): Promise<Read> {
  const session = await store.get(sid)
  const source = session === null ? undefined : provenanceOf(session, sid, undefined)?.source
  return { session: session as (SessionData & TestSession) | null, source }
}

export function nearOf(store: ResilientStore): NearHealth | undefined {
  return store.health().cache?.near
}

/** Resolves once Redis announces changes to the store. */
export async function untilNear(...stores: readonly ResilientStore[]): Promise<void> {
  await until(() => stores.every((store) => nearOf(store)?.state === 'on'), { what: 'the near cache to be on' })
}

/** Reads a session until it comes from memory. */
export async function warm(store: ResilientStore, ...sids: readonly string[]): Promise<void> {
  for (const sid of sids) {
    await until(async () => (await read(store, sid)).source === 'near', { what: `${sid} to be served from memory` })
  }
}

/** A store with a near cache that works. */
export async function nearStore(
  where: { readonly url: string },
  options: ResilientStoreOptions = {},
): Promise<ResilientStore> {
  const store = await readyStore(where, { cache: { near: true }, ...options })
  await untilNear(store)
  return store
}

/** A store whose connections can be broken one by one. */
export interface Lines {
  readonly store: ResilientStore
  /** The store's client. */
  readonly client: Redis
  /** Between the store and the sessions. */
  readonly data: TcpProxy
  /** Between the store and the announcements. It does not look into what passes. */
  readonly line: TcpProxy
  /** Where they lead: may be changed for the connections to come. */
  readonly target: { data: ProxyTarget; line: ProxyTarget }
}

export async function lines(redis: RedisServer, options: ResilientStoreOptions = {}): Promise<Lines> {
  const target = { data: redis as ProxyTarget, line: redis as ProxyTarget }
  const through = async (which: 'data' | 'line'): Promise<TcpProxy> => {
    const current: ProxyTarget = {
      get port() {
        return target[which].port
      },
    }
    const proxy = await startProxy({ target: current, opaque: which === 'line' })
    afterThis(() => proxy.close())
    return proxy
  }
  const [data, line] = [await through('data'), await through('line')]
  const client = openClient(data)
  client.duplicate = (override?: Partial<RedisOptions>) =>
    Redis.prototype.duplicate.call(client, { ...override, port: line.port })
  const store = openStore(data, { client, cache: { near: true }, timeout: 2_000, touchAfter: 0, ...options })
  await store.ready()
  await untilNear(store)
  return { store, client, data, line, target }
}

/** How many commands the server has carried out since the last `CONFIG RESETSTAT`, by name. */
export async function commands(redis: Pick<RedisServer, 'cli'>): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const [, name, calls] of (await redis.cli('INFO', 'commandstats')).matchAll(/^cmdstat_(\S+):calls=(\d+)/gm)) {
    if (name !== 'config|resetstat' && name !== 'info') counts[name as string] = Number(calls)
  }
  return counts
}

/** The connections on which the server announces changes. */
export async function listeners(redis: Pick<RedisServer, 'cli'>): Promise<string[]> {
  const list = await redis.cli('CLIENT', 'LIST', 'TYPE', 'pubsub')
  return [...list.matchAll(/^id=(\d+)/gm)].map(([, id]) => id as string)
}
