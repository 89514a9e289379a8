import { describe, expect, it } from 'vitest'
import type { Concurrency } from '../../src/index.js'
import { isPending, settled, until } from '../support/wait.js'
import {
  downError,
  keyOf,
  load,
  markerOf,
  outcomes,
  proxyTo,
  readyStore,
  SLACK,
  server,
  session,
  untilUp,
} from './store-kit.js'

describe('destroy', () => {
  it('deletes the session and leaves a marker for ten minutes', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    await store.set('sid', session())
    await store.destroy('sid')
    expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(0)
    const life = await redis.cli<number>('PTTL', markerOf('sid'))
    expect(life).toBeGreaterThan(590_000)
    expect(life).toBeLessThanOrEqual(600_000)
  })

  it('leaves a marker for as long as `revokeFor` says', async () => {
    const redis = await server()
    const store = await readyStore(redis, { revokeFor: 5_000 })
    await store.destroy('sid')
    const life = await redis.cli<number>('PTTL', markerOf('sid'))
    expect(life).toBeGreaterThan(0)
    expect(life).toBeLessThanOrEqual(5_000)
  })

  it('puts the marker of a key with a hash tag into the same slot', async () => {
    const redis = await server()
    const store = await readyStore(redis, { prefix: '{app}:' })
    await store.set('sid', session())
    await store.destroy('sid')
    expect(await redis.cli('KEYS', '*')).toEqual(['{app}:revoked:{app}:sid'])
    await expect(store.set('sid', session())).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
    expect(await store.ids()).toEqual([])
  })

  it('of a session that does not exist goes well', async () => {
    const store = await readyStore(await server())
    await store.destroy('nobody')
    await store.destroy('nobody')
  })
})

describe('a save is refused', () => {
  it('when its session was destroyed here', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    const told = outcomes(store)
    await store.set('sid', session())
    const loaded = await load(store, 'sid')
    await store.destroy('sid')
    await expect(store.set('sid', loaded)).rejects.toMatchObject({ code: 'ESESSIONREVOKED', status: 409 })
    await expect(store.set('sid', session())).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
    expect(told).toEqual(Array(2).fill({ type: 'revoked', operation: 'set', reason: 'revoked', queued: false }))
    expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(0)
  })

  it('when its session was destroyed by another process', async () => {
    const redis = await server()
    const [store, other] = await Promise.all([readyStore(redis, { cache: true }), readyStore(redis)])
    await store.set('sid', session())
    const loaded = await load(store, 'sid')
    await other.destroy('sid')
    await expect(store.set('sid', loaded)).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
    await expect(store.set('sid', session())).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
    expect(await store.get('sid')).toBeNull()
    expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(0)
  })

  it('when what was loaded has been deleted since by whoever leaves no marker', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    const told = outcomes(store)
    await store.set('sid', session())
    const loaded = await load(store, 'sid')
    await redis.cli('DEL', keyOf('sid'))
    await expect(store.set('sid', loaded)).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
    expect(told).toEqual([{ type: 'revoked', operation: 'set', reason: 'gone', queued: false }])
    expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(0)
    // A session that was made anew is another matter.
    await store.set('sid', session({ fresh: true }))
    expect(await load(store, 'sid')).toMatchObject({ fresh: true })
  })

  it('when it was destroyed while the save was on its way', async () => {
    const redis = await server()
    const proxy = await proxyTo(redis)
    const store = await readyStore(proxy, { timeout: 5_000 })
    const other = await readyStore(redis)
    await store.set('sid', session())
    const held = proxy.holdCommand(/^EVAL/)
    const saving = settled(store.set('sid', await load(store, 'sid')))
    await held.hit()
    await other.destroy('sid')
    held.release()
    expect(await saving).toMatchObject({ reason: { code: 'ESESSIONREVOKED' } })
    expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(0)
  })

  it('when it reaches Redis after its deadline', async () => {
    const redis = await server()
    const proxy = await proxyTo(redis)
    const store = await readyStore(proxy, { timeout: 100, breaker: { consecutiveFailures: 100, volumeThreshold: 100 } })
    const other = await readyStore(redis)
    await store.set('sid', session({ step: 1 }))
    const loaded = await load(store, 'sid')
    const held = proxy.holdCommand(/^EVAL/)
    expect((await downError(store.set('sid', Object.assign(loaded, { step: 2 })))).reason).toBe('timeout')
    await other.set('sid', session({ step: 3 }))
    held.release()
    await until(async () => (await settled(store.get('sid'))).status === 'fulfilled')
    expect(await load(store, 'sid')).toMatchObject({ step: 3 })
  })

  it('but not when the marker is too old', async () => {
    const redis = await server()
    const store = await readyStore(redis, { revokeFor: 1_000 })
    await store.destroy('sid')
    expect((await settled(store.set('sid', session()))).status).toBe('rejected')
    await until(async () => (await settled(store.set('sid', session()))).status === 'fulfilled')
    await load(store, 'sid')
  })
})

describe('a save over what another process has saved since', () => {
  /** Two processes that have loaded the same session, of which the other has saved already. */
  async function raced(concurrency: Concurrency) {
    const redis = await server()
    const [store, other] = await Promise.all([
      readyStore(redis, { cache: true, concurrency }),
      readyStore(redis, { concurrency }),
    ])
    const told = outcomes(store)
    await store.set('sid', session({ cart: [1], theme: 'light', visits: 1 }))
    const [loaded, there] = [await load(store, 'sid'), await load(other, 'sid')]
    await other.set('sid', Object.assign(there, { theme: 'dark', visits: 7 }))
    return { store, other, told, loaded }
  }
  const refused = { type: 'conflict', operation: 'set', queued: false, resolution: 'refused', clashes: 0 }

  it("'last-write' replaces it, and nobody is told", async () => {
    const { store, other, told, loaded } = await raced('last-write')
    await store.set('sid', Object.assign(loaded, { cart: [1, 2] }))
    expect(await load(other, 'sid')).toMatchObject({ cart: [1, 2], theme: 'light', visits: 1 })
    expect(told).toEqual([])
  })

  it("'reject' refuses it, and the request may load again", async () => {
    const { store, other, told, loaded } = await raced('reject')
    const save = store.set('sid', Object.assign(loaded, { cart: [1, 2] }))
    await expect(save).rejects.toMatchObject({ code: 'ESESSIONCONFLICT', status: 409, operation: 'set' })
    expect(await load(other, 'sid')).toMatchObject({ cart: [1], theme: 'dark', visits: 7 })
    expect(told).toEqual([refused])
    await store.set('sid', Object.assign(await load(store, 'sid'), { cart: [1, 2] }))
    expect(await load(other, 'sid')).toMatchObject({ cart: [1, 2], theme: 'dark' })
    expect(told).toEqual([refused])
  })

  it("'merge' keeps both, in Redis and in the request; where both changed the same this one stands", async () => {
    const { store, other, told, loaded } = await raced('merge')
    await store.set('sid', Object.assign(loaded, { cart: [1, 2], visits: 2 }))
    const both = { cart: [1, 2], theme: 'dark', visits: 2 }
    expect(await load(other, 'sid')).toMatchObject(both)
    expect(loaded).toMatchObject(both)
    expect(told).toEqual([{ ...refused, resolution: 'merged', clashes: 1 }])
    // The request's next save is made from the merged one.
    await store.set('sid', Object.assign(loaded, { cart: [] }))
    expect(await load(other, 'sid')).toMatchObject({ ...both, cart: [] })
    expect(told).toHaveLength(1)
  })

  it('a merge without a clash is told to nobody', async () => {
    const { store, other, told, loaded } = await raced('merge')
    await store.set('sid', Object.assign(loaded, { cart: [1, 2] }))
    expect(await load(other, 'sid')).toMatchObject({ cart: [1, 2], theme: 'dark', visits: 7 })
    expect(told).toEqual([])
  })

  it.each(['reject', 'merge'] as const)("another cookie is no conflict under '%s'", async (concurrency) => {
    const redis = await server()
    const [store, other] = await Promise.all([readyStore(redis, { concurrency }), readyStore(redis)])
    const told = outcomes(store)
    await store.set('sid', session({ step: 1 }, 60_000))
    const loaded = await load(store, 'sid')
    const there = await load(other, 'sid')
    there.cookie.expires = new Date(Date.now() + 90_000)
    await other.set('sid', there)
    await store.set('sid', Object.assign(loaded, { step: 2 }))
    expect(await load(other, 'sid')).toMatchObject({ step: 2 })
    expect(told).toEqual([])
  })

  it.each(['last-write', 'reject', 'merge'] as const)("a logout wins under '%s'", async (concurrency) => {
    const { store, other, told, loaded } = await raced(concurrency)
    await other.destroy('sid')
    await expect(store.set('sid', loaded)).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
    expect(await other.get('sid')).toBeNull()
    expect(told).toEqual([{ type: 'revoked', operation: 'set', reason: 'revoked', queued: false }])
  })
})

describe('a touch', () => {
  it('does not bring back what was destroyed', async () => {
    const redis = await server()
    const [store, other] = await Promise.all([readyStore(redis, { touchAfter: 0 }), readyStore(redis)])
    await store.set('sid', session())
    const loaded = await load(store, 'sid')
    await other.destroy('sid')
    await store.touch('sid', loaded)
    expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(0)
    expect(await store.get('sid')).toBeNull()
  })
})

describe('a read that was on its way when the session was destroyed', () => {
  it('ends without the session', async () => {
    const redis = await server()
    const proxy = await proxyTo(redis)
    const store = await readyStore(proxy, { timeout: 5_000, cache: true })
    await store.set('sid', session())
    const held = proxy.holdReply('MGET')
    const reading = store.get('sid')
    await held.hit()
    const destroying = store.destroy('sid')
    expect(await isPending(reading)).toBe(true)
    held.release()
    expect(await reading).toBeNull()
    await destroying
    expect(store.health().cache).toMatchObject({ sessions: 0 })
  })
})

describe('scripts', () => {
  it('that Redis has forgotten are sent again', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    for (let round = 0; round < 3; round++) {
      await redis.cli('SCRIPT', 'FLUSH')
      await Promise.all([store.set(`a-${round}`, session()), store.set(`b-${round}`, session())])
      await redis.cli('SCRIPT', 'FLUSH')
      await store.destroy(`a-${round}`)
    }
    expect(await redis.cli('EXISTS', ...[0, 1, 2].map((round) => keyOf(`b-${round}`)))).toBe(3)
    expect(await redis.cli('EXISTS', ...[0, 1, 2].map((round) => keyOf(`a-${round}`)))).toBe(0)
  })

  it('are sent again within the one deadline of the operation', async () => {
    const redis = await server()
    const proxy = await proxyTo(redis)
    const store = await readyStore(proxy, { timeout: 200 })
    await redis.cli('SCRIPT', 'FLUSH')
    proxy.delay({ down: 150 })
    const start = performance.now()
    expect((await downError(store.set('sid', session()))).reason).toBe('timeout')
    expect(performance.now() - start).toBeLessThan(200 + SLACK)
    await proxy.heal()
    await untilUp(store)
  })
})

describe('several stores on one Redis', () => {
  it('see what each other writes, the last one wins', async () => {
    const redis = await server()
    const [one, other] = await Promise.all([readyStore(redis, { cache: true }), readyStore(redis, { cache: true })])
    await one.set('sid', session({ step: 1 }))
    await other.set('sid', Object.assign(await load(other, 'sid'), { step: 2 }))
    expect(await load(one, 'sid')).toMatchObject({ step: 2 })
  })
})
