// The store under @fastify/session, which has no touch, saves before the head is out, and hands `set` another object
// than `get` gave it.
import cookiePlugin from '@fastify/cookie'
import sessionPlugin from '@fastify/session'
import fastify, { type FastifyRequest } from 'fastify'
import { describe, expect, it } from 'vitest'
import type { ResilientStore } from '../../../src/index.js'
import type { ListeningApp } from '../../support/http.js'
import type { Visitor } from '../../support/visitor.js'
import { keyOf, markerOf, openStore, outcomes, readyStore, server, untilDown, untilUp } from '../store-kit.js'
import { Gate } from '../visitors.js'
import { byRoute, listener, PERSISTENT, serve } from './shop.js'

interface Held {
  user?: string
  n?: number
}

async function openFastify(
  store: ResilientStore,
  { rolling = false, slow }: { rolling?: boolean; slow?: Gate } = {},
): Promise<ListeningApp> {
  const app = fastify()
  app.register(cookiePlugin)
  app.register(sessionPlugin, {
    ...{ store: store as never, secret: 'a secret of at least 32 characters', saveUninitialized: false, rolling },
    cookie: { secure: false, maxAge: 3_600_000, sameSite: 'lax' },
  })
  const held = (request: FastifyRequest): Held => request.session as unknown as Held
  app.post('/login', async (request) => {
    await request.session.regenerate()
    held(request).user = String((request.query as { user: string }).user)
    held(request).n = 0
    return { user: held(request).user }
  })
  app.get('/me', async (request) => {
    const { user = null, n = null } = held(request)
    return { user, n, sid: request.session.sessionId }
  })
  app.post('/save', async (request) => {
    held(request).n = Number((request.query as { n: string }).n)
    return { saved: held(request).n }
  })
  app.post('/slow', async (request) => {
    held(request).n = Number((request.query as { n: string }).n)
    await slow?.pass()
    return { saved: held(request).n }
  })
  app.post('/rename', async (request) => {
    held(request).user = String((request.query as { user: string }).user)
    return { user: held(request).user }
  })
  app.get('/slow-read', async (request) => {
    const { n = null } = held(request)
    await slow?.pass()
    return { n }
  })
  app.post('/logout', async (request) => {
    await request.session.destroy()
    return { bye: true }
  })
  return serve(app)
}

async function logIn(app: ListeningApp, user = 'ada'): Promise<Visitor> {
  const visitor = app.visitor()
  expect((await visitor.post(`/login?user=${user}`)).status).toBe(200)
  return visitor
}

function twinOf(app: ListeningApp, visitor: Visitor): Visitor {
  const twin = app.visitor()
  twin.cookies.set('sessionId', visitor.cookies.get('sessionId') ?? '')
  return twin
}

function sidOf(visitor: Visitor): string {
  return decodeURIComponent(visitor.cookies.get('sessionId') ?? '').replace(/\..*$/, '')
}

describe.each([false, true])('rolling %s', (rolling) => {
  it('logs in, reads, saves and logs out', async () => {
    const redis = await server()
    const store = await readyStore(redis, { cache: true })
    const app = await openFastify(store, { rolling })
    const visitor = await logIn(app)
    const old = twinOf(app, visitor)
    expect((await visitor.get('/me')).json()).toMatchObject({ user: 'ada', n: 0, sid: sidOf(visitor) })
    expect((await visitor.post('/save?n=1')).status).toBe(200)
    expect((await old.get('/me')).json()).toMatchObject({ user: 'ada', n: 1 })
    expect(JSON.parse(await redis.cli('GET', keyOf(sidOf(visitor))))).toMatchObject({ user: 'ada', n: 1 })
    expect((await visitor.post('/logout')).status).toBe(200)
    expect((await old.get('/me')).json()).toMatchObject({ user: null })
  })

  it('serves copies in an outage, refuses the others, and has everyone back after it', async () => {
    const redis = await server(PERSISTENT)
    const store = await readyStore(redis, { cache: true })
    const app = await openFastify(store, { rolling: false })
    const visitor = await logIn(app)
    const elsewhere = await openFastify(await readyStore(redis), { rolling })
    const stranger = twinOf(app, await logIn(elsewhere, 'eve'))
    await redis.kill()
    const read = await visitor.get('/me')
    expect(read).toMatchObject({ status: 200, setCookie: [] })
    expect(read.json()).toMatchObject({ user: 'ada', sid: sidOf(visitor) })
    const refused = await stranger.get('/me')
    expect(refused).toMatchObject({ status: 503, setCookie: [] })
    expect(refused.headers['retry-after']).toBe('1')
    expect(refused.json()).toMatchObject({ statusCode: 503, code: 'EREDISDOWN' })
    expect((await visitor.post('/save?n=9')).status).toBe(503)
    await redis.start()
    await untilUp(store)
    expect((await visitor.get('/me')).json()).toMatchObject({ user: 'ada', n: 0, sid: sidOf(visitor) })
    expect((await stranger.get('/me')).json()).toMatchObject({ user: 'eve', sid: sidOf(stranger) })
  })

  it('keeps what was saved in an outage where the policy queues it', async () => {
    const redis = await server(PERSISTENT)
    const store = await readyStore(redis, { cache: true, degradation: 'available' })
    const app = await openFastify(store, { rolling })
    const visitor = await logIn(app)
    const sid = sidOf(visitor)
    await redis.kill()
    expect((await visitor.post('/save?n=1')).status).toBe(200)
    expect((await visitor.post('/save?n=2')).status).toBe(200)
    expect((await visitor.get('/me')).json()).toMatchObject({ n: 2, sid })
    const records = outcomes(store)
    await redis.start()
    await untilUp(store)
    expect(records.filter(({ type }) => type === 'conflict' || type === 'revoked')).toEqual([])
    expect(JSON.parse(await redis.cli('GET', keyOf(sid)))).toMatchObject({ user: 'ada', n: 2 })
    expect((await visitor.post('/save?n=3')).status).toBe(200)
    expect((await visitor.get('/me')).json()).toMatchObject({ n: 3, sid })
  })
})

it('knows a copy for a copy when it is saved: it does not overwrite what changed meanwhile', async () => {
  const redis = await server(PERSISTENT)
  const gate = new Gate()
  const store = await readyStore(redis, { cache: true })
  const app = await openFastify(store, { slow: gate })
  const visitor = await logIn(app)
  const records = outcomes(store)
  await redis.kill()
  await untilDown(store)
  const slow = visitor.post('/slow?n=1')
  await gate.reached()
  await redis.start()
  await untilUp(store)
  // Somebody else, somewhere else, in a newer version of the session.
  const elsewhere = await openFastify(await readyStore(redis))
  expect((await twinOf(elsewhere, visitor).post('/save?n=7')).status).toBe(200)
  gate.open()
  expect((await slow).status).toBe(409)
  expect(records.filter(({ type }) => type === 'conflict').length).toBeGreaterThan(0)
  expect((await visitor.get('/me')).json()).toMatchObject({ user: 'ada', n: 7 })
})

it('saves a copy that nobody has changed meanwhile', async () => {
  const redis = await server(PERSISTENT)
  const gate = new Gate()
  const store = await readyStore(redis, { cache: true })
  const app = await openFastify(store, { slow: gate })
  const visitor = await logIn(app)
  await redis.kill()
  await untilDown(store)
  const slow = visitor.post('/slow?n=1')
  await gate.reached()
  await redis.start()
  await untilUp(store)
  gate.open()
  expect((await slow).status).toBe(200)
  expect((await visitor.get('/me')).json()).toMatchObject({ user: 'ada', n: 1 })
})

it('does not bring back a session that was logged out while a request still ran', async () => {
  const redis = await server()
  const gate = new Gate()
  const here = await openFastify(await readyStore(redis), { slow: gate })
  const there = await openFastify(await readyStore(redis))
  const visitor = await logIn(here)
  const sid = sidOf(visitor)
  const slow = twinOf(here, visitor).post('/slow?n=1')
  await gate.reached()
  expect((await twinOf(there, visitor).post('/logout')).status).toBe(200)
  gate.open()
  expect((await slow).status).toBe(409)
  expect(await redis.cli('EXISTS', keyOf(sid))).toBe(0)
  expect((await twinOf(here, visitor).get('/me')).json()).toMatchObject({ user: null })
})

it.each(['read-only', 'available'] as const)(
  'logs out in an outage by the documented pattern, %s',
  async (degradation) => {
    const redis = await server(PERSISTENT)
    const store = await readyStore(redis, { cache: true, degradation, onRedisDown: byRoute })
    const app = await openFastify(store)
    const visitor = await logIn(app)
    const sid = sidOf(visitor)
    const old = twinOf(app, visitor)
    await redis.kill()
    expect((await visitor.post('/logout')).json()).toEqual({ bye: true })
    expect((await old.get('/me')).json()).toMatchObject({ user: null })
    await redis.start()
    await untilUp(store)
    expect(await redis.cli('EXISTS', keyOf(sid))).toBe(0)
    expect(await redis.cli('EXISTS', markerOf(sid))).toBe(1)
    const elsewhere = await openFastify(await readyStore(redis))
    expect((await twinOf(elsewhere, visitor).get('/me')).json()).toMatchObject({ user: null })
  },
)

it('gives a blank session under the same sid, and never saves it', async () => {
  const redis = await server(PERSISTENT)
  const { told, onRedisDown } = listener()
  const store = await readyStore(redis, { degradation: { read: 'blank', save: 'queue' }, onRedisDown })
  const app = await openFastify(store)
  const visitor = await logIn(app)
  const stored = await redis.cli('GET', keyOf(sidOf(visitor)))
  await redis.kill()
  const read = await visitor.get('/me')
  expect(read).toMatchObject({ status: 200, setCookie: [] })
  expect(read.json()).toEqual({ user: null, n: null, sid: sidOf(visitor) })
  expect((await visitor.post('/save?n=1')).status).toBe(503)
  expect(told.map(({ reason }) => reason)).toContain('blank')
  expect(store.health().queue.saves).toBe(0)
  await redis.start()
  await untilUp(store)
  expect(await redis.cli('GET', keyOf(sidOf(visitor)))).toBe(stored)
  expect((await visitor.get('/me')).json()).toMatchObject({ user: 'ada', n: 0 })
})

it('a rolling session lives on by its saves, an idle one ends in Redis', async () => {
  const redis = await server()
  const store = await readyStore(redis, { cache: true })
  const app = await openFastify(store, { rolling: true })
  const visitor = await logIn(app)
  const key = keyOf(sidOf(visitor))
  await redis.cli('PEXPIRE', key, '1000000')
  const answer = await visitor.get('/me')
  expect(answer.setCookie).toHaveLength(1)
  expect(Number(await redis.cli('PTTL', key))).toBeGreaterThan(3_500_000)
})

it.each([
  { concurrency: 'last-write', status: 200, n: 0 },
  { concurrency: 'reject', status: 409, n: 5 },
  { concurrency: 'merge', status: 200, n: 5 },
] as const)(
  "rolling, a request that only reads saves as well: what another saved meanwhile, under '$concurrency'",
  async ({ concurrency, status, n }) => {
    const gate = new Gate()
    const store = await readyStore(await server(), { cache: true, concurrency })
    const app = await openFastify(store, { rolling: true, slow: gate })
    const visitor = await logIn(app)
    const slow = twinOf(app, visitor).get('/slow-read')
    await gate.reached()
    expect((await twinOf(app, visitor).post('/save?n=5')).status).toBe(200)
    gate.open()
    expect((await slow).status).toBe(status)
    expect((await visitor.get('/me')).json()).toMatchObject({ user: 'ada', n })
  },
)

it("keeps both changes of two requests under `concurrency: 'merge'`", async () => {
  const redis = await server()
  const gate = new Gate()
  const app = await openFastify(await readyStore(redis, { concurrency: 'merge' }), { slow: gate })
  const visitor = await logIn(app)
  const slow = twinOf(app, visitor).post('/slow?n=1')
  await gate.reached()
  expect((await twinOf(app, visitor).post('/rename?user=bob')).status).toBe(200)
  gate.open()
  expect((await slow).status).toBe(200)
  expect((await visitor.get('/me')).json()).toMatchObject({ user: 'bob', n: 1 })
})

it('starts while Redis is away', async () => {
  const redis = await server(PERSISTENT)
  await redis.kill()
  const store = openStore(redis)
  const app = await openFastify(store)
  expect((await app.visitor().get('/me')).json()).toMatchObject({ user: null })
  expect((await app.visitor().post('/login?user=ada')).status).toBe(503)
  await redis.start()
  await untilUp(store)
  const visitor = await logIn(app)
  expect((await visitor.get('/me')).json()).toMatchObject({ user: 'ada' })
})
