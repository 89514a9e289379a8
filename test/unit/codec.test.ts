import { RedisStore } from 'connect-redis'
import session, { type SessionData } from 'express-session'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Codec } from '../../src/codec.js'
import type { ResilientStoreOptions } from '../../src/options.js'
import { resolveOptions } from '../../src/resolve-options.js'
import type { SerializerContext, StoredSession } from '../../src/serializers/contract.js'
import { FakeClock } from '../support/fake-clock.js'
import { liveSession } from './serializers/live-session.js'

let clock: FakeClock

beforeEach(() => {
  clock = new FakeClock()
  // express-session's cookies and connect-redis read the wall clock by themselves.
  vi.useFakeTimers({ now: clock.wall(), toFake: ['Date'] })
})

afterEach(() => {
  vi.useRealTimers()
})

function codec(options: ResilientStoreOptions = {}): Codec {
  return new Codec(resolveOptions(options), clock)
}

/** A session with this cookie. */
function withCookie(cookie: Record<string, unknown> | undefined): StoredSession {
  return { cookie } as unknown as StoredSession
}

/** What connect-redis does with a session: the expiry it sets, in seconds, or `'deleted'`. */
async function connectRedis(given: SessionData, ttl?: number | ((session: SessionData) => number)): Promise<unknown> {
  let done: unknown = 'nothing'
  const client = {
    set: async (_key: string, _value: string, options: { expiration: { value: number } }) => {
      done = options.expiration.value
    },
    del: async () => {
      done = 'deleted'
    },
  }
  type Options = ConstructorParameters<typeof RedisStore>[0]
  await new RedisStore({ client, ...(ttl !== undefined && { ttl }) } as unknown as Options).set('abc', given)
  return done
}

describe('ttl', () => {
  it("is the cookie's, in whole seconds, rounded up", () => {
    const at = (ms: number): StoredSession =>
      withCookie({ originalMaxAge: 60_000, expires: new Date(clock.wall() + ms) })
    expect(codec().ttl(at(60_000))).toBe(60_000)
    expect(codec().ttl(at(59_001))).toBe(60_000)
    expect(codec().ttl(at(59_000))).toBe(59_000)
    expect(codec().ttl(at(1))).toBe(1_000)
  })

  it.each([
    ['a Date', (ms: number) => new Date(ms)],
    ['text, as JSON keeps it', (ms: number) => new Date(ms).toISOString()],
    ['a number', (ms: number) => ms],
  ])('the expiry of the cookie may be %s', (_, as) => {
    expect(codec().ttl(withCookie({ originalMaxAge: 5_000, expires: as(clock.wall() + 5_000) }))).toBe(5_000)
  })

  it.each([
    ['without cookie', undefined],
    ['a cookie for the browser session', { originalMaxAge: null, expires: null }],
    ['expires undefined', { originalMaxAge: null }],
    ['expires false', { originalMaxAge: null, expires: false }],
    ['expires unreadable', { originalMaxAge: null, expires: 'next week' }],
    ['expires empty', { originalMaxAge: null, expires: '' }],
  ])('is the option where the cookie has none: %s', (_, cookie) => {
    expect(codec().ttl(withCookie(cookie))).toBe(86_400_000)
    expect(codec({ ttl: 90 }).ttl(withCookie(cookie))).toBe(90_000)
    expect(codec({ ttl: 0.5 }).ttl(withCookie(cookie))).toBe(500)
  })

  it('is none with disableTTL, whatever the cookie and the option say', () => {
    const options = { disableTTL: true, ttl: () => 5 }
    expect(codec(options).ttl(withCookie({ originalMaxAge: 5_000, expires: new Date(0) }))).toBeUndefined()
    expect(codec(options).ttl(withCookie(undefined))).toBeUndefined()
  })

  it('of an expired-looking cookie with a maxAge is that maxAge: a clock jump logs nobody out', () => {
    const given = liveSession({}, { maxAge: 90_500 })
    clock.setWall(clock.wall() + 10 * 86_400_000)
    expect(codec().ttl(given)).toBe(91_000)
  })

  it.each([null, undefined, 0, -5])('of an expired cookie with a maxAge of %s is over', (originalMaxAge) => {
    for (const ago of [0, 1, 86_400_000]) {
      const ttl = codec().ttl(withCookie({ originalMaxAge, expires: new Date(clock.wall() - ago) }))
      expect(ttl).toBeLessThanOrEqual(0)
    }
  })

  it("is the function's, in whole seconds, for all sessions", () => {
    const seen: SessionData[] = []
    const given = withCookie({ originalMaxAge: 5_000, expires: new Date(clock.wall() + 5_000) })
    const ttl = (one: SessionData): number => {
      seen.push(one)
      return 42
    }
    expect(codec({ ttl }).ttl(given)).toBe(42_000)
    expect(seen).toEqual([given])
    expect(codec({ ttl: () => 1.2 }).ttl(given)).toBe(2_000)
  })

  it.each([0, -1, -0.5])('a function that returns %s says that the session is over', (seconds) => {
    expect(codec({ ttl: () => seconds }).ttl(withCookie(undefined))).toBeLessThanOrEqual(0)
  })

  it.each([undefined, null, '60', Number.NaN, Number.POSITIVE_INFINITY, Promise.resolve(60)])(
    'a function that returns %s is a TypeError that says so',
    (result) => {
      const ttl = (): number => result as number
      expect(() => codec({ ttl }).ttl(withCookie(undefined))).toThrow(TypeError)
      expect(() => codec({ ttl }).ttl(withCookie(undefined))).toThrow(/option 'ttl' returned .* instead of a number/)
    },
  )

  it("what a function throws is the caller's", () => {
    const ttl = (): number => {
      throw new RangeError('no tenant')
    }
    expect(() => codec({ ttl }).ttl(withCookie(undefined))).toThrow('no tenant')
  })

  describe("is connect-redis's", () => {
    const YEARS = 10 * 365 * 86_400_000
    const maxAges = fc.option(fc.integer({ min: 1, max: YEARS }))

    it('for every cookie that has not run out, and every one that has none', async () => {
      const cookies = fc.oneof(
        fc.record({ originalMaxAge: maxAges, left: fc.integer({ min: 1, max: YEARS }) }),
        fc.record({ originalMaxAge: fc.constant(null), left: fc.constant(undefined) }),
      )
      await fc.assert(
        fc.asyncProperty(
          cookies,
          fc.boolean(),
          fc.integer({ min: 1, max: 1e9 }),
          async ({ originalMaxAge, left }, asText, ttl) => {
            const expires = left === undefined ? null : new Date(clock.wall() + left)
            const given = withCookie({ originalMaxAge, expires: asText ? (expires?.toISOString() ?? null) : expires })
            expect(codec({ ttl }).ttl(given)).toBe(1_000 * Number(await connectRedis(given, ttl)))
            expect(codec().ttl(given)).toBe(1_000 * Number(await connectRedis(given)))
          },
        ),
      )
    })

    it('for every cookie that has run out and has no maxAge: both delete', async () => {
      const maxAge = fc.constantFrom(null, 0, undefined)
      await fc.assert(
        fc.asyncProperty(maxAge, fc.integer({ min: 0, max: YEARS }), async (originalMaxAge, ago) => {
          const given = withCookie({ originalMaxAge, expires: new Date(clock.wall() - ago) })
          expect(await connectRedis(given)).toBe('deleted')
          expect(codec().ttl(given)).toBeLessThanOrEqual(0)
        }),
      )
    })

    it('for every whole number that a function returns', async () => {
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: -1_000, max: 1e9 }), async (seconds) => {
          const ttl = (): number => seconds
          const theirs = await connectRedis(withCookie(undefined), ttl)
          const ours = codec({ ttl }).ttl(withCookie(undefined)) as number
          if (theirs === 'deleted') expect(ours).toBeLessThanOrEqual(0)
          else expect(ours).toBe(Number(theirs) * 1_000)
        }),
      )
    })
  })
})

describe('cookieTtl', () => {
  it('is what the cookie says, to the millisecond', () => {
    expect(codec().cookieTtl(withCookie({ originalMaxAge: null, expires: clock.wall() + 1_234 }))).toBe(1_234)
  })

  it.each([
    ['no cookie', undefined],
    ['no expiry', { originalMaxAge: null, expires: null }],
    ['one that has run out', { originalMaxAge: 5_000, expires: 0 }],
  ])('is unknown for %s', (_, cookie) => {
    expect(codec().cookieTtl(withCookie(cookie))).toBeUndefined()
  })
})

describe('refreshCookie', () => {
  it('counts an expired-looking cookie from now: Redis says that the session lives', () => {
    const stored = withCookie({
      originalMaxAge: 60_000,
      expires: new Date(clock.wall() - 5_000).toISOString(),
      path: '/',
    })
    codec().refreshCookie(stored)
    expect(stored.cookie).toEqual({
      originalMaxAge: 60_000,
      expires: new Date(clock.wall() + 60_000).toISOString(),
      path: '/',
    })
    expect(codec().ttl(stored)).toBe(60_000)
  })

  it.each([
    ['one that has not run out', { originalMaxAge: 60_000, expires: '2030-01-01T00:00:01.000Z' }],
    ['one without expiry', { originalMaxAge: null, expires: null }],
    ['an expired one without maxAge', { originalMaxAge: null, expires: '2000-01-01T00:00:00.000Z' }],
    ['none at all', undefined],
  ])('leaves %s alone', (_, cookie) => {
    const stored = withCookie(cookie && { ...cookie })
    codec().refreshCookie(stored)
    expect(stored.cookie).toEqual(cookie)
  })
})

describe('encode and decode', () => {
  const given = { cookie: { originalMaxAge: null, expires: null }, user: 'ann' } as unknown as StoredSession

  it('go through the serializer, which is told where the value belongs', async () => {
    const contexts: SerializerContext[] = []
    const own = codec({
      prefix: 'app:',
      serializer: {
        stringify(one, context) {
          contexts.push(context)
          return `own ${JSON.stringify(one)}`
        },
        parse(value: string, context) {
          contexts.push(context)
          return JSON.parse(value.slice(4))
        },
      },
    })
    const raw = await own.encode('abc', given)
    expect(raw).toBe(`own ${JSON.stringify(given)}`)
    expect(await own.decode('abc', raw)).toEqual(given)
    expect(contexts).toEqual([
      { sid: 'abc', prefix: 'app:' },
      { sid: 'abc', prefix: 'app:' },
    ])
  })

  it('wait for an asynchronous serializer', async () => {
    const own = codec({
      serializer: {
        stringify: async (one) => Buffer.from(JSON.stringify(one)),
        parse: async (value: Buffer) => JSON.parse(value.toString()),
        binary: true,
      },
    })
    const raw = await own.encode('abc', given)
    expect(Buffer.isBuffer(raw)).toBe(true)
    expect(await own.decode('abc', raw)).toEqual(given)
  })

  it('parse what this process wrote in the form in which Redis would give it back', async () => {
    const seen: unknown[] = []
    const parse = (value: unknown): object => {
      seen.push(value)
      return {}
    }
    const writesText = codec({ serializer: { stringify: () => 'Ω', parse, binary: true } })
    const writesBytes = codec({ serializer: { stringify: () => Buffer.from('Ω'), parse } })
    for (const own of [writesText, writesBytes]) await own.decode('abc', await own.encode('abc', given))
    expect(seen).toEqual([Buffer.from('Ω'), 'Ω'])
  })

  it('give a fresh object at each decoding', async () => {
    const raw = await codec().encode('abc', given)
    const [one, other] = [await codec().decode('abc', raw), await codec().decode('abc', raw)]
    expect(one).not.toBe(other)
    expect(one.cookie).not.toBe(other.cookie)
  })

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['a number', 5],
    ['an object', {}],
    ['a Uint8Array', new Uint8Array(2)],
    ['a promise of a number', Promise.resolve(5)],
  ])('%s is nothing that Redis can keep: a TypeError', async (_, result) => {
    const own = codec({
      serializer: { stringify: () => result as string, parse: (value: string) => JSON.parse(value) },
    })
    await expect(async () => own.encode('abc', given)).rejects.toThrow(TypeError)
  })

  it.each(['null', '5', '"text"', 'true', '[]'])('%s is no session: a TypeError', async (raw) => {
    await expect(async () => codec().decode('abc', raw)).rejects.toThrow(
      new TypeError('the stored value is not a session'),
    )
  })

  it('what the serializer throws or rejects with comes out as it is', async () => {
    const trouble = new RangeError('key not found')
    const rejecting = codec({
      serializer: { stringify: () => Promise.reject(trouble), parse: () => Promise.reject(trouble) },
    })
    await expect(async () => rejecting.encode('abc', given)).rejects.toBe(trouble)
    await expect(async () => rejecting.decode('abc', 'x')).rejects.toBe(trouble)
    await expect(async () => codec().decode('abc', '{"broken')).rejects.toThrow(SyntaxError)
    const circular: Record<string, unknown> = { cookie: {} }
    circular.self = circular
    await expect(async () => codec().encode('abc', circular as unknown as SessionData)).rejects.toThrow(TypeError)
  })
})

it("takes express-session's own Cookie objects", async () => {
  const live = liveSession({ user: 'ann' }, { maxAge: 60_000 })
  expect(live.cookie).toBeInstanceOf(session.Cookie)
  expect(codec().ttl(live)).toBe(60_000)
  const read = await codec().decode('abc', await codec().encode('abc', live))
  expect(read.cookie).toMatchObject({ originalMaxAge: 60_000, expires: new Date(clock.wall() + 60_000).toISOString() })
})
