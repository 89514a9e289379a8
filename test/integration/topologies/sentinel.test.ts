// A master, two replicas and three Sentinels: a failover needs no restart, and undoes no logout that can be kept.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ResilientStore, ResilientStoreOptions } from '../../../src/index.js'
import type { RedisServer } from '../../support/redis-server.js'
import { type SentinelGroup, startSentinel } from '../../support/topologies.js'
import { eventually, settled, until } from '../../support/wait.js'
import { change, expectDead, stored, told } from '../guard-kit.js'
import { load, markerOf, openStore, session, timed, untilDown, untilUp } from '../store-kit.js'

const TIMEOUT = 500
const RECOVERY = 20_000

let group: SentinelGroup

beforeAll(async () => {
  group = await startSentinel()
}, 60_000)

afterAll(() => group?.stop())

beforeEach(async () => {
  for (const server of group.servers) {
    if (!server.up) await server.resume().catch(() => server.start())
  }
  await group.settled()
  await (await group.master()).cli('FLUSHALL')
}, 60_000)

async function opened(options: ResilientStoreOptions = {}): Promise<ResilientStore> {
  const settings = { timeout: TIMEOUT, touchAfter: 0, breaker: { resetTimeout: 100 } }
  const store = openStore({ url: '' }, { redis: group.options, ...settings, ...options })
  await store.ready()
  return store
}

/** Both replicas have so many keys. */
async function untilReplicated(keys: number): Promise<void> {
  const replicas = await group.replicas()
  await until(async () => {
    const sizes = await Promise.all(replicas.map((replica) => replica.cli<number>('DBSIZE')))
    return sizes.every((size) => size === keys)
  })
}

/** Another server is master, and the store is on it. */
async function untilMoved(store: ResilientStore, from: RedisServer): Promise<RedisServer> {
  await until(async () => (await group.master()) !== from, { timeoutMs: RECOVERY, what: 'the Sentinels to choose' })
  await untilUp(store, RECOVERY)
  return group.master()
}

describe.each(['kill', 'pause'] as const)('a master is lost: %s', (fault) => {
  it('the store moves to the promoted one by itself, and writes what waited', async () => {
    const store = await opened({ cache: true, degradation: 'available' })
    const events = told(store)
    await store.set('sid', session({ step: 0 }, 600_000))
    await store.set('left', session({ step: 0 }, 600_000))
    const running = await load(store, 'sid')
    const old = await group.master()
    await untilReplicated(2)
    await old[fault]()
    const down = untilDown(store, RECOVERY)
    let isDown = false
    down.then(() => {
      isDown = true
    })
    while (!isDown) {
      const { ms, outcome } = await timed(() => store.get('sid'))
      expect(outcome).toMatchObject({ status: 'fulfilled', value: { step: 0 } })
      expect(ms).toBeLessThan(TIMEOUT + 400)
    }
    await store.set('sid', change(running, { step: 1 }))
    await store.destroy('left')
    const promoted = await untilMoved(store, old)
    expect(await stored(promoted, 'sid')).toMatchObject({ step: 1 })
    await expectDead(promoted, 'left', store)
    expect(events.filter(({ type }) => type === 'replayed')).toHaveLength(2)
    // The old one comes back, and follows.
    if (fault === 'pause') await old.resume()
    else await old.start()
    await group.settled()
    expect(await load(store, 'sid')).toMatchObject({ step: 1 })
    expect(store.health().status).toBe('up')
  })
})

it('a logout that the promoted replica missed is sent again, before what waits', async () => {
  const store = await opened({ cache: true, degradation: 'available' })
  const old = await group.master()
  const replicas = await group.replicas()
  await store.set('sid', session({ user: 'ada' }, 600_000))
  await untilReplicated(1)
  for (const replica of replicas) await replica.pause()
  await store.destroy('sid')
  await old.kill()
  for (const replica of replicas) await replica.resume()
  const answers = (async () => {
    const seen: unknown[] = []
    while ((await group.master()) === old) seen.push(await settled(store.get('sid')))
    return seen
  })()
  const promoted = await untilMoved(store, old)
  for (const answer of await answers) expect(answer).toMatchObject({ status: 'fulfilled', value: null })
  await until(async () => (await promoted.cli<number>('EXISTS', markerOf('sid'))) === 1, { what: 'the marker' })
  await expectDead(promoted, 'sid', store)
})

it('an orderly failover, after which the old master is a replica, is followed', async () => {
  const store = await opened()
  await store.set('sid', session({ step: 0 }, 600_000))
  const running = await load(store, 'sid')
  const old = await group.master()
  await group.failover()
  const promoted = await untilMoved(store, old)
  // The Sentinels name the new one a moment before they demote the old one, which takes a save until then.
  await eventually(async () => {
    await store.set('sid', change(running, { step: 1 }))
    expect(await stored(promoted, 'sid')).toMatchObject({ step: 1 })
  })
})

it('Sentinels that are away do not matter while the master is there, and are waited for at the start', async () => {
  const store = await opened()
  await Promise.all(group.sentinels.map((sentinel) => sentinel.kill()))
  await store.set('sid', session({ step: 0 }))
  const late = openStore({ url: '' }, { redis: group.options, timeout: TIMEOUT, breaker: { resetTimeout: 100 } })
  const { outcome } = await timed(() => late.get('sid'))
  expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'EREDISDOWN' } })
  expect(late.health().connection.state).not.toBe('ready')
  await Promise.all(group.sentinels.map((sentinel) => sentinel.start()))
  await untilUp(late, RECOVERY)
  expect(await load(late, 'sid')).toMatchObject({ step: 0 })
})
