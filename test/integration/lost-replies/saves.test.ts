// Redis carried the save out, or maybe not, and nobody here knows: no acknowledgement, and no conflict with oneself.
import { describe, expect, it } from 'vitest'
import type { ResilientStoreOptions } from '../../../src/index.js'
import type { Fault } from '../../support/proxy-faults.js'
import type { TcpProxy } from '../../support/tcp-proxy.js'
import { until } from '../../support/wait.js'
import { change, cut, expectDead, heal, MODES, place, REVOKED, recover, saveOf, stored } from '../guard-kit.js'
import { downError, load, readyStore, session, untilUp } from '../store-kit.js'

type Break = (proxy: TcpProxy, nth?: number) => Fault

/** How a save's reply can get lost, and whether Redis has carried the save out then. */
const FAULTS: readonly { readonly name: string; readonly applied: boolean | 'maybe'; readonly arm: Break }[] = [
  {
    name: 'cut before the command',
    applied: false,
    arm: (proxy, nth = 1) => proxy.cutBeforeCommand(saveOf('sid'), { nth }),
  },
  {
    name: 'cut after the command',
    applied: 'maybe',
    arm: (proxy, nth = 1) => proxy.cutAfterCommand(saveOf('sid'), { nth }),
  },
  {
    name: 'cut before the reply',
    applied: true,
    arm: (proxy, nth = 1) => proxy.cutBeforeReply(saveOf('sid'), { nth }),
  },
  {
    name: 'ended before the reply',
    applied: true,
    arm: (proxy, nth = 1) => proxy.cutBeforeReply(saveOf('sid'), { nth, ending: 'fin' }),
  },
  {
    name: 'cut amid the reply',
    applied: true,
    arm: (proxy, nth = 1) => proxy.cutMidReply(saveOf('sid'), { nth, bytes: 3 }),
  },
]
const SWALLOWED: Break = (proxy, nth = 1) => proxy.swallowReply(saveOf('sid'), { nth })

describe.each(FAULTS)('the connection is $name', ({ applied, arm }) => {
  it.each(MODES)('the save fails, and the same request saves again without a conflict: %s', async (concurrency) => {
    const here = await place({ concurrency })
    const { redis, proxy, store, events } = here
    await store.set('sid', session({ step: 0 }))
    const running = await load(store, 'sid')
    for (const step of [1, 2, 3]) {
      const fault = arm(proxy)
      expect(await downError(store.set('sid', change(running, { step })))).toMatchObject({ operation: 'set' })
      expect(fault.hits).toBe(1)
      if (applied !== 'maybe') expect(await stored(redis, 'sid')).toMatchObject({ step: applied ? step : 0 })
      await heal(here)
    }
    await store.set('sid', change(running, { step: 4 }))
    await store.set('sid', change(running, { step: 5 }))
    expect(await stored(redis, 'sid')).toMatchObject({ step: 5 })
    expect(events).toEqual([])
  })

  it.each(MODES)('a session that is new too: %s', async (concurrency) => {
    const here = await place({ concurrency })
    const { redis, proxy, store, events } = here
    const fresh = session({ step: 1 })
    arm(proxy)
    await downError(store.set('sid', fresh))
    await heal(here)
    await store.set('sid', change(fresh, { step: 2 }))
    expect(await stored(redis, 'sid')).toMatchObject({ step: 2 })
    expect(events).toEqual([])
  })

  it.each(MODES)('the queue knows its own writes again: %s', async (concurrency) => {
    const here = await place({ concurrency, cache: true, degradation: 'available' })
    const { redis, proxy, store, events } = here
    await store.set('sid', session({ step: 0 }))
    const running = await load(store, 'sid')
    arm(proxy)
    await store.set('sid', change(running, { step: 1 }))
    await heal(here)
    expect(await stored(redis, 'sid')).toMatchObject({ step: 1 })
    expect(events).toMatchObject([
      { type: 'queued', operation: 'set' },
      {
        ...{ type: 'replayed', operation: 'set' },
        ...(applied !== 'maybe' && { outcome: applied ? 'already-there' : 'written' }),
      },
    ])
    expect(events).toHaveLength(2)
    await store.set('sid', change(running, { step: 2 }))
    expect(await stored(redis, 'sid')).toMatchObject({ step: 2 })
    expect(events).toHaveLength(2)
  })

  it('the queue knows them again although the session changed once more before the replay', async () => {
    const here = await place({ concurrency: 'reject', cache: true, degradation: 'available' })
    const { redis, proxy, store, events } = here
    await store.set('sid', session({ step: 0 }))
    const running = await load(store, 'sid')
    arm(proxy)
    proxy.refuse()
    await store.set('sid', change(running, { step: 1 }))
    await store.set('sid', change(running, { step: 2 }))
    await heal(here)
    expect(await stored(redis, 'sid')).toMatchObject({ step: 2 })
    expect(events.map(({ type }) => type)).toEqual(['queued', 'queued', 'replayed'])
    expect(events[2]).toMatchObject({ outcome: 'written' })
  })

  it('a replay that suffers the same, three times over, ends once', async () => {
    const here = await place({ concurrency: 'reject', cache: true, degradation: 'available' })
    const { redis, proxy, store, events } = here
    await store.set('sid', session({ step: 0 }))
    const running = await load(store, 'sid')
    await cut(here)
    await store.set('sid', change(running, { step: 1 }))
    for (let round = 0; round < 3; round++) {
      const fault = arm(proxy)
      await proxy.accept()
      await fault.hit()
    }
    await heal(here)
    expect(await stored(redis, 'sid')).toMatchObject({ step: 1 })
    expect(events.map(({ type }) => type)).toEqual(['queued', 'replayed'])
    expect(store.health().queue).toMatchObject({ saves: 0, bytes: 0 })
  })

  it('somebody else’s logout in between is obeyed', async () => {
    const here = await place({ cache: true })
    const { redis, proxy, store, other } = here
    const there = await other()
    await store.set('sid', session({ step: 0 }))
    const running = await load(store, 'sid')
    const fault = arm(proxy)
    await downError(store.set('sid', change(running, { step: 1 })))
    expect(fault.hits).toBe(1)
    await there.destroy('sid')
    await heal(here)
    await expect(store.set('sid', running)).rejects.toMatchObject(REVOKED)
    await expectDead(redis, 'sid', store, there)
  })
})

describe('the reply is swallowed', () => {
  const options: ResilientStoreOptions = { timeout: 100 }

  it.each(MODES)(
    'the save fails by its timeout, and the same request saves again without a conflict: %s',
    async (concurrency) => {
      const here = await place({ ...options, concurrency })
      const { redis, proxy, store, events } = here
      await store.set('sid', session({ step: 0 }))
      const running = await load(store, 'sid')
      const fault = SWALLOWED(proxy)
      expect((await downError(store.set('sid', change(running, { step: 1 })))).reason).toBe('timeout')
      expect(fault.hits).toBe(1)
      expect(await stored(redis, 'sid')).toMatchObject({ step: 1 })
      await recover(here)
      await store.set('sid', change(running, { step: 2 }))
      expect(await stored(redis, 'sid')).toMatchObject({ step: 2 })
      expect(events).toEqual([])
    },
  )

  it('the queue finds it there', async () => {
    const here = await place({ ...options, cache: true, degradation: 'available' })
    const { redis, proxy, store, events } = here
    await store.set('sid', session({ step: 0 }))
    const running = await load(store, 'sid')
    SWALLOWED(proxy)
    await store.set('sid', change(running, { step: 1 }))
    await recover(here)
    expect(await stored(redis, 'sid')).toMatchObject({ step: 1 })
    expect(events).toMatchObject([
      { type: 'queued', reason: 'timeout' },
      { type: 'replayed', outcome: 'already-there' },
    ])
  })
})

describe('what is there already', () => {
  it('keeps what is left of its time: the replay sets the expiry all the same', async () => {
    const here = await place({ cache: true, degradation: 'available' })
    const { redis, proxy, store, events } = here
    const fault = proxy.cutBeforeReply(saveOf('sid'))
    await store.set('sid', session({ step: 1 }, 60_000))
    expect(fault.hits).toBe(1)
    await redis.cli('PERSIST', 'sess:sid')
    await heal(here)
    const left = await redis.cli<number>('PTTL', 'sess:sid')
    expect(left).toBeGreaterThan(50_000)
    expect(left).toBeLessThanOrEqual(60_000)
    expect(events).toMatchObject([{ type: 'queued' }, { type: 'replayed', outcome: 'already-there' }])
  })

  it('because another process wrote the very same is no conflict', async () => {
    const here = await place({ concurrency: 'reject', cache: true, degradation: 'available' })
    const { redis, store, events, other } = here
    const there = await other()
    await store.set('sid', session({ step: 0 }))
    const [running, runningThere] = [await load(store, 'sid'), await load(there, 'sid')]
    await cut(here)
    await store.set('sid', change(running, { step: 1 }))
    await there.set('sid', change(runningThere, { step: 1 }))
    await heal(here)
    expect(await stored(redis, 'sid')).toMatchObject({ step: 1 })
    expect(events).toMatchObject([{ type: 'queued' }, { type: 'replayed', outcome: 'already-there' }])
  })
})

describe('a merge', () => {
  it('whose reply is lost keeps both changes when the request tries again', async () => {
    for (const { arm } of FAULTS) {
      const here = await place({ concurrency: 'merge' })
      const { redis, proxy, store, other } = here
      const there = await other()
      await store.set('sid', session({ a: 0, b: 0 }))
      const running = await load(store, 'sid')
      await there.set('sid', change(await load(there, 'sid'), { b: 1 }))
      const fault = arm(proxy, 2)
      await downError(store.set('sid', change(running, { a: 1 })))
      expect(fault.hits).toBe(1)
      await heal(here)
      await there.set('sid', change(await load(there, 'sid'), { c: 1 }))
      await store.set('sid', change(running, { a: 2 }))
      expect(await stored(redis, 'sid')).toMatchObject({ a: 2, b: 1, c: 1 })
    }
  })
})

describe('a process that goes on after a lost reply', () => {
  it('serves the copy of what was acknowledged, not what may have been applied', async () => {
    const here = await place({ cache: true })
    const { proxy, store } = here
    await store.set('sid', session({ step: 0 }, 60_000))
    const running = await load(store, 'sid')
    proxy.cutBeforeReply(saveOf('sid'))
    proxy.refuse()
    await downError(store.set('sid', change(running, { step: 1 })))
    await until(() => store.health().lanes.read.state !== 'closed')
    expect(await load(store, 'sid')).toMatchObject({ step: 0 })
    await heal(here)
    expect(await load(store, 'sid')).toMatchObject({ step: 1 })
  })

  it('replays to a Redis that others use, without touching what they made of it', async () => {
    const here = await place({ cache: true, degradation: 'available' })
    const { redis, proxy, store, events } = here
    await store.set('sid', session({ step: 0 }))
    const running = await load(store, 'sid')
    proxy.cutBeforeReply(saveOf('sid'))
    proxy.refuse()
    await store.set('sid', change(running, { step: 1 }))
    const there = await readyStore(redis)
    await there.set('sid', change(await load(there, 'sid'), { by: 'there' }))
    await proxy.heal()
    await untilUp(store)
    expect(await stored(redis, 'sid')).toMatchObject({ step: 1, by: 'there' })
    expect(events.slice(1)).toEqual([
      { type: 'conflict', operation: 'set', queued: true, resolution: 'refused', clashes: 0 },
    ])
  })
})
