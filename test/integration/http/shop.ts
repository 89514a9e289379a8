// The application of these tests: what people write with express-session, by its own documentation and the store's.
import type { IncomingMessage } from 'node:http'
import express5, {
  type Express,
  type NextFunction,
  type Response as Reply,
  type Request,
  type RequestHandler,
} from 'express'
import session from 'express-session'
import express4 from 'express4'
import { type OnRedisDown, type ResilientStore, saveSession, sessionStatus } from '../../../src/index.js'
import { type ListeningApp, listen } from '../../support/http.js'
import type { RedisOptions } from '../../support/redis-server.js'
import { afterThis, rootReason } from '../store-kit.js'

/** A Redis that keeps its data over SIGKILL, and waits for no disk. */
export const PERSISTENT: RedisOptions = Object.freeze({ appendonly: true, config: { appendfsync: 'no' } })

/** What an application may choose and what all of it must work with. */
export interface Settings {
  readonly express: 4 | 5
  readonly resave: boolean
  readonly rolling: boolean
  readonly saveUninitialized: boolean
}

export interface ShopOptions extends Partial<Settings> {
  readonly cookie?: session.CookieOptions
  readonly unset?: 'destroy' | 'keep'
  readonly proxy?: boolean
  /** In front of the session. */
  readonly before?: (app: Express) => void
  /** Behind the session, in front of the shop's own routes. */
  readonly routes?: (app: Express) => void
}

/** What the tests keep in a session. */
export type Cart = session.Session & {
  user?: string
  n?: number
  keys?: Record<string, string>
  [key: string]: unknown
}

/** What `/me` answers. */
export interface Me {
  readonly user: string | null
  readonly n: number | null
  readonly sid: string
  readonly source: string
}

export const EXPRESS: Readonly<Record<4 | 5, typeof express5>> = { 4: express4, 5: express5 }

/** Both versions, for `describe.each`. */
export const VERSIONS = [4, 5] as const

/** Every combination of what an application may choose. */
export const ALL_SETTINGS: readonly Settings[] = VERSIONS.flatMap((express) =>
  [false, true].flatMap((resave) =>
    [false, true].flatMap((rolling) =>
      [false, true].map((saveUninitialized) => ({ express, resave, rolling, saveUninitialized })),
    ),
  ),
)

/** For the name of a test. */
export function nameOf({ express, resave, rolling, saveUninitialized }: Settings): string {
  const on = Object.entries({ resave, rolling, saveUninitialized }).flatMap(([name, set]) => (set ? [name] : []))
  return [`Express ${express}`, ...on].join(', ')
}

export const COOKIE: session.CookieOptions = Object.freeze({ maxAge: 3_600_000, sameSite: 'lax', httpOnly: true })

/** The documented pattern: one can log out while Redis is away, and the staff's page takes no copy for good. */
export const byRoute: OnRedisDown = (error, req) => {
  const path = pathOf(req)
  if (path === '/logout' && error.operation === 'get') return 'blank'
  if (path === '/logout' && error.operation === 'destroy') return 'queue'
  if (path === '/admin' && error.operation === 'get') return 'fail'
  return undefined
}

/** A shop on a store: log in and out, read, write at the end of the response or before it, the staff's page. */
export function shop(store: ResilientStore, options: ShopOptions = {}): Express {
  const { express = 5, resave = false, rolling = false, saveUninitialized = false, cookie = COOKIE } = options
  const app = EXPRESS[express]()
  app.disable('x-powered-by')
  app.disable('etag')
  app.get('/ping', (_req, res) => void res.json({ pong: true }))
  options.before?.(app)
  app.use(
    session({
      ...{ store, secret: 'for tests', resave, rolling, saveUninitialized, cookie },
      ...(options.unset && { unset: options.unset }),
      ...(options.proxy !== undefined && { proxy: options.proxy }),
    }),
  )
  app.use((req, res, next) => {
    res.set('x-session-source', sessionStatus(req).source)
    next()
  })
  options.routes?.(app)

  app.post(
    '/login',
    route(async (req, res) => {
      await regenerate(req)
      cartOf(req).user = String(req.query.user)
      cartOf(req).n = 0
      await saveSession(req)
      res.json({ user: cartOf(req).user })
    }),
  )
  app.post(
    '/regenerate',
    route(async (req, res) => {
      const { user } = cartOf(req)
      await regenerate(req)
      if (user !== undefined) cartOf(req).user = user
      res.json({ sid: req.sessionID })
    }),
  )
  app.get('/me', (req, res) => {
    const { user = null, n = null } = cartOf(req)
    res.json({ user, n, sid: req.sessionID, source: sessionStatus(req).source } satisfies Me)
  })
  // Saved at the end of the response: the visitor's answer does not depend on it.
  app.post('/note', (req, res) => {
    cartOf(req).n = Number(req.query.n)
    res.json({ noted: Number(req.query.n) })
  })
  // Saved before the response: an answer of 200 is an acknowledgement.
  app.post(
    '/save',
    route(async (req, res) => {
      cartOf(req).n = Number(req.query.n)
      await saveSession(req)
      res.json({ saved: Number(req.query.n) })
    }),
  )
  app.get('/admin', (req, res) => {
    res.status(cartOf(req).user === undefined ? 403 : 200).json({ staff: true })
  })
  app.post('/logout', (req, res, next) => {
    req.session.destroy((error: unknown) => {
      if (error != null) next(error)
      else res.json({ bye: true })
    })
  })
  return app
}

/** A shop that listens; ended after the test. */
export async function openShop(store: ResilientStore, options?: ShopOptions): Promise<ListeningApp> {
  return serve(shop(store, options))
}

/** Any application, listening; ended after the test. */
export async function serve(app: Parameters<typeof listen>[0]): Promise<ListeningApp> {
  const listening = await listen(app)
  afterThis(() => listening.close())
  return listening
}

/** The session of a request, with what the tests keep in it. */
export function cartOf(req: Request): Cart {
  return req.session as unknown as Cart
}

/** The path of a request, whichever framework has rewritten its url. */
export function pathOf(req: { readonly url?: string | undefined; originalUrl?: string } | undefined): string {
  return (req?.originalUrl ?? req?.url ?? '').replace(/\?.*$/, '')
}

/** A handler whose rejection reaches the error handler, in Express 4 as well. */
export function route(handler: (req: Request, res: Reply) => Promise<unknown>): RequestHandler {
  return (req, res, next: NextFunction) => {
    handler(req, res).catch(next)
  }
}

export function regenerate(req: Request): Promise<void> {
  return new Promise((resolve, reject) => {
    req.session.regenerate((error: unknown) => (error == null ? resolve() : reject(error)))
  })
}

/** One call of `onRedisDown`. */
export interface Told {
  readonly operation: string
  readonly reason: string
  readonly req: IncomingMessage | undefined
  readonly sid: string | undefined
}

/** Writes down what `onRedisDown` is told, and answers by route. */
export function listener(): { readonly told: Told[]; readonly onRedisDown: OnRedisDown } {
  const told: Told[] = []
  return {
    told,
    onRedisDown(error, req, sid) {
      told.push({ operation: error.operation, reason: rootReason(error), req, sid })
      return byRoute(error, req, sid)
    },
  }
}
