// What is served from memory while Redis is up, and how soon it is seen that somebody has changed a session.
import { RedisStore as ConnectRedis } from 'connect-redis'
import type { SessionData } from 'express-session'
import { createClient } from 'redis'
import { describe, expect, it } from 'vitest'
import { requireLiveSession } from '../../../src/index.js'
import type { RedisServer } from '../../support/redis-server.js'
import { eventually, until } from '../../support/wait.js'
import { openApp } from '../guard-app.js'
import { change, stored } from '../guard-kit.js'
import { afterThis, keyOf, load, markerOf, server, session } from '../store-kit.js'
import { commands, nearStore, read, warm } from './near-kit.js'

/** What goes by time and not by requests is not to be counted on a machine that may be slow. */
const RARELY_ASKED = Object.freeze({ cache: { near: { maxSilence: 20_000 } } })

describe('a session that nobody changes', () => {
  it('is read from Redis and asked for its expiry once, and then no more', async () => {
    const redis = await server()
    const store = await nearStore(redis, RARELY_ASKED)
    await store.set('sid', session({ n: 1 }, 3_600_000))
    await warm(store, 'sid')
    await redis.cli('CONFIG', 'RESETSTAT')
    for (let time = 0; time < 200; time++)
      expect(await read(store, 'sid')).toMatchObject({ source: 'near', session: { n: 1 } })
    // A PING and a GET of nothing in a quarter of maxSilence; the machine may be slow.
    const { ping = 0, get = 0, ...others } = await commands(redis)
    expect(others).toEqual({})
    expect(ping + get).toBeLessThan(20)
  })

  it('costs a visitor of an application at most a tenth of a command a request', async () => {
    const redis = await server()
    const store = await nearStore(redis, RARELY_ASKED)
    const app = await openApp(store, {
      routes: (routes) => {
        routes.get('/pay', requireLiveSession(), (_req, res) => void res.json({ paid: true }))
      },
    })
    const visitors = Array.from({ length: 4 }, () => app.visitor())
    for (const visitor of visitors) await visitor.post('/login')
    for (const visitor of visitors) {
      const fromMemory = async (): Promise<boolean> =>
        (await visitor.get('/status')).json<{ source: string }>().source === 'near'
      await until(fromMemory, { what: 'a visitor to be served from memory' })
    }
    await redis.cli('CONFIG', 'RESETSTAT')
    for (let time = 0; time < 50; time++) {
      for (const visitor of visitors) {
        const answer = await visitor.get('/status')
        expect(answer.json()).toMatchObject({ source: 'near', keepsSaves: true })
        expect(answer.json<{ confirmedAgo: number }>().confirmedAgo).toBeLessThanOrEqual(20_000)
      }
    }
    const total = Object.values(await commands(redis)).reduce((sum, calls) => sum + calls, 0)
    expect(total / 200).toBeLessThanOrEqual(0.1)
    expect(await visitors[0]?.get('/pay'), 'it is as good as read').toMatchObject({ status: 200 })
  })

  it('gives each reader an object of its own', async () => {
    const redis = await server()
    const store = await nearStore(redis)
    await store.set('sid', session({ list: [1] }))
    await warm(store, 'sid')
    const [one, other] = await Promise.all([load(store, 'sid'), load(store, 'sid')])
    ;(one.list as number[]).push(2)
    expect(other.list).toEqual([1])
    expect((await load(store, 'sid')).list).toEqual([1])
  })

  it('starts its expiry anew when it is read, where that is asked for', async () => {
    const redis = await server()
    const store = await nearStore(redis, { resetOnRead: true, touchAfter: 1_000 })
    await store.set('sid', session({}))
    await warm(store, 'sid')
    const before = await redis.cli<number>('PTTL', keyOf('sid'))
    await until(
      async () => {
        await read(store, 'sid')
        return (await redis.cli<number>('PTTL', keyOf('sid'))) > before
      },
      { what: 'a touch' },
    )
    await warm(store, 'sid')
  })
})

/** Somebody who knows nothing of this store changes a session whose content is `{ n: 1 }`. */
const FOREIGN: readonly [
  string,
  (redis: RedisServer, key: string) => Promise<unknown>,
  Record<string, unknown> | null,
][] = [
  ['SET', (redis, key) => redis.cli('SET', key, JSON.stringify(session({ n: 2 }))), { n: 2 }],
  ['SETRANGE', (redis, key) => redis.cli('SETRANGE', key, 0, JSON.stringify(session({ n: 3 }))), { n: 3 }],
  ['DEL', (redis, key) => redis.cli('DEL', key), null],
  ['UNLINK', (redis, key) => redis.cli('UNLINK', key), null],
  ['GETDEL', (redis, key) => redis.cli('GETDEL', key), null],
  ['an expiry that is over at once', (redis, key) => redis.cli('EXPIRE', key, -1), null],
  ['an expiry to come', (redis, key) => redis.cli('PEXPIRE', key, 30), null],
  ['RENAME', (redis, key) => redis.cli('RENAME', key, 'elsewhere'), null],
  ['a script', (redis, key) => redis.cli('EVAL', "return redis.call('DEL', KEYS[1])", 1, key), null],
  ['FLUSHALL', (redis) => redis.cli('FLUSHALL'), null],
  ['FLUSHDB ASYNC', (redis) => redis.cli('FLUSHDB', 'ASYNC'), null],
]

describe('somebody changes it who knows nothing of this store', () => {
  it.each(FOREIGN)('by %s: it is seen', async (_, act, expected) => {
    const redis = await server()
    const store = await nearStore(redis)
    await redis.cli('SET', keyOf('sid'), JSON.stringify(session({ n: 1 })))
    await redis.cli('SET', keyOf('other'), JSON.stringify(session({ n: 1 })))
    await warm(store, 'sid', 'other')
    await act(redis, keyOf('sid'))
    await eventually(async () => {
      const { session: found } = await read(store, 'sid')
      if (expected === null) expect(found).toBeNull()
      else expect(found).toMatchObject(expected)
    })
    if (expected !== null) await warm(store, 'sid')
  })

  it('with connect-redis: its saves and logouts are seen, and it sees ours', async () => {
    const redis = await server()
    const store = await nearStore(redis)
    const client = createClient({ url: redis.url })
    await client.connect()
    afterThis(() => client.destroy())
    const theirs = new ConnectRedis({ client })
    await theirs.set('sid', session({ n: 1 }) as SessionData)
    await warm(store, 'sid')
    for (let n = 2; n < 20; n++) {
      await theirs.set('sid', session({ n }) as SessionData)
      await eventually(async () => expect(await load(store, 'sid')).toMatchObject({ n }))
      await warm(store, 'sid')
    }
    await theirs.destroy('sid')
    await eventually(async () => expect(await store.get('sid')).toBeNull())
    await store.set('sid2', session({ n: 1 }))
    expect(await theirs.get('sid2')).toMatchObject({ n: 1 })
  })

  it('in another database: that is another session', async () => {
    const redis = await server()
    const store = await nearStore({ url: `${redis.url}/3` })
    const there = await nearStore(redis)
    await store.set('sid', session({ n: 1 }))
    await there.set('sid', session({ n: 2 }))
    await warm(store, 'sid')
    await warm(there, 'sid')
    expect(await load(store, 'sid')).toMatchObject({ n: 1 })
    expect(await load(there, 'sid')).toMatchObject({ n: 2 })
  })
})

describe('its end', () => {
  it('is kept to the moment, although Redis announces it whenever it comes to it', async () => {
    const redis = await server({ config: { 'enable-debug-command': 'yes' } })
    const store = await nearStore(redis)
    await redis.cli('DEBUG', 'SET-ACTIVE-EXPIRE', 0)
    // The cookie says an hour, as with an own `ttl`; Redis says less, and nothing it has expired is announced.
    await redis.cli('SET', keyOf('sid'), JSON.stringify(session({ n: 1 }, 3_600_000)), 'PX', 700)
    await warm(store, 'sid')
    await until(async () => (await redis.cli<number>('PTTL', keyOf('sid'))) === -2, { what: 'its end' })
    expect(await store.get('sid')).toBeNull()
  })

  it('is asked for before the first time it is served: one that has ended is not', async () => {
    const redis = await server({ config: { 'enable-debug-command': 'yes' } })
    const store = await nearStore(redis)
    await redis.cli('DEBUG', 'SET-ACTIVE-EXPIRE', 0)
    await redis.cli('SET', keyOf('sid'), JSON.stringify(session({ n: 1 }, 3_600_000)), 'PX', 200)
    expect(await read(store, 'sid')).toMatchObject({ source: 'redis' })
    // EXISTS and PTTL delete what has ended, and that is announced: this looks at the time alone.
    const end = performance.now() + 250
    await until(() => performance.now() > end, { what: 'its end' })
    expect(await store.get('sid')).toBeNull()
  })

  it('moves with the touches of this process and of others', async () => {
    const redis = await server()
    const [here, there] = await Promise.all([nearStore(redis, { touchAfter: 0 }), nearStore(redis, { touchAfter: 0 })])
    await here.set('sid', session({ n: 1 }, 600))
    for (const store of [here, there, here, there, here]) {
      await warm(here, 'sid')
      await warm(there, 'sid')
      const ends = performance.now() + 300
      await until(() => performance.now() > ends, { what: 'half of its life' })
      await store.touch('sid', await load(store, 'sid'))
    }
    expect(await load(here, 'sid')).toMatchObject({ n: 1 })
    expect(await load(there, 'sid')).toMatchObject({ n: 1 })
  })
})

describe('several processes', () => {
  it('see what the others save, however often', async () => {
    const redis = await server()
    const stores = await Promise.all([nearStore(redis), nearStore(redis), nearStore(redis)])
    await stores[0]?.set('sid', session({ n: 0 }))
    for (let n = 1; n <= 30; n++) {
      const writer = stores[n % 3]!
      await writer.set('sid', change(await load(writer, 'sid'), { n }))
      for (const store of stores) await eventually(async () => expect(await load(store, 'sid')).toMatchObject({ n }))
      await warm(stores[(n + 1) % 3]!, 'sid')
    }
  })

  it('see a logout of any of them', async () => {
    const redis = await server()
    const stores = await Promise.all([nearStore(redis), nearStore(redis), nearStore(redis)])
    for (const [index, store] of stores.entries()) {
      const sid = `sid ${index}`
      await store.set(sid, session({ user: 'ada' }))
      for (const other of stores) await warm(other, sid)
      const running = await load(stores[(index + 1) % 3]!, sid)
      await store.destroy(sid)
      expect(await store.get(sid), 'the process itself, at once').toBeNull()
      for (const other of stores) await eventually(async () => expect(await other.get(sid)).toBeNull())
      await expect(stores[(index + 1) % 3]?.set(sid, running)).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
      expect(await redis.cli<number>('EXISTS', keyOf(sid))).toBe(0)
      expect(await redis.cli<number>('EXISTS', markerOf(sid))).toBe(1)
    }
  })

  it('compare what they save with what is stored, as for a session from Redis', async () => {
    const redis = await server()
    const [here, there] = await Promise.all([
      nearStore(redis, { concurrency: 'reject' }),
      nearStore(redis, { concurrency: 'merge' }),
    ])
    await here.set('sid', session({ n: 1 }))
    await warm(here, 'sid')
    await warm(there, 'sid')
    const [mine, theirs] = [await load(here, 'sid'), await load(there, 'sid')]
    await redis.cli('SET', keyOf('sid'), JSON.stringify(session({ n: 1, foreign: true })))
    await expect(here.set('sid', change(mine, { mine: true }))).rejects.toMatchObject({ code: 'ESESSIONCONFLICT' })
    await there.set('sid', change(theirs, { theirs: true }))
    expect(await stored(redis, 'sid')).toMatchObject({ n: 1, foreign: true, theirs: true })
  })

  it('overwrite under last-write, but bring nothing back', async () => {
    const redis = await server()
    const store = await nearStore(redis)
    await store.set('sid', session({ n: 1 }))
    await warm(store, 'sid')
    const loaded = await load(store, 'sid')
    await redis.cli('SET', keyOf('sid'), JSON.stringify(session({ n: 2 })))
    await store.set('sid', change(loaded, { n: 3 }))
    expect(await stored(redis, 'sid')).toMatchObject({ n: 3 })
    await warm(store, 'sid')
    const again = await load(store, 'sid')
    await redis.cli('DEL', keyOf('sid'))
    await expect(store.set('sid', again)).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
  })
})
