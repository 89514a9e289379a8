import { serialize } from 'node:v8'
import session from 'express-session'
import { describe, expect, it } from 'vitest'
import type { StoredSession } from '../../../src/serializers/contract.js'
import { V8_TAG, v8 } from '../../../src/serializers/v8.js'
import { liveSession } from './live-session.js'

const context = { sid: 'abc', prefix: 'sess:' }

function roundTrip(data: Record<string, unknown>): Record<string, unknown> {
  return v8.parse(v8.stringify({ cookie: {}, ...data } as unknown as StoredSession, context), context)
}

describe('v8', () => {
  it.each<[string, unknown]>([
    ['a Date', new Date('2030-01-01T00:00:00Z')],
    ['an invalid Date', new Date(Number.NaN)],
    ['a Map', new Map<unknown, unknown>([['a', new Set([1, 2])]])],
    ['a Set', new Set(['x', new Date(0)])],
    ['a BigInt', 2n ** 70n],
    ['a RegExp', /ab+c/gi],
    ['undefined', undefined],
    ['NaN', Number.NaN],
    ['-0', -0],
    ['a sparse array', [1, undefined, 3]],
    ['a Uint8Array', new Uint8Array([1, 2, 255])],
    ['a Float64Array', new Float64Array([0.1, -1e300])],
    ['a BigInt64Array', new BigInt64Array([-1n, 5n])],
    ['an ArrayBuffer', new Uint8Array([9, 8]).buffer],
    ['a Buffer', Buffer.from('bytes')],
    ['an Error', new RangeError('kept')],
    ['text beyond Latin-1', 'Ωß🙂'],
  ])('keeps %s', (_, value) => {
    expect(roundTrip({ value }).value).toEqual(value)
  })

  it('keeps cycles and shared references', () => {
    const shared = { n: 1 }
    const value: Record<string, unknown> = { one: shared, other: shared }
    value.self = value
    const read = roundTrip({ value }).value as Record<string, unknown>
    expect(read.self).toBe(read)
    expect(read.one).toBe(read.other)
  })

  it("writes express-session's live sessions without their request, the cookie as plain data", () => {
    const live = liveSession({ user: 'ann', since: new Date(0) }, { maxAge: 60_000 })
    const read = v8.parse(v8.stringify(live, context), context)
    expect(read).toMatchObject({ user: 'ann', since: new Date(0) })
    expect(read.cookie).toMatchObject({ originalMaxAge: 60_000, httpOnly: true, path: '/' })
    expect(read.cookie.expires).toBeInstanceOf(Date)
    expect(read).not.toHaveProperty('req')
    expect(Object.keys(read).sort()).toEqual(['cookie', 'since', 'user'])
  })

  it('leaves the session it writes unchanged', () => {
    const live = liveSession({ user: 'ann' })
    const { cookie } = live
    v8.stringify(live, context)
    expect(live.cookie).toBe(cookie)
    expect(cookie).toBeInstanceOf(session.Cookie)
  })

  it('writes a session without a cookie', () => {
    expect(v8.parse(v8.stringify({ user: 'ann' } as unknown as StoredSession, context), context)).toEqual({
      user: 'ann',
    })
  })

  it('gives each reader data of its own, typed arrays included', () => {
    const raw = v8.stringify(
      {
        cookie: {},
        bytes: new Uint8Array([1, 2, 3]),
        buffer: Buffer.from([4, 5]),
        list: [1],
      } as unknown as StoredSession,
      context,
    ) as Buffer
    const before = Buffer.from(raw)
    const [one, other] = [v8.parse(raw, context), v8.parse(raw, context)]
    one.bytes.fill(0)
    one.buffer.fill(0)
    one.list.push(2)
    expect([...other.bytes]).toEqual([1, 2, 3])
    expect([...other.buffer]).toEqual([4, 5])
    expect(other.list).toEqual([1])
    expect(raw.equals(before)).toBe(true)
  })

  it('throws for what it cannot write', () => {
    expect(() => v8.stringify({ cookie: {}, f: () => {} } as unknown as StoredSession, context)).toThrow()
    expect(() => v8.stringify({ cookie: {}, s: Symbol('x') } as unknown as StoredSession, context)).toThrow()
  })

  it('throws for what it did not write', () => {
    expect(() => v8.parse(Buffer.from('{"cookie":{}}'), context)).toThrow()
    expect(() => v8.parse(Buffer.alloc(0), context)).toThrow()
    expect(() => v8.parse(serialize({ a: 'long enough' }).subarray(0, 5), context)).toThrow()
  })

  it('takes bytes, which begin with its tag', () => {
    expect(v8.binary).toBe(true)
    expect((v8.stringify({ cookie: {} } as unknown as StoredSession, context) as Buffer)[0]).toBe(V8_TAG)
  })
})
