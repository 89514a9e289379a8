// `onRedisDown` gets the very request that is being served, without any middleware.
import { AsyncLocalStorage } from 'node:async_hooks'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, createServer as createHttp2Server, type Http2Server } from 'node:http2'
import { type AddressInfo, connect as connectSocket } from 'node:net'
import cookiePlugin from '@fastify/cookie'
import sessionPlugin from '@fastify/session'
import session from 'express-session'
import fastify from 'fastify'
import { describe, expect, it } from 'vitest'
import { type ResilientStore, requestContext, saveSession } from '../../../src/index.js'
import { until } from '../../support/wait.js'
import { afterThis, downError, readyStore, server, session as storedSession, untilDown } from '../store-kit.js'
import { Gate, logIn, sidOf } from '../visitors.js'
import { cartOf, EXPRESS, openShop, PERSISTENT, pathOf, route, serve, VERSIONS } from './shop.js'

interface Call {
  readonly operation: string
  readonly req: IncomingMessage | undefined
  readonly sid: string | undefined
}

/** A store that serves copies, on a Redis of its own, and what its handler was given. */
async function watched(degradation: 'read-only' | 'available' = 'read-only'): Promise<{
  redis: Awaited<ReturnType<typeof server>>
  store: ResilientStore
  calls: Call[]
}> {
  const redis = await server(PERSISTENT)
  const calls: Call[] = []
  const store = await readyStore(redis, {
    ...{ cache: true, degradation, touchAfter: 0 },
    onRedisDown: (error, req, sid) => {
      calls.push({ operation: error.operation, req, sid })
      return undefined
    },
  })
  return { redis, store, calls }
}

describe.each(VERSIONS)('Express %i', (express) => {
  it("is given the handler's own request for get, set, touch and destroy", async () => {
    const { redis, store, calls } = await watched()
    const seen: IncomingMessage[] = []
    const app = await openShop(store, {
      express,
      before: (outer) => {
        outer.use((req, _res, next) => {
          seen.push(req)
          next()
        })
      },
    })
    const visitor = await logIn(app)
    const sid = sidOf(visitor)
    await redis.kill()
    const expectCalls = async (path: string, ...operations: string[]): Promise<void> => {
      calls.length = 0
      seen.length = 0
      await (path === '/me' ? visitor.get(path) : visitor.post(path))
      await until(() => calls.length >= operations.length, { what: `${operations} to be told` })
      expect(calls.map(({ operation }) => operation)).toEqual(operations)
      for (const call of calls) {
        expect(call.req === seen[0]).toBe(true)
        expect(call.sid).toBe(sid)
      }
      expect(seen).toHaveLength(1)
    }
    await expectCalls('/me', 'get', 'touch')
    await expectCalls('/note?n=1', 'get', 'set')
    await expectCalls('/save?n=2', 'get', 'set', 'touch')
    await expectCalls('/logout', 'get', 'destroy')
  })

  it('is given it for reload, regenerate and an unset session', async () => {
    const { redis, store, calls } = await watched()
    let handled: IncomingMessage | undefined
    const app = await openShop(store, {
      express,
      unset: 'destroy',
      routes: (routes) => {
        routes.use((req, _res, next) => {
          handled = req
          next()
        })
        routes.get('/reload', (req, res) => {
          req.session.reload((error: unknown) => res.json({ reloaded: error == null }))
        })
        routes.get('/unset', (req, res) => {
          req.session = null as never
          res.send('gone')
        })
      },
    })
    const visitor = await logIn(app)
    await redis.kill()
    const told = async (path: string): Promise<string[]> => {
      calls.length = 0
      await visitor.get(path)
      expect(calls.every(({ req }) => req === handled && req !== undefined)).toBe(true)
      return calls.map(({ operation }) => operation)
    }
    expect(await told('/reload')).toEqual(['get', 'get', 'touch'])
    expect(await told('/unset')).toEqual(['get', 'destroy'])
  })

  it('is given the right one of 16 at once, in their own AsyncLocalStorage', async () => {
    const { redis, store, calls } = await watched()
    const own = new AsyncLocalStorage<string>()
    const handled = new Map<string, IncomingMessage>()
    const mixed: string[] = []
    const app = await openShop(store, {
      express,
      before: (outer) => {
        outer.use((req, _res, next) => {
          handled.set(String(req.query.id), req)
          own.run(String(req.query.id), next)
        })
      },
      routes: (routes) => {
        routes.get('/own', (req, res) => {
          const id = String(req.query.id)
          if (own.getStore() !== id) mixed.push(`after get: ${own.getStore()} for ${id}`)
          cartOf(req).n = Number(id)
          req.session.save((error: unknown) => {
            if (own.getStore() !== id) mixed.push(`after save: ${own.getStore()} for ${id}`)
            res.json({ saved: error == null })
          })
        })
      },
    })
    const visitors = await Promise.all(Array.from({ length: 16 }, (_, id) => logIn(app, `visitor-${id}`)))
    const all = (): Promise<unknown> =>
      Promise.all(visitors.map((visitor, id) => visitor.get(`/own?id=${id}`).then((answer) => answer.json())))
    expect(await all()).toEqual(visitors.map(() => ({ saved: true })))
    await redis.kill()
    calls.length = 0
    expect(await all()).toEqual(visitors.map(() => ({ saved: false })))
    expect(mixed).toEqual([])
    for (const [id, visitor] of visitors.entries()) {
      const ofOne = calls.filter(({ sid }) => sid === sidOf(visitor))
      expect(ofOne.map(({ operation }) => operation)).toEqual(['get', 'set', 'touch'])
      expect(ofOne.every(({ req }) => req === handled.get(String(id)))).toBe(true)
    }
  })

  it('is given it behind a body parser, for a body that comes in pieces', async () => {
    const { redis, store, calls } = await watched()
    let handled: IncomingMessage | undefined
    const app = await openShop(store, {
      express,
      before: (outer) => void outer.use(EXPRESS[express].json()),
      routes: (routes) => {
        routes.post('/body', (req, res) => {
          handled = req
          cartOf(req).user = req.body.user
          res.json(req.body)
        })
      },
    })
    const visitor = await logIn(app)
    await redis.kill()
    calls.length = 0
    const socket = connectSocket(app.port, '127.0.0.1')
    afterThis(() => socket.destroy())
    let received = ''
    socket.on('data', (chunk) => {
      received += chunk
    })
    socket.write(
      `POST /body HTTP/1.1\r\nHost: a\r\nCookie: ${visitor.cookies.header('/')}\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"user"`,
    )
    // The head and the first half are a request of their own to the parser; nothing is told before the rest.
    await until(() => socket.bytesWritten > 0)
    socket.write(':"bob"}')
    await until(() => received.includes('{"user":"bob"}'), { what: 'the answer' })
    expect(calls.map(({ operation }) => operation)).toEqual(['get', 'set'])
    expect(calls.every(({ req }) => req === handled && req !== undefined)).toBe(true)
  })

  it('is given each of several on one connection', async () => {
    const { redis, store, calls } = await watched()
    const app = await openShop(store, { express })
    const visitor = await logIn(app)
    await redis.kill()
    calls.length = 0
    const socket = connectSocket(app.port, '127.0.0.1')
    afterThis(() => socket.destroy())
    let received = ''
    socket.on('data', (chunk) => {
      received += chunk
    })
    const head = `HTTP/1.1\r\nHost: a\r\nCookie: ${visitor.cookies.header('/')}\r\n\r\n`
    // The second and the third come while the first is being answered.
    socket.write(`GET /me?first ${head}GET /me?second ${head}GET /me?third ${head}`)
    await until(() => received.split('"user":"ada"').length === 4, { what: 'three answers' })
    socket.write(`GET /me?fourth ${head}`)
    await until(() => calls.length >= 8, { what: 'all to be told' })
    const urls = (operation: string): unknown[] =>
      calls.filter((call) => call.operation === operation).map(({ req }) => req?.url)
    expect(urls('get').sort()).toEqual(['/me?first', '/me?fourth', '/me?second', '/me?third'])
    expect(urls('touch').sort()).toEqual(['/me?first', '/me?fourth', '/me?second', '/me?third'])
  })

  it('is given it by a handler that the end of the body resumes, with requestContext()', async () => {
    const { redis, store, calls } = await watched()
    let handled: IncomingMessage | undefined
    const app = await openShop(store, {
      express,
      before: (outer) => {
        outer.use((req, _res, next) => {
          req.on('data', () => {})
          req.on('end', () => next())
        })
        outer.use(requestContext())
      },
      routes: (routes) => {
        routes.use((req, _res, next) => {
          handled = req
          next()
        })
      },
    })
    const visitor = await logIn(app)
    await redis.kill()
    calls.length = 0
    expect((await visitor.post('/save?n=1', 'x'.repeat(200_000))).status).toBe(503)
    await until(() => calls.length === 3, { what: 'all to be told' })
    expect(calls.map(({ operation }) => operation)).toEqual(['get', 'set', 'touch'])
    expect(calls.every(({ req }) => req === handled && req !== undefined)).toBe(true)
  })
})

it('is given request.raw in Fastify, for get, set and destroy', async () => {
  const { redis, store, calls } = await watched()
  let handled: IncomingMessage | undefined
  const app = fastify()
  app.register(cookiePlugin)
  app.register(sessionPlugin, {
    ...{
      store: store as never,
      secret: 'a secret of at least 32 characters',
      saveUninitialized: false,
      rolling: false,
    },
    cookie: { secure: false },
  })
  app.addHook('preHandler', async (request) => {
    handled = request.raw
  })
  app.post('/login', async (request) => {
    request.session.set('user' as never, request.url as never)
    return {}
  })
  app.get('/me', async (request) => ({ user: request.session.get('user' as never) ?? null }))
  app.post('/logout', async (request) => {
    await request.session.destroy()
    return {}
  })
  const shop = await serve(app)
  const visitor = shop.visitor()
  await visitor.post('/login')
  await redis.kill()
  const told = async (method: string, path: string): Promise<string[]> => {
    calls.length = 0
    await visitor.request(method, path)
    expect(calls.every(({ req }) => req === handled && req !== undefined)).toBe(true)
    return calls.map(({ operation }) => operation)
  }
  expect(await told('GET', '/me')).toEqual(['get'])
  // The save fails before the head is out; Fastify saves again for the answer that says so.
  expect(await told('POST', '/login?again')).toEqual(['get', 'set', 'set'])
  expect(await told('POST', '/logout')).toEqual(['get', 'destroy'])
})

it('is given it in a plain server, that calls the session by itself', async () => {
  const { redis, store, calls } = await watched()
  const middleware = session({ store, secret: 'for tests', resave: false, saveUninitialized: true })
  let handled: IncomingMessage | undefined
  const app = await serve(
    createServer((req, res) => {
      handled = req
      middleware(req as never, res as never, (error?: unknown) => {
        res.statusCode = error == null ? 200 : 503
        res.end('plain')
      })
    }),
  )
  const visitor = app.visitor()
  expect((await visitor.get('/')).status).toBe(200)
  await redis.kill()
  expect(await visitor.get('/')).toMatchObject({ status: 200, complete: true, body: 'plain' })
  await until(() => calls.length === 2, { what: 'both to be told' })
  expect(calls.map(({ operation }) => operation)).toEqual(['get', 'touch'])
  expect(calls.every(({ req }) => req === handled && req !== undefined)).toBe(true)
})

it('is given it over HTTP/2, with requestContext()', async () => {
  const { redis, store, calls } = await watched()
  const context = requestContext()
  const middleware = session({ store, secret: 'for tests', resave: false, saveUninitialized: false })
  const handled: unknown[] = []
  let n = 0
  let failure: unknown
  const app = createHttp2Server((req, res) => {
    handled.push(req)
    const [request, response] = [req, res] as unknown as [IncomingMessage, ServerResponse]
    context(request, response, () => {
      middleware(request as never, response as never, async (error?: unknown) => {
        if (error == null) {
          Object.assign((req as unknown as { session: object }).session, { n: ++n })
          if (req.url === '/save') failure = await saveSession(request).catch((thrown: unknown) => thrown)
        }
        // express-session needs a written head here: Node's HTTP/2 answers have no implicit one.
        res.writeHead(error == null ? 200 : 503)
        res.end('over HTTP/2')
      })
    })
  })
  const url = await listenHttp2(app)
  const client = connect(url)
  afterThis(() => client.close())
  const first = await ask(client, '/')
  expect(first).toMatchObject({ status: 200, body: 'over HTTP/2' })
  await redis.kill()
  calls.length = 0
  handled.length = 0
  expect(await ask(client, '/', first.cookie)).toMatchObject({ status: 200, body: 'over HTTP/2' })
  expect(await ask(client, '/save', first.cookie)).toMatchObject({ status: 200, body: 'over HTTP/2' })
  await until(() => calls.length === 5, { what: 'all to be told' })
  expect(calls.slice(2).map(({ operation }) => operation)).toEqual(['get', 'set', 'touch'])
  expect(calls.slice(0, 2).map(({ operation }) => operation)).toEqual(['get', 'set'])
  expect(calls.slice(0, 2).every(({ req }) => (req as unknown) === handled[0])).toBe(true)
  expect(calls.slice(2).every(({ req }) => (req as unknown) === handled[1])).toBe(true)
  expect(failure).toMatchObject({ code: 'EREDISDOWN' })
})

describe('outside of a request', () => {
  it('is given none', async () => {
    const { redis, store, calls } = await watched()
    await redis.kill()
    await untilDown(store)
    await downError(store.get('sid'))
    await downError(store.set('sid', storedSession()))
    await downError(store.touch('sid', storedSession({}, 60_000)))
    await downError(store.destroy('sid'))
    await downError(store.ids())
    expect(calls.map(({ operation, req }) => [operation, req])).toEqual([
      ['get', undefined],
      ['set', undefined],
      ['touch', undefined],
      ['destroy', undefined],
      ['ids', undefined],
    ])
  })

  it('is given none for what runs on after the answer', async () => {
    const { redis, store, calls } = await watched()
    const gate = new Gate()
    let after: Promise<unknown> | undefined
    const app = await openShop(store, {
      routes: (routes) => {
        routes.get(
          '/later',
          route(async (_req, res) => {
            const finished = new Promise((resolve) => res.on('close', resolve))
            after = finished.then(() => gate.pass()).then(() => downError(store.get('another')))
            res.send('now')
          }),
        )
      },
    })
    const visitor = await logIn(app)
    await redis.kill()
    await visitor.get('/later')
    await gate.reached()
    await until(() => calls.length === 2, { what: 'the request to be told' })
    calls.length = 0
    gate.open()
    await after
    expect(calls).toMatchObject([{ operation: 'get', req: undefined, sid: 'another' }])
  })

  it('is given none for the replay, and nothing is told twice', async () => {
    const { redis, store, calls } = await watched('available')
    const app = await openShop(store)
    const visitor = await logIn(app)
    await redis.kill()
    expect((await visitor.post('/save?n=3')).status).toBe(200)
    await until(() => calls.length === 3, { what: 'all to be told' })
    await redis.start()
    await until(() => store.health().status === 'up', { what: 'the store to be up' })
    expect(calls.map(({ operation, req }) => [operation, pathOf(req)])).toEqual([
      ['get', '/save'],
      ['set', '/save'],
      ['touch', '/save'],
    ])
  })
})

async function listenHttp2(app: Http2Server): Promise<string> {
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
  afterThis(() => app.close())
  return `http://127.0.0.1:${(app.address() as AddressInfo).port}`
}

function ask(
  client: ReturnType<typeof connect>,
  path: string,
  cookie?: string,
): Promise<{ status: number; body: string; cookie: string }> {
  return new Promise((resolve, reject) => {
    const stream = client.request({ ':path': path, ...(cookie !== undefined && { cookie }) })
    const got = { status: 0, body: '', cookie: '' }
    stream.on('response', (headers) => {
      got.status = Number(headers[':status'])
      got.cookie = headers['set-cookie']?.[0]?.split(';')[0] ?? ''
    })
    stream.on('data', (chunk) => {
      got.body += chunk
    })
    stream.on('end', () => resolve(got))
    stream.on('error', reject)
    stream.end()
  })
}
