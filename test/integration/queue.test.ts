import { describe, expect, it, vi } from 'vitest'
import type { OutcomeRecord, ResilientStore, ResilientStoreOptions } from '../../src/index.js'
import type { RedisServer } from '../support/redis-server.js'
import type { TcpProxy } from '../support/tcp-proxy.js'
import { settled, until } from '../support/wait.js'
import {
  downError,
  keyOf,
  load,
  markerOf,
  outcomes,
  proxyTo,
  readyStore,
  server,
  session,
  type TestSession,
  untilDown,
  untilUp,
} from './store-kit.js'

/** A store that loses Redis while others keep it. */
async function partitionable(options: ResilientStoreOptions = {}) {
  const redis = await server()
  const proxy = await proxyTo(redis)
  const store = await readyStore(proxy, {
    cache: true,
    degradation: 'available',
    breaker: { resetTimeout: 100 },
    timeout: 1_000,
    ...options,
  })
  return { redis, proxy, store, told: outcomes(store) }
}

async function cut(proxy: TcpProxy, store: ResilientStore): Promise<void> {
  proxy.refuse()
  proxy.resetAll()
  await untilDown(store)
}

async function heal(proxy: TcpProxy, store: ResilientStore): Promise<void> {
  await proxy.heal()
  await untilUp(store)
}

async function stored(redis: RedisServer, sid: string): Promise<TestSession | null> {
  const value = await redis.cli<string | null>('GET', keyOf(sid))
  return value === null ? null : JSON.parse(value)
}

/** How what was queued has ended. */
function ends(told: readonly OutcomeRecord[]): string[] {
  return told
    .flatMap((record) => {
      switch (record.type) {
        case 'replayed':
          return `replayed ${record.operation} ${record.outcome}`
        case 'conflict':
          return `conflict set ${record.resolution} ${record.clashes}`
        case 'dropped':
        case 'revoked':
          return `${record.type} ${record.operation} ${record.reason}`
        case 'restored':
          return 'restored set'
        default:
          return []
      }
    })
    .sort()
}

describe('a save while Redis is away', () => {
  it('is read again at once, and written when Redis is back', async () => {
    const { redis, proxy, store, told } = await partitionable()
    await store.set('known', session({ step: 1 }))
    const loaded = await load(store, 'known')
    await cut(proxy, store)
    await store.set('known', Object.assign(loaded, { step: 2 }))
    await store.set('new', session({ step: 1 }))
    expect(await load(store, 'known')).toMatchObject({ step: 2 })
    expect(await load(store, 'new')).toMatchObject({ step: 1 })
    expect(store.health().queue).toMatchObject({ saves: 2 })
    expect(store.health().queue.bytes).toBeGreaterThan(100)

    await heal(proxy, store)
    expect(await stored(redis, 'known')).toMatchObject({ step: 2 })
    expect(await stored(redis, 'new')).toMatchObject({ step: 1 })
    expect(store.health().queue).toMatchObject({ saves: 0, bytes: 0 })
    expect(ends(told)).toEqual(['replayed set written', 'replayed set written'])
  })

  it('is followed by others of the same session, of which the last is written', async () => {
    const { redis, proxy, store, told } = await partitionable()
    await store.set('sid', session({ steps: [0] }))
    await cut(proxy, store)
    for (let step = 1; step <= 5; step++) {
      const loaded = await load(store, 'sid')
      await store.set('sid', Object.assign(loaded, { steps: [...(loaded.steps as number[]), step] }))
    }
    expect(store.health().queue.saves).toBe(1)
    await heal(proxy, store)
    expect(await stored(redis, 'sid')).toMatchObject({ steps: [0, 1, 2, 3, 4, 5] })
    expect(ends(told)).toEqual(['replayed set written'])
  })

  it('made by requests that had loaded the session before is written too', async () => {
    const { redis, proxy, store } = await partitionable()
    await store.set('sid', session({ step: 0 }))
    const [one, other] = [await load(store, 'sid'), await load(store, 'sid')]
    await cut(proxy, store)
    await store.set('sid', Object.assign(one, { step: 1 }))
    await store.set('sid', Object.assign(other, { step: 2 }))
    await heal(proxy, store)
    expect(await stored(redis, 'sid')).toMatchObject({ step: 2 })
  })

  it('goes on from what was replayed: no conflict with oneself', async () => {
    const { redis, proxy, store, told } = await partitionable()
    await store.set('sid', session({ step: 0 }))
    const loaded = await load(store, 'sid')
    await cut(proxy, store)
    await store.set('sid', Object.assign(loaded, { step: 1 }))
    const queued = await load(store, 'sid')
    await heal(proxy, store)
    await store.set('sid', Object.assign(loaded, { step: 2 }))
    await store.set('sid', Object.assign(await load(store, 'sid'), { step: 3 }))
    expect(await stored(redis, 'sid')).toMatchObject({ step: 3 })
    // Whoever has held on to the session from before all that holds an old one.
    await expect(store.set('sid', Object.assign(queued, { step: 9 }))).rejects.toMatchObject({
      code: 'ESESSIONCONFLICT',
    })
    expect(ends(told)).toEqual(['conflict set refused 0', 'replayed set written'])
  })
})

describe('what is written at last', () => {
  it('has what is left of its time', async () => {
    const { redis, proxy, store } = await partitionable()
    await cut(proxy, store)
    const queuedAt = performance.now()
    await store.set('sid', session({}, 60_000))
    await until(() => performance.now() - queuedAt > 1_200)
    await heal(proxy, store)
    expect(await redis.cli<number>('PTTL', keyOf('sid'))).toBeLessThanOrEqual(60_000 - 1_200)
    expect(await redis.cli<number>('PTTL', keyOf('sid'))).toBeGreaterThan(50_000)
  })

  it('is not what has expired meanwhile', async () => {
    const { redis, proxy, store, told } = await partitionable()
    await cut(proxy, store)
    await store.set('sid', session({}, 1_000))
    await load(store, 'sid')
    await until(async () => (await settled(store.get('sid'))).status === 'rejected')
    await heal(proxy, store)
    expect(await stored(redis, 'sid')).toBeNull()
    expect(ends(told)).toEqual(['dropped set expired'])
  })

  it('has its life extended by touches meanwhile', async () => {
    const { redis, proxy, store } = await partitionable({ touchAfter: 0 })
    await cut(proxy, store)
    const one = session({}, 1_000)
    await store.set('sid', one)
    const queuedAt = performance.now()
    one.cookie.expires = new Date(Date.now() + 60_000)
    await downError(store.touch('sid', one))
    await until(() => performance.now() - queuedAt > 1_100)
    await heal(proxy, store)
    expect(await redis.cli<number>('PTTL', keyOf('sid'))).toBeGreaterThan(50_000)
  })
})

describe('what somebody else did meanwhile', () => {
  it('is never overwritten', async () => {
    const { redis, proxy, store, told } = await partitionable()
    const other = await readyStore(redis)
    await store.set('sid', session({ step: 0 }))
    const loaded = await load(store, 'sid')
    await cut(proxy, store)
    await other.set('sid', Object.assign(await load(other, 'sid'), { by: 'other' }))
    await store.set('sid', Object.assign(loaded, { by: 'us' }))
    await heal(proxy, store)
    expect(await stored(redis, 'sid')).toMatchObject({ by: 'other' })
    expect(await load(store, 'sid')).toMatchObject({ by: 'other' })
    expect(ends(told)).toEqual(['conflict set refused 0'])
  })

  it('is not overwritten by a session that was new here', async () => {
    const { redis, proxy, store, told } = await partitionable()
    await cut(proxy, store)
    await redis.cli('SET', keyOf('sid'), JSON.stringify(session({ by: 'other' })))
    await store.set('sid', session({ by: 'us' }))
    await heal(proxy, store)
    expect(await stored(redis, 'sid')).toMatchObject({ by: 'other' })
    expect(ends(told)).toEqual(['conflict set refused 0'])
  })

  it('is no conflict when it only moved the cookie', async () => {
    const { redis, proxy, store, told } = await partitionable()
    const other = await readyStore(redis)
    await store.set('sid', session({ step: 0 }, 60_000))
    const loaded = await load(store, 'sid')
    await cut(proxy, store)
    const there = await load(other, 'sid')
    there.cookie.expires = new Date(Date.now() + 90_000)
    await other.set('sid', there)
    await store.set('sid', Object.assign(loaded, { step: 1 }))
    await heal(proxy, store)
    expect(await stored(redis, 'sid')).toMatchObject({ step: 1 })
    expect(ends(told)).toEqual(['replayed set written'])
  })

  it('is no conflict for a session that is new on both sides when both are the same', async () => {
    const { redis, proxy, store, told } = await partitionable()
    await cut(proxy, store)
    const same = session({ by: 'both' })
    await redis.cli('SET', keyOf('sid'), JSON.stringify(same))
    await store.set('sid', same)
    await heal(proxy, store)
    expect(ends(told)).toEqual(['replayed set already-there'])
  })

  it('a logout elsewhere, stays', async () => {
    const { redis, proxy, store, told } = await partitionable()
    const other = await readyStore(redis)
    await store.set('sid', session())
    const loaded = await load(store, 'sid')
    await cut(proxy, store)
    await store.set('sid', Object.assign(loaded, { step: 1 }))
    await other.destroy('sid')
    await heal(proxy, store)
    expect(await stored(redis, 'sid')).toBeNull()
    expect(await store.get('sid')).toBeNull()
    expect(ends(told)).toEqual(['revoked set revoked'])
  })

  it('a deletion without a marker, stays', async () => {
    const { redis, proxy, store, told } = await partitionable()
    await store.set('sid', session())
    const loaded = await load(store, 'sid')
    await cut(proxy, store)
    await store.set('sid', Object.assign(loaded, { step: 1 }))
    await redis.cli('DEL', keyOf('sid'))
    await heal(proxy, store)
    expect(await stored(redis, 'sid')).toBeNull()
    expect(ends(told)).toEqual(['revoked set gone'])
  })
})

describe("what somebody else did meanwhile, under `concurrency: 'merge'`", () => {
  it('is kept beside what waits, and where both changed the same what waited stands', async () => {
    const { redis, proxy, store, told } = await partitionable({ concurrency: 'merge' })
    const other = await readyStore(redis)
    await store.set('sid', session({ cart: [1], theme: 'light', visits: 1 }))
    const loaded = await load(store, 'sid')
    await cut(proxy, store)
    await other.set('sid', Object.assign(await load(other, 'sid'), { theme: 'dark', visits: 7, admin: false }))
    await store.set('sid', Object.assign(loaded, { cart: [1, 2], visits: 2 }))
    await heal(proxy, store)
    const both = { cart: [1, 2], theme: 'dark', visits: 2, admin: false }
    expect(await stored(redis, 'sid')).toMatchObject(both)
    expect(await load(store, 'sid')).toMatchObject(both)
    expect(ends(told)).toEqual(['conflict set merged 1', 'replayed set written'])
    expect(told.find(({ type }) => type === 'conflict')).toEqual({
      type: 'conflict',
      operation: 'set',
      queued: true,
      resolution: 'merged',
      clashes: 1,
    })
  })

  it('a logout still wins', async () => {
    const { redis, proxy, store, told } = await partitionable({ concurrency: 'merge' })
    const other = await readyStore(redis)
    await store.set('sid', session())
    const loaded = await load(store, 'sid')
    await cut(proxy, store)
    await store.set('sid', Object.assign(loaded, { step: 1 }))
    await other.destroy('sid')
    await heal(proxy, store)
    expect(await stored(redis, 'sid')).toBeNull()
    expect(ends(told)).toEqual(['revoked set revoked'])
  })
})

describe('a Redis that comes back without its data', () => {
  async function emptied(options: ResilientStoreOptions) {
    const redis = await server()
    const store = await readyStore(redis, { cache: true, degradation: 'available', ...options })
    const told = outcomes(store)
    await store.set('known', session({ step: 1 }))
    await store.set('left', session({ step: 1 }))
    const [known, left] = [await load(store, 'known'), await load(store, 'left')]
    await store.destroy('left')
    await redis.kill()
    await untilDown(store)
    await store.set('known', Object.assign(known, { step: 2 }))
    await store.set('new', session({ step: 1 }))
    await expect(store.set('left', left)).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
    await redis.start()
    await untilUp(store)
    return { redis, store, told }
  }

  it("has what waits written again, under 'available': but for what was destroyed", async () => {
    const { redis, store, told } = await emptied({})
    expect(await stored(redis, 'known')).toMatchObject({ step: 2 })
    expect(await stored(redis, 'new')).toMatchObject({ step: 1 })
    expect(await load(store, 'known')).toMatchObject({ step: 2 })
    // The marker went with the data, and is there again.
    expect(await stored(redis, 'left')).toBeNull()
    expect(await redis.cli('EXISTS', markerOf('left'))).toBe(1)
    expect(ends(told)).toEqual(['replayed set written', 'replayed set written', 'restored set', 'revoked set revoked'])
    expect(told.filter(({ type }) => type === 'restored')).toEqual([
      { type: 'restored', operation: 'set', queued: true },
    ])
  })

  it('gets new sessions alone where `restoreLost` is off', async () => {
    const { redis, store, told } = await emptied({ restoreLost: false })
    expect(await stored(redis, 'known')).toBeNull()
    expect(await store.get('known')).toBeNull()
    expect(await stored(redis, 'new')).toMatchObject({ step: 1 })
    expect(ends(told)).toEqual(['replayed set written', 'revoked set gone', 'revoked set revoked'])
  })
})

describe('a save of which it is not known whether it was applied', () => {
  it('is no conflict when it was', async () => {
    const { redis, proxy, store, told } = await partitionable({ timeout: 100 })
    await store.set('sid', session({ step: 0 }))
    const loaded = await load(store, 'sid')
    const lost = proxy.swallowReply(/^EVAL/)
    await store.set('sid', Object.assign(loaded, { step: 1 }))
    expect(lost.hits).toBe(1)
    expect(await stored(redis, 'sid')).toMatchObject({ step: 1 })
    await store.set('sid', Object.assign(loaded, { step: 2 }))
    await heal(proxy, store)
    await until(() => store.health().queue.saves === 0)
    expect(await stored(redis, 'sid')).toMatchObject({ step: 2 })
    expect(ends(told)).toEqual(['replayed set written'])
  })

  it('is no conflict for the next one either, under the policy that fails saves', async () => {
    const { redis, proxy, store } = await partitionable({ timeout: 100, degradation: 'read-only' })
    await store.set('sid', session({ step: 0 }))
    const loaded = await load(store, 'sid')
    const lost = proxy.swallowReply(/^EVAL/)
    await downError(store.set('sid', Object.assign(loaded, { step: 1 })))
    expect(lost.hits).toBe(1)
    // Healing cuts the connection that has lost a reply.
    const noticed = untilDown(store)
    await proxy.heal()
    await noticed
    await untilUp(store)
    await store.set('sid', Object.assign(loaded, { step: 2 }))
    expect(await stored(redis, 'sid')).toMatchObject({ step: 2 })
  })

  it('is replayed once more when the connection breaks in the middle of the replay', async () => {
    const { redis, proxy, store, told } = await partitionable()
    await cut(proxy, store)
    const sids = Array.from({ length: 100 }, (_, n) => `visitor-${n}`)
    await Promise.all(sids.map((sid) => store.set(sid, session({ sid }))))
    const broken = [proxy.cutBeforeReply(/^EVAL/, { nth: 2 }), proxy.cutBeforeCommand(/^EVAL/, { nth: 4 })]
    await proxy.accept()
    for (const fault of broken) await fault.hit()
    await untilUp(store)
    for (const sid of sids) expect(await stored(redis, sid)).toMatchObject({ sid })
    const how = ends(told)
    expect(how).toHaveLength(sids.length)
    // What was applied before its reply was lost is found there; the rest is written now.
    expect(new Set(how)).toEqual(new Set(['replayed set already-there', 'replayed set written']))
  })
})

describe('a session served while Redis was away', () => {
  it('is saved only over what it was made from, once Redis is back', async () => {
    const { redis, proxy, store } = await partitionable()
    await store.set('sid', session({ step: 0 }))
    await cut(proxy, store)
    const stale = await load(store, 'sid')
    await redis.cli('SET', keyOf('sid'), JSON.stringify(session({ by: 'other' })))
    await heal(proxy, store)
    await expect(store.set('sid', Object.assign(stale, { step: 1 }))).rejects.toMatchObject({
      code: 'ESESSIONCONFLICT',
    })
    expect(await stored(redis, 'sid')).toMatchObject({ by: 'other' })
  })

  it('is saved when nobody touched it but its cookie', async () => {
    const { redis, proxy, store } = await partitionable()
    await store.set('sid', session({ step: 0 }))
    await cut(proxy, store)
    const stale = await load(store, 'sid')
    await redis.cli('SET', keyOf('sid'), JSON.stringify(session({ step: 0 }, 90_000)))
    await heal(proxy, store)
    await store.set('sid', Object.assign(stale, { step: 1 }))
    expect(await stored(redis, 'sid')).toMatchObject({ step: 1 })
  })
})

describe('a logout', () => {
  it('of a session whose save waits ends both', async () => {
    const { redis, proxy, store, told } = await partitionable()
    await cut(proxy, store)
    await store.set('sid', session())
    await store.destroy('sid')
    expect(await store.get('sid')).toBeNull()
    expect(store.health().queue).toMatchObject({ saves: 0, destroys: 1 })
    await expect(store.set('sid', session())).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
    await heal(proxy, store)
    expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(0)
    expect(await redis.cli('EXISTS', markerOf('sid'))).toBe(1)
    expect(ends(told)).toEqual(['replayed destroy already-there', 'revoked set revoked', 'revoked set revoked'])
  })

  it('is sent before any save', async () => {
    const { proxy, store, told } = await partitionable()
    await cut(proxy, store)
    await Promise.all(Array.from({ length: 40 }, (_, n) => store.set(`${n}`, session())))
    await Promise.all(Array.from({ length: 5 }, (_, n) => store.destroy(`left-${n}`)))
    await heal(proxy, store)
    const replayed = told.flatMap((record) => (record.type === 'replayed' ? [record.operation] : []))
    expect(replayed.indexOf('set')).toBe(5)
    expect(replayed).toHaveLength(45)
  })

  it('is obeyed by a read that had begun before', async () => {
    const { proxy, store } = await partitionable()
    await store.set('cached', session())
    await cut(proxy, store)
    await store.set('queued', session())
    for (const sid of ['cached', 'queued']) {
      const reading = store.get(sid)
      await Promise.all([store.destroy(sid), expect(reading).resolves.toBeNull()])
    }
  })

  it('asked for twice is sent once', async () => {
    const { proxy, store, told } = await partitionable()
    await cut(proxy, store)
    await Promise.all([store.destroy('sid'), store.destroy('sid')])
    expect(store.health().queue.destroys).toBe(1)
    await heal(proxy, store)
    expect(ends(told)).toEqual(['replayed destroy already-there'])
  })
})

describe('the queue is bounded', () => {
  it('in sessions: known ones may change, new ones are refused', async () => {
    const onRedisDown = vi.fn()
    const { proxy, store, told, redis } = await partitionable({ queue: { max: 3 }, onRedisDown })
    await cut(proxy, store)
    for (const sid of ['a', 'b', 'c']) await store.set(sid, session({ step: 1 }))
    onRedisDown.mockClear()
    expect(await downError(store.set('d', session()))).toMatchObject({ reason: 'queue-full', operation: 'set' })
    expect(onRedisDown).toHaveBeenCalledOnce()
    await store.set('a', Object.assign(await load(store, 'a'), { step: 2 }))
    expect(store.health().queue.saves).toBe(3)
    await heal(proxy, store)
    expect(await stored(redis, 'a')).toMatchObject({ step: 2 })
    expect(await stored(redis, 'd')).toBeNull()
    expect(ends(told)).toEqual(Array(3).fill('replayed set written'))
  })

  it('in bytes: what no longer fits is refused, the change before it stays', async () => {
    const onRedisDown = vi.fn()
    const { redis, proxy, store } = await partitionable({ queue: { maxBytes: 4_000 }, onRedisDown })
    await cut(proxy, store)
    await store.set('a', session({ step: 1 }))
    onRedisDown.mockClear()
    const big = Object.assign(await load(store, 'a'), { step: 2, big: 'x'.repeat(4_000) })
    expect(onRedisDown).toHaveBeenCalledOnce()
    onRedisDown.mockClear()
    expect((await downError(store.set('a', big))).reason).toBe('queue-full')
    expect(onRedisDown).toHaveBeenCalledOnce()
    expect(await load(store, 'a')).toMatchObject({ step: 1 })
    await heal(proxy, store)
    expect(await stored(redis, 'a')).toMatchObject({ step: 1 })
  })

  it('in the time an unwritten change is served: not the older copy in its place', async () => {
    const { redis, proxy, store } = await partitionable({ queue: { maxAge: 400 } })
    await store.set('sid', session({ step: 0 }))
    const loaded = await load(store, 'sid')
    await cut(proxy, store)
    await store.set('sid', Object.assign(loaded, { step: 1 }))
    const seen: unknown[] = []
    await until(async () => {
      const outcome = await settled(store.get('sid'))
      if (outcome.status === 'fulfilled') seen.push((outcome.value as unknown as TestSession).step)
      return outcome.status === 'rejected'
    })
    expect(new Set(seen)).toEqual(new Set([1]))
    await heal(proxy, store)
    expect(await stored(redis, 'sid')).toMatchObject({ step: 1 })
  })
})

describe('each save that fails while others of its session wait', () => {
  it('is told too, and onRedisDown may refuse it', async () => {
    const answers: ('queue' | 'fail' | 'drop')[] = ['queue', 'fail', 'drop', 'queue']
    const onRedisDown = vi.fn(() => answers.shift())
    const { redis, proxy, store } = await partitionable({ degradation: 'strict', cache: false, onRedisDown })
    await store.set('sid', session({ step: 0 }))
    const loaded = await load(store, 'sid')
    await cut(proxy, store)
    const save = (step: number) => store.set('sid', Object.assign(loaded, { step }))
    await save(1)
    await downError(save(2))
    await save(3)
    await save(4)
    expect(onRedisDown).toHaveBeenCalledTimes(4)
    await heal(proxy, store)
    expect(await stored(redis, 'sid')).toMatchObject({ step: 4 })
  })
})

describe('everything that is queued', () => {
  it('ends in exactly one outcome', async () => {
    const { redis, proxy, store, told } = await partitionable()
    const sids = Array.from({ length: 200 }, (_, n) => `visitor-${n}`)
    await Promise.all(sids.map((sid) => store.set(sid, session({ step: 0 }))))
    const loaded = await Promise.all(sids.map((sid) => load(store, sid)))
    await cut(proxy, store)
    await Promise.all(sids.map((sid, n) => store.set(sid, Object.assign(loaded[n]!, { step: 1 }))))
    await Promise.all(sids.slice(0, 20).map((sid) => store.destroy(sid)))
    for (const sid of sids.slice(20, 40)) await redis.cli('SET', keyOf(sid), JSON.stringify(session({ by: 'other' })))
    for (const sid of sids.slice(40, 60)) await redis.cli('DEL', keyOf(sid))
    for (const sid of sids.slice(60, 80)) await redis.cli('SET', markerOf(sid), '1')
    await heal(proxy, store)
    const counts: Record<string, number> = {}
    for (const end of ends(told)) counts[end] = (counts[end] ?? 0) + 1
    expect(counts).toEqual({
      'replayed destroy written': 20,
      'replayed set written': 120,
      'conflict set refused 0': 20,
      'revoked set gone': 20,
      'revoked set revoked': 20 + 20,
    })
    expect(store.health().queue).toMatchObject({ saves: 0, destroys: 0, bytes: 0, replaying: false })
  })
})
