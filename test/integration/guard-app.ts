// A small application over HTTP for the tests of races and guards: people log in and out, write, and wait at a gate.
import express, { type Request, type Response } from 'express'
import session from 'express-session'
import { type OnRedisDown, type ResilientStore, saveSession, sessionStatus } from '../../src/index.js'
import { type ListeningApp, listen } from '../support/http.js'
import { afterThis } from './store-kit.js'
import type { Gate } from './visitors.js'

export type Data = session.Session & Record<string, unknown>

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

export function dataOf(req: Request): Data {
  return req.session as unknown as Data
}

function called(run: (done: (error: unknown) => void) => unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    run((error) => (error == null ? resolve() : reject(error)))
  })
}
