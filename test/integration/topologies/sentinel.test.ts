// A master, two replicas and three Sentinels: a failover needs no restart, and undoes no logout that can be kept.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ResilientStore, ResilientStoreOptions } from '../../../src/index.js'
import { eventually, settled, until } from '../../support/wait.js'
import { change, expectDead, stored, told } from '../guard-kit.js'
import { downError, load, markerOf, openStore, session, timed, untilDown, untilUp } from '../store-kit.js'
import { type RigServer, TestRig } from './test-rig.js'

const TIMEOUT = 500
const RECOVERY = 20_000

let group: TestRig

beforeAll(async () => {
  group = await TestRig.open('sentinel')
}, 60_000)

afterAll(() => group?.close())

beforeEach(() => group.renew(), 60_000)

async function opened(options: ResilientStoreOptions = {}): Promise<ResilientStore> {
  const settings = { timeout: TIMEOUT, touchAfter: 0, breaker: { resetTimeout: 100 } }
  const store = openStore({ url: '' }, { redis: group.options, ...settings, ...options })
  await store.ready()
  return store
}

/** Both replicas have so many keys. */
async function untilReplicated(keys: number): Promise<void> {
  const replicas = await group.replicasOf(await group.master())
  await until(async () => {
    const sizes = await Promise.all(replicas.map((replica) => replica.cli<number>('DBSIZE')))
    return sizes.every((size) => size === keys)
  })
}

/** Another server is master, and the store is on it. */
async function untilMoved(store: ResilientStore, from: RigServer): Promise<RigServer> {
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
    const lost = await old[fault]()
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
    await lost.heal()
    await group.rig.settled()
    expect(await load(store, 'sid')).toMatchObject({ step: 1 })
    expect(store.health().status).toBe('up')
  })
})

it('a logout that the promoted replica missed is sent again, before what waits', async () => {
  const store = await opened({ cache: true, degradation: 'available' })
  const old = await group.master()
  await store.set('sid', session({ user: 'ada' }, 600_000))
  await untilReplicated(1)
  const paused = await group.inject({ kind: 'pause', target: 'replicas' })
  await store.destroy('sid')
  await old.kill()
  await paused.heal()
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
  await group.inject({ kind: 'failover' })
  const promoted = await untilMoved(store, old)
  // The Sentinels name the new one a moment before they demote the old one, which takes a save until then.
  await eventually(async () => {
    await store.set('sid', change(running, { step: 1 }))
    expect(await stored(promoted, 'sid')).toMatchObject({ step: 1 })
  })
})

it('Sentinels that are away do not matter while the master is there, and are waited for at the start', async () => {
  const store = await opened()
  const killed = await Promise.all(group.sentinels.map((sentinel) => sentinel.kill()))
  await store.set('sid', session({ step: 0 }))
  const late = openStore({ url: '' }, { redis: group.options, timeout: TIMEOUT, breaker: { resetTimeout: 100 } })
  const { outcome } = await timed(() => late.get('sid'))
  expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'EREDISDOWN' } })
  expect(late.health().connection.state).not.toBe('ready')
  await Promise.all(killed.map((kill) => kill.heal()))
  await untilUp(late, RECOVERY)
  expect(await load(late, 'sid')).toMatchObject({ step: 0 })
})

it('every connection goes where `natMap` says, to a promoted master too', async () => {
  const store = await opened({ redis: await group.optionsOf('behind-proxies') })
  await store.set('sid', session({ step: 0 }))
  await group.inject({ kind: 'failover' })
  await eventually(() => store.set('sid', session({ step: 1 })), { timeoutMs: RECOVERY })
  await untilUp(store, RECOVERY)
  // The Sentinels go on naming the master, and the way around the proxies would be open.
  const refused = await group.inject({ kind: 'refuse', app: 'behind-proxies', target: 'all' })
  await until(() => store.health().status === 'down', { timeoutMs: RECOVERY, what: 'the store to be cut off' })
  await downError(store.ready(1_000))
  await refused.heal()
  await untilUp(store, RECOVERY)
})

it('READONLY makes it ask the Sentinels, when a master was demoted that nobody took its clients from', async () => {
  const store = await opened()
  await store.set('sid', session({ step: 0 }, 600_000))
  await untilReplicated(1)
  const running = await load(store, 'sid')
  const old = await group.master()
  const [next, other] = (await group.replicasOf(old)) as [RigServer, RigServer]
  const { host, port } = next.announced
  await next.cli('REPLICAOF', 'NO', 'ONE')
  // By hand: a failover of the Sentinels' own ends the clients' connections.
  await Promise.all(group.sentinels.map((sentinel) => watchInstead(sentinel, host, port)))
  for (const server of [old, other]) await server.cli('REPLICAOF', host, port)
  expect(await load(store, 'sid')).toMatchObject({ step: 0 })
  expect(await clientsOf(old)).toBe(1)
  expect(await downError(store.set('sid', change(running, { step: 1 })))).toMatchObject({ reason: 'read-only' })
  await until(async () => (await clientsOf(next)) === 1, { timeoutMs: RECOVERY, what: 'the store to change over' })
  await untilUp(store, RECOVERY)
  await store.set('sid', change(running, { step: 2 }))
  expect(await stored(next, 'sid')).toMatchObject({ step: 2 })
})

/** A Sentinel forgets its master, without a word to anyone, and watches another. */
async function watchInstead(sentinel: RigServer, host: string, port: number): Promise<void> {
  const { name } = group.rig.direct() as { name: string }
  await sentinel.cli('SENTINEL', 'REMOVE', name)
  await sentinel.cli('SENTINEL', 'MONITOR', name, host, port, 2)
  const settings = ['down-after-milliseconds', 1_000, 'failover-timeout', 5_000, 'parallel-syncs', 1]
  await sentinel.cli('SENTINEL', 'SET', name, ...settings)
}

/** How many stores are connected to a server. */
async function clientsOf(server: RigServer): Promise<number> {
  return (await server.cli('CLIENT', 'LIST')).split(' name=resilient-session-store ').length - 1
}
