import { RedisStore as ConnectRedis10 } from 'connect-redis'
import { RedisStore as ConnectRedis8 } from 'connect-redis-8'
import { RedisStore as ConnectRedis9 } from 'connect-redis-9'
import type { SessionData } from 'express-session'
import { createClient } from 'redis'
import { describe, expect, it } from 'vitest'
import type { ResilientStoreOptions } from '../../src/index.js'
import type { RedisServer } from '../support/redis-server.js'
import { afterThis, keyOf, load, readyClient, readyStore, server, session } from './store-kit.js'

/** As much of connect-redis as is used here; its own types differ from version to version. */
interface TheirStore {
  get(sid: string): Promise<SessionData | null | undefined>
  set(sid: string, session: SessionData): Promise<unknown>
  touch(sid: string, session: SessionData): Promise<unknown>
  destroy(sid: string): Promise<unknown>
  ids(): Promise<string[]>
}

type TheirOptions = Pick<ResilientStoreOptions, 'prefix' | 'ttl' | 'disableTTL' | 'disableTouch'>

async function nodeRedis(redis: RedisServer): Promise<unknown> {
  const client = createClient({ url: redis.url })
  client.on('error', () => {})
  await client.connect()
  afterThis(() => client.destroy())
  return client
}

const theirs: [string, (redis: RedisServer, options?: TheirOptions) => Promise<TheirStore>][] = [
  [
    '10 on node-redis',
    async (redis, options) =>
      new ConnectRedis10({ client: await nodeRedis(redis), ...options }) as unknown as TheirStore,
  ],
  [
    '9 on node-redis',
    async (redis, options) =>
      new ConnectRedis9({ client: await nodeRedis(redis), ...options }) as unknown as TheirStore,
  ],
  [
    '8 on ioredis',
    async (redis, options) =>
      new ConnectRedis8({ client: await readyClient(redis), ...options }) as unknown as TheirStore,
  ],
]

const data = { user: 'ädå 💫', cart: [1, { a: null }], views: 3 }

/** How long two sessions have to live, ms, at one moment; -1 for ever. */
function lives(redis: RedisServer, one: string, other: string): Promise<number[]> {
  const script = "return { redis.call('PTTL', KEYS[1]), redis.call('PTTL', KEYS[2]) }"
  return redis.cli<number[]>('EVAL', script, 2, keyOf(one), keyOf(other))
}

/** Written one after the other; connect-redis counts in whole seconds. */
const MOMENT = 400

describe.each(theirs)('connect-redis %s', (_, open) => {
  it('reads what this store wrote', async () => {
    const redis = await server()
    const [ours, other] = [await readyStore(redis), await open(redis)]
    await ours.set('sid', session(data, 20_000))
    expect(await other.get('sid')).toMatchObject({ ...data, cookie: { originalMaxAge: 20_000 } })
    expect(await other.ids()).toEqual(['sid'])
  })

  it('wrote what this store reads', async () => {
    const redis = await server()
    const [ours, other] = [await readyStore(redis, { cache: true }), await open(redis)]
    await other.set('sid', session(data, 20_000))
    expect(await load(ours, 'sid')).toMatchObject({ ...data, cookie: { originalMaxAge: 20_000 } })
    expect(await ours.ids()).toEqual(['sid'])
  })

  it.each([
    ['of the cookie', {}, 20_000],
    ['of a day', {}, null],
    ['of an option', { ttl: 100 }, null],
    ['of a function', { ttl: () => 77 }, 20_000],
    ['of a fraction of a second', {}, 1_500],
    ['for ever', { disableTTL: true }, 20_000],
  ] satisfies [string, TheirOptions, number | null][])(
    'gives the same bytes the same life: %s',
    async (_, options: TheirOptions, maxAge) => {
      const redis = await server()
      const [ours, other] = [await readyStore(redis, options), await open(redis, options)]
      const one = session(data, maxAge)
      await Promise.all([ours.set('ours', one), other.set('other', one)])
      expect(await redis.cli('GET', keyOf('ours'))).toBe(await redis.cli('GET', keyOf('other')))
      const [first = 0, second = 0] = await lives(redis, 'ours', 'other')
      expect(Math.abs(first - second)).toBeLessThan(MOMENT)
      expect(first === -1).toBe(options.disableTTL === true)
    },
  )

  it('touches what this store wrote and the other way round, to the same life', async () => {
    const redis = await server()
    const [ours, other] = [await readyStore(redis, { touchAfter: 0 }), await open(redis)]
    const one = session(data, 20_000)
    await Promise.all([ours.set('by-other', one), other.set('by-ours', one)])
    one.cookie.expires = new Date(Date.now() + 60_000)
    await Promise.all([other.touch('by-other', one), ours.touch('by-ours', one)])
    const [first = 0, second = 0] = await lives(redis, 'by-other', 'by-ours')
    expect(Math.abs(first - second)).toBeLessThan(MOMENT)
    expect(first).toBeGreaterThan(50_000)
  })

  it('changes what this store goes on to change, and the other way round', async () => {
    const redis = await server()
    const [ours, other] = [await readyStore(redis, { cache: true }), await open(redis)]
    await ours.set('sid', session({ steps: ['ours'] }))
    for (const name of ['their', 'ours', 'their', 'ours']) {
      const store = name === 'ours' ? ours : other
      const found = (await store.get('sid')) as unknown as { steps: string[] } & SessionData
      found.steps.push(name)
      await store.set('sid', found)
    }
    expect(await load(ours, 'sid')).toMatchObject({ steps: ['ours', 'their', 'ours', 'their', 'ours'] })
  })

  it('logs out of this store, and the other way round', async () => {
    const redis = await server()
    const [ours, other] = [await readyStore(redis, { cache: true }), await open(redis)]
    await Promise.all([ours.set('a', session()), other.set('b', session())])
    const loaded = await load(ours, 'a')
    await Promise.all([other.destroy('a'), ours.destroy('b')])
    expect(await ours.get('a')).toBeNull()
    expect(await other.get('b')).toBeFalsy()
    await expect(ours.set('a', loaded)).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
    // The marker is no session to them.
    expect(await other.ids()).toEqual([])
  })

  it('uses the same prefix', async () => {
    const redis = await server()
    const options = { prefix: 'mine:' }
    const [ours, other] = [await readyStore(redis, options), await open(redis, options)]
    await ours.set('sid', session(data))
    expect(await other.get('sid')).toMatchObject(data)
    expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(0)
  })
})
