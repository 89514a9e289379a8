import { describe, expect, it, vi } from 'vitest'
import type { ResilientStoreOptions } from '../../src/index.js'
import type { RedisServer } from '../support/redis-server.js'
import {
  downError,
  keyOf,
  load,
  openClient,
  openStore,
  proxyTo,
  readyStore,
  rootReason,
  server,
  session,
  untilDown,
} from './store-kit.js'

const foreign = ['other:sid', 'sess', 'session:x', 'xsess:sid', '{other:sid}:revoked', '{xsess:sid}:revoked']

async function withNeighbours(redis: RedisServer): Promise<void> {
  for (const key of foreign) await redis.cli('SET', key, 'foreign')
}

async function foreignLeft(redis: RedisServer): Promise<number> {
  return redis.cli<number>('EXISTS', ...foreign)
}

describe('ids, length, all and clear', () => {
  it('see sessions, and neither markers nor what belongs to others', async () => {
    const redis = await server()
    await withNeighbours(redis)
    const store = await readyStore(redis)
    const sids = ['a', 'b', 'c']
    await Promise.all([...sids, 'left'].map((sid) => store.set(sid, session({ sid }))))
    await store.destroy('left')

    expect((await store.ids()).sort()).toEqual(sids)
    expect(await store.length()).toBe(3)
    const all = await store.all()
    expect(all.sort((x, y) => x.id.localeCompare(y.id))).toMatchObject(sids.map((sid) => ({ id: sid, sid })))
    await store.clear()
    expect(await store.ids()).toEqual([])
    expect(await foreignLeft(redis)).toBe(foreign.length)
    expect(await redis.cli('EXISTS', '{sess:left}:revoked')).toBe(1)
  })

  it.each(['se*ss:', 'se?s:', 'se[s]s:', 'se\\ss:', '*', '[a-z]', 'sess:{tag}:', ''])(
    'take prefix %j as it is written',
    async (prefix) => {
      const redis = await server()
      const store = await readyStore(redis, { prefix })
      const others = ['seXss:1', 'seXs:1', 'sess:1', 'x', 'a']
      if (prefix !== '') for (const key of others) await redis.cli('SET', key, 'foreign')
      await store.set('one', session({ user: 'ada' }))
      await store.set('two', session())
      await store.destroy('two')
      expect(await load(store, 'one')).toMatchObject({ user: 'ada' })
      expect(await store.ids()).toEqual(['one'])
      expect(await store.all()).toMatchObject([{ id: 'one' }])
      await store.clear()
      expect(await store.get('one')).toBeNull()
      if (prefix !== '') expect(await redis.cli('EXISTS', ...others)).toBe(others.length)
    },
  )

  it('go through thousands of keys, some at a time', async () => {
    const redis = await server()
    const proxy = await proxyTo(redis)
    const store = await readyStore(proxy, { scanCount: 50, timeout: 5_000 })
    const sids = Array.from({ length: 1_000 }, (_, n) => `visitor-${n}`)
    await Promise.all(sids.map((sid) => store.set(sid, session({ sid }))))
    expect((await store.ids()).sort()).toEqual(sids.sort())
    expect(proxy.commandCount('SCAN')).toBeGreaterThan(10)
    expect(await store.length()).toBe(1_000)
    expect(new Set((await store.all()).map(({ id }) => id)).size).toBe(1_000)
    await store.clear()
    expect(await redis.cli('DBSIZE')).toBe(0)
  })

  it('leave out what cannot be read, and leave it alone', async () => {
    const redis = await server()
    const onSessionLoadError = vi.fn()
    const store = await readyStore(redis, { onSessionLoadError })
    await store.set('good', session())
    await redis.cli('SET', keyOf('bad'), 'not json')
    await redis.cli('LPUSH', keyOf('list'), 'x')
    expect((await store.all()).map(({ id }) => id)).toEqual(['good'])
    expect(await redis.cli('EXISTS', keyOf('bad'), keyOf('list'))).toBe(2)
    expect(onSessionLoadError).not.toHaveBeenCalled()
  })

  it('work with a supplied client that puts a prefix of its own before all keys', async () => {
    const redis = await server()
    await redis.cli('SET', keyOf('foreign'), JSON.stringify(session()))
    const store = openStore(redis, { client: openClient(redis, { keyPrefix: 'a*pp:' }) })
    await store.set('sid', session({ user: 'ada' }))
    await store.set('left', session())
    await store.destroy('left')
    expect(await redis.cli('EXISTS', 'a*pp:sess:sid', 'a*pp:{sess:left}:revoked')).toBe(2)
    expect(await store.ids()).toEqual(['sid'])
    expect(await store.all()).toMatchObject([{ id: 'sid', user: 'ada' }])
    await expect(store.set('left', session())).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
    await store.clear()
    expect(await redis.cli('EXISTS', 'a*pp:sess:sid')).toBe(0)
    expect(await redis.cli('EXISTS', keyOf('foreign'))).toBe(1)
  })
})

describe('scan', () => {
  async function filled(sessions: number, options?: ResilientStoreOptions) {
    const redis = await server()
    const proxy = await proxyTo(redis)
    const store = await readyStore(proxy, { timeout: 5_000, touchAfter: 0, ...options })
    const sids = Array.from({ length: sessions }, (_, n) => `visitor-${n}`)
    await Promise.all(sids.map((sid) => store.set(sid, session({ user: sid }))))
    return { redis, proxy, store, sids }
  }

  it('gives every session as get would, markers and what cannot be read left out', async () => {
    const { redis, store, sids } = await filled(500, { scanCount: 50 })
    await withNeighbours(redis)
    await store.destroy('visitor-0')
    await redis.cli('SET', keyOf('bad'), 'not json')
    const found = new Map<string, unknown>()
    for await (const { sid, session: data } of store.scan()) {
      expect(found.has(sid)).toBe(false)
      found.set(sid, data)
    }
    expect([...found.keys()].sort()).toEqual(sids.slice(1).sort())
    for (const [sid, data] of found) expect(data).toEqual(await load(store, sid))
  })

  it('a reply of many keys is read in parts', async () => {
    const { proxy, store } = await filled(1_000, { scanCount: 100_000 })
    let count = 0
    for await (const _ of store.scan()) count++
    expect(count).toBe(1_000)
    expect(proxy.commandCount('SCAN')).toBe(1)
    expect(proxy.commandCount('MGET')).toBeGreaterThanOrEqual(4)
  })

  it('ends with the loop that reads it, and keeps nothing open', async () => {
    const { proxy, store } = await filled(1_000, { scanCount: 10 })
    for await (const _ of store.scan()) break
    expect(proxy.commandCount('SCAN')).toBeLessThan(5)
    // Begun, and never ended.
    const left = store.scan()
    await left.next()
    expect(await store.close()).toEqual({ droppedSaves: 0, droppedDestroys: 0 })
    const rest = async (): Promise<void> => {
      for await (const _ of left);
    }
    await expect(rest()).rejects.toMatchObject({ code: 'ESTORECLOSED' })
    await expect(store.scan().next()).rejects.toMatchObject({ code: 'ESTORECLOSED' })
  })

  it('what it gives can be changed and saved, under the guards of a save', async () => {
    const { redis, store } = await filled(3)
    for await (const { sid, session: data } of store.scan()) {
      if (sid === 'visitor-1') await redis.cli('DEL', keyOf(sid))
      const saving = store.set(sid, Object.assign(data, { seen: true }))
      if (sid === 'visitor-1') await expect(saving).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
      else await saving
    }
    expect(await load(store, 'visitor-0')).toMatchObject({ user: 'visitor-0', seen: true })
    expect(await store.get('visitor-1')).toBeNull()
  })

  it('sessions may be destroyed meanwhile', async () => {
    const { redis, store } = await filled(1_000, { scanCount: 20 })
    let seen = 0
    for await (const { sid } of store.scan()) {
      seen++
      await store.destroy(sid)
    }
    expect(seen).toBe(1_000)
    expect(await store.length()).toBe(0)
    expect(await redis.cli('EXISTS', '{sess:visitor-7}:revoked')).toBe(1)
  })

  it('an outage in the middle of it ends it, and is told once', async () => {
    const onRedisDown = vi.fn()
    const { redis, store } = await filled(1_000, { scanCount: 10, onRedisDown })
    const walk = store.scan()
    await walk.next()
    await redis.kill()
    await untilDown(store)
    onRedisDown.mockClear()
    const error = await downError(
      (async () => {
        for await (const _ of walk);
      })(),
    )
    expect(error.operation).toBe('scan')
    expect(onRedisDown).toHaveBeenCalledExactlyOnceWith(error, undefined, undefined)
  })
})

describe('clear', () => {
  it('deletes many with one command', async () => {
    const redis = await server()
    const proxy = await proxyTo(redis)
    const store = await readyStore(proxy, { scanCount: 1_000, timeout: 5_000 })
    const sids = Array.from({ length: 500 }, (_, n) => `visitor-${n}`)
    await Promise.all(sids.map((sid) => store.set(sid, session())))
    const before = proxy.commandCount('DEL')
    await store.clear()
    expect(await redis.cli('DBSIZE')).toBe(0)
    expect(proxy.commandCount('DEL') - before).toBeLessThan(10)
  })

  it('empties the cache and the queue, and what was loaded before is not created again', async () => {
    const redis = await server()
    const store = await readyStore(redis, { cache: true })
    await store.set('sid', session())
    const loaded = await load(store, 'sid')
    await store.clear()
    expect(store.health().cache).toMatchObject({ sessions: 0 })
    await expect(store.set('sid', loaded)).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
    await redis.kill()
    await untilDown(store)
    await downError(store.get('sid'))
  })
})

describe('while Redis is down', () => {
  it('they fail, and report it without a sid', async () => {
    const redis = await server()
    const onRedisDown = vi.fn()
    const store = await readyStore(redis, { onRedisDown })
    await redis.kill()
    await untilDown(store)
    for (const walk of ['ids', 'length', 'all', 'clear'] as const) {
      const error = await downError(store[walk]() as Promise<unknown>)
      expect(error.operation).toBe(walk)
      expect(rootReason(error)).toMatch(/^(reset|refused)$/)
      expect(onRedisDown).toHaveBeenLastCalledWith(error, undefined, undefined)
    }
    expect(onRedisDown).toHaveBeenCalledTimes(4)
  })
})
