// A save that fails when the head of the answer is out already: the visitor gets the whole answer, the application the news.
import { createGzip } from 'node:zlib'
import type { Request, Response } from 'express'
import { describe, expect, it } from 'vitest'
import { isRedisDownError, type ResilientStore, type ResilientStoreOptions, saveSession } from '../../../src/index.js'
import type { ListeningApp } from '../../support/http.js'
import type { RedisServer } from '../../support/redis-server.js'
import type { Answer, Visitor } from '../../support/visitor.js'
import { until } from '../../support/wait.js'
import { outcomes, readyStore, server } from '../store-kit.js'
import { Gate, logIn, sidOf } from '../visitors.js'
import { cartOf, listener, openShop, type Told, VERSIONS } from './shop.js'

const FAULTS = ['killed', 'paused', 'full'] as const
type Fault = (typeof FAULTS)[number]

const MIB = 1024 * 1024
const SMALL = '{"small":true}'
const LARGE = 'abcdefghijklmnop'.repeat((5 * MIB) / 16)

interface World {
  readonly redis: RedisServer
  readonly store: ResilientStore
  readonly app: ListeningApp
  readonly told: Told[]
}

/** An application whose copies are good, so that its answers begin; only saving fails. */
async function world(
  express: 4 | 5,
  fault: Fault,
  routes: NonNullable<Parameters<typeof openShop>[1]>,
): Promise<World> {
  const redis = await server()
  const { told, onRedisDown } = listener()
  const options: ResilientStoreOptions = { cache: true, onRedisDown }
  // A breaker that stays closed: each read and each save waits for its own deadline.
  const patient = { breaker: { consecutiveFailures: 1_000_000, errorThresholdPercentage: 100 } }
  // A full Redis answers: that the machine is busy is not to be taken for its silence.
  const timeout = fault === 'full' ? 5_000 : 250
  const store = await readyStore(redis, { ...options, timeout, ...(fault === 'paused' && patient) })
  return { redis, store, app: await openShop(store, { express, ...routes }), told }
}

async function breakIt(redis: RedisServer, fault: Fault): Promise<void> {
  if (fault === 'killed') await redis.kill()
  else if (fault === 'paused') await redis.pause()
  else await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
}

const REASONS: Readonly<Record<Fault, readonly string[]>> = {
  killed: ['reset', 'refused', 'not-connected'],
  paused: ['timeout'],
  full: ['out-of-memory'],
}

describe.each(VERSIONS)('Express %i', (express) => {
  describe.each(FAULTS)('Redis %s', (fault) => {
    it.each([
      { size: 'small', body: SMALL },
      { size: '5 MB', body: LARGE },
    ])('a $size answer arrives whole, 100 of 100', async ({ body }) => {
      const { redis, store, app, told } = await world(express, fault, {
        routes: (routes) => {
          routes.get('/page', (req, res) => {
            cartOf(req).n = Number(req.query.n)
            res.type('text').send(body)
          })
        },
      })
      const visitors = await Promise.all(Array.from({ length: 10 }, () => logIn(app)))
      for (const visitor of visitors) await visitor.get('/me')
      const records = outcomes(store)
      await breakIt(redis, fault)
      told.length = 0
      const answers = await Promise.all(
        visitors.map(async (visitor) => {
          const got: Answer[] = []
          for (let n = 1; n <= 10; n++) got.push(await visitor.get(`/page?n=${n}`, { timeoutMs: 15_000 }))
          return got
        }),
      )
      for (const answer of answers.flat()) {
        expect({ ...answer, body: answer.body.length }).toMatchObject({
          status: 200,
          complete: true,
          body: body.length,
        })
        expect(answer.body === body).toBe(true)
        expect(answer.headers['content-length']).toBe(String(body.length))
      }
      const sets = told.filter(({ operation }) => operation === 'set')
      expect(sets).toHaveLength(100)
      for (const { reason } of sets) expect(REASONS[fault]).toContain(reason)
      const dropped = records.filter(({ type }) => type === 'dropped')
      expect(dropped).toHaveLength(100)
      expect(dropped.every((record) => 'operation' in record && record.operation === 'set')).toBe(true)
    })

    it('so does one of any other shape', async () => {
      let forwarded: unknown
      const { redis, app, told, store } = await world(express, fault, {
        before: (outer) => {
          outer.use('/gzip-outside', gzip)
        },
        routes: (routes) => {
          for (const { path, route } of KINDS) {
            routes.all(path, (req, res) => {
              cartOf(req).n = 5
              route(req, res)
            })
          }
          routes.use((error: unknown, _req: Request, _res: Response, next: (error: unknown) => void) => {
            forwarded = error
            next(error)
          })
        },
      })
      const visitors = await Promise.all(KINDS.map(() => logIn(app)))
      for (const visitor of visitors) await visitor.get('/me')
      const records = outcomes(store)
      await breakIt(redis, fault)
      told.length = 0
      await Promise.all(
        KINDS.map(async ({ path, method = 'GET', check }, index) => {
          const visitor = visitors[index] as Visitor
          for (let time = 1; time <= 3; time++) await check(visitor, () => visitor.request(method, path), app)
        }),
      )
      const failed = (): Told[] => told.filter(({ operation }) => operation === 'set')
      const dropped = (): unknown[] => records.filter(({ type }) => type === 'dropped')
      // Where the length is known, the visitor has all of the body before the answer's end.
      await until(() => dropped().length >= 3 * KINDS.length, { what: 'all saves to fail' })
      expect(failed()).toHaveLength(3 * KINDS.length)
      expect(dropped()).toHaveLength(3 * KINDS.length)
      expect(forwarded).toBeUndefined()
    })
  })
})

interface Kind {
  readonly path: string
  readonly method?: string
  readonly route: (req: Request, res: Response) => void
  readonly check: (visitor: Visitor, ask: () => Promise<Answer>, app: ListeningApp) => Promise<void>
}

const CHUNKS = ['one ', 'two ', 'three ', 'x'.repeat(200_000)]

/** Answers of every shape that can be under way when the save fails. */
const KINDS: readonly Kind[] = [
  {
    // an answer without a body (204)
    path: '/nothing',
    route: (_req, res) => res.status(204).end(),
    check: async (_visitor, ask) => expect(await ask()).toMatchObject({ status: 204, complete: true, body: '' }),
  },
  {
    // an end without a word
    path: '/end',
    route: (_req, res) => res.end(),
    check: async (_visitor, ask) => expect(await ask()).toMatchObject({ status: 200, complete: true, body: '' }),
  },
  {
    // HEAD
    path: '/head',
    method: 'HEAD',
    route: (_req, res) => res.send('what GET would say'),
    check: async (_visitor, ask) => {
      const answer = await ask()
      expect(answer).toMatchObject({ status: 200, complete: true, body: '' })
      expect(answer.headers['content-length']).toBe('18')
    },
  },
  {
    // a redirect
    path: '/away',
    route: (_req, res) => res.redirect('/me'),
    check: async (_visitor, ask) => {
      const answer = await ask()
      expect(answer).toMatchObject({ status: 302, complete: true })
      expect(answer.headers.location).toBe('/me')
      expect(answer.body).toContain('/me')
    },
  },
  {
    // an answer in several writes
    path: '/stream',
    route: (_req, res) => {
      for (const chunk of CHUNKS.slice(0, -1)) res.write(chunk)
      setImmediate(() => res.end(CHUNKS.at(-1)))
    },
    check: async (_visitor, ask) => expect(await ask()).toMatchObject({ complete: true, body: CHUNKS.join('') }),
  },
  {
    // an answer in several writes, of a known length
    path: '/measured',
    route: (_req, res) => {
      res.set('Content-Length', String(CHUNKS.join('').length))
      for (const chunk of CHUNKS) res.write(chunk)
      res.end()
    },
    check: async (_visitor, ask) => expect(await ask()).toMatchObject({ complete: true, body: CHUNKS.join('') }),
  },
  {
    // bytes
    path: '/bytes',
    route: (_req, res) => {
      res.set('Content-Length', '3').end(Buffer.from('abc'))
    },
    check: async (_visitor, ask) => expect(await ask()).toMatchObject({ complete: true, body: 'abc' }),
  },
  // compressed, outside of the session and inside of it
  {
    path: '/gzip-outside',
    route: (_req, res) => writeChunks(res),
    check: (visitor, _ask, app) => expectCompressed(visitor, `${app.url}/gzip-outside`),
  },
  {
    path: '/gzip-inside',
    route: (req, res) => gzip(req, res, () => writeChunks(res)),
    check: (visitor, _ask, app) => expectCompressed(visitor, `${app.url}/gzip-inside`),
  },
]

function writeChunks(res: Response): void {
  for (const chunk of CHUNKS) res.write(chunk)
  res.end('.')
}

async function expectCompressed(visitor: Visitor, url: string): Promise<void> {
  const response = await fetch(url, { headers: { cookie: visitor.cookies.header('/') ?? '' } })
  expect(response.headers.get('content-encoding')).toBe('gzip')
  expect(await response.text()).toBe(`${CHUNKS.join('')}.`)
}

/** What compression middleware does: everything goes through a stream of its own, whose end is the answer's. */
function gzip(_req: Request, res: Response, next: () => void): void {
  const write = res.write.bind(res) as (chunk: Buffer) => boolean
  const end = res.end.bind(res) as () => unknown
  const stream = createGzip()
  res.setHeader('Content-Encoding', 'gzip')
  stream.on('data', (chunk: Buffer) => write(chunk))
  stream.on('end', () => end())
  res.write = (chunk: unknown) => stream.write(chunk as string)
  res.end = ((chunk?: unknown) => {
    if (chunk == null) stream.end()
    else stream.end(chunk as string)
    return res
  }) as Response['end']
  next()
}

describe.each(VERSIONS)('with Express %i', (express) => {
  it('a touch does not delay the answer: it is whole before the touch has failed', async () => {
    const gate = new Gate()
    const redis = await server()
    const { told, onRedisDown } = listener()
    const store = await readyStore(redis, { timeout: 1_500, touchAfter: 0, onRedisDown })
    const app = await openShop(store, {
      express,
      routes: (routes) => {
        routes.get('/wait', async (_req, res) => {
          await gate.pass()
          res.send(LARGE)
        })
      },
    })
    const visitor = await logIn(app)
    const records = outcomes(store)
    const asked = visitor.get('/wait')
    await gate.reached()
    await redis.pause()
    gate.open()
    const answer = await asked
    expect(told).toEqual([])
    expect(answer).toMatchObject({ status: 200, complete: true })
    expect(answer.body === LARGE).toBe(true)
    await until(() => told.length > 0, { what: 'the touch to fail' })
    expect(told).toMatchObject([{ operation: 'touch', reason: 'timeout', sid: sidOf(visitor) }])
    expect(records).toContainEqual({ type: 'dropped', operation: 'touch', reason: 'timeout' })
  })

  it('resetOnRead does not delay it either', async () => {
    const redis = await server()
    const { told, onRedisDown } = listener()
    const store = await readyStore(redis, { resetOnRead: true, touchAfter: 0, onRedisDown })
    const app = await openShop(store, { express })
    const visitor = await logIn(app)
    await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '1')
    const answer = await visitor.get('/me')
    expect(answer).toMatchObject({ status: 200, complete: true })
    await until(() => told.length === 2, { what: 'both touches to fail' })
    expect(told).toMatchObject([
      { operation: 'touch', reason: 'no-replicas' },
      { operation: 'touch', reason: 'no-replicas' },
    ])
  })

  it('saveSession rejects after the head is out, and the answer arrives whole', async () => {
    let failure: unknown
    const redis = await server()
    const store = await readyStore(redis, { cache: true })
    const app = await openShop(store, {
      express,
      routes: (routes) => {
        routes.get('/stream', async (req, res) => {
          res.write('begun, ')
          cartOf(req).n = 5
          failure = await saveSession(req).catch((error: unknown) => error)
          res.end('ended')
        })
      },
    })
    const visitor = await logIn(app)
    await redis.kill()
    expect(await visitor.get('/stream')).toMatchObject({ status: 200, complete: true, body: 'begun, ended' })
    expect(isRedisDownError(failure)).toBe(true)
  })

  it('a callback given to save before the head is out gets the error, and the visitor 503', async () => {
    const redis = await server()
    const store = await readyStore(redis, { cache: true })
    const app = await openShop(store, {
      express,
      routes: (routes) => {
        routes.get('/own', (req, res, next) => {
          cartOf(req).n = 5
          req.session.save((error: unknown) => (error == null ? res.send('saved') : next(error)))
        })
      },
    })
    const visitor = await logIn(app)
    await redis.kill()
    const answer = await visitor.get('/own')
    expect(answer).toMatchObject({ status: 503, complete: true })
    expect(answer.headers['retry-after']).toBe('1')
  })

  it('a session that cannot be serialized harms nobody after the head is out', async () => {
    const redis = await server()
    const store = await readyStore(redis, {
      serializer: {
        parse: (value: string) => JSON.parse(value),
        stringify: (session) => {
          if (session.n === 13) throw new RangeError('no 13')
          return JSON.stringify(session)
        },
      },
    })
    const app = await openShop(store, { express })
    const visitor = await logIn(app)
    const records = outcomes(store)
    const answer = await visitor.post('/note?n=13')
    expect(answer).toMatchObject({ status: 200, complete: true })
    expect(records).toEqual([{ type: 'dropped', operation: 'set', reason: 'error' }])
    expect((await visitor.post('/save?n=13')).status).toBe(500)
    expect((await visitor.post('/save?n=14')).status).toBe(200)
    expect(store.health().status).toBe('up')
  })

  it('a visitor who leaves in the middle of an answer disturbs nothing', async () => {
    const gate = new Gate()
    const closed = new Gate()
    const redis = await server()
    const { told, onRedisDown } = listener()
    const store = await readyStore(redis, { cache: true, onRedisDown })
    const app = await openShop(store, {
      express,
      routes: (routes) => {
        routes.get('/slow', async (req, res) => {
          cartOf(req).n = 9
          res.write('begun')
          res.on('close', () => void closed.pass())
          await gate.pass()
          res.end('ended')
        })
      },
    })
    const visitor = await logIn(app)
    const abort = new AbortController()
    const cookie = visitor.cookies.header('/') ?? ''
    const asked = fetch(`${app.url}/slow`, { headers: { cookie }, signal: abort.signal }).then((answer) =>
      answer.text(),
    )
    asked.catch(() => {})
    await gate.reached()
    await redis.kill()
    abort.abort()
    await closed.reached()
    gate.open()
    await until(() => told.some(({ operation }) => operation === 'set'), { what: 'the save to fail' })
    expect((await visitor.get('/me')).json()).toMatchObject({ user: 'ada', n: 0 })
  })
})

it('the promise of the tests: without the rule the answers are cut short', async () => {
  const redis = await server()
  const store = await readyStore(redis, { cache: true })
  // express-session as it is over a store that reports the failure, as stores do.
  const honest = store.set.bind(store) as (sid: string, session: object) => Promise<void>
  store.set = ((sid: string, session: object, callback?: (error?: unknown) => void) => {
    const saving = honest(sid, session)
    if (callback === undefined) return saving
    saving.then(() => callback(), callback)
    return undefined
  }) as typeof store.set
  const app = await openShop(store, {
    routes: (routes) => {
      routes.get('/page', (req, res) => {
        cartOf(req).n = 1
        res.send(LARGE)
      })
    },
  })
  const visitor = await logIn(app)
  await redis.kill()
  expect((await visitor.get('/page')).complete).toBe(false)
})
