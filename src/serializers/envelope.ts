/**
 * How an encrypted session lies in Redis: magic (4 bytes), version (1), length of the key's id (1), the id in ASCII,
 * nonce (12), ciphertext, tag (16). Pure.
 */
import type { SerializerContext } from './contract.js'

export const NONCE_BYTES = 12
export const TAG_BYTES = 16

/** What a key may be called: it stands in clear before each value, and in errors. */
export const KEY_ID: RegExp = /^[\w.-]{1,32}$/

/** No text begins with it (no UTF-8 has the byte 0xfe), nor does what `v8` writes (0xff). */
const MAGIC: Buffer = Buffer.from([0xfe, 0x72, 0x73, 0x73])
const VERSION = 1
const ID_AT: number = MAGIC.length + 2

export interface Envelope {
  /** Everything before the nonce, see {@link headerOf}. */
  readonly header: Buffer
  readonly nonce: Buffer
  readonly body: Buffer
  readonly tag: Buffer
}

export function seal({ header, nonce, body, tag }: Envelope): Buffer {
  return Buffer.concat([header, nonce, body, tag])
}

/**
 * The parts of an envelope, as views; `'plain'` for what is none.
 *
 * @throws Error for one that is damaged
 */
export function open(value: Buffer): (Envelope & { readonly keyId: string }) | 'plain' | 'later-version' {
  if (!value.subarray(0, MAGIC.length).equals(MAGIC)) return 'plain'
  const version = value[MAGIC.length] ?? 0
  if (version > VERSION) return 'later-version'
  const nonceAt = ID_AT + (value[ID_AT - 1] ?? 0)
  const bodyAt = nonceAt + NONCE_BYTES
  const tagAt = value.length - TAG_BYTES
  const keyId = value.toString('latin1', ID_AT, nonceAt)
  if (version !== VERSION || tagAt < bodyAt || !KEY_ID.test(keyId)) throw new Error('the stored envelope is damaged')
  return {
    keyId,
    header: value.subarray(0, nonceAt),
    nonce: value.subarray(nonceAt, bodyAt),
    body: value.subarray(bodyAt, tagAt),
    tag: value.subarray(tagAt),
  }
}

/** What a value is bound to: its header and its place. Lengths stand first, so that no two places read the same. */
export function associatedData(header: Buffer, { sid, prefix }: SerializerContext): Buffer {
  const prefixBytes = Buffer.byteLength(prefix)
  const at = header.length
  const data = Buffer.allocUnsafe(at + 4 + prefixBytes + Buffer.byteLength(sid))
  header.copy(data)
  data.writeUInt32BE(prefixBytes, at)
  data.write(prefix, at + 4)
  data.write(sid, at + 4 + prefixBytes)
  return data
}

/** What stands before the nonce in all that one key encrypts. */
export function headerOf(keyId: string): Buffer {
  return Buffer.concat([MAGIC, Buffer.from([VERSION, keyId.length]), Buffer.from(keyId, 'latin1')])
}
