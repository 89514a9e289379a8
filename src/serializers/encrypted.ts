import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { type Clock, systemClock } from '../clock.js'
import { SessionKeyUnknownError } from '../errors.js'
import { isThenable } from '../thenable.js'
import type { Serializer, SerializerContext, StoredSession } from './contract.js'
import { type EncryptionOptions, resolveEncryption } from './encryption-options.js'
import { associatedData, headerOf, NONCE_BYTES, open, seal, TAG_BYTES } from './envelope.js'
import type { SerializerName } from './index.js'

const CIPHER = 'aes-256-gcm'
/** Nonces drawn at a time: one by one they cost as much as the cipher. */
const NONCES = 64

/**
 * Encrypts what another serializer writes, with AES-256-GCM: who reads Redis learns no session's content (its length
 * apart), and who writes to Redis can neither change a session nor move it to another id or prefix. Such a value is
 * unreadable: `onSessionLoadError` is told, and it is deleted.
 *
 * A value whose key is not among `keys` is no reason to delete it: it stays, `onSessionLoadError` is told, and the
 * visitor gets a {@link SessionKeyUnknownError} (503).
 *
 * The nonce of each value is random, so that a key is good for 2^32 saves (NIST SP 800-38D, section 8.3): at 100 saves a
 * second a year and four months. Rotate keys before: give the new one to every process as the second, then put it first,
 * then remove the old one when the sessions that it encrypted have expired.
 *
 * @param serializer a name or a serializer of your own, synchronous or not, for text or bytes
 * @param options `keys`, and `readPlainUntil` while old sessions are still in clear
 * @param clock injectable for tests
 * @throws TypeError or RangeError for an option that cannot be used; none quotes a key
 * @example
 * ```ts
 * import { encrypted, ResilientStore } from 'resilient-session-store'
 *
 * const keys = [{ id: '2026-11', key: process.env.SESSION_KEY ?? '' }] // openssl rand -base64 32
 * const store = new ResilientStore({ serializer: encrypted('json', { keys }) })
 * ```
 */
export function encrypted(
  serializer: SerializerName | Serializer,
  options: EncryptionOptions,
  clock: Pick<Clock, 'wall'> = systemClock,
): Serializer {
  // In the closure and nowhere else: the object that is returned can be printed.
  const { inner, keys, first, readPlainUntil } = resolveEncryption(serializer, options)
  const header = headerOf(first.id)
  const nextNonce = nonces()

  const encrypt = (plain: unknown, context: SerializerContext): Buffer => {
    if (typeof plain !== 'string' && !Buffer.isBuffer(plain)) {
      throw new TypeError(`the serializer returned ${typeof plain} instead of a string or a Buffer`)
    }
    const nonce = nextNonce()
    const cipher = createCipheriv(CIPHER, first.key, nonce, { authTagLength: TAG_BYTES })
    cipher.setAAD(associatedData(header, context))
    const body = typeof plain === 'string' ? cipher.update(plain, 'utf8') : cipher.update(plain)
    cipher.final()
    return seal({ header, nonce, body, tag: cipher.getAuthTag() })
  }

  const decrypt = (value: Buffer, context: SerializerContext): Buffer => {
    const envelope = open(value)
    if (envelope === 'plain') {
      if (clock.wall() < readPlainUntil) return value
      throw new Error('the stored session is in clear, which is not (or no longer) read')
    }
    if (envelope === 'later-version') throw new SessionKeyUnknownError('get', undefined)
    const { keyId, nonce, body, tag } = envelope
    const key = keys.get(keyId)
    if (key === undefined) throw new SessionKeyUnknownError('get', keyId)
    const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
    decipher.setAAD(associatedData(envelope.header, context)).setAuthTag(tag)
    const plain = decipher.update(body)
    try {
      decipher.final()
    } catch (cause) {
      throw new Error('the stored session was not encrypted for this place with this key, or has been changed', {
        cause,
      })
    }
    return plain
  }

  return Object.freeze({
    binary: true,
    stringify(session: StoredSession, context: SerializerContext): Buffer | Promise<Buffer> {
      const plain: unknown = inner.stringify(session, context)
      return isThenable(plain) ? Promise.resolve(plain).then((kept) => encrypt(kept, context)) : encrypt(plain, context)
    },
    parse(value: Buffer, context: SerializerContext): unknown {
      const plain = decrypt(value, context)
      return inner.parse(inner.binary === true ? plain : plain.toString('utf8'), context)
    },
  })
}

/** Gives another random nonce at each call. */
function nonces(): () => Buffer {
  let drawn: Buffer = Buffer.alloc(0)
  let at = 0
  return () => {
    if (at === drawn.length) {
      drawn = randomBytes(NONCES * NONCE_BYTES)
      at = 0
    }
    const nonce = drawn.subarray(at, at + NONCE_BYTES)
    at += NONCE_BYTES
    return nonce
  }
}
