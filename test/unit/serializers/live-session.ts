import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import session, { type CookieOptions } from 'express-session'
import type { StoredSession } from '../../../src/serializers/contract.js'

/** A session as express-session hands it to `set`: of class Session, with a Cookie and a hidden `req`. */
export function liveSession(data: Record<string, unknown>, cookie: CookieOptions = {}): StoredSession {
  const request = Object.assign(new EventEmitter(), {
    headers: { cookie: 'connect.sid=secret' },
    sessionID: 'abc',
    sessionStore: new session.MemoryStore(),
  }) as unknown as IncomingMessage & { session: StoredSession }
  const Session = (session as unknown as { Session: new (req: object, data: object) => StoredSession }).Session
  const Cookie = session.Cookie as unknown as new (options: CookieOptions) => StoredSession['cookie']
  const live = new Session(request, data)
  live.cookie = new Cookie(cookie)
  request.session = live
  return live
}
