// `clear()` while requests run: what was loaded is not created again, what was queued ends and is reported.
import { describe, expect, it } from 'vitest'
import { settled, until } from '../../support/wait.js'
import { change, cut, GatedJson, heal, MODES, place, REVOKED, saveOf, stored, told } from '../guard-kit.js'
import { keyOf, load, session } from '../store-kit.js'

const GONE = { type: 'revoked', operation: 'set', reason: 'gone' } as const

describe.each(MODES)('under %s', (concurrency) => {
  it.each(['same', 'another'] as const)(
    'a session loaded before a clear() by the %s process stays away',
    async (where) => {
      const { redis, store, events, other } = await place({ concurrency, cache: true, restoreLost: true })
      const there = where === 'same' ? store : await other()
      await store.set('sid', session({ user: 'ada' }))
      const running = await load(store, 'sid')
      await there.clear()
      await expect(store.set('sid', change(running, { n: 1 }))).rejects.toMatchObject(REVOKED)
      await expect(store.set('sid', change(running, { n: 2 }))).rejects.toMatchObject(REVOKED)
      expect(await store.get('sid')).toBeNull()
      expect(await redis.cli('DBSIZE')).toBe(0)
      expect(events).toEqual(Array(2).fill({ ...GONE, queued: false }))
      // It was not logged out: whoever comes with this sid may begin anew.
      await store.set('sid', session({ user: 'bob' }))
      expect(await load(store, 'sid')).toMatchObject({ user: 'bob' })
    },
  )

  it('saves under way during the walk end before it or are refused', async () => {
    const { redis, proxy, store } = await place({ concurrency, cache: true, scanCount: 1 })
    const sids = Array.from({ length: 60 }, (_, n) => `visitor-${n}`)
    await Promise.all(sids.map((sid) => store.set(sid, session({ sid }))))
    const running = await Promise.all(sids.map((sid) => load(store, sid)))
    const save = (sid: string, n: number) => settled(store.set(sid, change(running[n]!, { late: true })))
    // Thirty on their way when it begins, thirty in the middle of it.
    const held = proxy.holdCommand(saveOf())
    const before = sids.slice(0, 30).map(save)
    await held.hit()
    const clearing = store.clear()
    const scanned = proxy.holdReply('SCAN', { nth: 2 })
    held.release()
    await scanned.hit()
    const during = sids.slice(30).map((sid, n) => save(sid, n + 30))
    scanned.release()
    await clearing
    const ended = await Promise.all([...before, ...during])
    for (const outcome of ended) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject(REVOKED)
    }
    expect(await redis.cli('DBSIZE')).toBe(0)
    expect(store.health().cache).toMatchObject({ sessions: 0 })
    const after = await Promise.all(sids.map(save))
    for (const outcome of after) expect(outcome).toMatchObject({ status: 'rejected', reason: REVOKED })
    expect(await redis.cli('DBSIZE')).toBe(0)
  })
})

describe('what waits in the queue', () => {
  it('here ends with a clear() here, and is reported, while Redis is full', async () => {
    const { redis, store, events } = await place({ cache: true, degradation: 'available' })
    await Promise.all(['a', 'b'].map((sid) => store.set(sid, session({ step: 0 }))))
    const running = await Promise.all(['a', 'b'].map((sid) => load(store, sid)))
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    await Promise.all(['a', 'b'].map((sid, n) => store.set(sid, change(running[n]!, { step: 1 }))))
    await store.set('new', session({ step: 1 }))
    expect(store.health().queue.saves).toBe(3)
    await store.clear()
    expect(store.health().queue).toMatchObject({ saves: 0, bytes: 0 })
    await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
    await until(() => store.health().status === 'up')
    expect(await redis.cli('DBSIZE')).toBe(0)
    expect(events.slice(3)).toEqual(
      Array(3).fill({ type: 'revoked', operation: 'set', reason: 'revoked', queued: true }),
    )
    for (const sid of ['a', 'b', 'new']) expect(await store.get(sid)).toBeNull()
    // The requests that had queued them are refused too.
    for (const [n, sid] of ['a', 'b'].entries()) {
      await expect(store.set(sid, change(running[n]!, { step: 2 }))).rejects.toMatchObject(REVOKED)
    }
  })

  it('here ends with a clear() elsewhere: the replay creates nothing again', async () => {
    const here = await place({ cache: true, degradation: 'available' })
    const { redis, store, events, other } = here
    const there = await other()
    await store.set('sid', session({ step: 0 }))
    const running = await load(store, 'sid')
    await cut(here)
    await store.set('sid', change(running, { step: 1 }))
    await there.clear()
    await heal(here)
    expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(0)
    expect(await store.get('sid')).toBeNull()
    expect(events.slice(1)).toEqual([{ ...GONE, queued: true }])
    expect(store.health().queue).toMatchObject({ saves: 0, bytes: 0 })
  })

  it.each(['command', 'reply'] as const)('and is being replayed ends once, its %s on its way', async (what) => {
    const here = await place({ cache: true, degradation: 'available' })
    const { redis, proxy, store, events } = here
    await store.set('sid', session({ step: 0 }))
    const running = await load(store, 'sid')
    await cut(here)
    await store.set('sid', change(running, { step: 1 }))
    const held = what === 'command' ? proxy.holdCommand(saveOf('sid')) : proxy.holdReply(saveOf('sid'))
    await proxy.accept()
    await held.hit()
    const clearing = store.clear()
    held.release()
    await clearing
    await heal(here)
    expect(await stored(redis, 'sid')).toBeNull()
    expect(await store.get('sid')).toBeNull()
    expect(events.map(({ type }) => type)).toEqual(['queued', 'revoked'])
    expect(store.health().cache).toMatchObject({ sessions: 0 })
  })
})

describe('a session served stale before the clear()', () => {
  it('is not created again by its save', async () => {
    const here = await place({ cache: true, degradation: 'available' })
    const { redis, store, other } = here
    const there = await other()
    const elsewhere = told(there)
    await store.set('sid', session({ step: 0 }, 60_000))
    await cut(here)
    const stale = await load(store, 'sid')
    await there.clear()
    await heal(here)
    await expect(store.set('sid', change(stale, { step: 1 }))).rejects.toMatchObject(REVOKED)
    expect(await redis.cli('DBSIZE')).toBe(0)
    expect(elsewhere).toEqual([])
  })
})

describe('a read under way during a clear()', () => {
  it('leaves no copy behind for an outage', async () => {
    const serializer = new GatedJson()
    const here = await place({ cache: true, serializer })
    const { store } = here
    await store.set('sid', session({ step: 0 }, 60_000))
    const gate = serializer.stop('parse')
    const reading = settled(store.get('sid'))
    await gate.hit
    await store.clear()
    gate.release()
    await reading
    expect(store.health().cache).toMatchObject({ sessions: 0 })
  })
})
