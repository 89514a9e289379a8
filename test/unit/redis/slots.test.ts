import { describe, expect, it } from 'vitest'
import { slotOf } from '../../../src/redis/slots.js'

// What `CLUSTER KEYSLOT` of Redis 7.0 answers.
const KNOWN: readonly (readonly [key: string, slot: number])[] = [
  ['123456789', 12_739],
  ['', 0],
  ['foo', 12_182],
  ['sess:abc', slotByHand('sess:abc')],
  ['{user1000}.following', slotByHand('user1000')],
  ['{}x', slotByHand('{}x')],
  ['foo{{bar}}zap', slotByHand('{bar')],
  ['foo{bar}{zap}', slotByHand('bar')],
  ['sess:Ωß🙂', slotByHand('sess:Ωß🙂')],
]

/** Bit by bit, as the Redis Cluster specification describes CRC16. */
function slotByHand(key: string): number {
  let crc = 0
  for (const byte of Buffer.from(key)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff
  }
  return crc % 16_384
}

describe('the slot of a key', () => {
  it.each(KNOWN)('%j is %i', (key, slot) => {
    expect(slotOf(key)).toBe(slot)
  })
})
