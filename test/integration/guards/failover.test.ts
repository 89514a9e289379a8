// Another server answers, maybe with an old copy: what was destroyed is destroyed there too, and not served in between.
import { describe, expect, it } from 'vitest'
import { ResilientStore, type ResilientStoreOptions } from '../../../src/index.js'
import type { RedisServer } from '../../support/redis-server.js'
import { startProxy, type TcpProxy } from '../../support/tcp-proxy.js'
import { settled, until } from '../../support/wait.js'
import { change, destroyOf, expectDead, REVOKED, stored, told } from '../guard-kit.js'
import { afterThis, keyOf, load, markerOf, readyStore, server, session, untilDown, untilUp } from '../store-kit.js'

const OPTIONS: ResilientStoreOptions = {
  ...{ cache: true, degradation: 'available', timeout: 2_000, touchAfter: 0, breaker: { resetTimeout: 50 } },
}

/** A store whose Redis can become another one, as behind a Sentinel or a service's name. */
interface Movable {
  readonly proxy: TcpProxy
  readonly store: ResilientStore
  /** Every connection ends; from now on the other server is there. */
  moveTo(redis: RedisServer): Promise<void>
}

async function movable(redis: RedisServer, options: ResilientStoreOptions = {}): Promise<Movable> {
  const target = { port: redis.port }
  const proxy = await startProxy({ target })
  afterThis(() => proxy.close())
  const store = await readyStore(proxy, { ...OPTIONS, ...options })
  return {
    proxy,
    store,
    async moveTo(next) {
      target.port = next.port
      const noticed = untilDown(store)
      proxy.resetAll()
      await noticed
      await untilUp(store)
    },
  }
}

/** Two servers; the second holds what the first held before the test goes on, as a replica that misses the rest. */
async function withOldCopy(...sids: readonly string[]): Promise<{ old: RedisServer; promoted: RedisServer }> {
  const [old, promoted] = await Promise.all([server(), server()])
  for (const sid of sids) {
    const value = JSON.stringify(session({ user: 'ada' }, 3_600_000))
    for (const redis of [old, promoted]) await redis.cli('SET', keyOf(sid), value)
  }
  return { old, promoted }
}

describe('a failover to a replica that missed a logout', () => {
  it('does not bring the session back: the process that knows of it destroys it there', async () => {
    const { old, promoted } = await withOldCopy('sid', 'kept')
    const here = await movable(old)
    const there = await movable(old)
    const running = await load(here.store, 'sid')
    const runningThere = await load(there.store, 'sid')
    await here.store.destroy('sid')
    const moving = here.moveTo(promoted)
    let moved = false
    moving.then(() => {
      moved = true
    })
    // Whenever one asks.
    while (!moved) expect(await settled(here.store.get('sid'))).toMatchObject({ value: null })
    await until(async () => (await promoted.cli<number>('EXISTS', markerOf('sid'))) === 1, { what: 'the marker' })
    await expectDead(promoted, 'sid', here.store)
    await expect(here.store.set('sid', running)).rejects.toMatchObject(REVOKED)
    // Another process, that had the session in a request all the time.
    await there.moveTo(promoted)
    await expect(there.store.set('sid', change(runningThere, { n: 1 }))).rejects.toMatchObject(REVOKED)
    await expectDead(promoted, 'sid', here.store, there.store)
    expect(await load(here.store, 'kept')).toMatchObject({ user: 'ada' })
  })

  it('nor does a process that learned of it from the marker alone', async () => {
    const { old, promoted } = await withOldCopy('sid')
    const there = await movable(old)
    const runningThere = await load(there.store, 'sid')
    const here = await readyStore(old)
    await here.destroy('sid')
    await here.close()
    await expect(there.store.set('sid', runningThere)).rejects.toMatchObject(REVOKED)
    await there.moveTo(promoted)
    await until(async () => (await promoted.cli<number>('EXISTS', markerOf('sid'))) === 1, { what: 'the marker' })
    await expectDead(promoted, 'sid', there.store)
  })

  it('nor does a save that waited in a queue elsewhere', async () => {
    for (const first of ['destroyer', 'saver'] as const) {
      const { old, promoted } = await withOldCopy('sid')
      const [here, there] = [await movable(old), await movable(old)]
      const runningThere = await load(there.store, 'sid')
      await here.store.destroy('sid')
      there.proxy.refuse()
      const down = untilDown(there.store)
      there.proxy.resetAll()
      await down
      await there.store.set('sid', change(runningThere, { n: 1 }))
      const steps = [
        () => here.moveTo(promoted),
        async () => {
          await there.proxy.accept()
          await there.moveTo(promoted)
        },
      ]
      for (const step of first === 'destroyer' ? steps : steps.reverse()) await step()
      await until(async () => (await promoted.cli<number>('EXISTS', markerOf('sid'))) === 1, { what: 'the marker' })
      await until(async () => (await promoted.cli<number>('EXISTS', keyOf('sid'))) === 0, { what: 'the session to go' })
      await expectDead(promoted, 'sid', here.store, there.store)
    }
  })

  it('sends hundreds of them, also when the connection breaks in the middle', async () => {
    const sids = Array.from({ length: 300 }, (_, n) => `visitor-${n}`)
    const [old, promoted] = await Promise.all([server(), server()])
    const here = await movable(old)
    await Promise.all(sids.map((sid) => here.store.destroy(sid)))
    for (const sid of sids) await promoted.cli('SET', keyOf(sid), JSON.stringify(session()))
    const broken = [
      here.proxy.cutBeforeCommand(destroyOf(), { nth: 100 }),
      here.proxy.cutBeforeReply(destroyOf(), { nth: 150 }),
    ]
    await here.moveTo(promoted).catch(() => {})
    for (const fault of broken) await fault.hit()
    await until(async () => (await promoted.cli<number>('EXISTS', ...sids.map(markerOf))) === 300, {
      what: 'all markers',
    })
    expect(await promoted.cli('EXISTS', ...sids.map(keyOf))).toBe(0)
  })
})

describe('a Redis that came back empty', () => {
  it('is told of the logouts again', async () => {
    const redis = await server()
    const store = await readyStore(redis, { ...OPTIONS, revokeFor: 60_000 })
    await store.set('sid', session())
    await store.destroy('sid')
    await redis.kill()
    await redis.start()
    await untilUp(store)
    await until(async () => (await redis.cli<number>('EXISTS', markerOf('sid'))) === 1, { what: 'the marker' })
    const left = await redis.cli<number>('PTTL', markerOf('sid'))
    expect(left).toBeGreaterThan(0)
    expect(left).toBeLessThan(60_000)
    await expectDead(redis, 'sid', store)
  })

  it('is told of each for what is left of its time, and of none that is over', async () => {
    const redis = await server()
    let ahead = 0
    const clock = { wall: () => Date.now(), monotonic: () => performance.now() + ahead }
    const store = new ResilientStore({ ...OPTIONS, redis: redis.url, revokeFor: 60_000 }, clock)
    afterThis(() => store.close(1))
    await store.ready()
    await store.destroy('over')
    ahead += 50_000
    await store.destroy('recent')
    ahead += 20_000
    await redis.kill()
    await redis.start()
    await untilUp(store)
    await until(async () => (await redis.cli<number>('EXISTS', markerOf('recent'))) === 1, { what: 'the marker' })
    expect(await redis.cli('EXISTS', markerOf('over'))).toBe(0)
    const left = await redis.cli<number>('PTTL', markerOf('recent'))
    expect(left).toBeLessThanOrEqual(40_000)
    expect(left).toBeGreaterThan(30_000)
  })

  it('is sent the logouts before any save, queued ones included', async () => {
    const redis = await server()
    const here = await movable(redis)
    for (const sid of ['a', 'b', 'c']) await here.store.destroy(sid)
    await here.store.set('sid', session({ step: 0 }))
    const running = await load(here.store, 'sid')
    await redis.kill()
    await untilDown(here.store)
    await here.store.set('sid', change(running, { step: 1 }))
    await here.store.destroy('d')
    const order: string[] = []
    here.proxy.holdCommand((command) => {
      if (destroyOf()(command)) order.push('destroy')
      else if (/^EVAL/.test(command.name)) order.push('save')
      return false
    })
    await redis.start()
    await untilUp(here.store)
    expect(await stored(redis, 'sid')).toMatchObject({ step: 1 })
    expect(order.lastIndexOf('destroy')).toBeLessThan(order.indexOf('save'))
    expect(await redis.cli('EXISTS', ...['a', 'b', 'c', 'd'].map(markerOf))).toBe(4)
  })
})

it('the same server, connected to again, is not told again', async () => {
  const redis = await server()
  const here = await movable(redis)
  await here.store.destroy('sid')
  here.proxy.forget()
  await here.moveTo(redis)
  await here.store.get('nobody')
  expect(here.proxy.commandCount('EVALSHA') + here.proxy.commandCount('EVAL')).toBe(0)
})

it('a destroyed session that is in Redis all the same is deleted when its visitor comes, and marked again', async () => {
  const redis = await server()
  const store = await readyStore(redis, OPTIONS)
  const events = told(store)
  await store.set('sid', session({ user: 'ada' }))
  await store.destroy('sid')
  // As a replica's promotion behind the same connection would leave it.
  await redis.cli('DEL', markerOf('sid'))
  await redis.cli('SET', keyOf('sid'), JSON.stringify(session({ user: 'ada' })))
  expect(await store.get('sid')).toBeNull()
  await until(async () => (await redis.cli<number>('EXISTS', markerOf('sid'))) === 1, { what: 'the marker' })
  await expectDead(redis, 'sid', store)
  expect(events).toEqual([])
})
