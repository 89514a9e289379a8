// A save sits in a socket, in a paused Redis or on its way: what happens in the meantime is newer, and stays.
import { describe, expect, it } from 'vitest'
import { isPending, settled, until } from '../../support/wait.js'
import { CONFLICT, change, expectDead, MODES, PATIENT, place, REVOKED, recover, saveOf, stored } from '../guard-kit.js'
import { downError, keyOf, load, markerOf, session, untilUp } from '../store-kit.js'

/** Too short to wait for: the save is told to have failed, and its command is somewhere. */
const SHORT = { timeout: 100, breaker: PATIENT } as const

describe('a save stuck in a paused Redis while another process destroys the session', () => {
  it.each(MODES)('does nothing once its deadline is over: %s', async (concurrency) => {
    const { redis, store, other } = await place({ ...SHORT, concurrency, cache: true })
    const there = await other()
    await store.set('sid', session({ user: 'ada' }))
    const running = await load(store, 'sid')
    await redis.pause()
    const saving = downError(store.set('sid', change(running, { n: 1 })))
    expect(await isPending(saving, 5)).toBe(true)
    const destroying = there.destroy('sid')
    expect((await saving).reason).toBe('timeout')
    await redis.resume()
    await destroying
    await untilUp(store)
    await expectDead(redis, 'sid', store, there)
    await expect(store.set('sid', running)).rejects.toMatchObject(REVOKED)
  })

  it.each(MODES)('does no harm when Redis goes on in time: %s', async (concurrency) => {
    const { redis, store, other } = await place({ concurrency, cache: true })
    const there = await other()
    await store.set('sid', session({ user: 'ada' }))
    const running = await load(store, 'sid')
    await redis.pause()
    const saving = settled(store.set('sid', change(running, { n: 1 })))
    const destroying = there.destroy('sid')
    await redis.resume()
    await Promise.all([saving, destroying])
    await expectDead(redis, 'sid', there)
    expect(await store.get('sid')).toBeNull()
  })

  it('stays dead although the marker is gone by the time the save arrives', async () => {
    const { redis, proxy, store, other } = await place(SHORT)
    const there = await other({ revokeFor: 1_000 })
    // Never loaded, so that nothing but the marker and the not-after stands in its way.
    const held = proxy.holdCommand(saveOf('sid'))
    expect((await downError(store.set('sid', session({ user: 'ada' })))).reason).toBe('timeout')
    await there.destroy('sid')
    await redis.cli('DEL', markerOf('sid'))
    held.release()
    await proxy.reply('EVALSHA')
    await recover({ proxy, store })
    expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(0)
  })

  it('is replayed, queued, and refused then', async () => {
    const here = await place({ ...SHORT, cache: true, degradation: 'available' })
    const { redis, proxy, store, other, events } = here
    const there = await other()
    await store.set('sid', session({ user: 'ada' }))
    const running = await load(store, 'sid')
    const held = proxy.holdCommand(saveOf('sid'), { times: Number.POSITIVE_INFINITY })
    await store.set('sid', change(running, { n: 1 }))
    await there.destroy('sid')
    held.release()
    await recover(here)
    await expectDead(redis, 'sid', store, there)
    expect(events).toEqual([
      { type: 'queued', operation: 'set', reason: 'timeout' },
      { type: 'revoked', operation: 'set', reason: 'revoked', queued: true },
    ])
  })
})

describe('an older save stuck on its way against a newer one that was acknowledged: dropped rights do not come back', () => {
  it.each(MODES)('at the proxy, released after its deadline: %s', async (concurrency) => {
    const { redis, proxy, store, other } = await place({ ...SHORT, concurrency })
    const there = await other({ concurrency })
    await there.set('sid', session({ role: 'admin' }))
    const running = await load(store, 'sid')
    const held = proxy.holdCommand(saveOf('sid'))
    expect((await downError(store.set('sid', change(running, { seen: 1 })))).reason).toBe('timeout')
    await there.set('sid', change(await load(there, 'sid'), { role: 'guest' }))
    held.release()
    await recover({ proxy, store })
    expect(await stored(redis, 'sid')).toMatchObject({ role: 'guest' })
    expect(await stored(redis, 'sid')).not.toHaveProperty('seen')
  })

  it.each(MODES)('in the socket of a paused Redis: %s', async (concurrency) => {
    const { redis, store, other } = await place({ ...SHORT, concurrency, cache: true })
    const there = await other({ concurrency })
    await there.set('sid', session({ role: 'admin' }))
    const running = await load(store, 'sid')
    const runningThere = await load(there, 'sid')
    await redis.pause()
    expect((await downError(store.set('sid', change(running, { seen: 1 })))).reason).toBe('timeout')
    const saving = there.set('sid', change(runningThere, { role: 'guest' }))
    await redis.resume()
    await saving
    await untilUp(store)
    expect(await stored(redis, 'sid')).toMatchObject({ role: 'guest' })
    expect(await load(store, 'sid')).toMatchObject({ role: 'guest' })
  })

  it.each(MODES)('queued, and replayed after the newer one: %s', async (concurrency) => {
    const here = await place({ ...SHORT, concurrency, cache: true, degradation: 'available' })
    const { redis, proxy, store, other, events } = here
    const there = await other({ concurrency })
    await there.set('sid', session({ role: 'admin' }))
    const running = await load(store, 'sid')
    const held = proxy.holdCommand(saveOf('sid'), { times: Number.POSITIVE_INFINITY })
    await store.set('sid', change(running, { seen: 1 }))
    await there.set('sid', change(await load(there, 'sid'), { role: 'guest' }))
    held.release()
    await recover(here)
    expect(await stored(redis, 'sid')).toMatchObject({ role: 'guest' })
    if (concurrency === 'merge') {
      // The other side's key is taken, the own one kept.
      expect(await stored(redis, 'sid')).toMatchObject({ seen: 1 })
      expect(events.slice(1)).toMatchObject([{ type: 'replayed', operation: 'set', outcome: 'written' }])
      // The request that queued it has not seen that yet: it is merged again, and the role stays dropped.
      await store.set('sid', change(running, { seen: 2 }))
      expect(await stored(redis, 'sid')).toMatchObject({ role: 'guest', seen: 2 })
    } else {
      expect(events.slice(1)).toEqual([
        { type: 'conflict', operation: 'set', queued: true, resolution: 'refused', clashes: 0 },
      ])
      await expect(store.set('sid', running)).rejects.toMatchObject(CONFLICT)
    }
    expect(await load(store, 'sid')).toMatchObject({ role: 'guest' })
  })

  it.each(MODES)('queued, in the socket of a paused Redis: %s', async (concurrency) => {
    const { redis, store, other } = await place({ ...SHORT, concurrency, cache: true, degradation: 'available' })
    const there = await other()
    await there.set('sid', session({ role: 'admin' }))
    const running = await load(store, 'sid')
    const runningThere = await load(there, 'sid')
    await redis.pause()
    await store.set('sid', change(running, { seen: 1 }))
    const saving = there.set('sid', change(runningThere, { role: 'guest' }))
    await redis.resume()
    await saving
    await untilUp(store)
    // Whichever came first.
    expect(await stored(redis, 'sid')).toMatchObject({ role: 'guest' })
    expect(await load(store, 'sid')).toMatchObject({ role: 'guest' })
  })
})

describe('many saves stuck in a paused Redis', () => {
  it('do nothing when it goes on, none of them', async () => {
    const { redis, store } = await place(SHORT)
    const sids = Array.from({ length: 100 }, (_, n) => `visitor-${n}`)
    await Promise.all(sids.slice(0, 50).map((sid) => store.set(sid, session({ step: 0 }))))
    await redis.pause()
    const saves = sids.map((sid) => downError(store.set(sid, session({ step: 1 }))))
    for (const { reason } of await Promise.all(saves)) expect(reason).toBe('timeout')
    await redis.resume()
    await until(async () => (await settled(store.get('nobody'))).status === 'fulfilled')
    expect(await redis.cli('DBSIZE')).toBe(50)
    for (const sid of sids.slice(0, 50)) expect(await stored(redis, sid)).toMatchObject({ step: 0 })
  })
})
