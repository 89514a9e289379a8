import { describe, expect, it, vi } from 'vitest'
import { keyOf, load, readyStore, server, session } from './store-kit.js'

/** What a method's callback gets. */
function called(run: (callback: (error: unknown, value?: unknown) => void) => unknown): Promise<unknown[]> {
  return new Promise((resolve) => {
    const returned = run((...args) => resolve(args))
    expect(returned).toBeUndefined()
  })
}

describe('each method', () => {
  it('returns a promise', async () => {
    const store = await readyStore(await server())
    expect(await store.get('sid')).toBeNull()
    expect(await store.set('sid', session({ user: 'ada' }))).toBeUndefined()
    expect(await store.get('sid')).toMatchObject({ user: 'ada' })
    expect(await store.touch('sid', session())).toBeUndefined()
    expect(await store.ids()).toEqual(['sid'])
    expect(await store.length()).toBe(1)
    expect(await store.all()).toMatchObject([{ id: 'sid', user: 'ada' }])
    expect(await store.destroy('sid')).toBeUndefined()
    expect(await store.clear()).toBeUndefined()
  })

  it('takes a callback', async () => {
    const store = await readyStore(await server())
    expect(await called((callback) => store.get('sid', callback))).toEqual([null, null])
    expect(await called((callback) => store.set('sid', session({ user: 'ada' }), callback))).toEqual([null, undefined])
    expect(await called((callback) => store.get('sid', callback))).toMatchObject([null, { user: 'ada' }])
    expect(await called((callback) => store.touch('sid', session(), callback as () => void))).toEqual([])
    expect(await called((callback) => store.ids(callback))).toEqual([null, ['sid']])
    expect(await called((callback) => store.length(callback))).toEqual([null, 1])
    expect(await called((callback) => store.all(callback))).toMatchObject([null, [{ id: 'sid', user: 'ada' }]])
    expect(await called((callback) => store.destroy('sid', callback))).toEqual([null, undefined])
    expect(await called((callback) => store.clear(callback))).toEqual([null, undefined])
  })

  it('never calls its callback synchronously, touch apart', async () => {
    const redis = await server()
    const store = await readyStore(redis, { cache: true })
    const calls: ((callback: () => void) => unknown)[] = [
      (callback) => store.get('sid', callback),
      (callback) => store.get('', callback),
      (callback) => store.set('sid', session(), callback),
      (callback) => store.set('', session(), callback),
      (callback) => store.destroy('left', callback),
      (callback) => store.get('left', callback),
      (callback) => store.ids(callback),
      (callback) => store.length(callback),
      (callback) => store.all(callback),
    ]
    for (const call of calls) {
      let synchronous = true
      await new Promise<void>((resolve) => {
        call(() => {
          expect(synchronous).toBe(false)
          resolve()
        })
        synchronous = false
      })
    }
    const touched = vi.fn()
    store.touch('sid', session(), touched)
    expect(touched).toHaveBeenCalledOnce()
  })

  it('needs no callback to destroy, and no one who waits', async () => {
    const redis = await server()
    const store = await readyStore(redis, { timeout: 50 })
    await redis.kill()
    store.destroy('sid')
    store.set('sid', session())
    store.get('sid')
    store.touch('sid', session())
    store.ids()
    // An unhandled rejection would fail this run.
    await new Promise((resolve) => setTimeout(resolve, 100))
    await store.close(1)
  })
})

describe('a session', () => {
  it('is a new object each time, with the data as it was saved', async () => {
    const store = await readyStore(await server(), { cache: true })
    const data = { user: 'ädå 💫', cart: [1, { a: null }], nested: { deep: { er: true } } }
    await store.set('sid', session(data, 60_000))
    const [one, other] = [await load(store, 'sid'), await load(store, 'sid')]
    expect(one).toMatchObject(data)
    expect(one).not.toBe(other)
    expect(one.nested).not.toBe(other.nested)
    expect(one.cookie).toMatchObject({ originalMaxAge: 60_000, path: '/', httpOnly: true })
  })

  it('of 5 MiB is saved and read', async () => {
    const store = await readyStore(await server(), { timeout: 5_000, cache: true })
    const big = 'x'.repeat(5 * 1024 * 1024)
    await store.set('sid', session({ big }))
    expect((await load(store, 'sid')).big).toHaveLength(big.length)
  })

  it('larger than the whole cache is simply not cached', async () => {
    const store = await readyStore(await server(), { cache: { maxBytes: 1_000 } })
    await store.set('sid', session({ big: 'x'.repeat(1_000) }))
    expect((await load(store, 'sid')).big).toHaveLength(1_000)
    expect(store.health().cache).toMatchObject({ sessions: 0 })
  })

  const circular: Record<string, unknown> = {}
  circular.self = circular
  const unserializable = {
    'that is circular': { circular },
    'with a BigInt': { big: 1n },
    'whose toJSON throws': {
      bad: {
        toJSON() {
          throw new Error('not today')
        },
      },
    },
  }
  it.each(Object.entries(unserializable))(
    '%s fails its save alone, as an error of the application',
    async (_, data) => {
      const redis = await server()
      const onRedisDown = vi.fn()
      const store = await readyStore(redis, { onRedisDown, degradation: 'strict' })
      for (let n = 0; n < 5; n++) {
        const outcome = await store.set('sid', session(data)).catch((error: unknown) => error)
        expect(outcome).toBeInstanceOf(Error)
        expect(outcome).not.toHaveProperty('code', 'EREDISDOWN')
      }
      const [error] = await called((callback) => store.set('sid', session(data), callback))
      expect(error).toBeInstanceOf(Error)
      expect(onRedisDown).not.toHaveBeenCalled()
      expect(store.health().status).toBe('up')
      expect(await redis.cli('DBSIZE')).toBe(0)
    },
  )

  it('without a cookie is given one', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    await redis.cli('SET', keyOf('sid'), '{"user":"ada"}')
    expect(await load(store, 'sid')).toMatchObject({ user: 'ada', cookie: { path: '/', originalMaxAge: null } })
    await store.set('other', { user: 'eve' } as never)
    expect(await redis.cli<number>('PTTL', keyOf('other'))).toBeGreaterThan(86_000_000)
    expect(await load(store, 'other')).toMatchObject({ user: 'eve', cookie: { path: '/' } })
  })

  it.each(['constructor', '__proto__', 'ünïcode ☃', 'with:colons', 'with space\r\nand line', 'x'.repeat(1_000)])(
    'may be called %s',
    async (sid) => {
      const store = await readyStore(await server(), { cache: true })
      expect(await store.get(sid)).toBeNull()
      await store.set(sid, session({ user: 'ada' }))
      expect(await load(store, sid)).toMatchObject({ user: 'ada' })
      expect(await store.ids()).toEqual([sid])
      await store.destroy(sid)
      expect(await store.get(sid)).toBeNull()
    },
  )
})

describe('an empty sid', () => {
  it('has no session, and none can be saved', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    await redis.cli('SET', 'sess:', JSON.stringify(session()))
    expect(await store.get('')).toBeNull()
    const refused: (() => Promise<unknown>)[] = [
      () => store.set('', session()),
      () => store.destroy(''),
      () => store.touch('', session()),
    ]
    for (const call of refused) await expect(call()).rejects.toThrow(TypeError)
    expect(await redis.cli('EXISTS', 'sess:')).toBe(1)
    expect(store.health().status).toBe('up')
  })
})

describe('many at once', () => {
  it('each get their own', async () => {
    const store = await readyStore(await server(), { timeout: 5_000 })
    const sids = Array.from({ length: 500 }, (_, n) => `visitor-${n}`)
    await Promise.all(sids.map((sid) => store.set(sid, session({ sid }))))
    const read = await Promise.all([...sids, 'nobody'].map((sid) => store.get(sid)))
    expect(read.pop()).toBeNull()
    expect(read.map((one) => (one as { sid?: string } | null)?.sid)).toEqual(sids)
  })

  it('end in order for one session', async () => {
    const store = await readyStore(await server())
    await Promise.all(Array.from({ length: 50 }, (_, step) => store.set('sid', session({ step }))))
    expect(await load(store, 'sid')).toMatchObject({ step: 49 })
  })
})
