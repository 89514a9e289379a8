import { hashTag } from './keys.js'

/** Hash slots of a Cluster (Redis Cluster specification, "Key distribution model"). */
export const SLOTS: number = 16_384

/** The hash slot of a key. */
export function slotOf(key: string): number {
  const text = hashTag(key) ?? key
  let crc = 0
  // Most keys are ASCII, whose bytes are its characters.
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code > 127) return slotOfBytes(Buffer.from(text))
    crc = next(crc, code)
  }
  return crc % SLOTS
}

function slotOfBytes(bytes: Buffer): number {
  let crc = 0
  for (const byte of bytes) crc = next(crc, byte)
  return crc % SLOTS
}

function next(crc: number, byte: number): number {
  return ((crc << 8) & 0xffff) ^ (TABLE[(crc >> 8) ^ byte] as number)
}

/** CRC-16/XMODEM: polynomial 0x1021, as the specification asks for. */
const TABLE: Uint16Array = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc & 0xffff
})
