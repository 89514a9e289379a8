// Several requests of one visitor at once: a logout sticks, a reader overwrites nothing, a late save brings nothing back.
import type { NextFunction, Request, Response } from 'express'
import { describe, expect, it } from 'vitest'
import type { ResilientStoreOptions } from '../../../src/index.js'
import { saveSession } from '../../../src/index.js'
import type { ListeningApp } from '../../support/http.js'
import type { RedisServer } from '../../support/redis-server.js'
import type { Visitor } from '../../support/visitor.js'
import { until } from '../../support/wait.js'
import { keyOf, markerOf, outcomes, readyStore, server, untilDown, untilUp } from '../store-kit.js'
import { Gate, logIn, sameCookies, sidOf } from '../visitors.js'
import {
  byRoute,
  cartOf,
  listener,
  openShop,
  PERSISTENT,
  route,
  type Settings,
  type ShopOptions,
  VERSIONS,
} from './shop.js'

/** Routes that wait at a gate between reading the session and their end. */
function gated(gate: Gate): Pick<ShopOptions, 'routes'> {
  return {
    routes: (routes) => {
      routes.get(
        '/slow-read',
        route(async (req, res) => {
          const { user } = cartOf(req)
          await gate.pass()
          res.json({ user })
        }),
      )
      routes.get(
        '/slow-note',
        route(async (req, res) => {
          cartOf(req).n = 99
          await gate.pass()
          res.json({ noted: 99 })
        }),
      )
      routes.get(
        '/slow-save',
        route(async (req, res) => {
          cartOf(req).n = 99
          await gate.pass()
          await saveSession(req)
          res.json({ saved: 99 })
        }),
      )
      routes.get(
        '/slow-key',
        route(async (req, res) => {
          cartOf(req)[String(req.query.key)] = true
          await gate.pass()
          await saveSession(req)
          res.send('saved')
        }),
      )
      routes.get(
        '/slow-callback',
        route(async (req, res) => {
          cartOf(req).n = 99
          await gate.pass()
          req.session.save((error: unknown) => res.json({ error: (error as { code?: string } | undefined)?.code }))
        }),
      )
    },
  }
}

interface Place {
  readonly app: ListeningApp
  readonly gate: Gate
  readonly store: Awaited<ReturnType<typeof readyStore>>
}

async function place(redis: RedisServer, shop: ShopOptions, options: ResilientStoreOptions = {}): Promise<Place> {
  const gate = new Gate()
  const store = await readyStore(redis, { touchAfter: 0, ...options })
  return { store, gate, app: await openShop(store, { ...gated(gate), ...shop }) }
}

async function expectDead(redis: RedisServer, app: ListeningApp, old: Visitor): Promise<void> {
  const sid = sidOf(old)
  expect((await sameCookies(app, old).get('/me')).json()).toMatchObject({ user: null, source: 'new' })
  expect(await redis.cli('EXISTS', keyOf(sid))).toBe(0)
  expect(await redis.cli('EXISTS', markerOf(sid))).toBe(1)
}

const CASES: readonly Pick<Settings, 'express' | 'resave' | 'rolling'>[] = VERSIONS.flatMap((express) =>
  [false, true].flatMap((resave) => [false, true].map((rolling) => ({ express, resave, rolling }))),
)

describe.each(CASES)('Express $express, resave $resave, rolling $rolling', (settings) => {
  it.each(['here', 'elsewhere'] as const)('a logout %s outlives requests that end after it', async (where) => {
    const redis = await server()
    const here = await place(redis, settings)
    const there = where === 'here' ? here : await place(redis, settings)
    const visitor = await logIn(here.app)
    const old = sameCookies(here.app, visitor)
    const slow = ['/slow-read', '/slow-note', '/slow-save', '/slow-callback']
    const loaded = slow.map(async (path) => sameCookies(here.app, visitor).get(path))
    await here.gate.reached(4)
    const logout = await sameCookies(there.app, visitor).post('/logout')
    expect(logout).toMatchObject({ status: 200, setCookie: [] })
    here.gate.open()
    const [read, note, save, callback] = await Promise.all(loaded)
    expect(read).toMatchObject({ status: 200, complete: true })
    expect(read?.json()).toEqual({ user: 'ada' })
    expect(note).toMatchObject({ status: 200, complete: true })
    expect(note?.json()).toEqual({ noted: 99 })
    expect(save?.status).toBe(409)
    expect(callback?.json()).toEqual({ error: 'ESESSIONREVOKED' })
    await expectDead(redis, here.app, old)
    await expectDead(redis, there.app, old)
    // The late answers give nobody a new sid.
    for (const answer of [read, note, save, callback]) {
      for (const line of answer?.setCookie ?? [])
        expect(line).toContain(`connect.sid=${visitor.cookies.get('connect.sid')}`)
    }
  })

  it('a new sid at login outlives saves of the old one', async () => {
    const redis = await server()
    const { app, gate } = await place(redis, settings)
    const visitor = await logIn(app)
    const old = sameCookies(app, visitor)
    const slow = ['/slow-note', '/slow-save', '/slow-read'].map((path) => sameCookies(app, old).get(path))
    await gate.reached(3)
    expect((await visitor.post('/login?user=bob')).status).toBe(200)
    gate.open()
    const [note, save] = await Promise.all(slow)
    expect(note).toMatchObject({ status: 200, complete: true })
    expect(save?.status).toBe(409)
    expect((await visitor.get('/me')).json()).toMatchObject({ user: 'bob' })
    await expectDead(redis, app, old)
  })

  it('a logout while Redis is away outlives them as well', async () => {
    const redis = await server(PERSISTENT)
    const options = { cache: true, degradation: 'available', onRedisDown: byRoute } as const
    const { app, gate, store } = await place(redis, settings, options)
    const visitor = await logIn(app)
    const old = sameCookies(app, visitor)
    await redis.kill()
    await untilDown(store)
    const slow = ['/slow-note', '/slow-read', '/slow-save'].map((path) => sameCookies(app, old).get(path))
    await gate.reached(3)
    expect((await visitor.post('/logout')).status).toBe(200)
    await redis.start()
    await untilUp(store)
    gate.open()
    for (const answer of await Promise.all(slow)) expect(answer.complete).toBe(true)
    await expectDead(redis, app, old)
  })
})

describe.each(VERSIONS)('Express %i', (express) => {
  it('of two tabs the one that only reads overwrites nothing', async () => {
    const redis = await server()
    const { app, gate } = await place(redis, { express, rolling: true })
    const visitor = await logIn(app)
    const slow = sameCookies(app, visitor).get('/slow-read')
    await gate.reached()
    expect((await visitor.post('/save?n=5')).status).toBe(200)
    gate.open()
    expect((await slow).status).toBe(200)
    expect((await visitor.get('/me')).json()).toMatchObject({ n: 5 })
  })

  it('of two tabs that write, the last one wins, with rolling and without', async () => {
    const redis = await server()
    const { app, gate } = await place(redis, { express })
    const visitor = await logIn(app)
    const slow = sameCookies(app, visitor).get('/slow-save')
    await gate.reached()
    expect((await visitor.post('/save?n=5')).status).toBe(200)
    gate.open()
    expect((await slow).status).toBe(200)
    expect((await visitor.get('/me')).json()).toMatchObject({ n: 99 })
  })

  it("of two tabs that write, both keep their changes under `concurrency: 'merge'`", async () => {
    const redis = await server()
    const { app, gate } = await place(redis, { express }, { concurrency: 'merge' })
    const visitor = await logIn(app)
    const tabs = [1, 2].map((tab) => sameCookies(app, visitor).get(`/slow-key?key=tab${tab}`))
    await gate.reached(2)
    gate.open()
    for (const answer of await Promise.all(tabs)) expect(answer.status).toBe(200)
    const stored = JSON.parse(await redis.cli('GET', keyOf(sidOf(visitor))))
    expect(stored).toMatchObject({ user: 'ada', n: 0, tab1: true, tab2: true })
  })

  it("of two tabs that write, the second is answered 409 under `concurrency: 'reject'`", async () => {
    const redis = await server()
    const { app, gate } = await place(redis, { express }, { concurrency: 'reject' })
    const visitor = await logIn(app)
    const slow = sameCookies(app, visitor).get('/slow-save')
    await gate.reached()
    expect((await visitor.post('/save?n=5')).status).toBe(200)
    gate.open()
    expect((await slow).status).toBe(409)
    expect((await visitor.get('/me')).json()).toMatchObject({ n: 5 })
  })

  it('of two tabs, one with a copy from the outage does not overwrite what the other saved since', async () => {
    const redis = await server(PERSISTENT)
    const { app, gate, store } = await place(redis, { express }, { cache: true })
    const visitor = await logIn(app)
    const records = outcomes(store)
    await redis.kill()
    await untilDown(store)
    const slow = ['/slow-save', '/slow-note'].map((path) => sameCookies(app, visitor).get(path))
    await gate.reached(2)
    await redis.start()
    await untilUp(store)
    expect((await visitor.post('/save?n=5')).status).toBe(200)
    gate.open()
    const [save, note] = await Promise.all(slow)
    expect(save?.status).toBe(409)
    expect(note).toMatchObject({ status: 200, complete: true })
    const conflict = { type: 'conflict', operation: 'set', queued: false, resolution: 'refused', clashes: 0 }
    expect(records.filter(({ type }) => type === 'conflict')).toEqual([conflict, conflict])
    expect((await visitor.get('/me')).json()).toMatchObject({ n: 5 })
  })

  it('a touch by express-session stays a touch, a new maxAge is saved', async () => {
    const redis = await server()
    const { app } = await place(redis, {
      express,
      routes: (routes) => {
        // Its Cookie reads the clock twice: the age it resets is a millisecond less, every now and then.
        routes.get('/drift', (req, res) => {
          const { cookie } = req.session
          cookie.originalMaxAge = (cookie.originalMaxAge ?? 0) - 3
          res.send('drifted')
        })
        routes.get('/remember', (req, res) => {
          req.session.cookie.maxAge = 30 * 86_400_000
          res.send('remembered')
        })
      },
    })
    const visitor = await logIn(app)
    const key = keyOf(sidOf(visitor))
    const stored = await redis.cli('GET', key)
    await visitor.get('/drift')
    expect(await redis.cli('GET', key)).toBe(stored)
    await visitor.get('/remember')
    await until(async () => (await redis.cli('GET', key)) !== stored, { what: 'the new maxAge to be saved' })
    expect(Number(await redis.cli('PTTL', key))).toBeGreaterThan(29 * 86_400_000)
    expect(JSON.parse(await redis.cli('GET', key)).cookie.originalMaxAge).toBeGreaterThan(29 * 86_400_000)
  })

  it('a touch after a logout elsewhere brings nothing back', async () => {
    const redis = await server()
    const here = await place(redis, { express, rolling: true })
    const there = await place(redis, { express })
    const visitor = await logIn(here.app)
    const slow = visitor.get('/slow-read')
    await here.gate.reached()
    expect((await sameCookies(there.app, visitor).post('/logout')).status).toBe(200)
    here.gate.open()
    expect(await slow).toMatchObject({ status: 200, complete: true })
    await until(() => here.store.health().inFlight === 0)
    await expectDead(redis, here.app, visitor)
  })

  it('a save does not bring back what was deleted without the store, such as by connect-redis', async () => {
    const redis = await server()
    const { app, gate } = await place(redis, { express })
    const visitor = await logIn(app)
    const slow = ['/slow-note', '/slow-save'].map((path) => sameCookies(app, visitor).get(path))
    await gate.reached(2)
    await redis.cli('DEL', keyOf(sidOf(visitor)))
    gate.open()
    const [note, save] = await Promise.all(slow)
    expect(note).toMatchObject({ status: 200, complete: true })
    expect(save?.status).toBe(409)
    expect(await redis.cli('EXISTS', keyOf(sidOf(visitor)))).toBe(0)
    expect((await visitor.get('/me')).json()).toMatchObject({ user: null })
  })

  it('a logout holds here from the moment it is asked for, before Redis has answered', async () => {
    const redis = await server()
    const { app, store } = await place(redis, { express }, { cache: true, timeout: 5_000, onRedisDown: byRoute })
    const visitor = await logIn(app)
    const gate = new Gate()
    const leaving = await openShop(store, {
      express,
      routes: (routes) => {
        routes.post('/leave', async (req, res, next) => {
          await gate.pass()
          req.session.destroy((error: unknown) => (error == null ? res.send('left') : next(error)))
        })
      },
    })
    const logout = sameCookies(leaving, visitor).post('/leave')
    await gate.reached()
    await redis.pause()
    gate.open()
    await until(() => store.health().inFlight > 0, { what: 'the logout to be sent' })
    let left = false
    logout.finally(() => {
      left = true
    })
    expect((await visitor.get('/me')).json()).toMatchObject({ user: null, source: 'new' })
    expect(left).toBe(false)
    await redis.resume()
    expect((await logout).status).toBe(200)
    await untilUp(store)
    await expectDead(redis, app, sameCookies(app, visitor))
  })

  it('a session that a failover brings back is not served where it was logged out', async () => {
    const redis = await server()
    const { app } = await place(redis, { express }, { cache: true })
    const visitor = await logIn(app)
    const key = keyOf(sidOf(visitor))
    const old = sameCookies(app, visitor)
    const stored = await redis.cli('GET', key)
    expect((await visitor.post('/logout')).status).toBe(200)
    // What a replica that has missed the delete would answer with.
    await redis.cli('SET', key, stored)
    await redis.cli('DEL', markerOf(sidOf(old)))
    expect((await old.get('/me')).json()).toMatchObject({ user: null, source: 'new' })
    // It goes again, for everybody.
    await until(async () => (await redis.cli<number>('EXISTS', key)) === 0, { what: 'the session to be deleted again' })
    expect(await redis.cli('EXISTS', markerOf(sidOf(old)))).toBe(1)
  })

  it('a save that was stuck in a paused Redis does not undo a logout', async () => {
    const redis = await server()
    const options = { cache: true, timeout: 300, onRedisDown: byRoute }
    const here = await place(redis, { express }, options)
    const there = await place(redis, { express }, options)
    const visitor = await logIn(here.app)
    const slow = ['/slow-note', '/slow-callback'].map((path) => sameCookies(here.app, visitor).get(path))
    await here.gate.reached(2)
    await redis.pause()
    here.gate.open()
    for (const answer of await Promise.all(slow)) expect(answer).toMatchObject({ status: 200, complete: true })
    expect((await sameCookies(there.app, visitor).post('/logout')).status).toBe(200)
    await redis.resume()
    await untilUp(here.store)
    await untilUp(there.store)
    await expectDead(redis, here.app, visitor)
    await expectDead(redis, there.app, visitor)
  })

  it('a logout elsewhere holds for a session with changes that wait: a full Redis still says so', async () => {
    const redis = await server()
    const here = await place(redis, { express }, { cache: true, degradation: 'available' })
    const there = await place(redis, { express }, { cache: true })
    const visitor = await logIn(here.app)
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    expect((await visitor.post('/save?n=4')).status).toBe(200)
    expect((await visitor.get('/me')).json()).toMatchObject({ user: 'ada', n: 4, source: 'queued' })
    expect((await sameCookies(there.app, visitor).post('/logout')).status).toBe(200)
    expect((await sameCookies(here.app, visitor).get('/me')).json()).toMatchObject({ user: null })
    await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
    await untilUp(here.store)
    await expectDead(redis, here.app, visitor)
  })

  describe('reload', () => {
    const reloading = (gate: Gate): ShopOptions => ({
      express,
      routes: (routes) => {
        routes.get(
          '/reload',
          route(async (req, res) => {
            cartOf(req).n = 1
            await gate.pass()
            const error = await new Promise<unknown>((resolve) => req.session.reload(resolve))
            if (error != null) throw error
            res.json({ n: cartOf(req).n })
          }),
        )
      },
    })

    it('takes what another tab has saved, and drops its own changes', async () => {
      const redis = await server()
      const gate = new Gate()
      const app = await openShop(await readyStore(redis), reloading(gate))
      const visitor = await logIn(app)
      const slow = sameCookies(app, visitor).get('/reload')
      await gate.reached()
      expect((await visitor.post('/save?n=5')).status).toBe(200)
      gate.open()
      expect((await slow).json()).toEqual({ n: 5 })
      expect((await visitor.get('/me')).json()).toMatchObject({ n: 5 })
    })

    it('fails for a session that was logged out meanwhile, and brings nothing back', async () => {
      const redis = await server()
      const gate = new Gate()
      const app = await openShop(await readyStore(redis), reloading(gate))
      const visitor = await logIn(app)
      const slow = sameCookies(app, visitor).get('/reload')
      await gate.reached()
      expect((await sameCookies(app, visitor).post('/logout')).status).toBe(200)
      gate.open()
      expect((await slow).status).toBe(500)
      await expectDead(redis, app, visitor)
    })

    it('takes the copy while Redis is away, or is answered 503', async () => {
      const redis = await server(PERSISTENT)
      const gate = new Gate()
      const store = await readyStore(redis, { cache: true })
      const strict = new Gate()
      const app = await openShop(store, reloading(gate))
      const refused = await openShop(await readyStore(redis), reloading(strict))
      const visitor = await logIn(app)
      const slow = sameCookies(app, visitor).get('/reload')
      const slowToo = sameCookies(refused, visitor).get('/reload')
      await Promise.all([gate.reached(), strict.reached()])
      await redis.kill()
      gate.open()
      strict.open()
      expect((await slow).json()).toEqual({ n: 0 })
      expect(await slowToo).toMatchObject({ status: 503, complete: true })
    })
  })

  describe("unset: 'destroy'", () => {
    const unsetting: ShopOptions = {
      express,
      unset: 'destroy',
      routes: (routes) => {
        routes.get('/unset', (req, res) => {
          req.session = null as never
          res.json({ unset: true })
        })
      },
    }

    it('destroys the session that a route has unset', async () => {
      const redis = await server()
      const store = await readyStore(redis)
      const app = await openShop(store, unsetting)
      const visitor = await logIn(app)
      const old = sameCookies(app, visitor)
      expect(await visitor.get('/unset')).toMatchObject({ status: 200, complete: true, setCookie: [] })
      await expectDead(redis, app, old)
    })

    it.each(['read-only', 'available'] as const)(
      'destroys it while Redis is away, answer whole, %s',
      async (degradation) => {
        const redis = await server(PERSISTENT)
        const store = await readyStore(redis, { cache: true, degradation })
        const app = await openShop(store, unsetting)
        const visitor = await logIn(app)
        const old = sameCookies(app, visitor)
        await redis.kill()
        expect(await visitor.get('/unset')).toMatchObject({ status: 200, complete: true, setCookie: [] })
        expect((await sameCookies(app, old).get('/me')).json()).toMatchObject({ user: null })
        await redis.start()
        await untilUp(store)
        await expectDead(redis, app, old)
      },
    )

    it('destroys what an error handler destroys by itself', async () => {
      const redis = await server(PERSISTENT)
      const store = await readyStore(redis)
      const app = await openShop(store, {
        express,
        unset: 'destroy',
        routes: (routes) => {
          routes.use((_error: unknown, req: Request, res: Response, _next: NextFunction) => {
            store.destroy(req.sessionID, () => res.status(503).json({ sorry: true }))
          })
        },
      })
      const visitor = await logIn(app)
      const old = sameCookies(app, visitor)
      await redis.kill()
      expect((await visitor.get('/me')).json()).toEqual({ sorry: true })
      await redis.start()
      await untilUp(store)
      await expectDead(redis, app, old)
    })

    it('destroys a session that was unset because it could not be reloaded', async () => {
      const redis = await server(PERSISTENT)
      const gate = new Gate()
      const store = await readyStore(redis)
      const app = await openShop(store, {
        express,
        unset: 'destroy',
        routes: (routes) => {
          routes.get('/check', async (req, res) => {
            await gate.pass()
            req.session.reload(() => {
              req.session = null as never
              res.send('unset')
            })
          })
        },
      })
      const visitor = await logIn(app)
      const old = sameCookies(app, visitor)
      const checked = visitor.get('/check')
      await gate.reached()
      await redis.kill()
      gate.open()
      expect(await checked).toMatchObject({ status: 200, complete: true, body: 'unset' })
      await redis.start()
      await untilUp(store)
      await expectDead(redis, app, old)
    })

    it('logs nobody out because the session could not be read', async () => {
      const redis = await server(PERSISTENT)
      const { told, onRedisDown } = listener()
      const store = await readyStore(redis, { onRedisDown })
      const app = await openShop(store, unsetting)
      const visitor = await logIn(app)
      await redis.kill()
      expect((await visitor.get('/me')).status).toBe(503)
      expect(told.map(({ operation }) => operation)).toEqual(['get'])
      await redis.start()
      await untilUp(store)
      expect((await visitor.get('/me')).json()).toMatchObject({ user: 'ada', source: 'redis' })
    })
  })
})
