// A reply that comes after its deadline: its caller was told long ago, and what it says is used by nobody.
import { describe, expect, it } from 'vitest'
import type { ResilientStoreOptions } from '../../../src/index.js'
import { settled, until } from '../../support/wait.js'
import {
  change,
  destroyOf,
  expectDead,
  MODES,
  PATIENT,
  type Place,
  place,
  REVOKED,
  readOf,
  saveOf,
  stored,
} from '../guard-kit.js'
import { downError, load, session, untilUp } from '../store-kit.js'

/** One whose connection stays, whatever is late. */
function patient(options: ResilientStoreOptions = {}): Promise<Place> {
  return place({ timeout: 100, breaker: PATIENT, ...options })
}

/** The late reply has been read: this one comes behind it. */
async function afterIt({ store }: Place): Promise<void> {
  await until(async () => (await settled(store.get('nobody'))).status === 'fulfilled', { what: 'a later reply' })
}

describe('of a get', () => {
  it('is not served and not kept', async () => {
    const here = await patient({ cache: true })
    const { proxy, store, other } = here
    const there = await other()
    await there.set('sid', session({ user: 'ada' }, 60_000))
    const held = proxy.holdReply(readOf('sid'))
    expect((await downError(store.get('sid'))).reason).toBe('timeout')
    held.release()
    await afterIt(here)
    expect(store.health().cache).toMatchObject({ sessions: 0 })
    expect(await load(store, 'sid')).toMatchObject({ user: 'ada' })
  })

  it('does not replace a newer copy', async () => {
    const here = await patient({ cache: true })
    const { proxy, store, redis } = here
    await store.set('sid', session({ step: 1 }, 60_000))
    const running = await load(store, 'sid')
    const held = proxy.holdReply(readOf('sid'))
    // Served from memory, the reply being late.
    expect(await load(store, 'sid')).toMatchObject({ step: 1 })
    const saving = settled(store.set('sid', change(running, { step: 2 })))
    held.release()
    await saving
    await afterIt(here)
    await redis.pause()
    expect(await load(store, 'sid')).toMatchObject({ step: 2 })
    await redis.resume()
    await untilUp(store)
  })

  it('is never taken for the reply to another', async () => {
    const here = await patient()
    const { proxy, store, other } = here
    const there = await other()
    const sids = Array.from({ length: 20 }, (_, n) => `visitor-${n}`)
    await Promise.all(sids.map((sid) => there.set(sid, session({ sid }))))
    const held = proxy.holdReply('MGET', { times: 3 })
    for (const sid of ['visitor-0', 'visitor-1', 'visitor-2']) await downError(store.get(sid))
    held.release()
    const read = await Promise.all(sids.map((sid) => settled(store.get(sid))))
    for (const [n, outcome] of read.entries()) {
      if (outcome.status === 'fulfilled') expect(outcome.value).toMatchObject({ sid: sids[n] })
    }
    await afterIt(here)
    for (const sid of sids) expect(await load(store, sid)).toMatchObject({ sid })
  })

  it('that says there is none does not end the copy of a session made since', async () => {
    const here = await patient({ cache: true })
    const { proxy, store, redis } = here
    const held = proxy.holdReply(readOf('sid'))
    const reading = settled(store.get('sid'))
    await held.hit()
    const saving = settled(store.set('sid', session({ user: 'ada' }, 60_000)))
    held.release()
    await Promise.all([reading, saving])
    await redis.pause()
    expect(await load(store, 'sid')).toMatchObject({ user: 'ada' })
    await redis.resume()
    await untilUp(store)
  })
})

describe('of a save', () => {
  it.each(MODES)('leaves a session that can be saved again without a conflict: %s', async (concurrency) => {
    const here = await patient({ concurrency })
    const { redis, proxy, store, events } = here
    await store.set('sid', session({ step: 0 }))
    const running = await load(store, 'sid')
    for (let step = 1; step <= 6; step++) {
      const held = proxy.holdReply(saveOf('sid'))
      expect((await downError(store.set('sid', change(running, { step })))).reason).toBe('timeout')
      expect(await stored(redis, 'sid')).toMatchObject({ step })
      held.release()
      await afterIt(here)
    }
    await store.set('sid', change(running, { step: 7 }))
    expect(await stored(redis, 'sid')).toMatchObject({ step: 7 })
    expect(events).toEqual([])
  })

  it.each(MODES)('the same for a session that is new: %s', async (concurrency) => {
    const here = await patient({ concurrency })
    const { redis, proxy, store, events } = here
    const fresh = session({ step: 1 })
    const held = proxy.holdReply(saveOf('sid'))
    await downError(store.set('sid', fresh))
    held.release()
    await afterIt(here)
    await store.set('sid', change(fresh, { step: 2 }))
    await store.set('sid', change(fresh, { step: 3 }))
    expect(await stored(redis, 'sid')).toMatchObject({ step: 3 })
    expect(events).toEqual([])
  })

  it('was no acknowledgement: the copy kept is the one before, and says so', async () => {
    const here = await patient({ cache: true })
    const { redis, proxy, store } = here
    await store.set('sid', session({ step: 0 }, 60_000))
    const running = await load(store, 'sid')
    const held = proxy.holdReply(saveOf('sid'))
    await downError(store.set('sid', change(running, { step: 1 })))
    held.release()
    await afterIt(here)
    await redis.pause()
    expect(await load(store, 'sid')).toMatchObject({ step: 0 })
    await redis.resume()
    await untilUp(store)
    expect(await load(store, 'sid')).toMatchObject({ step: 1 })
  })

  it.each(['reject', 'merge'] as const)(
    'is no conflict, but what somebody else made of it is one: %s',
    async (concurrency) => {
      const here = await patient({ concurrency })
      const { redis, proxy, store, other } = here
      const there = await other({ concurrency })
      await store.set('sid', session({ a: 0, b: 0 }))
      const running = await load(store, 'sid')
      const held = proxy.holdReply(saveOf('sid'))
      await downError(store.set('sid', change(running, { a: 1 })))
      await there.set('sid', change(await load(there, 'sid'), { b: 1 }))
      held.release()
      await afterIt(here)
      const again = await settled(store.set('sid', running))
      expect(again.status).toBe(concurrency === 'reject' ? 'rejected' : 'fulfilled')
      expect(await stored(redis, 'sid')).toMatchObject({ a: 1, b: 1 })
    },
  )

  it('of a queued one is known again by the replay', async () => {
    const here = await patient({ cache: true, degradation: 'available' })
    const { redis, proxy, store, events } = here
    await store.set('sid', session({ step: 0 }))
    const running = await load(store, 'sid')
    const held = proxy.holdReply(saveOf('sid'))
    await store.set('sid', change(running, { step: 1 }))
    expect(await load(store, 'sid')).toMatchObject({ step: 1 })
    held.release()
    await untilUp(store)
    expect(await stored(redis, 'sid')).toMatchObject({ step: 1 })
    expect(events).toMatchObject([{ type: 'queued' }, { type: 'replayed', outcome: 'already-there' }])
  })
})

describe('of a destroy', () => {
  it.each(['strict', 'available'] as const)(
    'leaves the session dead, and the delete is sent once more: %s',
    async (degradation) => {
      const calls: string[] = []
      const here = await patient({
        ...{ degradation, cache: true },
        onRedisDown: (error) => void calls.push(error.operation),
      })
      const { redis, proxy, store, events, other } = here
      await store.set('sid', session({ user: 'ada' }))
      const running = await load(store, 'sid')
      const held = proxy.holdReply(destroyOf('sid'))
      const destroying = settled(store.destroy('sid'))
      expect((await destroying).status).toBe(degradation === 'strict' ? 'rejected' : 'fulfilled')
      expect(await store.get('sid')).toBeNull()
      await expect(store.set('sid', running)).rejects.toMatchObject(REVOKED)
      held.release()
      await untilUp(store)
      await expectDead(redis, 'sid', store, await other())
      expect(calls).toEqual(['destroy'])
      expect(events).toMatchObject([
        { type: 'queued', operation: 'destroy', reason: 'timeout' },
        { type: 'revoked', operation: 'set' },
        { type: 'replayed', operation: 'destroy', outcome: 'already-there' },
      ])
    },
  )
})

describe('of a touch', () => {
  it('is told once, and the next one is sent', async () => {
    const calls: string[] = []
    const here = await patient({ touchAfter: 60_000, onRedisDown: (error) => void calls.push(error.operation) })
    const { proxy, store, events, other } = here
    const there = await other()
    await there.set('sid', session({ user: 'ada' }, 3_600_000))
    const running = await load(store, 'sid')
    const held = proxy.holdReply('PEXPIRE')
    await downError(store.touch('sid', running))
    held.release()
    await afterIt(here)
    proxy.forget()
    await store.touch('sid', running)
    expect(proxy.commandCount('PEXPIRE')).toBe(1)
    await store.touch('sid', running)
    expect(proxy.commandCount('PEXPIRE')).toBe(1)
    expect(calls).toEqual(['touch'])
    expect(events).toEqual([{ type: 'dropped', operation: 'touch', reason: 'timeout' }])
  })
})
