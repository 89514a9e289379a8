// A Redis Cluster of one node that has all slots: the store on a client that the application supplies.
import { Cluster } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ResilientStore, ResilientStoreOptions } from '../../../src/index.js'
import { type RedisServer, startRedis } from '../../support/redis-server.js'
import { until } from '../../support/wait.js'
import { CONFLICT, change, REVOKED, stored, told } from '../guard-kit.js'
import { afterThis, downError, load, openStore, outcomes, rootReason, session, untilUp } from '../store-kit.js'

/** One node for all tests: it takes two seconds until it serves its slots. */
let node: RedisServer

beforeAll(async () => {
  node = await startRedis({ config: { 'cluster-enabled': 'yes', 'cluster-announce-ip': '127.0.0.1' } })
  await node.cli('CLUSTER', 'ADDSLOTSRANGE', 0, 16383)
  await until(async () => (await node.cli('CLUSTER', 'INFO')).includes('cluster_state:ok'), { what: 'the cluster' })
})

afterAll(() => node?.stop())

async function clusterNode(): Promise<RedisServer> {
  await node.cli('FLUSHALL')
  return node
}

function connect(redis: RedisServer): Cluster {
  const cluster = new Cluster([{ host: redis.host, port: redis.port }], {
    enableOfflineQueue: false,
    clusterRetryStrategy: () => 50,
    redisOptions: { autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0, commandTimeout: 2_000 } as object,
  })
  cluster.on('error', () => {})
  afterThis(() => cluster.disconnect())
  return cluster
}

async function onCluster(
  options: ResilientStoreOptions = {},
): Promise<{ redis: RedisServer; store: ResilientStore; other: () => Promise<ResilientStore> }> {
  const redis = await clusterNode()
  const open = async (): Promise<ResilientStore> => {
    const store = openStore(redis, { client: connect(redis), timeout: 2_000, touchAfter: 0, ...options })
    await store.ready()
    return store
  }
  return { redis, store: await open(), other: open }
}

const PREFIXES = ['sess:', '{app}:', 'a{b}c:', '{app}{x}:'] as const

describe.each(PREFIXES)('with the prefix %s', (prefix) => {
  it('sessions are saved, read, touched, destroyed and walked over', async () => {
    const { redis, store } = await onCluster({ prefix })
    const sids = Array.from({ length: 20 }, (_, n) => `visitor-${n}`)
    await Promise.all(sids.map((sid) => store.set(sid, session({ sid }, 60_000))))
    const read = await Promise.all(sids.map((sid) => load(store, sid)))
    expect(read.map(({ sid }) => sid)).toEqual(sids)
    expect(await store.get('nobody')).toBeNull()
    await redis.cli('PERSIST', `${prefix}visitor-0`)
    await store.touch('visitor-0', read[0]!)
    expect(await redis.cli<number>('PTTL', `${prefix}visitor-0`)).toBeGreaterThan(50_000)
    await store.destroy('visitor-1')
    expect(await store.get('visitor-1')).toBeNull()
    expect((await store.ids()).sort()).toEqual(sids.filter((sid) => sid !== 'visitor-1').sort())
    expect(await store.length()).toBe(19)
    expect((await store.all()).map(({ id }) => id).sort()).toEqual((await store.ids()).sort())
    await store.clear()
    expect(await store.ids()).toEqual([])
    // The marker of the logout is what is left.
    expect(await redis.cli('DBSIZE')).toBe(1)
  })

  it('saves are guarded: a logout elsewhere, a deletion, a change', async () => {
    const { redis, store, other } = await onCluster({ prefix, concurrency: 'reject' })
    const there = await other()
    const events = told(store)
    const loaded = async (sid: string) => {
      await store.set(sid, session({ step: 0 }))
      return load(store, sid)
    }
    const [destroyed, deleted, changed] = [await loaded('destroyed'), await loaded('deleted'), await loaded('changed')]
    await there.destroy('destroyed')
    await redis.cli('DEL', `${prefix}deleted`)
    await there.set('changed', change(await load(there, 'changed'), { by: 'there' }))
    await expect(store.set('destroyed', destroyed)).rejects.toMatchObject(REVOKED)
    await expect(store.set('deleted', deleted)).rejects.toMatchObject(REVOKED)
    await expect(store.set('changed', change(changed, { step: 1 }))).rejects.toMatchObject(CONFLICT)
    await expect(store.set('destroyed', session())).rejects.toMatchObject(REVOKED)
    expect(events).toMatchObject([
      { type: 'revoked', reason: 'revoked' },
      { type: 'revoked', reason: 'gone' },
      { type: 'conflict', resolution: 'refused' },
      { type: 'revoked', reason: 'revoked' },
    ])
    await store.set('changed', change(await load(store, 'changed'), { step: 2 }))
    expect(JSON.parse(await redis.cli('GET', `${prefix}changed`))).toMatchObject({ by: 'there', step: 2 })
  })

  it('the marker lies in the session’s own slot', async () => {
    const { redis, store } = await onCluster({ prefix })
    await store.set('sid', session())
    await store.destroy('sid')
    const keys = await redis.cli<string[]>('KEYS', '*')
    expect(keys).toHaveLength(1)
    const slots = [`${prefix}sid`, keys[0] as string].map((key) => redis.cli<number>('CLUSTER', 'KEYSLOT', key))
    const [own, marker] = await Promise.all(slots)
    expect(marker).toBe(own)
  })
})

describe('a key with a brace that makes no hash tag', () => {
  it.each(['sess}:', 'sess{:', 'sess{}:', '}{'])(
    'is refused clearly, and nothing is sent: prefix %s',
    async (prefix) => {
      const redis = await clusterNode()
      const store = openStore(redis, { client: connect(redis), prefix, timeout: 2_000 })
      await until(() => store.health().connection.state === 'ready')
      const refused = { name: 'RangeError', message: expect.stringMatching(/Cluster.*brace.*\{tag\}/) }
      await expect(store.get('sid')).rejects.toMatchObject(refused)
      await expect(store.set('sid', session())).rejects.toMatchObject(refused)
      await expect(store.touch('sid', session())).rejects.toMatchObject(refused)
      await expect(store.destroy('sid')).rejects.toMatchObject(refused)
      // It says nothing of the sid, and is no outage.
      const error = (await store.destroy('a-secret-sid').catch((thrown: unknown) => thrown)) as Error
      expect(error.message).not.toContain('a-secret-sid')
      expect(await redis.cli('DBSIZE')).toBe(0)
      expect(store.health().lanes.read.state).toBe('closed')
    },
  )

  it('in the sid alone is refused for that session alone', async () => {
    const { store } = await onCluster()
    await expect(store.set('a}b', session())).rejects.toThrow(RangeError)
    await store.set('ab', session())
    await store.set('{a}b', session({ tagged: true }))
    expect(await load(store, '{a}b')).toMatchObject({ tagged: true })
    await store.destroy('{a}b')
    expect((await store.ids()).sort()).toEqual(['ab'])
  })
})

describe('while its node is away', () => {
  it('sessions are served from memory and saves wait; all is written when it is back', async () => {
    const { redis, store } = await onCluster({
      ...{ cache: true, degradation: 'available', timeout: 500, breaker: { resetTimeout: 100 } },
    })
    const events = told(store)
    await store.set('sid', session({ step: 0 }, 60_000))
    await store.set('left', session({ step: 0 }, 60_000))
    const running = await load(store, 'sid')
    await redis.pause()
    expect(await load(store, 'sid')).toMatchObject({ step: 0 })
    await store.set('sid', change(running, { step: 1 }))
    await store.destroy('left')
    expect(await store.get('left')).toBeNull()
    await redis.resume()
    await untilUp(store, 10_000)
    expect(await stored(redis, 'sid')).toMatchObject({ step: 1 })
    expect(await stored(redis, 'left')).toBeNull()
    expect(events.filter(({ type }) => type === 'replayed')).toHaveLength(2)
  })

  it('a slot that nobody serves leaves the sessions of the others alone', async () => {
    const redis = await clusterNode()
    await redis.cli('CONFIG', 'SET', 'cluster-require-full-coverage', 'no')
    afterThis(() => redis.cli('CONFIG', 'SET', 'cluster-require-full-coverage', 'yes'))
    const store = openStore(redis, { client: connect(redis), timeout: 2_000, breaker: { resetTimeout: 100 } })
    await store.ready()
    const events = outcomes(store)
    const slot = await redis.cli<number>('CLUSTER', 'KEYSLOT', 'sess:sid')
    await store.set('sid', session({ step: 0 }))
    await store.set('other', session({ step: 0 }))
    await redis.cli('CLUSTER', 'DELSLOTS', slot)
    for (let n = 0; n < 30; n++) {
      expect(await downError(store.get('sid'))).toMatchObject({ reason: 'cluster-down' })
      expect(await downError(store.set('sid', session({ step: n })))).toMatchObject({ reason: 'cluster-down' })
      expect(await load(store, 'other')).toMatchObject({ step: 0 })
    }
    await redis.cli('CLUSTER', 'ADDSLOTS', slot)
    expect(await load(store, 'sid')).toMatchObject({ step: 0 })
    expect(events.filter(({ type }) => type === 'down' || type === 'up')).toEqual([])
  })

  // The last one: it takes Redis five seconds to come back from it.
  it('a slot that nobody serves is an outage, with the reason', async () => {
    const { redis, store } = await onCluster({ breaker: { resetTimeout: 100 } })
    await redis.cli('CLUSTER', 'DELSLOTSRANGE', 0, 16383)
    await until(async () => (await redis.cli('CLUSTER', 'INFO')).includes('cluster_state:fail'))
    // The client asks for the slots anew when it is told, and is not ready meanwhile.
    const reasons = ['cluster-down', 'not-connected', 'unreachable']
    expect(reasons).toContain((await downError(store.get('sid'))).reason)
    expect(reasons).toContain(rootReason(await downError(store.set('sid', session()))))
  })
})
