/** Options of `encrypted()`: types and checks. No error quotes a key. */
import { createSecretKey, type KeyObject } from 'node:crypto'
import { types } from 'node:util'
import { isObject, refuseUnknown } from '../resolve-options.js'
import type { Serializer } from './contract.js'
import { KEY_ID } from './envelope.js'
import { serializerOf } from './index.js'

/** A key for {@link EncryptionOptions.keys}. */
export interface EncryptionKey {
  /**
   * What the key is called in stored values, in clear: 1 to 32 letters, digits, `.`, `_` and `-`. A new key needs a new
   * id.
   */
  readonly id: string
  /** 32 random bytes: as bytes, in base64 (`openssl rand -base64 32`; base64url too), or as a secret KeyObject. */
  readonly key: Uint8Array | string | KeyObject
}

/** Options of `encrypted()`. */
export interface EncryptionOptions {
  /** At least one. The first encrypts; all decrypt. */
  readonly keys: readonly EncryptionKey[]
  /**
   * Until then values in clear are read too, to move from an unencrypted store: a Date or an ISO 8601 text with time zone
   * (or a date, which begins at midnight UTC), by this machine's clock. Afterwards they are unreadable. Meanwhile who can
   * write to Redis can make up sessions.
   * @default none: values in clear are unreadable
   */
  readonly readPlainUntil?: Date | string
}

export interface ResolvedEncryption {
  readonly inner: Serializer
  readonly keys: ReadonlyMap<string, KeyObject>
  readonly first: { readonly id: string; readonly key: KeyObject }
  /** Milliseconds since the epoch. */
  readonly readPlainUntil: number
}

const KEY_BYTES = 32
const BASE64_KEY = /^[\w+/-]{43}=?$/
const ISO_8601 = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/

/** @throws TypeError for a value of the wrong kind or an option that does not exist, RangeError for keys that do not go together */
export function resolveEncryption(serializer: unknown, options: unknown): ResolvedEncryption {
  const inner = serializerOf(serializer)
  if (inner === undefined) {
    throw new TypeError("encrypted() takes 'json', 'v8', 'hybrid' or { parse, stringify } as its serializer")
  }
  if (!isObject(options)) throw new TypeError('encrypted() takes options: { keys }')
  const { keys: given, readPlainUntil, ...unknown } = options
  refuseUnknown('', unknown)
  if (!Array.isArray(given) || given.length === 0) {
    throw new TypeError("option 'keys' must be an array of at least one key: { id, key }")
  }
  const keys = new Map<string, KeyObject>()
  for (const [index, entry] of given.entries()) {
    const { id, key } = resolveKey(`keys[${index}]`, entry)
    if (keys.has(id)) throw new RangeError(`option 'keys' has the id '${id}' twice`)
    for (const [other, known] of keys) {
      if (known.equals(key)) throw new RangeError(`option 'keys' has one key under two ids: '${other}' and '${id}'`)
    }
    keys.set(id, key)
  }
  const [[id, key]] = keys as Iterable<[string, KeyObject]> as [[string, KeyObject]]
  return { inner, keys, first: { id, key }, readPlainUntil: resolveDate(readPlainUntil) }
}

function resolveKey(name: string, entry: unknown): { id: string; key: KeyObject } {
  if (!isObject(entry)) throw new TypeError(`option '${name}' must be { id, key }`)
  const { id, key, ...unknown } = entry
  refuseUnknown(`${name}.`, unknown)
  // Not quoted: it may be the key, put in the wrong place.
  if (typeof id !== 'string' || !KEY_ID.test(id)) {
    throw new TypeError(`option '${name}.id' must be 1 to 32 letters, digits, '.', '_' or '-'`)
  }
  return { id, key: secretOf(`${name}.key`, key) }
}

function secretOf(name: string, key: unknown): KeyObject {
  const wanted = `option '${name}' must be ${KEY_BYTES} bytes, as bytes, base64 or a secret KeyObject`
  if (types.isKeyObject(key)) {
    if (key.type !== 'secret') throw new TypeError(`${wanted}, got a ${key.type} key`)
    if (key.symmetricKeySize !== KEY_BYTES) throw new RangeError(`${wanted}, got ${key.symmetricKeySize} bytes`)
    return key
  }
  if (typeof key === 'string') {
    if (!BASE64_KEY.test(key)) throw new RangeError(`${wanted}, got a text of ${key.length} characters`)
    return createSecretKey(Buffer.from(key, 'base64'))
  }
  if (!types.isUint8Array(key)) throw new TypeError(`${wanted}, got ${typeof key}`)
  if (key.length !== KEY_BYTES) throw new RangeError(`${wanted}, got ${key.length} bytes`)
  return createSecretKey(key)
}

function resolveDate(value: unknown): number {
  if (value === undefined) return Number.NEGATIVE_INFINITY
  const isText = typeof value === 'string' && ISO_8601.test(value)
  const at = types.isDate(value) ? value.getTime() : isText ? Date.parse(value) : Number.NaN
  if (Number.isNaN(at)) {
    throw new TypeError("option 'readPlainUntil' must be a valid Date or ISO 8601 text such as '2026-12-31T00:00:00Z'")
  }
  return at
}
