// A small application over HTTP for the tests of races and guards: people log in and out, write, and wait at a gate.
import express, { type Request, type Response } from 'express'
import session from 'express-session'
import { type OnRedisDown, type ResilientStore, saveSession, sessionStatus } from '../../src/index.js'
import { type ListeningApp, listen } from '../support/http.js'
import type { Visitor } from '../support/visitor.js'
import { until } from '../support/wait.js'
import { afterThis } from './store-kit.js'

export type Data = session.Session & Record<string, unknown>

/** A point that handlers reach, and wait at until the test lets them go on. */
export class Gate {
  #waiting = 0
  #open!: () => void
  readonly #opened: Promise<void> = new Promise((resolve) => {
    this.#open = resolve
  })

  pass(): Promise<void> {
    this.#waiting++
    return this.#opened
  }

  async reached(count = 1): Promise<void> {
    await until(() => this.#waiting >= count, { what: `${count} to reach the gate` })
  }

  open(): void {
    this.#open()
  }
}

export interface AppOptions {
  readonly gate?: Gate
  /** Behind the session, in front of the other routes. */
  readonly routes?: (app: express.Express) => void
}

/** Logging out works while Redis is away, by the documented pattern. */
export const logoutWorks: OnRedisDown = (error, req) => {
  if (!req?.url?.startsWith('/logout')) return undefined
  if (error.operation === 'get') return 'blank'
  return error.operation === 'destroy' ? 'queue' : undefined
}

export async function openApp(store: ResilientStore, { gate, routes }: AppOptions = {}): Promise<ListeningApp> {
  const app = express()
  app.use(
    session({
      ...{ store, secret: 'for tests', resave: false, saveUninitialized: false },
      cookie: { maxAge: 3_600_000 },
    }),
  )
  routes?.(app)
  app.get('/status', (req, res) => {
    const { user = null } = dataOf(req)
    res.json({ user, sid: req.sessionID, ...sessionStatus(req) })
  })
  app.post('/login', async (req, res) => {
    await called((done) => req.session.regenerate(done))
    dataOf(req).user = String(req.query.user)
    await saveSession(req)
    res.json({ sid: req.sessionID })
  })
  app.post('/set', async (req, res) => {
    Object.assign(dataOf(req), req.query)
    await saveSession(req)
    res.json({ set: true })
  })
  app.get('/slow', async (req: Request, res: Response) => {
    Object.assign(dataOf(req), { slow: true })
    await gate?.pass()
    await saveSession(req)
    res.json({ slow: true })
  })
  app.post('/logout', async (req, res) => {
    await called((done) => req.session.destroy(done))
    res.json({ bye: true })
  })
  const listening = await listen(app)
  afterThis(() => listening.close())
  return listening
}

export async function logIn(app: ListeningApp, user = 'ada'): Promise<Visitor> {
  const visitor = app.visitor()
  const answer = await visitor.post(`/login?user=${user}`)
  if (answer.status !== 200) throw new Error(`logging in was answered with ${answer.status}: ${answer.body}`)
  return visitor
}

/** The same cookies in another window, or an earlier copy of them, maybe at another process. */
export function sameCookies(app: ListeningApp, visitor: Visitor): Visitor {
  const twin = app.visitor()
  twin.cookies.set('connect.sid', visitor.cookies.get('connect.sid') ?? '')
  return twin
}

export function sidOf(visitor: Visitor): string {
  return decodeURIComponent(visitor.cookies.get('connect.sid') ?? '')
    .slice(2)
    .replace(/\..*$/, '')
}

export function dataOf(req: Request): Data {
  return req.session as unknown as Data
}

function called(run: (done: (error: unknown) => void) => unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    run((error) => (error == null ? resolve() : reject(error)))
  })
}
