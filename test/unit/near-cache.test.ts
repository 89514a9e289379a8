import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CachedSession, FallbackCache } from '../../src/fallback-cache.js'
import { NearCache } from '../../src/near-cache.js'
import type { Tracking } from '../../src/tracking.js'
import { FakeClock } from '../support/fake-clock.js'

const HOUR = 3_600_000
const MAX_SILENCE = 1_000

interface Setup {
  readonly clock: FakeClock
  readonly cache: FallbackCache
  readonly near: NearCache
  readonly tracking: Tracking
  /** Which server sessions are read from. */
  readonly data: { server: string | undefined }
  /** A read, from its sending to its answer; `meanwhile` happens between the two. */
  read(sid: string, raw?: string, meanwhile?: () => void): void
  /** What is served without Redis being asked. */
  served(sid: string): string | undefined
}

function setUp({ max = 100, maxStale = 30_000 } = {}): Setup {
  const clock = new FakeClock()
  const cache = new FallbackCache({ max, maxBytes: 1_000_000, maxStale }, clock)
  const data: Setup['data'] = { server: 'A' }
  const near: NearCache = new NearCache({
    ...{ cache, clock, maxSilence: MAX_SILENCE },
    epochOf: () => tracking.epoch(data.server),
  })
  const tracking = near.track()
  return {
    ...{ clock, cache, near, tracking, data },
    read: (sid, raw = 'value', meanwhile = () => {}) => {
      const begun = near.sequence
      const confirmedAt = clock.monotonic()
      meanwhile()
      const expiresAt = confirmedAt + HOUR
      cache.put(sid, { raw, confirmedAt, expiresAt, endsAt: expiresAt, epoch: near.proof(sid, begun) })
    },
    served: (sid) => near.get(sid)?.raw as string | undefined,
  }
}

/** With the server's announcements coming in. */
function tracked(options?: Parameters<typeof setUp>[0]): Setup {
  const all = setUp(options)
  all.tracking.begin('A', all.clock.monotonic())
  return all
}

describe('a session that was read', () => {
  it('is served while its server announces changes, and none of it', () => {
    const { read, served, near } = tracked()
    read('a', 'one')
    near.announced(['b', 'c'])
    expect(served('a')).toBe('one')
    expect(served('b')).toBeUndefined()
  })

  it('is not served once a change was announced, until it is read again', () => {
    const { read, served, near, cache } = tracked()
    read('a', 'one')
    near.announced(['a'])
    expect(served('a')).toBeUndefined()
    expect(cache.get('a')?.raw, 'for the time without Redis').toBe('one')
    read('a', 'two')
    expect(served('a')).toBe('two')
  })

  it('is not served when a change was announced before its answer came', () => {
    const { read, served, near } = tracked()
    read('a', 'one', () => near.announced(['a']))
    expect(served('a')).toBeUndefined()
  })

  it('is served when the change was announced before it was asked for', () => {
    const { read, served, near } = tracked()
    near.announced(['a'])
    read('a', 'two')
    expect(served('a')).toBe('two')
  })

  it('is not served when so much was announced meanwhile that nobody remembers whether it was there', () => {
    const { read, served, near } = tracked()
    const others = Array.from({ length: 20_000 }, (_, index) => `other ${index}`)
    read('a', 'one', () => near.announced(['a', ...others]))
    read('b', 'one', () => near.announced(others))
    expect(served('a')).toBeUndefined()
    expect(served('b')).toBeUndefined()
    read('a', 'two')
    expect(served('a')).toBe('two')
  })

  it('is not served past its end', () => {
    const { read, served, clock, tracking } = tracked()
    read('a')
    clock.advance(HOUR - 1)
    tracking.prove(clock.monotonic())
    expect(served('a')).toBe('value')
    clock.advance(1)
    expect(served('a')).toBeUndefined()
  })

  it('is not served where own changes have replaced it', () => {
    const { read, served, cache, clock } = tracked()
    read('a', 'one')
    clock.advance(1)
    const confirmedAt = clock.monotonic()
    cache.put('a', { raw: 'two', confirmedAt, expiresAt: confirmedAt + HOUR })
    expect(served('a')).toBeUndefined()
  })

  it('is not served once it was deleted', () => {
    const { read, served, cache } = tracked()
    read('a')
    cache.delete('a')
    expect(served('a')).toBeUndefined()
  })

  it('counts as confirmed when Redis last proved that it has announced everything', () => {
    const { read, near, cache, clock, tracking } = tracked({ maxStale: 30_000 })
    read('a')
    for (let second = 0; second < 60; second++) {
      clock.advance(1_000)
      tracking.prove(clock.monotonic() - 10)
    }
    const entry = near.get('a') as CachedSession
    expect(entry.provenAt).toBe(clock.monotonic() - 10)
    tracking.end()
    clock.advance(29_990)
    expect(cache.get('a'), 'for the time without Redis').toBeDefined()
    clock.advance(1)
    expect(cache.get('a')).toBeUndefined()
  })
})

describe('nothing is served', () => {
  it('before the server announces changes, nor what was read by then', () => {
    const { read, served, tracking, clock } = setUp()
    read('a', 'one')
    read('b', 'one', () => tracking.begin('A', clock.monotonic()))
    expect(served('a')).toBeUndefined()
    expect(served('b')).toBeUndefined()
  })

  it('longer than maxSilence after the last proof; an answer that comes late brings it back', () => {
    const { read, served, clock, tracking } = tracked()
    read('a')
    clock.advance(MAX_SILENCE)
    expect(served('a')).toBe('value')
    clock.advance(1)
    expect(served('a')).toBeUndefined()
    tracking.prove(clock.monotonic() - MAX_SILENCE - 1)
    expect(served('a'), 'the answer to a question too old').toBeUndefined()
    tracking.prove(clock.monotonic() - MAX_SILENCE)
    expect(served('a')).toBe('value')
  })

  it('while the connection is gone, and after its return only what was read since', () => {
    const { read, served, clock, tracking } = tracked()
    read('a', 'one')
    read('b', 'one')
    tracking.end()
    expect(served('a')).toBeUndefined()
    tracking.begin('A', clock.monotonic())
    expect(served('a')).toBeUndefined()
    read('a', 'two')
    expect(served('a')).toBe('two')
    expect(served('b')).toBeUndefined()
  })

  it('that was asked for before the connection broke, be it back by then', () => {
    const { read, served, clock, tracking } = tracked()
    read('a', 'one', () => {
      tracking.end()
      tracking.begin('A', clock.monotonic())
    })
    expect(served('a')).toBeUndefined()
  })

  it('after everything was flushed, and what is read then is', () => {
    const { read, served, tracking } = tracked()
    read('a', 'one')
    read('b', 'one', () => tracking.renew())
    expect(served('a')).toBeUndefined()
    expect(served('b')).toBeUndefined()
    read('a', 'two')
    expect(served('a')).toBe('two')
  })

  it('while sessions are read from another server than the one that announces', () => {
    const { read, served, data, clock, tracking } = tracked()
    read('a', 'one')
    data.server = 'B'
    expect(served('a')).toBeUndefined()
    read('a', 'two')
    expect(served('a')).toBeUndefined()
    tracking.begin('B', clock.monotonic())
    expect(served('a')).toBeUndefined()
    read('a', 'three')
    expect(served('a')).toBe('three')
  })

  it('where it is not known which server sessions are read from', () => {
    const { read, served, data } = tracked()
    data.server = undefined
    read('a')
    expect(served('a')).toBeUndefined()
  })

  it('after a refusal', () => {
    const { read, served, tracking } = tracked()
    read('a')
    tracking.refuse('auth')
    expect(served('a')).toBeUndefined()
    read('a')
    expect(served('a')).toBeUndefined()
  })
})

describe('its health', () => {
  it('tells the states apart', () => {
    const { near, tracking, clock } = setUp()
    const health = (): unknown => near.healthOf(tracking.state)
    expect(health()).toEqual({ state: 'connecting' })
    tracking.begin('A', clock.monotonic())
    expect(health()).toEqual({ state: 'on' })
    clock.advance(MAX_SILENCE + 1)
    expect(health()).toEqual({ state: 'silent' })
    tracking.prove(clock.monotonic())
    expect(health()).toEqual({ state: 'on' })
    tracking.end()
    expect(health()).toEqual({ state: 'connecting' })
    tracking.refuse('unsupported')
    expect(health()).toEqual({ state: 'off', reason: 'unsupported' })
  })

  it('a proof or a flush of a connection that is gone changes nothing', () => {
    const { near, tracking, clock } = setUp()
    tracking.prove(clock.monotonic())
    tracking.renew()
    expect(near.healthOf(tracking.state)).toEqual({ state: 'connecting' })
  })
})

describe('whatever happens in whatever order', () => {
  const SIDS = ['a', 'b'] as const
  const sid = fc.constantFrom(...SIDS)
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('write' as const), sid }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('send a read' as const), sid }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('answer a read' as const) }) },
    { weight: 5, arbitrary: fc.record({ do: fc.constant('hear' as const), count: fc.integer({ min: 1, max: 5 }) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('ping' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('break' as const) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('connect' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('flush' as const) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 700 }) }) },
  )

  it('what is served was current at most maxSilence ago', () => {
    let hits = 0
    const run = (steps: readonly (typeof step extends fc.Arbitrary<infer Step> ? Step : never)[]): void => {
      const { clock, cache, near, tracking } = setUp()
      /** The server: every version of each session with the moment from which it was current. */
      const versions = new Map<string, { readonly value: string; readonly from: number }[]>(
        SIDS.map((name) => [name, [{ value: `${name} 0`, from: Number.NEGATIVE_INFINITY }]]),
      )
      const current = (name: string): string => versions.get(name)?.at(-1)?.value as string
      /** What the server has put into the invalidation connection and has not arrived; none while there is no such connection. */
      let line: (() => void)[] | undefined
      const reads: (() => void)[] = []
      for (const one of steps) {
        const now = clock.monotonic()
        switch (one.do) {
          case 'write': {
            const known = versions.get(one.sid) as { value: string; from: number }[]
            known.push({ value: `${one.sid} ${known.length}`, from: now })
            line?.push(() => near.announced([one.sid]))
            break
          }
          case 'send a read': {
            const [raw, begun] = [current(one.sid), near.sequence]
            reads.push(() => {
              const ends = now + HOUR
              const entry = { raw, confirmedAt: now, expiresAt: ends, endsAt: ends }
              cache.put(one.sid, { ...entry, epoch: near.proof(one.sid, begun) })
            })
            break
          }
          case 'answer a read':
            reads.shift()?.()
            break
          case 'hear':
            for (const arrive of line?.splice(0, one.count) ?? []) arrive()
            break
          case 'ping':
            line?.push(() => tracking.prove(now))
            break
          case 'break':
            line = undefined
            tracking.end()
            break
          case 'connect':
            if (line !== undefined) break
            line = []
            tracking.begin('A', now)
            break
          case 'flush':
            for (const name of SIDS) {
              const known = versions.get(name) as { value: string; from: number }[]
              known.push({ value: `${name} ${known.length}`, from: now })
            }
            line?.push(() => tracking.renew())
            break
          case 'wait':
            clock.advance(one.ms)
        }
        for (const name of SIDS) {
          const served = near.get(name)?.raw
          if (served === undefined) continue
          hits++
          const known = versions.get(name) as { value: string; from: number }[]
          const next = known[known.findIndex(({ value }) => value === served) + 1]
          const outdatedAt = next?.from ?? Number.POSITIVE_INFINITY
          expect(clock.monotonic() - outdatedAt, `age of ${served}`).toBeLessThanOrEqual(MAX_SILENCE)
        }
      }
    }
    fc.assert(fc.property(fc.array(step, { minLength: 10, maxLength: 60 }), run), { numRuns: 3_000 })
    expect(hits, 'the histories do serve something').toBeGreaterThan(1_000)
  })
})
