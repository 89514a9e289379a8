// What a request is told of its session, over HTTP with Express 5: where it came from, whether it is good enough, and
// whether it was saved.
import { describe, expect, it } from 'vitest'
import { type OnRedisDown, type ResilientStoreOptions, requireLiveSession, saveSession } from '../../../src/index.js'
import type { ListeningApp } from '../../support/http.js'
import type { Visitor } from '../../support/visitor.js'
import { dataOf, openApp } from '../guard-app.js'
import { cut, heal, type Place, place } from '../guard-kit.js'
import { keyOf, markerOf } from '../store-kit.js'
import { Gate, logIn, sameCookies, sidOf } from '../visitors.js'

interface Shop extends Place {
  readonly app: ListeningApp
  readonly gate: Gate
}

async function shop(options: ResilientStoreOptions = {}): Promise<Shop> {
  const here = await place({ cache: true, timeout: 1_000, ...options })
  const gate = new Gate()
  const app = await openApp(here.store, {
    gate,
    routes: (routes) => {
      routes.get('/pay', requireLiveSession(), (_req, res) => void res.json({ paid: true }))
      routes.get('/admin', requireLiveSession({ maxStale: 60_000 }), (_req, res) => void res.json({ staff: true }))
      routes.get('/strict', requireLiveSession({ maxStale: 0 }), (_req, res) => void res.json({ strict: true }))
      routes.post('/twice', async (req, res) => {
        dataOf(req).n = 1
        await saveSession(req)
        const outcomes: unknown[] = []
        for (const n of [2, 3]) {
          dataOf(req).n = n
          await saveSession(req).then(
            () => outcomes.push('saved'),
            (error: { code: string }) => outcomes.push(error.code),
          )
        }
        res.json(outcomes)
      })
    },
  })
  return { ...here, app, gate }
}

interface Seen {
  readonly source: string
  readonly user: string | null
  readonly confirmedAgo?: number
  readonly keepsSaves: boolean
}

async function statusOf(visitor: Visitor): Promise<Seen> {
  const answer = await visitor.get('/status')
  expect(answer).toMatchObject({ status: 200, complete: true })
  return answer.json<Seen>()
}

/** What the three guarded routes answer. */
async function guarded(visitor: Visitor): Promise<Record<string, number>> {
  const statuses: Record<string, number> = {}
  for (const path of ['/pay', '/strict', '/admin']) {
    const answer = await visitor.get(path)
    statuses[path] = answer.status
    if (answer.status === 503) expect(answer.headers['retry-after']).toBe('1')
    expect(answer.setCookie).toEqual([])
  }
  return statuses
}

const BLANK: OnRedisDown = (error) => (error.operation === 'get' ? 'blank' : undefined)

describe('a session', () => {
  it('that is new', async () => {
    const { app } = await shop()
    const visitor = app.visitor()
    const seen = await statusOf(visitor)
    expect(seen).toMatchObject({ source: 'new', keepsSaves: true })
    expect(seen).not.toHaveProperty('confirmedAgo')
    expect(await guarded(visitor)).toEqual({ '/pay': 200, '/strict': 200, '/admin': 200 })
  })

  it('from Redis', async () => {
    const { app } = await shop()
    const visitor = await logIn(app)
    const seen = await statusOf(visitor)
    expect(seen).toMatchObject({ source: 'redis', user: 'ada', keepsSaves: true })
    expect(seen.confirmedAgo).toBeGreaterThanOrEqual(0)
    expect(seen.confirmedAgo).toBeLessThan(1_000)
    expect(await guarded(visitor)).toEqual({ '/pay': 200, '/strict': 200, '/admin': 200 })
  })

  it.each([
    ['read-only', false],
    ['available', true],
  ] as const)('served stale, under %s', async (degradation, keepsSaves) => {
    const here = await shop({ degradation })
    const visitor = await logIn(here.app)
    await statusOf(visitor)
    const confirmedBefore = performance.now()
    await cut(here)
    const seen = await statusOf(visitor)
    expect(seen).toMatchObject({ source: 'stale', user: 'ada', keepsSaves })
    expect(seen.confirmedAgo).toBeGreaterThan(0)
    expect((await statusOf(visitor)).confirmedAgo).toBeGreaterThan(seen.confirmedAgo ?? Number.POSITIVE_INFINITY)
    expect(seen.confirmedAgo).toBeLessThan(performance.now() - confirmedBefore + 1_000)
    expect(await guarded(visitor)).toEqual({ '/pay': 503, '/strict': 503, '/admin': 200 })
    await heal(here)
    expect(await statusOf(visitor)).toMatchObject({ source: 'redis', keepsSaves: true })
    expect(await guarded(visitor)).toEqual({ '/pay': 200, '/strict': 200, '/admin': 200 })
  })

  it('that waits in the queue', async () => {
    const here = await shop({ degradation: 'available' })
    const visitor = await logIn(here.app)
    await cut(here)
    expect((await visitor.post('/set?n=1')).status).toBe(200)
    expect(await statusOf(visitor)).toMatchObject({ source: 'queued', user: 'ada', keepsSaves: true })
    expect(await guarded(visitor)).toEqual({ '/pay': 503, '/strict': 503, '/admin': 503 })
    await heal(here)
    expect(await statusOf(visitor)).toMatchObject({ source: 'redis' })
    expect(await guarded(visitor)).toEqual({ '/pay': 200, '/strict': 200, '/admin': 200 })
  })

  it('that is blank: its cookie and its sid stay, nothing of it is kept', async () => {
    const here = await shop({ degradation: 'available', onRedisDown: BLANK })
    const visitor = await logIn(here.app)
    const sid = sidOf(visitor)
    await cut(here)
    const seen = await statusOf(visitor)
    expect(seen).toMatchObject({ source: 'blank', user: null, keepsSaves: false, sid })
    expect(seen).not.toHaveProperty('confirmedAgo')
    expect(await guarded(visitor)).toEqual({ '/pay': 503, '/strict': 503, '/admin': 503 })
    const answer = await visitor.post('/set?n=1')
    expect(answer.status).toBe(503)
    expect(answer.headers['retry-after']).toBe('1')
    expect(here.store.health().queue.saves).toBe(0)
    await heal(here)
    expect(await statusOf(visitor)).toMatchObject({ source: 'redis', user: 'ada', sid })
  })

  it('whose copy is too old for a route', async () => {
    const here = await place({ cache: true, timeout: 1_000 })
    const app = await openApp(here.store, {
      routes: (routes) => {
        routes.get('/fresh', requireLiveSession({ maxStale: 1 }), (_req, res) => void res.json({}))
      },
    })
    const visitor = await logIn(app)
    await statusOf(visitor)
    await cut(here)
    expect(await visitor.get('/fresh')).toMatchObject({ status: 503, headers: { 'retry-after': '1' } })
  })
})

describe('requireLiveSession', () => {
  it.each([
    [{ maxStale: -1 }, RangeError],
    [{ maxStale: 86_400_001 }, RangeError],
    [{ maxStale: Number.NaN }, RangeError],
    [{ maxStale: '1' as never }, TypeError],
    [{ maxAge: 1 } as never, TypeError],
  ])('refuses %j at once', (options, type) => {
    expect(() => requireLiveSession(options)).toThrow(type)
  })

  it('is answered 503 before it where the session could not be read at all', async () => {
    const here = await shop({ cache: false })
    const visitor = await logIn(here.app)
    await cut(here)
    expect(await visitor.get('/pay')).toMatchObject({ status: 503, setCookie: [] })
  })
})

describe('saveSession', () => {
  it('resolves when it is saved, and answers 503 with Retry-After when it cannot be', async () => {
    const here = await shop()
    const visitor = await logIn(here.app)
    expect((await visitor.post('/set?n=1')).json()).toEqual({ set: true })
    await cut(here)
    const answer = await visitor.post('/set?n=2')
    expect(answer).toMatchObject({ status: 503, complete: true })
    expect(answer.headers['retry-after']).toBe('1')
    // express-session may tell a changed session's cookie anew: with the same sid.
    for (const line of answer.setCookie) expect(line).toContain(`connect.sid=${visitor.cookies.get('connect.sid')}`)
    await heal(here)
    expect((await visitor.post('/set?n=3')).status).toBe(200)
  })

  it('resolves when it is queued', async () => {
    const here = await shop({ degradation: 'available' })
    const visitor = await logIn(here.app)
    await cut(here)
    expect((await visitor.post('/twice')).json()).toEqual(['saved', 'saved'])
    await heal(here)
    expect(JSON.parse(await here.redis.cli('GET', keyOf(sidOf(visitor))))).toMatchObject({ n: 3 })
  })

  it('answers 409 to who was logged out meanwhile, here or elsewhere', async () => {
    const here = await shop()
    const elsewhere = await openApp(await here.other())
    const visitor = await logIn(here.app)
    const slow = sameCookies(here.app, visitor).get('/slow')
    await here.gate.reached()
    expect((await sameCookies(elsewhere, visitor).post('/logout')).status).toBe(200)
    here.gate.open()
    expect(await slow).toMatchObject({ status: 409, complete: true })
    expect(await here.redis.cli('EXISTS', keyOf(sidOf(visitor)))).toBe(0)
    expect(await here.redis.cli('EXISTS', markerOf(sidOf(visitor)))).toBe(1)
  })

  it('answers 409 to a conflict, and the request may load again', async () => {
    const here = await shop({ concurrency: 'reject' })
    const visitor = await logIn(here.app)
    const slow = sameCookies(here.app, visitor).get('/slow')
    await here.gate.reached()
    expect((await visitor.post('/set?n=1')).status).toBe(200)
    here.gate.open()
    expect(await slow).toMatchObject({ status: 409, complete: true })
    expect((await visitor.post('/set?n=2')).status).toBe(200)
  })
})
