import session from 'express-session'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { StoredSession } from '../../../src/serializers/contract.js'
import { json } from '../../../src/serializers/json.js'
import { liveSession } from './live-session.js'

const context = { sid: 'abc', prefix: 'sess:' }

describe('json', () => {
  it('writes what JSON.stringify writes, byte for byte', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 })), (data) => {
        const given = { ...data, cookie: { originalMaxAge: null, expires: null } } as unknown as StoredSession
        expect(json.stringify(given, context)).toBe(JSON.stringify(given))
      }),
    )
  })

  it("writes express-session's live sessions as connect-redis does, their request left out", () => {
    const live = liveSession({ user: 'ann' }, { maxAge: 60_000, sameSite: 'lax' })
    const text = json.stringify(live, context) as string
    expect(text).toBe(JSON.stringify(live))
    expect(JSON.parse(text)).toMatchObject({
      user: 'ann',
      cookie: { originalMaxAge: 60_000, httpOnly: true, path: '/', sameSite: 'lax' },
    })
    expect(text).not.toContain('"req"')
  })

  it('reads back what JSON keeps; a Date comes back as text', () => {
    const given = { cookie: { expires: new Date(0) }, list: [1, 'two', null] } as unknown as StoredSession
    expect(json.parse(json.stringify(given, context), context)).toEqual({
      cookie: { expires: '1970-01-01T00:00:00.000Z' },
      list: [1, 'two', null],
    })
  })

  it('gives each reader an object of its own', () => {
    const text = '{"cookie":{},"list":[1]}'
    const [one, other] = [json.parse(text, context), json.parse(text, context)]
    one.list.push(2)
    expect(other.list).toEqual([1])
  })

  it('throws for what it cannot write or read', () => {
    const circular: Record<string, unknown> = { cookie: new session.Cookie() }
    circular.self = circular
    expect(() => json.stringify(circular as StoredSession, context)).toThrow(TypeError)
    expect(() => json.stringify({ cookie: {}, big: 1n } as unknown as StoredSession, context)).toThrow(TypeError)
    expect(() => json.parse('{"broken', context)).toThrow(SyntaxError)
    expect(() => json.parse('', context)).toThrow(SyntaxError)
  })

  it('takes text: values travel as strings', () => {
    expect(json.binary).not.toBe(true)
  })
})
