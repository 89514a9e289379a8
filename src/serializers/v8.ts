import { deserialize, serialize } from 'node:v8'
import type { Serializer, StoredSession } from './contract.js'

/** First byte of every value that `v8.serialize` writes (ValueSerializer's version tag); no JSON text begins with it. */
export const V8_TAG = 0xff

/**
 * Node's structured serialization: keeps Date, Map, Set, BigInt, RegExp, typed arrays and cycles. Written by one
 * Node version, readable by the same and later ones. Read it only from a Redis that nobody else writes to: the
 * format's reader is not made for hostile input.
 */
export const v8: Serializer = Object.freeze({
  binary: true,
  stringify: (session: StoredSession): Buffer => serialize(plain(session)),
  // Typed arrays become views of what they are read from: a copy, so that no two readers share it.
  parse: (value: Buffer): unknown => deserialize(new Uint8Array(value)),
})

/** Sessions and cookies are class instances; what they hold is what JSON would see of them at the top level. */
function plain(session: StoredSession): Record<string, unknown> {
  const copy: Record<string, unknown> = { ...session }
  const cookie = copy.cookie as { toJSON?: () => unknown } | undefined
  if (typeof cookie?.toJSON === 'function') copy.cookie = cookie.toJSON()
  return copy
}
