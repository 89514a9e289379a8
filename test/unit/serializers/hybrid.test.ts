import { describe, expect, it } from 'vitest'
import type { StoredSession } from '../../../src/serializers/contract.js'
import { hybrid } from '../../../src/serializers/hybrid.js'
import { json } from '../../../src/serializers/json.js'
import { v8 } from '../../../src/serializers/v8.js'
import { liveSession } from './live-session.js'

const context = { sid: 'abc', prefix: 'sess:' }

describe('hybrid', () => {
  it('reads what v8 wrote, with all that v8 keeps', () => {
    const raw = v8.stringify(
      { cookie: {}, since: new Date(0), ids: new Set([1n]) } as unknown as StoredSession,
      context,
    )
    expect(hybrid.parse(raw, context)).toEqual({ cookie: {}, since: new Date(0), ids: new Set([1n]) })
  })

  it('reads what json wrote, text beyond ASCII included', () => {
    const text = json.stringify({ cookie: {}, name: 'Ωß🙂', n: [1] } as unknown as StoredSession, context) as string
    expect(hybrid.parse(Buffer.from(text), context)).toEqual({ cookie: {}, name: 'Ωß🙂', n: [1] })
  })

  it('writes JSON, the same as json', () => {
    const live = liveSession({ user: 'ann' }, { maxAge: 60_000 })
    expect(hybrid.stringify(live, context)).toBe(json.stringify(live, context))
  })

  it('turns a v8 value into a JSON one by reading and writing it', () => {
    const live = liveSession({ user: 'ann', since: new Date(0) }, { maxAge: 60_000 })
    const read = hybrid.parse(v8.stringify(live, context), context)
    const written = hybrid.stringify(read, context) as string
    expect(JSON.parse(written)).toMatchObject({ user: 'ann', since: '1970-01-01T00:00:00.000Z' })
  })

  it('gives each reader data of its own', () => {
    const raw = v8.stringify({ cookie: {}, bytes: new Uint8Array([1, 2]) } as unknown as StoredSession, context)
    const [one, other] = [hybrid.parse(raw, context), hybrid.parse(raw, context)]
    one.bytes.fill(0)
    expect([...other.bytes]).toEqual([1, 2])
  })

  it('throws for what is neither', () => {
    expect(() => hybrid.parse(Buffer.from('broken'), context)).toThrow(SyntaxError)
    expect(() => hybrid.parse(Buffer.alloc(0), context)).toThrow(SyntaxError)
    expect(() => hybrid.parse(Buffer.from([0xff, 1, 2, 3]), context)).toThrow()
  })

  it('takes bytes', () => {
    expect(hybrid.binary).toBe(true)
  })
})
