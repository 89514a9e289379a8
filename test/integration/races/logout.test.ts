// A logout outlives every save, touch and read that was under way, wherever each of them was just then.
import { describe, expect, it } from 'vitest'
import { isPending, settled } from '../../support/wait.js'
import {
  change,
  cut,
  destroyOf,
  expectDead,
  GatedJson,
  heal,
  MODES,
  place,
  REVOKED,
  readOf,
  saveOf,
  stored,
  told,
} from '../guard-kit.js'
import { downError, keyOf, load, session, untilDown } from '../store-kit.js'

describe.each(MODES)('under %s', (concurrency) => {
  it.each(['same', 'another'] as const)('a logout by the %s process between read and save', async (where) => {
    const { redis, store, events, other } = await place({ concurrency, cache: true })
    const there = where === 'same' ? store : await other({ concurrency, cache: true })
    await store.set('sid', session({ user: 'ada' }))
    const running = await load(store, 'sid')
    await there.get('sid')
    await there.destroy('sid')
    await expect(store.set('sid', change(running, { n: 1 }))).rejects.toMatchObject(REVOKED)
    // Told once, it stays told: a second try of the same request is refused too.
    await expect(store.set('sid', change(running, { n: 2 }))).rejects.toMatchObject(REVOKED)
    expect(events).toEqual(Array(2).fill({ type: 'revoked', operation: 'set', reason: 'revoked', queued: false }))
    await expectDead(redis, 'sid', store, there)
    expect(store.health().cache).toMatchObject({ sessions: 0 })
  })

  it('a logout elsewhere while the save is on its way', async () => {
    const { redis, proxy, store, other } = await place({ concurrency, cache: true })
    const there = await other()
    await store.set('sid', session({ user: 'ada' }))
    const held = proxy.holdCommand(saveOf('sid'))
    const saving = settled(store.set('sid', change(await load(store, 'sid'), { n: 1 })))
    await held.hit()
    await there.destroy('sid')
    held.release()
    expect(await saving).toMatchObject({ status: 'rejected', reason: REVOKED })
    await expectDead(redis, 'sid', store, there)
    expect(store.health().cache).toMatchObject({ sessions: 0 })
  })

  it('a logout here while the save is on its way, in its order', async () => {
    const { redis, proxy, store, events } = await place({ concurrency, cache: true })
    await store.set('sid', session({ user: 'ada' }))
    const held = proxy.holdCommand(saveOf('sid'))
    const saving = settled(store.set('sid', change(await load(store, 'sid'), { n: 1 })))
    await held.hit()
    const destroying = store.destroy('sid')
    expect(await store.get('sid')).toBeNull()
    held.release()
    // It was acknowledged by Redis before the logout came there.
    expect(await saving).toMatchObject({ status: 'fulfilled' })
    await destroying
    await expectDead(redis, 'sid', store)
    expect(store.health().cache).toMatchObject({ sessions: 0 })
    expect(events).toEqual([])
  })

  it('a logout here while the reply to the save is on its way', async () => {
    const { redis, proxy, store } = await place({ concurrency, cache: true })
    await store.set('sid', session({ user: 'ada' }))
    const held = proxy.holdReply(saveOf('sid'))
    const saving = settled(store.set('sid', change(await load(store, 'sid'), { n: 1 })))
    await held.hit()
    const destroying = store.destroy('sid')
    held.release()
    await Promise.all([saving, destroying])
    await expectDead(redis, 'sid', store)
    expect(store.health().cache).toMatchObject({ sessions: 0 })
  })

  it('a save that begins while the logout is on its way is not even sent', async () => {
    const { redis, proxy, store, events } = await place({ concurrency, cache: true })
    await store.set('sid', session({ user: 'ada' }))
    const running = await load(store, 'sid')
    const held = proxy.holdCommand(destroyOf('sid'))
    const destroying = store.destroy('sid')
    await held.hit()
    proxy.forget()
    await expect(store.set('sid', change(running, { n: 1 }))).rejects.toMatchObject(REVOKED)
    expect(proxy.commandCount()).toBe(0)
    held.release()
    await destroying
    await expectDead(redis, 'sid', store)
    expect(events).toEqual([{ type: 'revoked', operation: 'set', reason: 'revoked', queued: false }])
  })

  it('a logout here while the save is being serialized', async () => {
    const serializer = new GatedJson()
    const { redis, proxy, store } = await place({ concurrency, cache: true, serializer })
    await store.set('sid', session({ user: 'ada' }))
    const running = await load(store, 'sid')
    const gate = serializer.stop('stringify')
    const saving = settled(store.set('sid', change(running, { n: 1 })))
    await gate.hit
    await store.destroy('sid')
    proxy.forget()
    gate.release()
    expect(await saving).toMatchObject({ status: 'rejected', reason: REVOKED })
    expect(proxy.commandCount()).toBe(0)
    await expectDead(redis, 'sid', store)
  })
})

describe('while a save is compared with what somebody else has stored', () => {
  it.each(['here', 'elsewhere'] as const)('a logout %s ends it', async (where) => {
    const serializer = new GatedJson()
    const { redis, store, other, events } = await place({ concurrency: 'merge', cache: true, serializer })
    const there = await other()
    await store.set('sid', session({ user: 'ada' }))
    const running = await load(store, 'sid')
    await there.set('sid', change(await load(there, 'sid'), { theirs: 1 }))
    const gate = serializer.stop('parse')
    const saving = settled(store.set('sid', change(running, { ours: 1 })))
    await gate.hit
    await (where === 'here' ? store : there).destroy('sid')
    gate.release()
    expect(await saving).toMatchObject({ status: 'rejected', reason: REVOKED })
    await expectDead(redis, 'sid', store, there)
    expect(events).toEqual([{ type: 'revoked', operation: 'set', reason: 'revoked', queued: false }])
  })

  it('a logout here ends it although Redis went away in between', async () => {
    const serializer = new GatedJson()
    const here = await place({ concurrency: 'merge', cache: true, degradation: 'available', serializer })
    const { redis, store, other } = here
    const there = await other()
    await store.set('sid', session({ user: 'ada' }))
    const running = await load(store, 'sid')
    await there.set('sid', change(await load(there, 'sid'), { theirs: 1 }))
    const gate = serializer.stop('parse')
    const saving = settled(store.set('sid', change(running, { ours: 1 })))
    await gate.hit
    await cut(here)
    await store.destroy('sid')
    gate.release()
    expect(await saving).toMatchObject({ status: 'rejected', reason: REVOKED })
    expect(store.health().queue).toMatchObject({ saves: 0, destroys: 1 })
    await heal(here)
    await expectDead(redis, 'sid', store, there)
  })
})

describe('a read under way when its session is destroyed here', () => {
  it.each(['command', 'reply'] as const)('ends without it: its %s was on its way', async (what) => {
    const { proxy, store } = await place({ cache: true })
    await store.set('sid', session({ user: 'ada' }))
    const held = what === 'command' ? proxy.holdCommand(readOf('sid')) : proxy.holdReply(readOf('sid'))
    const reading = store.get('sid')
    await held.hit()
    const destroying = store.destroy('sid')
    held.release()
    expect(await reading).toBeNull()
    await destroying
    expect(store.health().cache).toMatchObject({ sessions: 0 })
  })

  it('ends without it: it was being parsed', async () => {
    const serializer = new GatedJson()
    const here = await place({ cache: true, serializer })
    const { store } = here
    await store.set('sid', session({ user: 'ada' }))
    const gate = serializer.stop('parse')
    const reading = store.get('sid')
    await gate.hit
    await store.destroy('sid')
    gate.release()
    expect(await reading).toBeNull()
    expect(store.health().cache).toMatchObject({ sessions: 0 })
    await cut(here)
    expect(await store.get('sid')).toBeNull()
  })

  it.each(['stale', 'queued'] as const)('ends without it: a %s copy was being served', async (source) => {
    const serializer = new GatedJson()
    const here = await place({ cache: true, degradation: 'available', serializer })
    const { store } = here
    await store.set('sid', session({ user: 'ada' }))
    await cut(here)
    if (source === 'queued') await store.set('sid', change(await load(store, 'sid'), { n: 1 }))
    const gate = serializer.stop('parse')
    const reading = store.get('sid')
    await gate.hit
    await store.destroy('sid')
    gate.release()
    expect(await reading).toBeNull()
    // And in the turn between the copy and its reader.
    await heal(here)
    await store.set('other', session({ user: 'ada' }))
    await cut(here)
    const late = store.get('other')
    await Promise.resolve()
    const destroying = store.destroy('other')
    expect(await late).toBeNull()
    await destroying
  })
})

describe('a touch', () => {
  it('after a logout here is not sent', async () => {
    const { redis, proxy, store } = await place({ cache: true })
    await store.set('sid', session({ user: 'ada' }, 60_000))
    const running = await load(store, 'sid')
    await store.destroy('sid')
    proxy.forget()
    await store.touch('sid', running)
    expect(proxy.commandCount()).toBe(0)
    await expectDead(redis, 'sid', store)
  })

  it('after a logout elsewhere brings nothing back, and ends the copy kept here', async () => {
    const { redis, proxy, store, other } = await place({ cache: true })
    const there = await other()
    await store.set('sid', session({ user: 'ada' }, 60_000))
    const running = await load(store, 'sid')
    await there.destroy('sid')
    expect(store.health().cache).toMatchObject({ sessions: 1 })
    proxy.forget()
    await store.touch('sid', running)
    expect(proxy.commandCount('PEXPIRE')).toBe(1)
    expect(store.health().cache).toMatchObject({ sessions: 0 })
    await expectDead(redis, 'sid', store, there)
  })

  it('that becomes a save (another maxAge) is refused', async () => {
    const { redis, store, other } = await place({ cache: true })
    const there = await other()
    await store.set('sid', session({ user: 'ada' }, 60_000))
    const running = await load(store, 'sid')
    running.cookie.originalMaxAge = 600_000
    running.cookie.expires = new Date(Date.now() + 600_000)
    await there.destroy('sid')
    await expect(store.touch('sid', running)).rejects.toMatchObject(REVOKED)
    await expectDead(redis, 'sid', store, there)
  })

  it('that reaches Redis after the logout, from the same process or another', async () => {
    const { redis, proxy, store, other } = await place({ cache: true })
    const there = await other()
    await store.set('sid', session({ user: 'ada' }, 60_000))
    const running = await load(store, 'sid')
    const held = proxy.holdCommand('PEXPIRE')
    const touching = store.touch('sid', running)
    await held.hit()
    await there.destroy('sid')
    const destroying = store.destroy('sid')
    held.release()
    await Promise.all([touching, destroying])
    await expectDead(redis, 'sid', store, there)
    expect(store.health().cache).toMatchObject({ sessions: 0 })
  })

  it('whose reply is late does not bring back the copy of a session destroyed meanwhile', async () => {
    const { redis, proxy, store } = await place({ cache: true })
    await store.set('sid', session({ user: 'ada' }, 60_000))
    const running = await load(store, 'sid')
    const held = proxy.holdReply('PEXPIRE')
    const touching = store.touch('sid', running)
    await held.hit()
    const destroying = store.destroy('sid')
    held.release()
    await Promise.all([touching, destroying])
    await expectDead(redis, 'sid', store)
    expect(store.health().cache).toMatchObject({ sessions: 0 })
  })
})

describe('a session whose change waits in the queue', () => {
  it('is ended by a logout here, and the change with it, once', async () => {
    const here = await place({ cache: true, degradation: 'available' })
    const { redis, store, events, other } = here
    await store.set('sid', session({ user: 'ada' }))
    const running = await load(store, 'sid')
    await cut(here)
    await store.set('sid', change(running, { n: 1 }))
    await store.destroy('sid')
    expect(await store.get('sid')).toBeNull()
    await expect(store.set('sid', change(running, { n: 2 }))).rejects.toMatchObject(REVOKED)
    expect(store.health().queue).toMatchObject({ saves: 0, destroys: 1, bytes: 0 })
    await heal(here)
    await expectDead(redis, 'sid', store, await other())
    expect(events.map(({ type }) => type)).toEqual(['queued', 'revoked', 'queued', 'revoked', 'replayed'])
    expect(events[1]).toEqual({ type: 'revoked', operation: 'set', reason: 'revoked', queued: true })
    expect(events[4]).toMatchObject({ operation: 'destroy', outcome: 'written' })
  })

  it.each(['command', 'reply'] as const)(
    'is ended by a logout during its replay: its %s is on its way',
    async (what) => {
      const here = await place({ cache: true, degradation: 'available' })
      const { redis, proxy, store, events, other } = here
      await store.set('sid', session({ user: 'ada' }))
      await cut(here)
      await store.set('sid', change(await load(store, 'sid'), { n: 1 }))
      const held = what === 'command' ? proxy.holdCommand(saveOf('sid')) : proxy.holdReply(saveOf('sid'))
      await proxy.accept()
      await held.hit()
      const destroying = store.destroy('sid')
      expect(await store.get('sid')).toBeNull()
      held.release()
      await destroying
      await heal(here)
      await expectDead(redis, 'sid', store, await other())
      expect(store.health().cache).toMatchObject({ sessions: 0 })
      // One outcome for the change that was queued: revoked.
      expect(events.map(({ type }) => type)).toEqual(['queued', 'revoked'])
      expect(store.health().queue).toMatchObject({ saves: 0, destroys: 0, bytes: 0 })
    },
  )

  it('is ended by a logout here while its replay is compared', async () => {
    const serializer = new GatedJson()
    const here = await place({ cache: true, degradation: 'available', concurrency: 'merge', serializer })
    const { redis, proxy, store, events, other } = here
    const there = await other()
    await store.set('sid', session({ user: 'ada' }))
    const running = await load(store, 'sid')
    await cut(here)
    await store.set('sid', change(running, { n: 1 }))
    await there.set('sid', change(await load(there, 'sid'), { m: 1 }))
    const gate = serializer.stop('parse')
    await proxy.accept()
    await gate.hit
    await store.destroy('sid')
    gate.release()
    await heal(here)
    await expectDead(redis, 'sid', store, there)
    expect(events.map(({ type }) => type)).toEqual(['queued', 'revoked'])
    expect(store.health().queue).toMatchObject({ saves: 0, bytes: 0 })
  })

  it('is ended by a logout elsewhere: the replay is refused', async () => {
    const here = await place({ cache: true, degradation: 'available' })
    const { redis, store, events, other } = here
    const there = await other()
    await store.set('sid', session({ user: 'ada' }))
    const running = await load(store, 'sid')
    await cut(here)
    await store.set('sid', change(running, { n: 1 }))
    await there.destroy('sid')
    await heal(here)
    await expectDead(redis, 'sid', store, there)
    expect(events.slice(1)).toEqual([{ type: 'revoked', operation: 'set', reason: 'revoked', queued: true }])
  })
})

describe('while Redis is away', () => {
  it.each(['strict', 'read-only', 'available'] as const)(
    'a logout holds here at once and everywhere afterwards, %s',
    async (degradation) => {
      const here = await place({ degradation, cache: degradation !== 'strict', timeout: 1_000 })
      const { redis, store, other } = here
      const there = await other()
      const elsewhere = told(there)
      await store.set('sid', session({ user: 'ada' }))
      const running = await load(store, 'sid')
      const runningThere = await load(there, 'sid')
      await cut(here)
      if (degradation === 'available') await store.destroy('sid')
      else expect(await downError(store.destroy('sid'))).toMatchObject({ operation: 'destroy' })
      expect(await store.get('sid')).toBeNull()
      await expect(store.set('sid', change(running, { n: 1 }))).rejects.toMatchObject(REVOKED)
      expect(await stored(redis, 'sid')).not.toBeNull()
      await heal(here)
      await expectDead(redis, 'sid', store, there)
      await expect(there.set('sid', change(runningThere, { n: 1 }))).rejects.toMatchObject(REVOKED)
      expect(elsewhere).toMatchObject([{ type: 'revoked', reason: 'revoked' }])
      expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(0)
    },
  )

  it('a read that was under way when Redis went away does not serve what was destroyed meanwhile', async () => {
    const here = await place({ cache: true, degradation: 'available' })
    const { proxy, store } = here
    await store.set('sid', session({ user: 'ada' }))
    const held = proxy.holdReply(readOf('sid'))
    const reading = store.get('sid')
    await held.hit()
    const destroying = store.destroy('sid')
    expect(await isPending(reading, 5)).toBe(true)
    proxy.refuse()
    proxy.resetAll()
    await untilDown(store)
    expect(await reading).toBeNull()
    await destroying
    await heal(here)
    expect(await store.get('sid')).toBeNull()
  })
})
