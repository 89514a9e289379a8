import { describe, expect, it, vi } from 'vitest'
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

describe('clear', () => {
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
