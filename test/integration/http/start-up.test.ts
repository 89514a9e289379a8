// An application that starts while Redis is away, and its errors while it is.
import type express5 from 'express'
import { describe, expect, it } from 'vitest'
import { reservePort } from '../../support/ports.js'
import { startRedis } from '../../support/redis-server.js'
import { settled } from '../../support/wait.js'
import { afterThis, openStore, outcomes, readyStore, server, untilDown, untilUp } from '../store-kit.js'
import { logIn, sameCookies, sidOf } from '../visitors.js'
import { openShop, PERSISTENT, VERSIONS } from './shop.js'

/** A port where no Redis is yet, and how to put one there. */
async function nowhere(): Promise<{ url: string; begin: () => Promise<void> }> {
  const { port, release } = await reservePort()
  afterThis(release)
  return {
    url: `redis://127.0.0.1:${port}`,
    begin: async () => {
      const redis = await startRedis({ port })
      afterThis(() => redis.stop())
    },
  }
}

describe.each(VERSIONS)('Express %i', (express) => {
  it.each([false, true])(
    'starts while Redis is away and is fine when it comes, saveUninitialized %s',
    async (saveUninitialized) => {
      const { url, begin } = await nowhere()
      const store = openStore({ url })
      const app = await openShop(store, { express, saveUninitialized })
      const visitor = app.visitor()
      const other = await visitor.get('/ping')
      expect(other.json()).toEqual({ pong: true })
      expect(other.setCookie).toEqual([])
      // Nobody has a session yet: nothing has to be read, and what cannot be saved holds nothing back.
      const first = await visitor.get('/me')
      expect(first).toMatchObject({ status: 200, complete: true })
      const login = await app.visitor().post('/login?user=ada')
      expect(login.status).toBe(503)
      expect(login.headers['retry-after']).toBe('1')
      await begin()
      await untilUp(store)
      const ada = await logIn(app)
      expect((await ada.get('/me')).json()).toMatchObject({ user: 'ada', source: 'redis' })
    },
  )

  it('refuses the sessions of before with 503 and keeps their cookies', async () => {
    const redis = await server(PERSISTENT)
    const before = await openShop(await readyStore(redis), { express })
    const visitor = await logIn(before)
    await redis.kill()
    const store = openStore(redis, { cache: true })
    const app = await openShop(store, { express, rolling: true, resave: true })
    const back = sameCookies(app, visitor)
    // At once, when nothing is known of Redis, and when it is known to be away.
    for (const settle of [async () => {}, () => untilDown(store)]) {
      await settle()
      const answer = await back.get('/me')
      expect(answer).toMatchObject({ status: 503, complete: true, setCookie: [] })
      expect(answer.headers['retry-after']).toBe('1')
    }
    await redis.start()
    await untilUp(store)
    expect((await back.get('/me')).json()).toMatchObject({ user: 'ada', sid: sidOf(visitor) })
  })

  it("lets Express's own error handler answer: 503, Retry-After, no secrets", async () => {
    const redis = await server({ requirepass: 'hunter2', ...PERSISTENT })
    const store = await readyStore(redis)
    const app = await openShop(store, { express })
    const visitor = await logIn(app)
    await redis.kill()
    await untilDown(store)
    const answer = await visitor.get('/me')
    expect(answer.status).toBe(503)
    expect(answer.headers['retry-after']).toMatch(/^[1-9]\d*$/)
    expect(answer.headers['content-type']).toContain('text/html')
    expect(answer.body).toContain('Redis could not carry out &#39;get&#39;: circuit-open')
    expect(answer.body).not.toContain(sidOf(visitor))
    expect(answer.body).not.toContain('hunter2')
    expect(answer.body).not.toMatch(/ at .*:\d+:\d+/)
    expect(answer.setCookie).toEqual([])
  })

  it('gives the error to the error handler of the application', async () => {
    const errors: unknown[] = []
    const redis = await server()
    const store = await readyStore(redis, { breaker: { resetTimeout: 4_100 } })
    const app = await openShop(store, {
      express,
      before: (outer) => {
        outer.use((error: unknown, _req: unknown, _res: unknown, next: (error: unknown) => void) => {
          next(error)
        })
      },
      routes: (routes) => {
        routes.use((error: Error, _req: express5.Request, res: express5.Response, _next: express5.NextFunction) => {
          errors.push(error)
          res.status(599).json({ sorry: true })
        })
      },
    })
    const visitor = await logIn(app)
    await redis.kill()
    await untilDown(store)
    expect(await visitor.get('/me')).toMatchObject({ status: 599, setCookie: [] })
    expect(errors).toMatchObject([
      { code: 'EREDISDOWN', operation: 'get', reason: 'circuit-open', status: 503, headers: { 'Retry-After': '5' } },
    ])
  })

  it.each([
    {
      name: 'throws',
      onRedisDown: () => {
        throw new Error('mine')
      },
    },
    { name: 'rejects', onRedisDown: () => Promise.reject(new Error('mine')) },
    { name: 'returns nonsense', onRedisDown: () => 'whatever' as never },
    { name: 'answers too late', onRedisDown: async () => 'blank' },
  ])('an onRedisDown that $name breaks nothing', async ({ onRedisDown }) => {
    const redis = await server(PERSISTENT)
    const store = await readyStore(redis, { cache: true, onRedisDown })
    const app = await openShop(store, { express })
    const visitor = await logIn(app)
    const elsewhere = await openShop(await readyStore(redis), { express })
    const unknown = sameCookies(app, await logIn(elsewhere, 'eve'))
    await redis.kill()
    expect((await visitor.get('/me')).json()).toMatchObject({ user: 'ada', source: 'stale' })
    expect(await visitor.post('/note?n=1')).toMatchObject({ status: 200, complete: true })
    expect((await visitor.post('/save?n=1')).status).toBe(503)
    expect((await unknown.get('/me')).status).toBe(503)
    expect((await visitor.post('/logout')).status).toBe(503)
    await redis.start()
    await untilUp(store)
    expect((await unknown.get('/me')).json()).toMatchObject({ user: 'eve' })
  })
})

it('an event listener that throws does not break the request, nor go unseen', async () => {
  const redis = await server()
  const store = await readyStore(redis, { cache: true })
  const app = await openShop(store)
  const visitor = await logIn(app)
  const records = outcomes(store)
  const seen: unknown[] = []
  const onUncaught = (error: unknown): void => void seen.push(error)
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', onUncaught)
  afterThis(() => {
    process.off('uncaughtException', onUncaught)
    for (const listener of others) process.on('uncaughtException', listener)
  })
  store.on('dropped', () => {
    throw new Error('of the listener')
  })
  await redis.kill()
  expect(await visitor.post('/note?n=1')).toMatchObject({ status: 200, complete: true })
  expect(seen).toMatchObject([{ message: 'of the listener' }])
  expect(records.some(({ type }) => type === 'dropped')).toBe(true)
})

it('a store that was closed answers with an error and hangs nobody', async () => {
  const redis = await server()
  const store = await readyStore(redis, { cache: true })
  const app = await openShop(store)
  const visitor = await logIn(app)
  await settled(store.close())
  const answer = await visitor.get('/me')
  expect(answer).toMatchObject({ status: 503, complete: true, setCookie: [] })
})
