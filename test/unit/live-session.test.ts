import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, expect, it } from 'vitest'
import { isRedisDownError, type RedisDownError } from '../../src/errors.js'
import { type LiveSessionOptions, requireLiveSession } from '../../src/live-session.js'
import { type Provenance, remember } from '../../src/provenance.js'

/** A request as express-session leaves it, its session being of this origin. */
function request(from?: Pick<Provenance, 'source'> & { confirmedAgo?: number }): IncomingMessage {
  const session = {}
  const req = { session, sessionID: 'abc' } as unknown as IncomingMessage
  if (from !== undefined) {
    const { source, confirmedAgo } = from
    const confirmedAt = confirmedAgo === undefined ? undefined : performance.now() - confirmedAgo
    remember(session, req, {
      sid: 'abc',
      source,
      raw: '{}',
      confirmedAt,
      originalMaxAge: null,
      attempts: [],
      begun: 0,
      kept: 0,
    })
  }
  return req
}

/** What the middleware passes to `next`: nothing, or its error. */
function outcome(req: IncomingMessage, options?: LiveSessionOptions): unknown {
  const passed: unknown[][] = []
  requireLiveSession(options)(req, {} as ServerResponse, (...args) => void passed.push(args))
  expect(passed).toHaveLength(1)
  return passed[0]?.[0]
}

const REFUSED = { code: 'EREDISDOWN', reason: 'unconfirmed', operation: 'get', status: 503, statusCode: 503 }

describe('requireLiveSession', () => {
  it.each([
    ['a session that Redis has answered with', request({ source: 'redis', confirmedAgo: 0 })],
    [
      'one that it has answered with a while ago: the request is slow',
      request({ source: 'redis', confirmedAgo: 60_000 }),
    ],
    ['one that Redis has announced no change of', request({ source: 'near', confirmedAgo: 900 })],
    ['a session that was not loaded from anywhere', request({ source: 'new' })],
    ['a session of which nothing is known', request()],
    ['a request without express-session', {} as IncomingMessage],
    ['a request whose session was destroyed', { session: null, sessionID: 'abc' } as unknown as IncomingMessage],
  ])('lets %s pass', (_, req) => {
    expect(outcome(req)).toBeUndefined()
    expect(outcome(req, { maxStale: 0 })).toBeUndefined()
  })

  it.each([
    ['a copy', request({ source: 'stale', confirmedAgo: 1 })],
    ['a copy of which the age is not known', request({ source: 'stale' })],
    ['a change that waits', request({ source: 'queued', confirmedAgo: 0 })],
    ['a change that waits, of a new session', request({ source: 'queued' })],
    ['a blank session', request({ source: 'blank' })],
  ])('answers 503 with Retry-After for %s', (_, req) => {
    const error = outcome(req)
    expect(isRedisDownError(error)).toBe(true)
    expect(error).toMatchObject(REFUSED)
    expect((error as RedisDownError).headers).toEqual({ 'Retry-After': '1' })
  })

  it('lets a copy pass that is no older than `maxStale`', () => {
    const options = { maxStale: 2_000 }
    expect(outcome(request({ source: 'stale', confirmedAgo: 0 }), options)).toBeUndefined()
    expect(outcome(request({ source: 'stale', confirmedAgo: 1_000 }), options)).toBeUndefined()
    expect(outcome(request({ source: 'stale', confirmedAgo: 2_001 }), options)).toMatchObject(REFUSED)
  })

  it('lets neither a change that waits nor a blank session pass, however young', () => {
    const options = { maxStale: 86_400_000 }
    expect(outcome(request({ source: 'queued', confirmedAgo: 0 }), options)).toMatchObject(REFUSED)
    expect(outcome(request({ source: 'blank' }), options)).toMatchObject(REFUSED)
    expect(outcome(request({ source: 'stale' }), options)).toMatchObject(REFUSED)
  })

  it('looks anew at each request', () => {
    const middleware = requireLiveSession()
    const seen: unknown[] = []
    const next = (error?: unknown): void => void seen.push(error)
    for (const source of ['redis', 'stale', 'redis'] as const)
      middleware(request({ source }), {} as ServerResponse, next)
    expect(seen).toEqual([undefined, expect.objectContaining(REFUSED), undefined])
  })
})

describe('its option', () => {
  it('is a number of ms within its limits', () => {
    for (const maxStale of [0, 0.5, 86_400_000]) expect(() => requireLiveSession({ maxStale })).not.toThrow()
    expect(() => requireLiveSession({})).not.toThrow()
    expect(() => requireLiveSession()).not.toThrow()
  })

  it('stands for its default as undefined', () => {
    expect(outcome(request({ source: 'stale', confirmedAgo: 1 }), { maxStale: undefined } as never)).toMatchObject(
      REFUSED,
    )
  })

  it.each([-1, 86_400_001, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'outside of them is a RangeError that names the option, the limits and the value: %s',
    (maxStale) => {
      const refused = `option 'maxStale' must be from 0 to 86400000 (ms), got ${maxStale}`
      expect(() => requireLiveSession({ maxStale })).toThrow(new RangeError(refused))
    },
  )

  it.each([
    ['5', 'string'],
    [null, 'object'],
    [true, 'boolean'],
    [{}, 'object'],
    [5n, 'bigint'],
  ])('of another kind is a TypeError that says so: %s', (maxStale, kind) => {
    const refused = `option 'maxStale' must be a number of ms, got ${kind}`
    expect(() => requireLiveSession({ maxStale } as never)).toThrow(new TypeError(refused))
  })

  it('by another name is a TypeError', () => {
    expect(() => requireLiveSession({ maxAge: 5 } as never)).toThrow(new TypeError("unknown option 'maxAge'"))
    expect(() => requireLiveSession({ maxAge: undefined } as never)).toThrow(new TypeError("unknown option 'maxAge'"))
  })
})
