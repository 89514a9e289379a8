import type { IncomingMessage } from 'node:http'
import type { Session, SessionData } from 'express-session'
import { provenanceOf, type SessionSource } from './provenance.js'

/** Where a request's session came from. */
export interface SessionStatus {
  readonly source: SessionSource
  /** Since Redis last confirmed the session, ms; none for `new` and `blank`. */
  readonly confirmedAgo?: number
  /**
   * Whether a save would be kept as things are now: written, or queued by the policy. `onRedisDown` may still decide
   * otherwise, and a conflict is only found when it is tried.
   */
  readonly keepsSaves: boolean
}

/** A request as express-session leaves it. */
type SessionRequest = IncomingMessage & {
  session?: (SessionData & Partial<Pick<Session, 'save'>>) | null
  sessionID?: string
  sessionStore?: { keepsSaves?(sid: string): boolean }
}

/**
 * Where this request's session came from, when Redis last confirmed it, and whether a save would be kept. `source` is
 * `'new'` where the store did not load it, and for every session of @fastify/session.
 *
 * @example
 * ```ts
 * import express from 'express'
 * import { sessionStatus } from 'resilient-session-store'
 *
 * express().use((req, res, next) => {
 *   res.set('x-session-source', sessionStatus(req).source)
 *   next()
 * })
 * ```
 */
export function sessionStatus(req: IncomingMessage): SessionStatus {
  const { session, sessionID, sessionStore } = req as SessionRequest
  const keepsSaves = sessionStore?.keepsSaves?.(sessionID ?? '') ?? true
  const provenance = session == null ? undefined : provenanceOf(session, sessionID ?? '', req)
  if (provenance === undefined) return { source: 'new', keepsSaves }
  const { source, confirmedAt } = provenance
  return {
    source,
    ...(confirmedAt !== undefined && { confirmedAgo: performance.now() - confirmedAt }),
    keepsSaves: keepsSaves && source !== 'blank',
  }
}

/**
 * Saves this request's session now. Rejects whenever it could not be saved or queued, also when the response's head is
 * out already; a route that awaits it answers 503 by itself (Express's error handler honours the error's status).
 *
 * @throws TypeError (by rejection) where the request has no session
 * @example
 * ```ts
 * import express from 'express'
 * import { saveSession } from 'resilient-session-store'
 *
 * express().post('/login', async (req, res) => {
 *   // … check the password, regenerate the session, put the user in …
 *   await saveSession(req)
 *   res.redirect('/')
 * })
 * ```
 */
export async function saveSession(req: IncomingMessage): Promise<void> {
  const { session } = req as SessionRequest
  const save = session?.save?.bind(session)
  if (save === undefined) throw new TypeError('this request has no session to save')
  await new Promise<void>((resolve, reject) => {
    const saved = (error?: unknown): void => (error == null ? resolve() : reject(error))
    awaited.add(saved)
    // express-session's own `save` notes what was saved: the session is not saved again at the end of the response.
    save(saved)
  })
}

/** Whether somebody waits for this save to be acknowledged, whatever the policy, and sees to its failure. */
export function isAwaited(callback: unknown): boolean {
  return typeof callback === 'function' && awaited.has(callback)
}

/** Callbacks of {@link saveSession}: express-session hands them to the store as they are. */
const awaited = new WeakSet<object>()
