import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CachedSession, FallbackCache } from '../../src/fallback-cache.js'
import { FakeClock } from '../support/fake-clock.js'

const HOUR = 3_600_000

function setUp({ max = 100, maxBytes = 1_000_000, maxStale = 30_000 } = {}): {
  cache: FallbackCache
  clock: FakeClock
  put: (sid: string, entry?: Partial<CachedSession>) => void
} {
  const clock = new FakeClock()
  const cache = new FallbackCache({ max, maxBytes, maxStale }, clock)
  return {
    cache,
    clock,
    /** Confirmed now, and good for an hour. */
    put: (sid, entry) => {
      const now = clock.monotonic()
      cache.put(sid, { raw: `value of ${sid}`, confirmedAt: now, expiresAt: now + HOUR, ...entry })
    },
  }
}

describe('what may be served', () => {
  it('is what was put, as it was put', () => {
    const { cache, put } = setUp()
    const raw = Buffer.from([1, 2, 255])
    put('text')
    put('bytes', { raw })
    expect(cache.get('text')?.raw).toBe('value of text')
    expect(cache.get('bytes')?.raw).toEqual(raw)
    expect(cache.get('unknown')).toBeUndefined()
  })

  it('is kept without the memory that its bytes came in', () => {
    const { cache, put } = setUp()
    const chunk = Buffer.alloc(65_536, 'chunk')
    put('part', { raw: chunk.subarray(100, 200) })
    put('whole', { raw: chunk })
    const { raw } = cache.get('part') as { raw: Buffer }
    expect(raw).toEqual(chunk.subarray(100, 200))
    expect(raw.buffer.byteLength).toBe(100)
    expect(cache.get('whole')?.raw).toBe(chunk)
  })

  it('until maxStale after Redis confirmed it, and not longer', () => {
    const { cache, clock, put } = setUp({ maxStale: 30_000 })
    put('a')
    clock.advance(30_000)
    expect(cache.get('a')).toBeDefined()
    clock.advance(1)
    expect(cache.get('a')).toBeUndefined()
  })

  it('no longer for having been read', () => {
    const { cache, clock, put } = setUp({ maxStale: 30_000 })
    put('a')
    for (let second = 0; second < 30; second++) {
      expect(cache.get('a')).toBeDefined()
      clock.advance(1_000)
    }
    clock.advance(1)
    expect(cache.get('a')).toBeUndefined()
  })

  it('counted from when it was confirmed, not from when it was put', () => {
    const { cache, clock, put } = setUp({ maxStale: 30_000 })
    put('a', { confirmedAt: clock.monotonic() - 29_000 })
    clock.advance(1_001)
    expect(cache.get('a')).toBeUndefined()
  })

  it('never past the end of the session', () => {
    const { cache, clock, put } = setUp()
    put('a', { expiresAt: clock.monotonic() + 5_000 })
    clock.advance(4_999)
    expect(cache.get('a')).toBeDefined()
    clock.advance(1)
    expect(cache.get('a')).toBeUndefined()
  })

  it('not while the end of the session is unknown', () => {
    const { cache, clock, put } = setUp()
    put('a', { expiresAt: undefined })
    expect(cache.get('a')).toBeUndefined()
    cache.setExpiry('a', clock.monotonic() + HOUR)
    expect(cache.get('a')?.raw).toBe('value of a')
  })

  it('also a session without end', () => {
    const { cache, clock, put } = setUp({ maxStale: 30_000 })
    put('a', { expiresAt: Number.POSITIVE_INFINITY })
    clock.advance(30_000)
    expect(cache.get('a')).toBeDefined()
  })

  it('whatever somebody does to the wall clock', () => {
    const { cache, clock, put } = setUp({ maxStale: 30_000 })
    put('a')
    for (const wall of [0, clock.wall() + 10 * 365 * 24 * HOUR]) {
      clock.setWall(wall)
      expect(cache.get('a')).toBeDefined()
    }
    clock.advance(30_001)
    clock.setWall(0)
    expect(cache.get('a')).toBeUndefined()
  })

  it('no longer once it was deleted or all was cleared', () => {
    const { cache, put } = setUp()
    put('a')
    put('b')
    put('c')
    cache.delete('a')
    expect(cache.get('a')).toBeUndefined()
    expect(cache.get('b')).toBeDefined()
    cache.clear()
    expect([cache.get('b'), cache.get('c'), cache.size, cache.bytes]).toEqual([undefined, undefined, 0, 0])
  })
})

describe('after all was cleared', () => {
  it('what was asked for before is not kept: its answer came late', () => {
    const { cache, clock, put } = setUp()
    const askedAt = clock.monotonic()
    clock.advance(5)
    cache.clear()
    put('a', { confirmedAt: askedAt })
    expect([cache.get('a'), cache.size]).toEqual([undefined, 0])
  })

  it('what is asked for from then on is', () => {
    const { cache, clock, put } = setUp()
    cache.clear()
    put('a')
    clock.advance(1)
    put('b')
    expect([cache.get('a')?.raw, cache.get('b')?.raw]).toEqual(['value of a', 'value of b'])
  })
})

describe('put', () => {
  it('keeps what Redis confirmed last: an answer that comes late replaces nothing newer', () => {
    const { cache, clock, put } = setUp()
    put('a', { raw: 'newer' })
    put('a', { raw: 'older', confirmedAt: clock.monotonic() - 1 })
    expect(cache.get('a')?.raw).toBe('newer')
    clock.advance(1)
    put('a', { raw: 'newest' })
    expect(cache.get('a')?.raw).toBe('newest')
  })

  it('an older answer does not make the newer one older', () => {
    const { cache, clock, put } = setUp({ maxStale: 30_000 })
    put('a')
    put('a', { raw: 'older', confirmedAt: clock.monotonic() - 20_000 })
    clock.advance(30_000)
    expect(cache.get('a')).toBeDefined()
  })

  it('of one too large for the cache forgets the smaller one before it: it is out of date', () => {
    const { cache, clock, put } = setUp({ maxBytes: 1_000 })
    put('a', { raw: 'small' })
    clock.advance(1)
    put('a', { raw: 'x'.repeat(5_000) })
    expect(cache.get('a')).toBeUndefined()
    expect([cache.size, cache.bytes]).toEqual([0, 0])
  })
})

describe('the expiry', () => {
  it('is moved without touching the value or its age', () => {
    const { cache, clock, put } = setUp({ maxStale: 30_000 })
    put('a', { expiresAt: clock.monotonic() + 5_000 })
    clock.advance(4_000)
    cache.setExpiry('a', clock.monotonic() + HOUR)
    clock.advance(26_000)
    expect(cache.get('a')?.raw).toBe('value of a')
    clock.advance(1)
    expect(cache.get('a')).toBeUndefined()
  })

  it('can be shortened', () => {
    const { cache, clock, put } = setUp()
    put('a')
    cache.setExpiry('a', clock.monotonic() + 1_000)
    clock.advance(1_000)
    expect(cache.get('a')).toBeUndefined()
  })

  it('is told as far as it is known', () => {
    const { cache, clock, put } = setUp()
    put('a')
    put('b', { expiresAt: undefined })
    expect(cache.expiryOf('a')).toBe(clock.monotonic() + HOUR)
    expect(cache.expiryOf('b')).toBeUndefined()
    expect(cache.expiryOf('unknown')).toBeUndefined()
  })

  it('of an unknown session makes none', () => {
    const { cache, clock } = setUp()
    cache.setExpiry('unknown', clock.monotonic() + HOUR)
    expect(cache.size).toBe(0)
  })
})

describe('bounds', () => {
  it('beyond max sessions the least recently used goes first', () => {
    const { cache, put } = setUp({ max: 3 })
    for (const sid of ['a', 'b', 'c']) put(sid)
    cache.get('a')
    put('d')
    expect(cache.size).toBe(3)
    expect(['a', 'b', 'c', 'd'].filter((sid) => cache.get(sid) !== undefined)).toEqual(['a', 'c', 'd'])
  })

  it('beyond maxBytes the least recently used goes first', () => {
    const { cache, put } = setUp({ maxBytes: 1_000 })
    for (const sid of ['a', 'b', 'c', 'd']) put(sid, { raw: Buffer.alloc(400) })
    expect(cache.bytes).toBeLessThanOrEqual(1_000)
    expect(['a', 'b', 'c', 'd'].filter((sid) => cache.get(sid) !== undefined)).toEqual(['c', 'd'])
  })

  it('text counts two bytes a character, its sid too; bytes count as they are', () => {
    const { cache, put } = setUp()
    put('ab', { raw: 'xyz' })
    expect(cache.bytes).toBe(4 + 6)
    put('cd', { raw: Buffer.alloc(7) })
    expect(cache.bytes).toBe(4 + 6 + 4 + 7)
    cache.delete('ab')
    expect(cache.bytes).toBe(4 + 7)
  })

  it('hold whatever is done, and nothing too old or over is ever served', () => {
    const sid = fc.constantFrom('a', 'b', 'c', 'd', 'e')
    const step = fc.oneof(
      fc.record({
        do: fc.constant('put' as const),
        sid,
        size: fc.integer({ min: 0, max: 80 }),
        age: fc.integer({ min: 0, max: 120 }),
        ttl: fc.option(fc.integer({ min: 0, max: 200 }), { nil: undefined }),
      }),
      fc.record({ do: fc.constant('setExpiry' as const), sid, ttl: fc.integer({ min: 0, max: 200 }) }),
      fc.record({ do: fc.constant('delete' as const), sid }),
      fc.record({ do: fc.constant('advance' as const), ms: fc.integer({ min: 0, max: 60 }) }),
      fc.record({ do: fc.constant('setWall' as const), ms: fc.integer({ min: 0, max: 2e12 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { cache, clock } = setUp({ max: 3, maxBytes: 300, maxStale: 100 })
        for (const one of steps) {
          const now = clock.monotonic()
          if (one.do === 'put') {
            const expiresAt = one.ttl === undefined ? undefined : now + one.ttl
            cache.put(one.sid, { raw: 'x'.repeat(one.size), confirmedAt: now - one.age, expiresAt })
          } else if (one.do === 'setExpiry') cache.setExpiry(one.sid, now + one.ttl)
          else if (one.do === 'delete') cache.delete(one.sid)
          else if (one.do === 'advance') clock.advance(one.ms)
          else clock.setWall(one.ms)
          expect(cache.size).toBeLessThanOrEqual(3)
          expect(cache.bytes).toBeLessThanOrEqual(300)
          for (const name of ['a', 'b', 'c', 'd', 'e']) {
            const served = cache.get(name)
            if (served === undefined) continue
            expect(clock.monotonic() - served.confirmedAt).toBeLessThanOrEqual(100)
            expect(served.expiresAt).toBeGreaterThan(clock.monotonic())
          }
        }
      }),
    )
  })
})
