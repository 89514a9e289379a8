// Blank sessions: the visitor keeps the cookie, the application a `req.session`, and Redis what it had.
import type { CookieOptions } from 'express-session'
import { describe, expect, it } from 'vitest'
import type { RedisServer } from '../../support/redis-server.js'
import type { Answer, Visitor } from '../../support/visitor.js'
import { until } from '../../support/wait.js'
import { keyOf, openStore, outcomes, readyStore, server, untilDown, untilUp } from '../store-kit.js'
import { logIn, sidOf } from '../visitors.js'
import { parseSetCookie } from './set-cookie.js'
import { ALL_SETTINGS, EXPRESS, listener, nameOf, openShop, PERSISTENT, type Settings, serve, shop } from './shop.js'

const SAVES = ['fail', 'drop', 'queue'] as const

describe.each(ALL_SETTINGS.map((settings) => ({ name: nameOf(settings), settings })))('$name', ({ settings }) => {
  it('keeps the sid and the cookie, and saves nothing, with read: blank', async () => {
    const redis = await server(PERSISTENT)
    const { told, onRedisDown } = listener()
    const degradation = { read: 'blank', save: 'queue', destroy: 'queue' } as const
    const store = await readyStore(redis, { degradation, onRedisDown, touchAfter: 0 })
    const app = await openShop(store, settings)
    await expectBlankAndKept(redis, await logIn(app), settings)
    expect(told.filter(({ operation }) => operation === 'touch')).toEqual([])
    expect(store.health().queue).toMatchObject({ saves: 0, destroys: 0 })
  })
})

describe.each(SAVES)('save: %s', (save) => {
  it('a stranger gets a blank session where a known visitor gets a copy, with read: stale-or-blank', async () => {
    const redis = await server(PERSISTENT)
    const store = await readyStore(redis, { cache: true, degradation: { read: 'stale-or-blank', save } })
    const app = await openShop(store)
    const known = await logIn(app)
    const elsewhere = await openShop(await readyStore(redis))
    const stranger = app.visitor()
    stranger.cookies.set('connect.sid', (await logIn(elsewhere, 'eve')).cookies.get('connect.sid') ?? '')
    await expectBlankAndKept(redis, stranger, {}, async () => {
      expect((await known.get('/me')).json()).toMatchObject({ user: 'ada', source: 'stale' })
    })
    expect((await known.get('/me')).json()).toMatchObject({ user: 'ada', source: 'redis' })
  })
})

describe.each([
  { name: 'a long life', cookie: { maxAge: 86_400_000, sameSite: 'strict' } },
  { name: 'no end', cookie: {} },
  { name: 'cross-site', cookie: { sameSite: 'none', secure: 'auto', partitioned: true, maxAge: 60_000 } },
  { name: 'other words', cookie: { httpOnly: false, priority: 'high', domain: '127.0.0.1', maxAge: 60_000 } },
  { name: 'sameSite auto', cookie: { sameSite: 'auto', secure: 'auto', maxAge: 60_000 } },
] as readonly { name: string; cookie: CookieOptions }[])('a cookie with $name', ({ cookie }) => {
  it.each(['http', 'https'] as const)('has the same attributes from a blank session over %s', async (proto) => {
    const redis = await server(PERSISTENT)
    const store = await readyStore(redis, { degradation: { read: 'blank' } })
    const app = await openShop(store, { rolling: true, proxy: true, cookie })
    const visitor = app.visitor()
    const headers = { 'x-forwarded-proto': proto }
    const login = await visitor.post('/login?user=ada', undefined, { headers })
    await redis.kill()
    await untilDown(store)
    const blank = await visitor.get('/me', { headers })
    expect(blank.json()).toMatchObject({ user: null, source: 'blank' })
    expect(cookieOf(blank)).toEqual(cookieOf(login))
    expect(cookieOf(blank).attributes.secure).toBe(proto === 'https' && 'secure' in cookie ? '' : undefined)
  })
})

it("has the age that the application gives to new sessions: the visitor's own is not known", async () => {
  const redis = await server(PERSISTENT)
  const store = await readyStore(redis, { degradation: { read: 'blank' } })
  const app = await openShop(store, {
    rolling: true,
    cookie: { maxAge: 3_600_000 },
    routes: (routes) => {
      routes.get('/remember', (req, res) => {
        req.session.cookie.maxAge = 30 * 86_400_000
        res.send('remembered')
      })
    },
  })
  const visitor = await logIn(app)
  await visitor.get('/remember')
  const days = (answer: Answer): number => ((cookieOf(answer).expires ?? 0) - Date.now()) / 86_400_000
  await until(async () => days(await visitor.get('/me')) > 29, { what: 'the new age to be saved' })
  await redis.kill()
  await untilDown(store)
  const blank = await visitor.get('/me')
  expect(blank.json()).toMatchObject({ source: 'blank' })
  expect(days(blank)).toBeLessThan(1)
  await redis.start()
  await untilUp(store)
  expect(days(await visitor.get('/me'))).toBeGreaterThan(29)
})

it('takes the attributes from a cookie option that is a function of the request', async () => {
  const redis = await server(PERSISTENT)
  const store = await readyStore(redis, { degradation: { read: 'blank' } })
  const cookie = ((req: { headers: Record<string, string> }) => ({
    maxAge: req.headers['x-short'] ? 1_000 : 5_000_000,
    sameSite: 'lax',
  })) as unknown as CookieOptions
  const app = await openShop(store, { rolling: true, cookie })
  const visitor = await logIn(app)
  await redis.kill()
  await untilDown(store)
  const long = cookieOf(await visitor.get('/me'))
  expect(long.expires).toBeGreaterThan(Date.now() + 4_000_000)
  const short = cookieOf(await visitor.get('/me', { headers: { 'x-short': 'yes' } }))
  expect(short.expires).toBeLessThan(Date.now() + 4_000_000)
  expect(short.sid).toBe(sidOf(visitor))
})

it.each([4, 5] as const)('keeps the path of a mounted application, Express %i', async (express) => {
  const redis = await server(PERSISTENT)
  const store = await readyStore(redis, { degradation: { read: 'blank' } })
  const outer = EXPRESS[express]()
  outer.use('/app', shop(store, { express, rolling: true, cookie: { path: '/app', maxAge: 60_000 } }))
  const app = await serve(outer)
  const visitor = app.visitor()
  const login = await visitor.post('/app/login?user=ada')
  await redis.kill()
  await untilDown(store)
  const blank = await visitor.get('/app/me')
  expect(blank.json()).toMatchObject({ user: null, source: 'blank' })
  expect(cookieOf(blank)).toEqual(cookieOf(login))
  expect(cookieOf(blank).attributes.path).toBe('/app')
})

it('logs nobody in: what is written into a blank session is gone with its request', async () => {
  const redis = await server(PERSISTENT)
  const store = await readyStore(redis, { degradation: { read: 'blank', save: 'queue', destroy: 'queue' } })
  const app = await openShop(store, {
    routes: (routes) => {
      routes.get('/become-admin', (req, res) => {
        Object.assign(req.session, { user: 'root' })
        res.json({})
      })
    },
  })
  const visitor = await logIn(app)
  await redis.kill()
  await untilDown(store)
  expect((await visitor.get('/become-admin')).status).toBe(200)
  expect((await visitor.get('/me')).json()).toMatchObject({ user: null })
  await redis.start()
  await untilUp(store)
  expect((await visitor.get('/me')).json()).toMatchObject({ user: 'ada' })
})

it('gives a blank session to an application that starts without Redis', async () => {
  const redis = await server(PERSISTENT)
  const before = await openShop(await readyStore(redis))
  const visitor = await logIn(before)
  await redis.kill()
  const store = openStore(redis, { degradation: { read: 'blank' } })
  await untilDown(store)
  const app = await openShop(store)
  const back = app.visitor()
  back.cookies.set('connect.sid', visitor.cookies.get('connect.sid') ?? '')
  const answer = await back.get('/me')
  expect(answer.json()).toMatchObject({ user: null, source: 'blank', sid: sidOf(visitor) })
  expect(answer.setCookie).toEqual([])
})

/** Kills Redis, has a visitor without a copy do everything, brings Redis back and compares what it holds. */
async function expectBlankAndKept(
  redis: RedisServer,
  visitor: Visitor,
  { rolling = false }: Partial<Settings>,
  meanwhile: () => Promise<void> = async () => {},
): Promise<void> {
  const sid = sidOf(visitor)
  const stored = await redis.cli('GET', keyOf(sid))
  expect(JSON.parse(stored)).toHaveProperty('user')
  await redis.kill()
  await meanwhile()

  const read = await visitor.get('/me')
  expect(read.status).toBe(200)
  expect(read.json()).toEqual({ user: null, n: null, sid, source: 'blank' })
  expect(read.setCookie).toHaveLength(rolling ? 1 : 0)
  const noted = await visitor.post('/note?n=7')
  expect(noted).toMatchObject({ status: 200, complete: true })
  expect(noted.json()).toEqual({ noted: 7 })
  const saved = await visitor.post('/save?n=8')
  expect(saved.status).toBe(503)
  expect(saved.headers['retry-after']).toBe('1')
  for (const answer of [read, noted, saved]) {
    for (const line of answer.setCookie) {
      const { name, sid: given, attributes, expires } = parseSetCookie(line)
      expect({ name, given, attributes }).toEqual({
        name: 'connect.sid',
        given: sid,
        attributes: { path: '/', httponly: '', samesite: 'Lax' },
      })
      expect(Math.abs((expires ?? 0) - Date.now() - 3_600_000)).toBeLessThan(60_000)
    }
  }
  expect(sidOf(visitor)).toBe(sid)
  await meanwhile()

  await redis.start()
  expect(await redis.cli('GET', keyOf(sid))).toBe(stored)
  await expect
    .poll(async () => (await visitor.get('/me')).json(), { timeout: 5_000 })
    .toMatchObject({ source: 'redis' })
  const after = JSON.parse(await redis.cli('GET', keyOf(sid)))
  expect(after).toMatchObject({ user: JSON.parse(stored).user, n: 0 })
}

function cookieOf(
  answer: Answer,
): Omit<ReturnType<typeof parseSetCookie>, 'expires'> & { expires?: number | undefined } {
  expect(answer.setCookie).toHaveLength(1)
  const { expires, ...rest } = parseSetCookie(answer.setCookie[0] ?? '')
  // Two answers of one cookie's life differ in the time alone.
  return expires === undefined
    ? rest
    : Object.defineProperty({ ...rest }, 'expires', { value: expires, enumerable: false })
}

it('reports what a blank session loses: reason blank, to onRedisDown and as an event', async () => {
  const redis = await server(PERSISTENT)
  const { told, onRedisDown } = listener()
  const store = await readyStore(redis, { degradation: { read: 'blank' }, onRedisDown })
  const app = await openShop(store)
  const visitor = await logIn(app)
  const sid = sidOf(visitor)
  const records = outcomes(store)
  await redis.kill()
  await untilDown(store)
  await visitor.post('/note?n=7')
  expect(told).toMatchObject([
    { operation: 'get', sid },
    { operation: 'set', reason: 'blank', sid },
  ])
  expect(records.filter(({ type }) => type === 'dropped')).toEqual([
    { type: 'dropped', operation: 'set', reason: 'blank' },
  ])
  told.length = 0
  const saved = await visitor.post('/save?n=8')
  expect(saved.status).toBe(503)
  expect(saved.body).toContain('blank')
  expect(told[1]).toMatchObject({ operation: 'set', reason: 'blank', sid })
})
