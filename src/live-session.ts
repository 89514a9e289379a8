import type { IncomingMessage, ServerResponse } from 'node:http'
import { RedisDownError } from './errors.js'
import type { SessionSource } from './provenance.js'
import { sessionStatus } from './session-status.js'

/** Options of {@link requireLiveSession}. */
export interface LiveSessionOptions {
  /** How long ago, in ms, Redis may have confirmed a session that is served without it: 0 to 86_400_000. @default 0 */
  maxStale?: number
}

/**
 * A middleware for routes where a copy of the session is not good enough (payments, administration): it passes an error
 * with status 503 and `Retry-After` to `next` when the session is blank, unwritten, or was served without Redis and is
 * older than `maxStale`. Requests without a loaded session pass: refusing them is the application's own business. It
 * knows the sessions of express-session alone; with @fastify/session every request passes.
 *
 * @throws TypeError or RangeError for an option that cannot be used
 * @example
 * ```ts
 * import express from 'express'
 * import { requireLiveSession } from 'resilient-session-store'
 *
 * express().post('/transfer', requireLiveSession({ maxStale: 2_000 }), (req, res) => {
 *   res.send('done')
 * })
 * ```
 */
export function requireLiveSession(
  options: LiveSessionOptions = {},
): (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void {
  const { maxStale = 0, ...unknown } = options
  const [name] = Object.keys(unknown)
  if (name !== undefined) throw new TypeError(`unknown option '${name}'`)
  if (typeof maxStale !== 'number')
    throw new TypeError(`option 'maxStale' must be a number of ms, got ${typeof maxStale}`)
  if (!(maxStale >= 0 && maxStale <= DAY)) {
    throw new RangeError(`option 'maxStale' must be from 0 to ${DAY} (ms), got ${maxStale}`)
  }
  return (req, _res, next) => {
    const { source, confirmedAgo = Number.POSITIVE_INFINITY } = sessionStatus(req)
    const live = LIVE.has(source) || (source === 'stale' && confirmedAgo <= maxStale)
    next(live ? undefined : new RedisDownError('get', 'unconfirmed', 1))
  }
}

/** What Redis has confirmed: itself, or by announcing no change. Nothing is known yet of a new session. */
const LIVE: ReadonlySet<SessionSource> = new Set(['redis', 'near', 'new'])

const DAY = 86_400_000
