// `sessionStatus`, `saveSession` and `requireLiveSession` in an application, over an outage and its end.
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/clock.js'
import { isRedisDownError, ResilientStore, requireLiveSession, saveSession, sessionStatus } from '../../../src/index.js'
import type { Visitor } from '../../support/visitor.js'
import { until } from '../../support/wait.js'
import { afterThis, keyOf, outcomes, readyStore, server, untilDown, untilUp } from '../store-kit.js'
import { logIn, sameCookies, sidOf } from '../visitors.js'
import { cartOf, openShop, PERSISTENT, route, serve, VERSIONS } from './shop.js'

describe.each(VERSIONS)('Express %i', (express) => {
  it('says where the session came from, over a kill and the recovery', async () => {
    const redis = await server(PERSISTENT)
    const store = await readyStore(redis, {
      cache: true,
      degradation: { read: 'stale-or-blank', save: 'queue', destroy: 'queue' },
    })
    const elsewhere = await openShop(await readyStore(redis), { express })
    const app = await openShop(store, { express })
    const sourceOf = async (visitor: Visitor): Promise<unknown> =>
      (await visitor.get('/me')).json<{ source: string }>().source
    const nobody = app.visitor()
    const unknown = sameCookies(app, await logIn(elsewhere, 'eve'))

    expect(await sourceOf(nobody)).toBe('new')
    const visitor = await logIn(app)
    expect(await sourceOf(visitor)).toBe('redis')
    await redis.kill()
    await untilDown(store)
    expect(await sourceOf(nobody)).toBe('new')
    expect(await sourceOf(visitor)).toBe('stale')
    expect(await sourceOf(unknown)).toBe('blank')
    expect((await visitor.post('/save?n=3')).status).toBe(200)
    expect(await sourceOf(visitor)).toBe('queued')
    await redis.start()
    await untilUp(store)
    expect(await sourceOf(nobody)).toBe('new')
    expect(await sourceOf(visitor)).toBe('redis')
    expect(await sourceOf(unknown)).toBe('redis')
    expect((await visitor.get('/me')).json()).toMatchObject({ n: 3 })
  })

  it('says how long ago Redis confirmed it, and what a save makes of it', async () => {
    const redis = await server()
    const ahead = 0
    const clock = { wall: systemClock.wall, monotonic: () => systemClock.monotonic() + ahead }
    const store = new ResilientStore({ redis: redis.url, cache: true, degradation: 'available' }, clock)
    afterThis(() => store.close(1))
    await store.ready()
    const app = await openShop(store, {
      express,
      routes: (routes) => {
        routes.get(
          '/status',
          route(async (req, res) => {
            const loaded = sessionStatus(req)
            cartOf(req).n = Number(req.query.n)
            await saveSession(req)
            res.json({ loaded, saved: sessionStatus(req) })
          }),
        )
        routes.get('/gone', (req, res) => {
          req.session.destroy(() => res.json(sessionStatus(req)))
        })
      },
    })
    const visitor = await logIn(app)
    const up = (await visitor.get('/status?n=1')).json<Statuses>()
    expect(up).toMatchObject({
      loaded: { source: 'redis', keepsSaves: true },
      saved: { source: 'redis', keepsSaves: true },
    })
    expect(up.loaded.confirmedAgo).toBeGreaterThanOrEqual(0)
    expect(up.loaded.confirmedAgo).toBeLessThan(1_000)
    const lastSeen = performance.now()
    await redis.kill()
    await untilDown(store)
    const outage = performance.now() - lastSeen
    const down = (await visitor.get('/status?n=2')).json<Statuses>()
    expect(down).toMatchObject({
      loaded: { source: 'stale', keepsSaves: true },
      saved: { source: 'queued', keepsSaves: true },
    })
    expect(down.loaded.confirmedAgo).toBeGreaterThanOrEqual(outage)
    const later = (await visitor.get('/status?n=3')).json<Statuses>()
    expect(later).toMatchObject({ loaded: { source: 'queued' }, saved: { source: 'queued' } })
    expect((await visitor.get('/gone')).json()).toEqual({ source: 'new', keepsSaves: true })
  })

  it.each([
    { policy: 'strict', cached: false, queues: false },
    { policy: 'read-only', cached: true, queues: false },
    { policy: 'available', cached: true, queues: true },
  ] as const)('says whether a save would be kept, by policy $policy', async ({ policy, cached, queues }) => {
    const redis = await server()
    const store = await readyStore(redis, { cache: cached, degradation: policy })
    const app = await openShop(store, {
      express,
      routes: (routes) => void routes.get('/keeps', (req, res) => void res.json(sessionStatus(req).keepsSaves)),
    })
    const [visitor, nobody] = [await logIn(app), app.visitor()]
    const keeps = async (who: Visitor): Promise<unknown> => (await who.get('/keeps')).json()
    expect([await keeps(visitor), await keeps(nobody)]).toEqual([true, true])
    // Full: reads go on, saves do not.
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    while (store.health().lanes.save.state === 'closed') await visitor.post('/save?n=1')
    expect([await keeps(visitor), await keeps(nobody)]).toEqual([queues, queues])
    await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
    await untilUp(store)
    expect([await keeps(visitor), await keeps(nobody)]).toEqual([true, true])
  })

  it('of a blank session, that no save is kept', async () => {
    const redis = await server()
    const degradation = { read: 'blank', save: 'queue', destroy: 'queue' } as const
    const store = await readyStore(redis, { degradation })
    const app = await openShop(store, {
      express,
      routes: (routes) => void routes.get('/status', (req, res) => void res.json(sessionStatus(req))),
    })
    const visitor = await logIn(app)
    await redis.kill()
    await untilDown(store)
    expect((await visitor.get('/status')).json()).toEqual({ source: 'blank', keepsSaves: false })
    expect((await app.visitor().get('/status')).json()).toEqual({ source: 'new', keepsSaves: true })
  })

  it('requireLiveSession answers 503 with Retry-After for what Redis did not confirm, and lets the rest pass', async () => {
    const redis = await server(PERSISTENT)
    const degradation = { read: 'stale-or-blank', save: 'queue', destroy: 'queue' } as const
    const store = await readyStore(redis, { cache: true, degradation })
    const app = await openShop(store, {
      express,
      routes: (routes) => {
        routes.post('/pay', requireLiveSession(), (_req, res) => void res.send('paid'))
        routes.post('/browse', requireLiveSession({ maxStale: 60_000 }), (_req, res) => void res.send('seen'))
      },
    })
    const elsewhere = await openShop(await readyStore(redis), { express })
    const [known, queued, blank] = [await logIn(app), await logIn(app), sameCookies(app, await logIn(elsewhere))]
    const nobody = app.visitor()
    const answers = async (path: string, visitors = [known, queued, blank, nobody]): Promise<number[]> => {
      const statuses: number[] = []
      for (const who of visitors) statuses.push((await who.post(path)).status)
      return statuses
    }
    expect(await answers('/pay', [known, queued, nobody])).toEqual([200, 200, 200])
    await redis.kill()
    await untilDown(store)
    expect((await queued.post('/save?n=1')).status).toBe(200)
    const sources: string[] = []
    for (const who of [known, queued, blank]) sources.push((await who.get('/me')).json<{ source: string }>().source)
    expect(sources).toEqual(['stale', 'queued', 'blank'])

    expect(await answers('/pay')).toEqual([503, 503, 503, 200])
    expect(await answers('/browse')).toEqual([200, 503, 503, 200])
    const refused = await known.post('/pay')
    expect(refused).toMatchObject({ status: 503, complete: true, setCookie: [] })
    expect(refused.headers['retry-after']).toBe('1')
    expect(refused.body).toContain('unconfirmed')
    await redis.start()
    await untilUp(store)
    expect(await answers('/pay')).toEqual([200, 200, 200, 200])
  })

  it.each([
    { policy: 'strict', status: 503 },
    { policy: 'read-only', status: 503 },
    { policy: 'available', status: 200 },
  ] as const)('saveSession is answered $status by policy $policy when the save fails', async ({ policy, status }) => {
    const redis = await server(PERSISTENT)
    const cached = policy === 'strict' ? {} : { cache: true }
    const store = await readyStore(redis, { degradation: policy, ...cached })
    const app = await openShop(store, { express })
    const visitor = await logIn(app)
    const records = outcomes(store)
    // Full: reads go on, saves do not.
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    const answer = await visitor.post('/save?n=4')
    expect(answer.status).toBe(status)
    if (status === 503) {
      expect(answer.headers['retry-after']).toBe('1')
      expect(answer.body).toContain('out-of-memory')
      expect(records.filter(({ type }) => type === 'dropped')).toEqual([])
    } else {
      expect(records.filter(({ type }) => type === 'queued')).toHaveLength(1)
      expect((await visitor.get('/me')).json()).toMatchObject({ n: 4, source: 'queued' })
    }
    await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
    await untilUp(store)
    expect((await visitor.get('/me')).json()).toMatchObject({ n: status === 200 ? 4 : 0, source: 'redis' })
  })

  it('saveSession rejects where the policy drops saves: nothing was saved', async () => {
    const redis = await server()
    const store = await readyStore(redis, { cache: true, degradation: { save: 'drop' } })
    const app = await openShop(store, { express })
    const visitor = await logIn(app)
    const records = outcomes(store)
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    expect((await visitor.post('/save?n=4')).status).toBe(503)
    expect(records.filter(({ type }) => type === 'dropped')).toEqual([])
    expect((await visitor.post('/note?n=5')).status).toBe(200)
    expect(records.filter(({ type }) => type === 'dropped')).toMatchObject([{ operation: 'set' }])
  })

  it('a session that was saved before the answer is not saved again with it', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    const app = await openShop(store, { express })
    const visitor = await logIn(app)
    const scripts = async (): Promise<number> => {
      const stats = await redis.cli('INFO', 'commandstats')
      return Number(/cmdstat_set:calls=(\d+)/.exec(stats)?.[1] ?? 0)
    }
    const before = await scripts()
    expect((await visitor.post('/save?n=1')).status).toBe(200)
    expect((await scripts()) - before).toBe(1)
    expect((await visitor.post('/note?n=2')).status).toBe(200)
    expect((await scripts()) - before).toBe(2)
    expect(JSON.parse(await redis.cli('GET', keyOf(sidOf(visitor))))).toMatchObject({ n: 2 })
  })

  it('a change after saveSession is saved with the answer', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    const app = await openShop(store, {
      express,
      routes: (routes) => {
        routes.get(
          '/twice',
          route(async (req, res) => {
            cartOf(req).n = 1
            await saveSession(req)
            cartOf(req).n = 2
            res.send('twice')
          }),
        )
      },
    })
    const visitor = await logIn(app)
    await visitor.get('/twice')
    expect((await visitor.get('/me')).json()).toMatchObject({ n: 2 })
  })
})

interface Statuses {
  readonly loaded: { readonly source: string; readonly confirmedAgo: number; readonly keepsSaves: boolean }
  readonly saved: { readonly source: string; readonly keepsSaves: boolean }
}

it('saveSession rejects for a request without a session', async () => {
  const failures: unknown[] = []
  const app = await serve((req, res) => {
    saveSession(req)
      .catch((error: unknown) => failures.push(error))
      .finally(() => res.end())
  })
  await app.visitor().get('/')
  expect(failures).toMatchObject([{ name: 'TypeError' }])
})

it('saveSession rejects with the reason, and once', async () => {
  const redis = await server()
  const store = await readyStore(redis, { cache: true })
  const failures: unknown[] = []
  const app = await openShop(store, {
    routes: (routes) => {
      routes.get('/save', async (req, res) => {
        cartOf(req).n = 1
        await saveSession(req).catch((error: unknown) => failures.push(error))
        res.send('told')
      })
    },
  })
  const visitor = await logIn(app)
  await redis.kill()
  await untilDown(store)
  expect((await visitor.get('/save')).status).toBe(200)
  await until(() => failures.length > 0)
  expect(failures).toHaveLength(1)
  expect(isRedisDownError(failures[0])).toBe(true)
  expect(failures[0]).toMatchObject({ operation: 'set', reason: 'circuit-open', status: 503 })
})
