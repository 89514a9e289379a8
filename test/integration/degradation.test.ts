import { describe, expect, it, vi } from 'vitest'
import type { DegradationWord, OnRedisDown, ResilientStoreOptions } from '../../src/index.js'
import {
  downError,
  keyOf,
  load,
  markerOf,
  outcomes,
  readyStore,
  server,
  session,
  type TestSession,
  untilDown,
  untilUp,
} from './store-kit.js'

/** A store whose Redis has died; it knew `known`. */
async function down(options: ResilientStoreOptions = {}) {
  const redis = await server({ appendonly: true })
  const store = await readyStore(redis, options)
  await store.set('known', session({ user: 'ada' }))
  const loaded = await load(store, 'known')
  await redis.kill()
  await untilDown(store)
  return { redis, store, loaded, told: outcomes(store) }
}

describe('the presets', () => {
  it("'strict', the default: everything fails, the logout waits", async () => {
    const { store, loaded } = await down()
    await downError(store.get('known'))
    await downError(store.set('known', loaded))
    await downError(store.destroy('known'))
    expect(store.health().queue).toMatchObject({ saves: 0, destroys: 1 })
  })

  it("'read-only', the default with a cache: known sessions are read, writes fail", async () => {
    const { store, loaded } = await down({ cache: true })
    expect(await load(store, 'known')).toMatchObject({ user: 'ada' })
    await downError(store.set('known', loaded))
    await downError(store.destroy('known'))
  })

  it("'available': known sessions are read, writes wait", async () => {
    const { store, loaded } = await down({ cache: true, degradation: 'available' })
    expect(await load(store, 'known')).toMatchObject({ user: 'ada' })
    await store.set('known', loaded)
    await store.destroy('known')
  })

  it('touches are dropped and told in all of them', async () => {
    for (const degradation of ['strict', 'read-only', 'available'] as const) {
      const { store, loaded, told } = await down({ cache: true, degradation, touchAfter: 0 })
      await downError(store.touch('known', loaded))
      expect(told).toContainEqual({ type: 'dropped', operation: 'touch', reason: 'circuit-open' })
    }
  })
})

describe('words by operation', () => {
  it("save 'drop' forgets the change, and says so by an event", async () => {
    const { redis, store, loaded, told } = await down({ degradation: { save: 'drop' } })
    await store.set('known', Object.assign(loaded, { changed: true }))
    expect(told).toEqual([{ type: 'dropped', operation: 'set', reason: 'circuit-open' }])
    await redis.start()
    await untilUp(store)
    expect(await load(store, 'known')).not.toHaveProperty('changed')
  })

  it("destroy 'queue' answers well", async () => {
    const { store } = await down({ degradation: { destroy: 'queue' } })
    await store.destroy('known')
  })
})

describe('a blank session', () => {
  const blank: ResilientStoreOptions = { degradation: { read: 'blank', destroy: 'queue' } }

  it('is empty but for a cookie, and is never saved', async () => {
    const { redis, store, told } = await down(blank)
    const given = await load(store, 'known')
    expect(Object.keys(given)).toEqual(['cookie'])
    expect(given.cookie).toMatchObject({ path: '/', originalMaxAge: null })
    expect((await downError(store.set('known', Object.assign(given, { evil: true })))).reason).toBe('blank')
    await redis.start()
    await untilUp(store)
    expect((await downError(store.set('known', given))).reason).toBe('blank')
    expect(store.health().status).toBe('up')
    expect(await load(store, 'known')).toMatchObject({ user: 'ada' })
    expect(await load(store, 'known')).not.toHaveProperty('evil')
    expect(told.filter(({ type }) => type === 'queued')).toEqual([])
  })

  it('is not touched', async () => {
    const onRedisDown = vi.fn()
    const { store } = await down({ ...blank, touchAfter: 0, onRedisDown })
    const given = await load(store, 'known')
    onRedisDown.mockClear()
    await store.touch('known', given)
    expect(onRedisDown).not.toHaveBeenCalled()
  })

  it('can be logged out', async () => {
    const { redis, store } = await down(blank)
    await load(store, 'known')
    await store.destroy('known')
    expect(await store.get('known')).toBeNull()
    await redis.start()
    await untilUp(store)
    expect(await redis.cli('EXISTS', keyOf('known'))).toBe(0)
    expect(await redis.cli('EXISTS', markerOf('known'))).toBe(1)
  })

  it("is given by 'stale-or-blank' only where nothing is known", async () => {
    const { store } = await down({ cache: true, degradation: { read: 'stale-or-blank' } })
    expect(await load(store, 'known')).toMatchObject({ user: 'ada' })
    expect(Object.keys(await load(store, 'unknown'))).toEqual(['cookie'])
  })

  it('does not bring back what was logged out', async () => {
    const { store } = await down(blank)
    await store.destroy('known')
    expect(await store.get('known')).toBeNull()
  })
})

describe('what onRedisDown answers decides for this one operation', () => {
  const cases: [DegradationWord, 'fails' | 'copy' | 'blank' | 'ok'][] = [
    ['fail', 'fails'],
    ['stale', 'copy'],
    ['blank', 'blank'],
    ['stale-or-blank', 'copy'],
    ['queue', 'copy'],
    ['drop', 'copy'],
  ]
  it.each(cases)('a read answered %j: %s', async (word, expected) => {
    const { store } = await down({ cache: true, onRedisDown: () => word })
    const outcome = await store.get('known').then(
      (found) => ((found as unknown as TestSession).user === 'ada' ? 'copy' : 'blank'),
      () => 'fails',
    )
    expect(outcome).toBe(expected)
  })

  it("'stale' without a cache, or of an unknown session, fails", async () => {
    const { store } = await down({ onRedisDown: () => 'stale' })
    await downError(store.get('known'))
  })

  it.each([
    ['fail', 'fails', 0],
    ['drop', 'ok', 0],
    ['queue', 'ok', 1],
    ['stale', 'fails', 0],
    ['nonsense' as DegradationWord, 'fails', 0],
  ] as const)('a save answered %j: %s, %i in the queue', async (word, expected, queued) => {
    const { store, loaded } = await down({ onRedisDown: () => word })
    const outcome = await store.set('known', loaded).then(
      () => 'ok',
      () => 'fails',
    )
    expect([outcome, store.health().queue.saves]).toEqual([expected, queued])
  })

  it.each([
    ['fail', 'fails'],
    ['queue', 'ok'],
    ['drop', 'ok'],
    ['blank', 'ok'],
  ] as const)('a logout answered %j: %s, and waits in any case', async (word, expected) => {
    const { store } = await down({ degradation: { destroy: 'queue' }, onRedisDown: () => word })
    const outcome = await store.destroy('known').then(
      () => 'ok',
      () => 'fails',
    )
    expect([outcome, store.health().queue.destroys]).toEqual([expected, 1])
  })

  it('and not for the others', async () => {
    const onRedisDown: OnRedisDown = (error, _, sid) =>
      error.operation === 'get' && sid === 'admin' ? 'fail' : undefined
    const redis = await server()
    const store = await readyStore(redis, { cache: true, onRedisDown })
    await Promise.all([store.set('admin', session()), store.set('visitor', session())])
    await redis.kill()
    await untilDown(store)
    await downError(store.get('admin'))
    await load(store, 'visitor')
  })

  it('is not asked about the store being well: a queued save, when it is read again, is', async () => {
    const onRedisDown = vi.fn(() => 'queue' as const)
    const { store, loaded } = await down({ cache: true, onRedisDown })
    await store.set('known', Object.assign(loaded, { changed: true }))
    onRedisDown.mockClear()
    expect(await load(store, 'known')).toMatchObject({ changed: true })
    expect(onRedisDown).toHaveBeenCalledOnce()
  })
})

describe('an error', () => {
  it('has what Express needs for a 503 with Retry-After, and no stack', async () => {
    const { store } = await down()
    const error = await downError(store.get('known'))
    expect(error).toMatchObject({
      name: 'RedisDownError',
      code: 'EREDISDOWN',
      status: 503,
      statusCode: 503,
      headers: { 'Retry-After': '1' },
    })
    expect(error.stack ?? '').not.toContain('    at ')
    expect(await downError(store.get('known'))).not.toBe(error)
  })
})
