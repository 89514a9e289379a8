// Redis came back as another server, without its sessions: who may write them again, and what is told.
import { describe, expect, it } from 'vitest'
import type { ResilientStoreOptions } from '../../../src/index.js'
import { settled, until } from '../../support/wait.js'
import { change, MODES, REVOKED, stored, told } from '../guard-kit.js'
import {
  keyOf,
  load,
  markerOf,
  proxyTo,
  readyStore,
  server,
  session,
  type TestSession,
  untilDown,
  untilUp,
} from '../store-kit.js'

const GONE = { type: 'revoked', operation: 'set', reason: 'gone' } as const

async function opened(options: ResilientStoreOptions = {}) {
  const redis = await server()
  const open = () =>
    readyStore(redis, { cache: true, timeout: 2_000, touchAfter: 0, breaker: { resetTimeout: 50 }, ...options })
  const store = await open()
  return { redis, store, events: told(store), open }
}

type Opened = Awaited<ReturnType<typeof opened>>

async function loaded({ store }: Opened, data: Record<string, unknown> = { step: 0 }): Promise<TestSession> {
  await store.set('sid', session(data, 3_600_000))
  return load(store, 'sid')
}

/** The server is gone, and another one without data answers in its place. */
async function replaced({ redis, store }: Pick<Opened, 'redis' | 'store'>): Promise<void> {
  await redis.kill()
  await untilDown(store)
  await redis.start()
  await untilUp(store)
}

describe('a save that was queued', () => {
  it.each(MODES)('writes its session again where that is wanted: %s', async (concurrency) => {
    const here = await opened({ degradation: 'available', concurrency })
    const { redis, store, events } = here
    const running = await loaded(here)
    await redis.kill()
    await untilDown(store)
    await store.set('sid', change(running, { step: 1 }))
    await redis.start()
    await untilUp(store)
    expect(await stored(redis, 'sid')).toMatchObject({ step: 1 })
    expect(await redis.cli<number>('PTTL', keyOf('sid'))).toBeGreaterThan(3_500_000)
    expect(events).toMatchObject([
      { type: 'queued', operation: 'set' },
      { type: 'replayed', operation: 'set', outcome: 'written' },
      { type: 'restored', operation: 'set', queued: true },
    ])
    // The request that queued it goes on.
    await store.set('sid', change(running, { step: 2 }))
    expect(await stored(redis, 'sid')).toMatchObject({ step: 2 })
    expect(events).toHaveLength(3)
  })

  it('is dropped and told where it is not', async () => {
    const here = await opened({ degradation: 'available', restoreLost: false })
    const { redis, store, events } = here
    const running = await loaded(here)
    await redis.kill()
    await untilDown(store)
    await store.set('sid', change(running, { step: 1 }))
    await redis.start()
    await untilUp(store)
    expect(await redis.cli('DBSIZE')).toBe(0)
    expect(await store.get('sid')).toBeNull()
    expect(events.slice(1)).toEqual([{ ...GONE, queued: true }])
    expect(store.health().queue).toMatchObject({ saves: 0, bytes: 0 })
  })

  it.each([true, false])('of a session that was new is written in any case, restoreLost %s', async (restoreLost) => {
    const here = await opened({ degradation: 'available', restoreLost })
    const { redis, store, events } = here
    await redis.kill()
    await untilDown(store)
    await store.set('sid', session({ step: 1 }))
    await redis.start()
    await untilUp(store)
    expect(await stored(redis, 'sid')).toMatchObject({ step: 1 })
    expect(events.map(({ type }) => type)).toEqual(['queued', 'replayed'])
  })

  it('does not write what somebody who came first has restored or made anew', async () => {
    const here = await opened({ degradation: 'available' })
    const { redis, store, events } = here
    const running = await loaded(here)
    const proxy = await proxyTo(redis)
    const late = await readyStore(proxy, { cache: true, degradation: 'available', breaker: { resetTimeout: 50 } })
    const lateEvents = told(late)
    const runningLate = await load(late, 'sid')
    proxy.refuse()
    await redis.kill()
    await Promise.all([untilDown(store), untilDown(late)])
    await store.set('sid', change(running, { by: 'first' }))
    await late.set('sid', change(runningLate, { by: 'late' }))
    await redis.start()
    await untilUp(store)
    await proxy.accept()
    await untilUp(late)
    expect(await stored(redis, 'sid')).toMatchObject({ by: 'first' })
    expect(events.slice(1).map(({ type }) => type)).toEqual(['replayed', 'restored'])
    expect(lateEvents.slice(1)).toMatchObject([{ type: 'conflict', queued: true, resolution: 'refused' }])
  })
})

describe('a save of a running request', () => {
  it.each(MODES)('writes its session again where that is wanted: %s', async (concurrency) => {
    const here = await opened({ restoreLost: true, concurrency })
    const { redis, store, events } = here
    const running = await loaded(here)
    await replaced(here)
    await store.set('sid', change(running, { step: 1 }))
    expect(await stored(redis, 'sid')).toMatchObject({ step: 1 })
    expect(await redis.cli<number>('PTTL', keyOf('sid'))).toBeGreaterThan(3_500_000)
    expect(events).toEqual([{ type: 'restored', operation: 'set', queued: false }])
    await store.set('sid', change(running, { step: 2 }))
    expect(events).toHaveLength(1)
    expect(await load(store, 'sid')).toMatchObject({ step: 2 })
  })

  it.each(['strict', 'read-only'] as const)('is refused and told where it is not, as under %s', async (degradation) => {
    const here = await opened({ degradation })
    const { redis, store, events } = here
    const running = await loaded(here)
    await replaced(here)
    await expect(store.set('sid', change(running, { step: 1 }))).rejects.toMatchObject(REVOKED)
    expect(events).toEqual([{ ...GONE, queued: false }])
    expect(await redis.cli('DBSIZE')).toBe(0)
    expect(await store.get('sid')).toBeNull()
  })

  it('that had its session from memory writes it again too', async () => {
    const here = await opened({ degradation: 'available' })
    const { redis, store, events } = here
    await loaded(here)
    await redis.kill()
    await untilDown(store)
    const stale = await load(store, 'sid')
    await redis.start()
    await untilUp(store)
    await store.set('sid', change(stale, { step: 1 }))
    expect(await stored(redis, 'sid')).toMatchObject({ step: 1 })
    expect(events).toEqual([{ type: 'restored', operation: 'set', queued: false }])
  })

  it('is refused on the same server: the session was deleted, not lost', async () => {
    const here = await opened({ restoreLost: true })
    const { redis, store, events } = here
    const running = await loaded(here)
    await redis.cli('DEL', keyOf('sid'))
    await expect(store.set('sid', change(running, { step: 1 }))).rejects.toMatchObject(REVOKED)
    expect(events).toEqual([{ ...GONE, queued: false }])
  })

  it('is refused on another server for what was loaded from that one', async () => {
    const here = await opened({ restoreLost: true })
    const { redis, store, events } = here
    await loaded(here)
    await replaced(here)
    await store.set('sid', session({ step: 5 }))
    const running = await load(store, 'sid')
    await redis.cli('DEL', keyOf('sid'))
    await expect(store.set('sid', change(running, { step: 6 }))).rejects.toMatchObject(REVOKED)
    expect(events).toEqual([{ ...GONE, queued: false }])
  })

  it('is refused where anybody is known to have destroyed the session', async () => {
    const here = await opened({ degradation: 'available' })
    const { redis, store, events, open } = here
    const there = await open()
    const running = await loaded(here)
    await there.destroy('sid')
    await redis.kill()
    await Promise.all([untilDown(store), untilDown(there)])
    await redis.start()
    await untilUp(there)
    await untilUp(store)
    await until(async () => (await redis.cli<number>('EXISTS', markerOf('sid'))) === 1, { what: 'the marker' })
    await expect(store.set('sid', change(running, { step: 1 }))).rejects.toMatchObject(REVOKED)
    expect(events).toEqual([{ type: 'revoked', operation: 'set', reason: 'revoked', queued: false }])
    expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(0)
  })

  it('that came before the one who knows of a logout is undone by that one', async () => {
    const here = await opened({ degradation: 'available' })
    const { redis, store, events } = here
    const proxy = await proxyTo(redis)
    const there = await readyStore(proxy, { breaker: { resetTimeout: 50 } })
    const running = await loaded(here)
    await there.destroy('sid')
    proxy.refuse()
    await redis.kill()
    await Promise.all([untilDown(store), untilDown(there)])
    await redis.start()
    await untilUp(store)
    await store.set('sid', change(running, { step: 1 }))
    expect(events).toEqual([{ type: 'restored', operation: 'set', queued: false }])
    await proxy.accept()
    await untilUp(there)
    await until(async () => (await redis.cli<number>('EXISTS', markerOf('sid'))) === 1, { what: 'the marker' })
    expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(0)
    for (const one of [store, there]) expect(await one.get('sid')).toBeNull()
    await expect(store.set('sid', change(running, { step: 2 }))).rejects.toMatchObject(REVOKED)
  })

  it('waits for the logouts known here to be sent', async () => {
    const here = await opened({ degradation: 'available' })
    const { redis, store } = here
    const running = await loaded(here)
    const others = Array.from({ length: 200 }, (_, n) => `left-${n}`)
    await Promise.all(others.map((sid) => store.destroy(sid)))
    await redis.kill()
    await untilDown(store)
    await redis.start()
    const saved = settled(store.set('sid', change(running, { step: 1 })))
    await untilUp(store)
    expect((await saved).status).toBe('fulfilled')
    await store.set('sid', change(running, { step: 2 }))
    expect(await stored(redis, 'sid')).toMatchObject({ step: 2 })
    expect(await redis.cli('EXISTS', ...others.map(markerOf))).toBe(200)
  })
})

describe('a session with a change that waits, on a server that takes no saves', () => {
  it('is served from the queue where Redis still has what it was made from', async () => {
    const here = await opened({ degradation: 'available' })
    const { redis, store } = here
    const running = await loaded(here)
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    await store.set('sid', change(running, { step: 1 }))
    expect(await load(store, 'sid')).toMatchObject({ step: 1 })
    await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
    await untilUp(store)
    expect(await stored(redis, 'sid')).toMatchObject({ step: 1 })
  })

  it('is not served any more once it was destroyed elsewhere', async () => {
    const here = await opened({ degradation: 'available' })
    const { redis, store, events, open } = here
    const there = await open()
    const running = await loaded(here)
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    await store.set('sid', change(running, { step: 1 }))
    await there.destroy('sid')
    expect(await store.get('sid')).toBeNull()
    await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
    await untilUp(store)
    expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(0)
    expect(events.slice(1)).toEqual([{ type: 'revoked', operation: 'set', reason: 'revoked', queued: true }])
  })

  it.each([true, false])(
    'that came back empty: served until it can be restored, or gone; restoreLost %s',
    async (restoreLost) => {
      const here = await opened({ degradation: 'available', restoreLost })
      const { redis, store } = here
      const running = await loaded(here)
      await redis.kill()
      await untilDown(store)
      await store.set('sid', change(running, { step: 1 }))
      await redis.start({ config: { maxmemory: '1' } })
      await until(() => store.health().lanes.read.state === 'closed')
      if (restoreLost) expect(await load(store, 'sid')).toMatchObject({ step: 1 })
      else expect(await store.get('sid')).toBeNull()
      await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
      await untilUp(store)
      expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(restoreLost ? 1 : 0)
    },
  )
})

describe('two requests with the same lost session', () => {
  it('both write it: the first restores it, the second goes by its mode', async () => {
    for (const concurrency of ['last-write', 'merge'] as const) {
      const here = await opened({ restoreLost: true, concurrency })
      const { redis, store, events } = here
      const one = await loaded(here, { a: 0, b: 0 })
      const two = await load(store, 'sid')
      await replaced(here)
      await store.set('sid', change(one, { a: 1 }))
      await store.set('sid', change(two, { b: 1 }))
      expect(await stored(redis, 'sid')).toMatchObject(concurrency === 'merge' ? { a: 1, b: 1 } : { a: 0, b: 1 })
      expect(events).toEqual([{ type: 'restored', operation: 'set', queued: false }])
    }
  })
})
