// Logging out, and in, while Redis is away: the old cookie is worth nothing, here at once and everywhere afterwards.
import { describe, expect, it } from 'vitest'
import type { DegradationPreset, ResilientStore } from '../../../src/index.js'
import type { ListeningApp } from '../../support/http.js'
import type { RedisServer } from '../../support/redis-server.js'
import type { Visitor } from '../../support/visitor.js'
import { until } from '../../support/wait.js'
import { keyOf, markerOf, openStore, readyStore, server, untilDown, untilUp } from '../store-kit.js'
import { logIn, sameCookies, sidOf } from '../visitors.js'
import { parseSetCookie } from './set-cookie.js'
import { byRoute, openShop, PERSISTENT, pathOf, VERSIONS } from './shop.js'

const POLICIES: readonly DegradationPreset[] = ['strict', 'read-only', 'available']
const FAULTS = ['killed', 'paused'] as const

interface Place {
  readonly store: ResilientStore
  readonly app: ListeningApp
}

describe.each(VERSIONS)('Express %i', (express) => {
  describe.each(POLICIES)('policy %s', (degradation) => {
    const options = (): object => ({
      ...{ degradation, onRedisDown: byRoute, timeout: 300 },
      ...(degradation !== 'strict' && { cache: true }),
    })
    const place = async (redis: RedisServer): Promise<Place> => {
      const store = await readyStore(redis, options())
      return { store, app: await openShop(store, { express }) }
    }

    it.each(FAULTS)('logging out works by the documented pattern with Redis %s', async (fault) => {
      const redis = await server(PERSISTENT)
      const here = await place(redis)
      const there = await place(redis)
      const visitor = await logIn(here.app)
      const old = sameCookies(here.app, visitor)
      const oldThere = sameCookies(there.app, visitor)
      const sid = sidOf(visitor)
      expect((await oldThere.get('/me')).json()).toMatchObject({ user: 'ada' })
      await breakIt(redis, fault)

      const answer = await visitor.post('/logout')
      expect(answer).toMatchObject({ status: 200, complete: true })
      expect(answer.json()).toEqual({ bye: true })
      expect(answer.setCookie).toEqual([])
      await expectDead(old, sid)

      await mend(redis, fault)
      await untilUp(here.store)
      await untilUp(there.store)
      await expectDead(old, sid)
      await expectDead(oldThere, sid)
      expect(await redis.cli('EXISTS', keyOf(sid))).toBe(0)
      expect(await redis.cli('EXISTS', markerOf(sid))).toBe(1)
    })

    it.each(FAULTS)('a process that starts after the outage does not know the old cookie, Redis %s', async (fault) => {
      const redis = await server(PERSISTENT)
      const here = await place(redis)
      const visitor = await logIn(here.app)
      await breakIt(redis, fault)
      expect((await visitor.post('/logout')).status).toBe(200)
      await mend(redis, fault)
      await untilUp(here.store)
      const there = await place(redis)
      await expectDead(sameCookies(there.app, visitor), sidOf(visitor))
    })

    it('twice logged out is logged out', async () => {
      const redis = await server(PERSISTENT)
      const { app, store } = await place(redis)
      const visitor = await logIn(app)
      const old = sameCookies(app, visitor)
      await redis.kill()
      expect((await visitor.post('/logout')).status).toBe(200)
      expect((await old.post('/logout')).status).toBe(200)
      await expectDead(sameCookies(app, visitor), sidOf(visitor))
      await redis.start()
      await untilUp(store)
      await expectDead(sameCookies(app, visitor), sidOf(visitor))
    })
  })

  it('without the pattern a logout is answered 503, and is one all the same', async () => {
    const redis = await server(PERSISTENT)
    const store = await readyStore(redis, { cache: true })
    const there = await readyStore(redis, { cache: true })
    const app = await openShop(store, { express })
    const visitor = await logIn(app)
    const old = sameCookies(app, visitor)
    await redis.kill()
    const answer = await visitor.post('/logout')
    expect(answer.status).toBe(503)
    expect(answer.headers['retry-after']).toBe('1')
    await expectDead(old, sidOf(visitor))
    await redis.start()
    await untilUp(store)
    await untilUp(there)
    await expectDead(sameCookies(await openShop(there, { express }), visitor), sidOf(visitor))
  })

  it.each(FAULTS)(
    'logging in as somebody else in an outage: the old sid is dead, the new one lives, %s',
    async (fault) => {
      const redis = await server(PERSISTENT)
      const options = { cache: true, degradation: 'available', timeout: 300 } as const
      const store = await readyStore(redis, options)
      const there = await readyStore(redis, options)
      const app = await openShop(store, { express })
      const visitor = await logIn(app)
      const old = sameCookies(app, visitor)
      await breakIt(redis, fault)
      const login = await visitor.post('/login?user=bob')
      expect(login.status).toBe(200)
      const [cookie] = login.setCookie.map(parseSetCookie)
      expect(cookie?.sid).not.toBe(sidOf(old))
      expect((await visitor.get('/me')).json()).toMatchObject({ user: 'bob', source: 'queued', sid: cookie?.sid })
      await expectDead(old, sidOf(old))

      await mend(redis, fault)
      await untilUp(store)
      await untilUp(there)
      const elsewhere = await openShop(there, { express })
      expect((await sameCookies(elsewhere, visitor).get('/me')).json()).toMatchObject({ user: 'bob', sid: cookie?.sid })
      await expectDead(sameCookies(elsewhere, old), sidOf(old))
      await expectDead(old, sidOf(old))
    },
  )

  it('a login that cannot be kept is refused, and its old sid is dead all the same', async () => {
    const redis = await server(PERSISTENT)
    const store = await readyStore(redis, { cache: true })
    const app = await openShop(store, { express })
    const visitor = await logIn(app)
    const old = sameCookies(app, visitor)
    await redis.kill()
    const login = await visitor.post('/login?user=bob')
    expect(login.status).toBe(503)
    expect(login.headers['retry-after']).toBe('1')
    await expectDead(old, sidOf(old))
    await redis.start()
    await untilUp(store)
    await expectDead(old, sidOf(old))
    expect((await visitor.get('/me')).json()).toMatchObject({ user: null })
    expect(await redis.cli('EXISTS', keyOf(sidOf(visitor)))).toBe(0)
  })

  it.each(POLICIES)('a planted sid is not logged in by its victim in an outage, policy %s', async (degradation) => {
    const redis = await server(PERSISTENT)
    const store = await readyStore(redis, {
      ...{ degradation, ...(degradation !== 'strict' && { cache: true }) },
      // A login needs nothing of the session before it.
      onRedisDown: (error, req) => {
        if (pathOf(req) !== '/login') return undefined
        return error.operation === 'get' ? 'blank' : 'queue'
      },
    })
    const app = await openShop(store, { express, saveUninitialized: true })
    const attacker = app.visitor()
    await attacker.get('/me')
    const planted = sidOf(attacker)
    expect(await redis.cli('EXISTS', keyOf(planted))).toBe(1)
    const victim = sameCookies(app, attacker)
    const later = sameCookies(app, attacker)
    await redis.kill()
    expect((await victim.post('/login?user=victim')).status).toBe(200)
    expect(sidOf(victim)).not.toBe(planted)
    await expectDead(attacker, planted, 'fresh cookie')
    await redis.start()
    await untilUp(store)
    expect((await victim.get('/me')).json()).toMatchObject({ user: 'victim' })
    await expectDead(later, planted, 'fresh cookie')
    expect(await redis.cli('EXISTS', keyOf(planted))).toBe(0)
  })
})

it('a session of the planted kind, never seen by Redis, is dead after a login over it', async () => {
  const redis = await server(PERSISTENT)
  const store = openStore(redis, { cache: true, degradation: 'available' })
  await store.ready()
  await redis.kill()
  await untilDown(store)
  const app = await openShop(store, { saveUninitialized: true })
  const attacker = app.visitor()
  await attacker.get('/me')
  const victim = sameCookies(app, attacker)
  const planted = sidOf(attacker)
  const later = sameCookies(app, attacker)
  expect((await victim.post('/login?user=victim')).status).toBe(200)
  await expectDead(attacker, planted, 'fresh cookie')
  await redis.start()
  await untilUp(store)
  expect((await victim.get('/me')).json()).toMatchObject({ user: 'victim', source: 'redis' })
  await expectDead(later, planted, 'fresh cookie')
  expect(await redis.cli('EXISTS', keyOf(planted))).toBe(0)
})

/** Nobody is logged in by this cookie, and the sid is not used again. */
async function expectDead(
  visitor: Visitor,
  sid: string,
  cookie: 'same cookie' | 'fresh cookie' = 'same cookie',
): Promise<void> {
  expect(sidOf(visitor)).toBe(sid)
  const answer = await visitor.get('/me')
  expect(answer.status).toBe(200)
  expect(answer.json()).toMatchObject({ user: null, source: 'new' })
  expect(answer.json<{ sid: string }>().sid).not.toBe(sid)
  // With nothing written into the new session, nobody needs a cookie for it.
  expect(answer.setCookie).toHaveLength(cookie === 'same cookie' ? 0 : 1)
}

async function breakIt(redis: RedisServer, fault: (typeof FAULTS)[number]): Promise<void> {
  await (fault === 'killed' ? redis.kill() : redis.pause())
}

async function mend(redis: RedisServer, fault: (typeof FAULTS)[number]): Promise<void> {
  await (fault === 'killed' ? redis.start() : redis.resume())
  await until(async () => (await redis.cli('PING')) === 'PONG')
}
