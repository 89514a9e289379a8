import { describe, expect, it } from 'vitest'
import { Revocations } from '../../src/revocations.js'
import { FakeClock } from '../support/fake-clock.js'

describe('Revocations', () => {
  it('knows what was added, and nothing else', () => {
    const revocations = new Revocations(60_000, new FakeClock())
    revocations.add('a')
    expect(revocations.has('a')).toBe(true)
    expect(revocations.has('b')).toBe(false)
    expect(revocations.size).toBe(1)
  })

  it('forgets after revokeFor', () => {
    const clock = new FakeClock()
    const revocations = new Revocations(60_000, clock)
    revocations.add('a')
    clock.advance(60_000)
    expect(revocations.has('a')).toBe(true)
    clock.advance(1)
    expect(revocations.has('a')).toBe(false)
  })

  it('counts anew when a session is destroyed again', () => {
    const clock = new FakeClock()
    const revocations = new Revocations(60_000, clock)
    revocations.add('a')
    clock.advance(50_000)
    revocations.add('a')
    clock.advance(50_000)
    expect(revocations.has('a')).toBe(true)
    expect(revocations.size).toBe(1)
  })

  it('does not live longer for being asked', () => {
    const clock = new FakeClock()
    const revocations = new Revocations(60_000, clock)
    revocations.add('a')
    for (let second = 0; second < 60; second++) {
      expect(revocations.has('a')).toBe(true)
      clock.advance(1_000)
    }
    clock.advance(1)
    expect(revocations.has('a')).toBe(false)
  })

  it('does not follow the wall clock', () => {
    const clock = new FakeClock()
    const revocations = new Revocations(60_000, clock)
    revocations.add('a')
    clock.setWall(clock.wall() + 10 * 86_400_000)
    expect(revocations.has('a')).toBe(true)
    clock.setWall(0)
    clock.advance(60_001)
    expect(revocations.has('a')).toBe(false)
  })

  it('remembers 100,000 and forgets the oldest beyond', () => {
    const revocations = new Revocations(60_000, new FakeClock())
    for (let n = 0; n <= 100_000; n++) revocations.add(`session ${n}`)
    expect(revocations.size).toBe(100_000)
    expect(revocations.has('session 0')).toBe(false)
    expect(revocations.has('session 1')).toBe(true)
    expect(revocations.has('session 100000')).toBe(true)
  })

  it('takes no room for those that it does not know yet', () => {
    const used = (): number => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
    const before = used()
    const many = Array.from({ length: 20 }, () => new Revocations(60_000, new FakeClock()))
    expect(many.map(({ size }) => size)).not.toContain(1)
    expect((used() - before) / many.length).toBeLessThan(100_000)
  })
})

describe('what is left of one', () => {
  it('is whole ms, rounded up, and as much as it was to be when it was added', () => {
    const clock = new FakeClock()
    const revocations = new Revocations(60_000, clock)
    revocations.add('a')
    expect(revocations.remaining('a')).toBe(60_000)
    clock.advance(9_999.5)
    expect(revocations.remaining('a')).toBe(50_001)
  })

  it('is at least 1: Redis takes no marker that lasts less', () => {
    const clock = new FakeClock()
    const revocations = new Revocations(60_000, clock)
    revocations.add('a')
    clock.advance(60_000)
    expect(revocations.remaining('a')).toBe(1)
    clock.advance(1)
    expect(revocations.remaining('a')).toBe(1)
    expect(revocations.remaining('unknown')).toBe(1)
  })
})

describe('entries', () => {
  it('are all of them, each with what is left of its life', () => {
    const clock = new FakeClock()
    const revocations = new Revocations(60_000, clock)
    expect([...revocations.entries()]).toEqual([])
    revocations.add('a')
    clock.advance(10_000)
    revocations.add('b')
    clock.advance(5_000)
    expect(new Map(revocations.entries())).toEqual(
      new Map([
        ['a', 45_000],
        ['b', 55_000],
      ]),
    )
  })

  it('are not those that are over', () => {
    const clock = new FakeClock()
    const revocations = new Revocations(60_000, clock)
    revocations.add('a')
    clock.advance(1_000)
    revocations.add('b')
    clock.advance(59_000)
    expect([...revocations.entries()]).toEqual([['b', 1_000]])
    clock.advance(1_000)
    expect([...revocations.entries()]).toEqual([])
  })

  it('are whole ms, rounded up: none is forgotten before its time', () => {
    const clock = new FakeClock()
    const revocations = new Revocations(1_000, clock)
    revocations.add('a')
    clock.advance(999.5)
    expect([...revocations.entries()]).toEqual([['a', 1]])
  })

  it('count anew for a session destroyed again', () => {
    const clock = new FakeClock()
    const revocations = new Revocations(60_000, clock)
    revocations.add('a')
    clock.advance(50_000)
    revocations.add('a')
    expect([...revocations.entries()]).toEqual([['a', 60_000]])
  })

  it('are not made to live longer by being listed', () => {
    const clock = new FakeClock()
    const revocations = new Revocations(60_000, clock)
    revocations.add('a')
    for (let second = 0; second < 61; second++) {
      for (const _ of revocations.entries());
      clock.advance(1_000)
    }
    expect(revocations.has('a')).toBe(false)
  })

  it('do not follow the wall clock', () => {
    const clock = new FakeClock()
    const revocations = new Revocations(60_000, clock)
    revocations.add('a')
    clock.setWall(clock.wall() + 10 * 86_400_000)
    expect([...revocations.entries()]).toEqual([['a', 60_000]])
  })
})
