import { createDecipheriv, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { serialize } from 'node:v8'
import { describe, expect, it } from 'vitest'
import { isSessionKeyUnknownError } from '../../../src/errors.js'
import type { Serializer, StoredSession } from '../../../src/serializers/contract.js'
import { encrypted } from '../../../src/serializers/encrypted.js'
import type { EncryptionOptions } from '../../../src/serializers/encryption-options.js'
import type { SerializerName } from '../../../src/serializers/index.js'
import { FakeClock } from '../../support/fake-clock.js'
import { liveSession } from './live-session.js'

const context = { sid: 'abc', prefix: 'sess:' }
const one = { id: 'one', key: randomBytes(32) }
const two = { id: 'two', key: randomBytes(32) }
const ann = { cookie: {}, user: 'ann', note: 'Ωß🙂' } as unknown as StoredSession
/** Bytes before the nonce: magic, version, length of the id, id. */
const HEADER = 4 + 1 + 1 + 3

function encrypt(session: StoredSession = ann, serializer: Serializer = encrypted('json', { keys: [one] })): Buffer {
  return serializer.stringify(session, context) as Buffer
}

const asyncJson: Serializer = {
  stringify: async (session) => JSON.stringify(session),
  parse: async (value: string) => JSON.parse(value),
}

describe('what is encrypted', () => {
  it.each<[string, SerializerName | Serializer, object]>([
    ['json', 'json', { user: 'ann', note: 'Ωß🙂' }],
    ['v8', 'v8', { since: new Date(0), ids: new Set([1n]), bytes: new Uint8Array([0, 255]) }],
    ['hybrid', 'hybrid', { user: 'ann' }],
    ['text of an asynchronous serializer', asyncJson, { user: 'ann', note: 'Ωß🙂' }],
    [
      'bytes of a serializer of your own',
      {
        binary: true,
        stringify: (session) => Buffer.from(JSON.stringify(session)).reverse(),
        parse: (value: Buffer) => JSON.parse(Buffer.from(value).reverse().toString()),
      },
      { user: 'ann', note: 'Ωß🙂' },
    ],
    ['nothing at all', { stringify: () => '', parse: (text: string) => ({ text }) }, {}],
  ])('comes back: %s', async (_, serializer, data) => {
    const own = encrypted(serializer, { keys: [one] })
    const value = await own.stringify({ cookie: {}, ...data } as unknown as StoredSession, context)
    expect(Buffer.isBuffer(value)).toBe(true)
    expect(await own.parse(value, context)).toMatchObject(data)
  })

  it("comes back from express-session's live sessions as without encryption", () => {
    const live = liveSession({ user: 'ann' }, { maxAge: 60_000 })
    const own = encrypted('json', { keys: [one] })
    expect(own.parse(encrypt(live), context)).toEqual(JSON.parse(JSON.stringify(live)))
  })

  it('shows nothing of the session but its length, and is another value each time', () => {
    const [first, second] = [encrypt(), encrypt()]
    expect(first.equals(second)).toBe(false)
    expect(first.length).toBe(second.length)
    for (const text of ['ann', 'cookie', 'note', 'user']) expect(first.includes(text)).toBe(false)
    expect(first.length).toBe(HEADER + 12 + Buffer.byteLength(JSON.stringify(ann)) + 16)
  })

  it('has a nonce that no other has', () => {
    const own = encrypted('json', { keys: [one] })
    const values = Array.from({ length: 1_000 }, () => encrypt(ann, own))
    const nonces = values.map((value) => value.toString('hex', HEADER, HEADER + 12))
    expect(new Set(nonces).size).toBe(1_000)
    for (const value of values) expect(own.parse(value, context)).toEqual(ann)
  })

  it('is opened by an implementation of its own that keeps to docs/security.md', () => {
    const sealed = encrypt()
    const place = Buffer.concat([Buffer.from([0, 0, 0, 5]), Buffer.from('sess:abc')])
    const decipher = createDecipheriv('aes-256-gcm', one.key, sealed.subarray(HEADER, HEADER + 12))
    decipher.setAAD(Buffer.concat([Buffer.from('fe727373', 'hex'), Buffer.from([1, 3]), Buffer.from('one'), place]))
    decipher.setAuthTag(sealed.subarray(-16))
    const plain = Buffer.concat([decipher.update(sealed.subarray(HEADER + 12, -16)), decipher.final()])
    expect(JSON.parse(plain.toString())).toEqual(ann)
  })

  it('is bound to prefixes and ids beyond ASCII, too', () => {
    const own = encrypted('json', { keys: [one] })
    const place = { sid: 'Ωß🙂', prefix: 'sitzung:ä:' }
    const sealed = own.stringify(ann, place) as Buffer
    expect(own.parse(sealed, place)).toEqual(ann)
    expect(() => own.parse(sealed, { ...place, sid: 'Ωß🙃' })).toThrow('not encrypted for this place')
  })

  it('is opened by the key alone that its id names', () => {
    const other = encrypted('json', { keys: [{ id: 'one', key: two.key }] })
    expect(() => other.parse(encrypt(), context)).toThrow('not encrypted for this place with this key')
  })

  it('takes bytes, and tells what its serializer makes wrong', () => {
    expect(encrypted('json', { keys: [one] }).binary).toBe(true)
    const wrong = encrypted({ stringify: () => 5 as never, parse: (text: string) => JSON.parse(text) }, { keys: [one] })
    expect(() => wrong.stringify(ann, context)).toThrow(TypeError)
  })
})

describe('a value that was changed', () => {
  const own = encrypted('json', { keys: [one] })
  const value = encrypt()
  const flipped = (at: number): Buffer => {
    const copy = Buffer.from(value)
    copy.writeUInt8(value.readUInt8(at) ^ 1, at)
    return copy
  }

  it('is unreadable, whichever byte it was', () => {
    for (let at = 0; at < value.length; at++) {
      expect(() => own.parse(flipped(at), context), `byte ${at}`).toThrow()
    }
  })

  it.each([
    ['the magic', 0, 'in clear'],
    ['the nonce', HEADER, 'has been changed'],
    ['the ciphertext', HEADER + 12, 'has been changed'],
    ['the tag', value.length - 1, 'has been changed'],
  ])('is no session, and no unknown key: %s', (_, at, message) => {
    try {
      own.parse(flipped(at), context)
      expect.unreachable()
    } catch (error) {
      expect(isSessionKeyUnknownError(error)).toBe(false)
      expect((error as Error).message).toContain(message)
    }
  })

  it('is a key unknown here where the id, its length or the version was', () => {
    const later = Buffer.from(value)
    later.writeUInt8(2, 4)
    for (const changed of [flipped(5), flipped(6), later]) {
      expect(() => own.parse(changed, context)).toThrow(expect.objectContaining({ code: 'ESESSIONKEYUNKNOWN' }))
    }
  })

  it('is damaged where no id can be read from it', () => {
    const blank = Buffer.from(value)
    blank.writeUInt8(0, 5)
    const long = Buffer.from(value)
    long.writeUInt8(255, 5)
    const old = Buffer.from(value)
    old.writeUInt8(0, 4)
    for (const changed of [blank, long, old]) expect(() => own.parse(changed, context)).toThrow('damaged')
  })

  it('is unreadable cut at any place', () => {
    for (let length = 0; length < value.length; length++) {
      expect(() => own.parse(value.subarray(0, length), context), `${length} bytes`).toThrow()
    }
    expect(() => own.parse(Buffer.concat([value, Buffer.from([0])]), context)).toThrow('has been changed')
  })

  it('is one that was moved to another id or prefix, also where the key in Redis reads the same', () => {
    for (const place of [
      { sid: 'abd', prefix: 'sess:' },
      { sid: 'abc', prefix: 'other:' },
      { sid: ':abc', prefix: 'sess' },
      { sid: '', prefix: 'sess:abc' },
    ]) {
      expect(() => own.parse(value, place)).toThrow('not encrypted for this place')
    }
    expect(own.parse(value, context)).toEqual(ann)
  })
})

describe('several keys', () => {
  it('the first encrypts, all decrypt', () => {
    const old = encrypted('json', { keys: [one] })
    const both = encrypted('json', { keys: [two, one] })
    const value = encrypt(ann, old)
    expect(both.parse(value, context)).toEqual(ann)
    const renewed = encrypt(both.parse(value, context), both)
    expect(renewed.includes('two')).toBe(true)
    expect(encrypted('json', { keys: [two] }).parse(renewed, context)).toEqual(ann)
  })

  it('an unknown one is told by its id, and is to be answered 503', () => {
    const other = encrypted('json', { keys: [two] })
    expect(() => other.parse(encrypt(), context)).toThrow(
      expect.objectContaining({
        code: 'ESESSIONKEYUNKNOWN',
        keyId: 'one',
        status: 503,
        headers: { 'Retry-After': '10' },
      }),
    )
  })

  it('may be given as bytes, base64, base64url or KeyObject', async () => {
    const { createSecretKey } = await import('node:crypto')
    const forms = [
      one.key,
      new Uint8Array(one.key),
      one.key.toString('base64'),
      one.key.toString('base64url'),
      createSecretKey(one.key),
    ]
    for (const key of forms) {
      expect(encrypted('json', { keys: [{ id: 'one', key }] }).parse(encrypt(), context)).toEqual(ann)
    }
  })

  it('are copied: what becomes of the bytes that were given does not matter', () => {
    const key = Buffer.from(one.key)
    const own = encrypted('json', { keys: [{ id: 'one', key }] })
    key.fill(0)
    expect(own.parse(encrypt(), context)).toEqual(ann)
  })
})

describe('what is in clear', () => {
  const clock = new FakeClock()
  const until = new Date(clock.wall() + 1_000)
  const text = Buffer.from(JSON.stringify(ann))

  it('is unreadable without a time until which it is read', () => {
    expect(() => encrypted('json', { keys: [one] }).parse(text, context)).toThrow('in clear')
  })

  it.each([
    ['a Date', until],
    ['a text', until.toISOString()],
  ])('is read until then: %s', (_, readPlainUntil) => {
    const time = new FakeClock()
    const own = encrypted('json', { keys: [one], readPlainUntil }, time)
    expect(own.parse(text, context)).toEqual(ann)
    time.advance(999)
    expect(own.parse(text, context)).toEqual(ann)
    time.advance(1)
    expect(() => own.parse(text, context)).toThrow('in clear')
    expect(own.parse(encrypt(), context)).toEqual(ann)
  })

  it('is read as its own serializer reads it', () => {
    const keys = [one]
    const own = encrypted('hybrid', { keys, readPlainUntil: until }, clock)
    expect(own.parse(text, context)).toEqual(ann)
    const v8 = encrypted('v8', { keys, readPlainUntil: until }, clock)
    expect(v8.parse(serialize({ since: new Date(0) }), context)).toEqual({ since: new Date(0) })
  })

  it('opens no way around the key: a changed envelope stays unreadable', () => {
    const own = encrypted('json', { keys: [one], readPlainUntil: until }, clock)
    const value = encrypt()
    value.writeUInt8(value.readUInt8(HEADER) ^ 1, HEADER)
    expect(() => own.parse(value, context)).toThrow('has been changed')
  })
})

describe('options', () => {
  const key = randomBytes(32)
  const secret = key.toString('base64')

  it.each<[string, unknown, string]>([
    ['no options', undefined, 'encrypted() takes options'],
    ['no keys', {}, "option 'keys' must be an array of at least one key"],
    ['an empty list', { keys: [] }, 'at least one key'],
    ['no list', { keys: { id: 'a', key } }, "option 'keys' must be an array"],
    ['a bare key', { keys: [secret] }, "option 'keys[0]' must be { id, key }"],
    ['no id', { keys: [{ key }] }, "option 'keys[0].id' must be 1 to 32 letters"],
    ['an empty id', { keys: [{ id: '', key }] }, "option 'keys[0].id'"],
    ['a long id', { keys: [{ id: 'a'.repeat(33), key }] }, "option 'keys[0].id'"],
    ['an id that is none', { keys: [{ id: 'ä', key }] }, "option 'keys[0].id'"],
    ['a key as id', { keys: [{ id: secret, key }] }, "option 'keys[0].id'"],
    [
      'no key',
      { keys: [{ id: 'a' }] },
      "option 'keys[0].key' must be 32 bytes, as bytes, base64 or a secret KeyObject",
    ],
    ['a short key', { keys: [{ id: 'a', key: key.subarray(1) }] }, 'got 31 bytes'],
    ['a key in hex', { keys: [{ id: 'a', key: key.toString('hex') }] }, 'got a text of 64 characters'],
    ['an empty text', { keys: [{ id: 'a', key: '' }] }, 'got a text of 0 characters'],
    ['an id twice', { keys: [one, { ...two, id: 'one' }] }, "option 'keys' has the id 'one' twice"],
    ['a key twice', { keys: [one, { ...one, id: 'b' }] }, "one key under two ids: 'one' and 'b'"],
    ['an unknown member', { keys: [{ id: 'a', key, kid: 1 }] }, "unknown option 'keys[0].kid'"],
    ['an unknown option', { keys: [one], readPlain: true }, "unknown option 'readPlain'"],
    ['a window without end', { keys: [one], readPlainUntil: true }, "option 'readPlainUntil' must be"],
    ['no date', { keys: [one], readPlainUntil: 'soon' }, "option 'readPlainUntil' must be"],
    ['a time without zone', { keys: [one], readPlainUntil: '2026-12-31T00:00' }, "option 'readPlainUntil' must be"],
    ['an invalid Date', { keys: [one], readPlainUntil: new Date(Number.NaN) }, "option 'readPlainUntil' must be"],
  ])('refuses %s, and quotes no key', (_, options, message) => {
    try {
      encrypted('json', options as EncryptionOptions)
      expect.unreachable()
    } catch (error) {
      expect((error as Error).message).toContain(message)
      expect(shown(error)).not.toContain(secret.slice(0, 20))
    }
  })

  it('refuses keys of another kind or size', async () => {
    const { createSecretKey, generateKeyPairSync } = await import('node:crypto')
    const { publicKey } = generateKeyPairSync('ed25519')
    const build = (own: EncryptionOptions['keys'][number]['key']) => () =>
      encrypted('json', { keys: [{ id: 'a', key: own }] })
    expect(build(publicKey)).toThrow('got a public key')
    expect(build(createSecretKey(randomBytes(16)))).toThrow('got 16 bytes')
  })

  it.each([undefined, 'yaml', {}, { parse: JSON.parse }])('refuses a serializer that is none: %s', (serializer) => {
    expect(() => encrypted(serializer as never, { keys: [one] })).toThrow('as its serializer')
  })

  it('shows no key, however it is printed', () => {
    const own = encrypted('json', { keys: [{ id: 'one', key: secret }] })
    const texts = [shown(own), JSON.stringify(own), String(own)]
    for (const text of texts) {
      expect(text).not.toContain(secret.slice(0, 20))
      expect(text).not.toContain(key.toString('hex').slice(0, 20))
    }
    expect(Object.keys(own).sort()).toEqual(['binary', 'parse', 'stringify'])
    expect(Object.isFrozen(own)).toBe(true)
  })
})

function shown(value: unknown): string {
  return inspect(value, { depth: 10, showHidden: true, maxArrayLength: 1_000 })
}
