import { describe, expect, it } from 'vitest'
import type { RedisServer } from '../support/redis-server.js'
import { until } from '../support/wait.js'
import { keyOf, load, markerOf, proxyTo, readyStore, server, session } from './store-kit.js'

const DAY = 86_400_000

/** What Redis says is left, in ms, give or take what a busy machine took since. */
async function expectLeft(redis: RedisServer, sid: string, ms: number): Promise<void> {
  const left = await redis.cli<number>('PTTL', keyOf(sid))
  expect(left).toBeLessThanOrEqual(ms)
  expect(left).toBeGreaterThan(ms - 2_000)
}

describe('a saved session lives', () => {
  it('as long as its cookie, else a day, else what `ttl` says', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    await store.set('cookie', session({}, 20_000))
    await expectLeft(redis, 'cookie', 20_000)
    await store.set('browser', session())
    await expectLeft(redis, 'browser', DAY)
    await (await readyStore(redis, { ttl: 100 })).set('hundred', session())
    await expectLeft(redis, 'hundred', 100_000)
    await (await readyStore(redis, { ttl: 100 })).set('both', session({}, 20_000))
    await expectLeft(redis, 'both', 20_000)
  })

  it('as long as the `ttl` function says, whatever the cookie says', async () => {
    const redis = await server()
    const store = await readyStore(redis, { ttl: (one) => ('admin' in one ? 60 : 600) })
    await store.set('admin', session({ admin: true }, 20_000))
    await store.set('visitor', session({}, 20_000))
    await expectLeft(redis, 'admin', 60_000)
    await expectLeft(redis, 'visitor', 600_000)
  })

  it('for ever with `disableTTL`, which also clears an older expiry', async () => {
    const redis = await server()
    await (await readyStore(redis)).set('sid', session())
    const store = await readyStore(redis, { disableTTL: true })
    await store.set('sid', await load(store, 'sid'))
    expect(await redis.cli('PTTL', keyOf('sid'))).toBe(-1)
    await store.touch('sid', session({}, 20_000))
    expect(await redis.cli('PTTL', keyOf('sid'))).toBe(-1)
  })

  it('for its maxAge where its cookie looks expired: it is in use', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    const old = session({ user: 'ada' }, 20_000)
    old.cookie.expires = new Date(Date.now() - 5_000)
    await store.set('sid', old)
    await expectLeft(redis, 'sid', 20_000)
    const loaded = await load(store, 'sid')
    expect(new Date(String(loaded.cookie.expires)).getTime()).toBeGreaterThan(Date.now())
  })

  it('not at all where its cookie is over and has no maxAge; nor does it leave a marker', async () => {
    const redis = await server()
    const store = await readyStore(redis, { cache: true })
    await store.set('sid', session())
    const over = await load(store, 'sid')
    over.cookie.expires = new Date(Date.now() - 5_000)
    await store.set('sid', over)
    expect(await redis.cli('EXISTS', keyOf('sid'), markerOf('sid'))).toBe(0)
    expect(await store.get('sid')).toBeNull()
    await store.set('sid', session())
    await load(store, 'sid')
  })

  it('until its time is over', async () => {
    const redis = await server()
    const store = await readyStore(redis, { cache: true })
    await store.set('sid', session({}, 1_000))
    await until(async () => (await store.get('sid')) === null)
  })

  it.each([0, -1, Number.NaN, 'x'])('never by a `ttl` function that returns %s: an error or the end', async (ttl) => {
    const redis = await server()
    const store = await readyStore(redis, { ttl: () => ttl as number })
    await store.set('sid', session()).catch((error: unknown) => expect(error).toBeInstanceOf(TypeError))
    expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(0)
    expect(store.health().status).toBe('up')
  })
})

describe('a touch', () => {
  it('starts the expiry anew', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    await store.set('sid', session())
    await store.touch('sid', session({}, 2 * DAY))
    await expectLeft(redis, 'sid', 2 * DAY)
  })

  it('is skipped while it would move the expiry by too little', async () => {
    const redis = await server()
    const proxy = await proxyTo(redis)
    const store = await readyStore(proxy)
    proxy.forget()
    await store.set('sid', session({}, 600_000))
    for (let n = 0; n < 10; n++) await store.touch('sid', session({}, 600_000 + n * 1_000))
    expect(proxy.commandCount('PEXPIRE')).toBe(0)
    await expectLeft(redis, 'sid', 600_000)
    // 5 % of ten minutes and more.
    await store.touch('sid', session({}, 640_000))
    expect(proxy.commandCount('PEXPIRE')).toBe(1)
    await expectLeft(redis, 'sid', 640_000)
  })

  it('is never skipped with touchAfter 0', async () => {
    const proxy = await proxyTo(await server())
    const store = await readyStore(proxy, { touchAfter: 0 })
    proxy.forget()
    await store.set('sid', session({}, 600_000))
    // Each ends a little later than the one before.
    for (let n = 1; n <= 5; n++) await store.touch('sid', session({}, 600_000 + n * 2_000))
    expect(proxy.commandCount('PEXPIRE')).toBe(5)
  })

  it('that shortens the life is never skipped', async () => {
    const redis = await server()
    const store = await readyStore(redis, { touchAfter: 60_000 })
    await store.set('sid', session({}, 600_000))
    await store.touch('sid', session({}, 590_000))
    await expectLeft(redis, 'sid', 590_000)
  })

  it('of a session whose maxAge was changed since it was loaded is a save', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    await store.set('sid', session({ user: 'ada' }, 600_000))
    const loaded = await load(store, 'sid')
    loaded.cookie.originalMaxAge = DAY
    loaded.cookie.expires = new Date(Date.now() + DAY)
    await store.touch('sid', loaded)
    await expectLeft(redis, 'sid', DAY)
    expect(await load(store, 'sid')).toMatchObject({ user: 'ada', cookie: { originalMaxAge: DAY } })
  })

  it('of a session that is not there does nothing', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    await store.touch('nobody', session())
    expect(await redis.cli('DBSIZE')).toBe(0)
  })

  it('does nothing at all with disableTouch', async () => {
    const proxy = await proxyTo(await server())
    const store = await readyStore(proxy, { disableTouch: true, touchAfter: 0 })
    await store.set('sid', session())
    proxy.forget()
    await store.touch('sid', session({}, DAY))
    expect(proxy.commandCount()).toBe(0)
  })

  it('moves the end of the cached copy too', async () => {
    const redis = await server()
    const store = await readyStore(redis, { cache: true, touchAfter: 0 })
    await store.set('sid', session({}, 1_000))
    const loaded = await load(store, 'sid')
    loaded.cookie.expires = new Date(Date.now() + 20_000)
    await store.touch('sid', loaded)
    await until(async () => (await redis.cli<number>('PTTL', keyOf('sid'))) > 10_000)
    await redis.kill()
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    await load(store, 'sid')
  })
})

describe('resetOnRead', () => {
  it('starts the expiry anew at each read, in the background', async () => {
    const redis = await server()
    const store = await readyStore(redis, { resetOnRead: true, touchAfter: 0 })
    await store.set('sid', session())
    await redis.cli('PEXPIRE', keyOf('sid'), 10_000)
    await load(store, 'sid')
    await until(async () => (await redis.cli<number>('PTTL', keyOf('sid'))) > DAY - 5_000)
  })

  it('is off unless asked for', async () => {
    const proxy = await proxyTo(await server())
    const store = await readyStore(proxy, { touchAfter: 0 })
    proxy.forget()
    await store.set('sid', session())
    await load(store, 'sid')
    expect(proxy.commandCount('PEXPIRE')).toBe(0)
  })
})
