import { describe, expect, it, vi } from 'vitest'
import type { ResilientStore } from '../../src/index.js'
import { settled, until } from '../support/wait.js'
import {
  afterThis,
  downError,
  keyOf,
  load,
  markerOf,
  proxyTo,
  readyStore,
  server,
  session,
  untilDown,
} from './store-kit.js'

/** Collects what nobody caught, instead of the test runner. */
function uncaught(): unknown[] {
  const seen: unknown[] = []
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    const before = process.listeners(event as 'uncaughtException')
    process.removeAllListeners(event)
    process.on(event, (error: unknown) => void seen.push(error))
    afterThis(() => {
      process.removeAllListeners(event)
      for (const listener of before) process.on(event as 'uncaughtException', listener)
    })
  }
  return seen
}

describe('a callback that throws', () => {
  const calls: Record<string, (store: ResilientStore, callback: () => void) => unknown> = {
    get: (store, callback) => store.get('sid', callback),
    set: (store, callback) => store.set('sid', session(), callback),
    destroy: (store, callback) => store.destroy('left', callback),
    ids: (store, callback) => store.ids(callback),
  }

  it.each(Object.keys(calls))('is run once, and its exception is uncaught: %s', async (name) => {
    const store = await readyStore(await server())
    const seen = uncaught()
    const mine = new Error('of the application')
    const callback = vi.fn(() => {
      throw mine
    })
    calls[name]!(store, callback)
    await until(() => seen.length > 0)
    await store.set('another', session())
    await load(store, 'another')
    expect(seen).toEqual([mine])
    expect(callback).toHaveBeenCalledOnce()
    expect(store.health().status).toBe('up')
    for (const lane of Object.values(store.lanes)) expect(lane.stats).toMatchObject({ failures: 0 })
  })

  it('is run once with Redis down, too', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    await redis.kill()
    await untilDown(store)
    const seen = uncaught()
    const callback = vi.fn((error: unknown) => {
      throw error
    })
    for (const call of Object.values(calls)) call(store, callback as never)
    await until(() => seen.length === 4)
    expect(callback).toHaveBeenCalledTimes(4)
    expect(seen.every((error) => (error as { code?: string }).code === 'EREDISDOWN')).toBe(true)
  })

  it("of a touch throws to the caller, as express-session's own stores do", async () => {
    const store = await readyStore(await server())
    const touching = (): void =>
      store.touch('sid', session(), () => {
        throw new Error('of the application')
      })
    expect(touching).toThrow('of the application')
    await store.set('sid', session())
  })
})

describe('an event listener that throws', () => {
  it('hurts nobody but itself', async () => {
    const redis = await server()
    const store = await readyStore(redis, { cache: true, degradation: 'available' })
    const seen = uncaught()
    for (const name of ['down', 'up', 'queued', 'replayed'] as const) {
      store.on(name, () => {
        throw new Error(name)
      })
    }
    await redis.kill()
    await untilDown(store)
    await store.set('sid', session())
    await redis.start()
    await until(() => store.health().status === 'up')
    await load(store, 'sid')
    await until(() => seen.length === 8)
    expect(seen.map((error) => (error as Error).message).sort()).toEqual(
      ['down', 'down', 'down', 'queued', 'replayed', 'up', 'up', 'up'].sort(),
    )
  })
})

describe('onRedisDown', () => {
  const handlers = {
    throws: () => {
      throw new Error('of the handler')
    },
    rejects: () => Promise.reject(new Error('of the handler')),
    'returns a promise of a word': () => Promise.resolve('blank'),
    'returns nonsense': () => 'nonsense' as never,
    'returns a word of another operation': () => 'queue' as const,
  }
  it.each(Object.entries(handlers))('that %s changes nothing', async (_, handler) => {
    const redis = await server()
    const seen = uncaught()
    const onRedisDown = vi.fn(handler)
    const store = await readyStore(redis, { cache: true, onRedisDown, degradation: { save: 'fail' } })
    await store.set('known', session({ user: 'ada' }))
    await redis.kill()
    await untilDown(store)
    expect(await load(store, 'known')).toMatchObject({ user: 'ada' })
    expect((await downError(store.get('unknown'))).reason).toBe('circuit-open')
    await downError(store.touch('known', session({}, 1_000)))
    expect(onRedisDown).toHaveBeenCalledTimes(3)
    await new Promise((resolve) => setImmediate(resolve))
    expect(seen).toEqual([])
  })

  it('is told of each failed operation exactly once, with its sid and no request', async () => {
    const redis = await server()
    const told: unknown[][] = []
    const store = await readyStore(redis, {
      timeout: 100,
      onRedisDown: (error, req, sid) => void told.push([error.operation, req, sid]),
    })
    await redis.pause()
    const operations = (round: string): Promise<unknown>[] => [
      store.get(`get-${round}`),
      store.set(`set-${round}`, session()),
      store.touch(`touch-${round}`, session()),
      store.destroy(`destroy-${round}`),
    ]
    // By timeout, in one batch with others, then by the open breaker.
    await Promise.allSettled([...operations('a'), ...operations('b')])
    await redis.kill()
    await untilDown(store)
    await Promise.allSettled(operations('c'))
    await Promise.allSettled([store.all(), store.ids(), store.length(), store.clear()])
    const expected = ['a', 'b', 'c'].flatMap((round) =>
      ['get', 'set', 'touch', 'destroy'].map((name) => [name, undefined, `${name}-${round}`]),
    )
    const walks = ['all', 'ids', 'length', 'clear'].map((name) => [name, undefined, undefined])
    expect(told.map(String).sort()).toEqual([...expected, ...walks].map(String).sort())
  })

  it('is told of nothing while Redis is well', async () => {
    const onRedisDown = vi.fn()
    const store = await readyStore(await server(), { onRedisDown })
    await store.set('sid', session())
    await store.get('nobody')
    await store.touch('nobody', session())
    await store.destroy('sid')
    await settled(store.set('sid', session()))
    expect(onRedisDown).not.toHaveBeenCalled()
  })
})

describe('a stored session that cannot be read', () => {
  it.each(['not json', '"text"', '42', 'null', '[]', ''])('is reported and deleted: %s', async (value) => {
    const redis = await server()
    const onSessionLoadError = vi.fn()
    const onRedisDown = vi.fn()
    const store = await readyStore(redis, { onSessionLoadError, onRedisDown, cache: true })
    await redis.cli('SET', keyOf('sid'), value)
    expect(await store.get('sid')).toBeNull()
    expect(onSessionLoadError).toHaveBeenCalledExactlyOnceWith(expect.any(Error), 'sid')
    expect(await redis.cli('EXISTS', keyOf('sid'), markerOf('sid'))).toBe(0)
    expect(onRedisDown).not.toHaveBeenCalled()
    expect(store.health().status).toBe('up')
    for (const lane of Object.values(store.lanes)) expect(lane.stats).toMatchObject({ failures: 0 })
    await store.set('sid', session())
    await load(store, 'sid')
  })

  it('is left alone when somebody has replaced it meanwhile', async () => {
    const redis = await server()
    const proxy = await proxyTo(redis)
    const store = await readyStore(proxy, { timeout: 5_000 })
    await redis.cli('SET', keyOf('sid'), 'not json')
    const held = proxy.holdCommand(/^EVAL/)
    const reading = store.get('sid')
    await held.hit()
    await redis.cli('SET', keyOf('sid'), JSON.stringify(session({ user: 'ada' })))
    held.release()
    expect(await reading).toBeNull()
    expect(await load(store, 'sid')).toMatchObject({ user: 'ada' })
  })

  it('counts as absent even where it cannot be deleted', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    await redis.cli('SET', keyOf('sid'), 'not json')
    await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '1')
    expect(await store.get('sid')).toBeNull()
    expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(1)
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('of the handler')
      },
    ],
    ['rejects', () => Promise.reject(new Error('of the handler'))],
  ])('is dealt with though the handler %s', async (_, onSessionLoadError) => {
    const redis = await server()
    const seen = uncaught()
    const store = await readyStore(redis, { onSessionLoadError })
    await redis.cli('SET', keyOf('sid'), 'not json')
    expect(await store.get('sid')).toBeNull()
    expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(0)
    expect(seen).toEqual([])
  })

  it('is not served from the cache either', async () => {
    const redis = await server()
    const store = await readyStore(redis, { cache: true })
    await store.set('sid', session())
    await redis.cli('SET', keyOf('sid'), 'not json')
    expect(await store.get('sid')).toBeNull()
    await redis.kill()
    await untilDown(store)
    await downError(store.get('sid'))
  })
})
