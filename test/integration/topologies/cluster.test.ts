// A Cluster of three masters with a replica each: one that is away leaves the sessions of the others alone.
import { Cluster } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Injected } from '../../../chaos/drivers/contract.js'
import type { RedisClusterOptions, ResilientStore, ResilientStoreOptions } from '../../../src/index.js'
import { eventually, isPending, until } from '../../support/wait.js'
import { change, REVOKED, told } from '../guard-kit.js'
import {
  afterThis,
  downError,
  keyOf,
  load,
  markerOf,
  openStore,
  outcomes,
  rootReason,
  session,
  timed,
  untilUp,
} from '../store-kit.js'
import { type RigServer, TestRig } from './test-rig.js'

const TIMEOUT = 500
/** As in the README, "What is kept in Redis". */
const RIGHTS =
  'resetkeys ~sess:* ~{sess:*}:revoked resetchannels -@all +get +mget +set +del +exists +pexpire +pttl +time +info +eval +evalsha +scan +cluster|slots +asking'
const RECOVERY = 15_000

let cluster: TestRig

beforeAll(async () => {
  cluster = await TestRig.open('cluster')
}, 60_000)

afterAll(() => cluster?.close())

beforeEach(() => cluster.renew(), 60_000)

function open(options: ResilientStoreOptions = {}): ResilientStore {
  const settings = { timeout: TIMEOUT, touchAfter: 0, breaker: { resetTimeout: 100 } }
  return openStore({ url: '' }, { redis: cluster.options, ...settings, ...options })
}

async function opened(options: ResilientStoreOptions = {}): Promise<ResilientStore> {
  const store = open(options)
  await store.ready()
  return store
}

/** One session of each master, in its order. */
async function sidsOf(masters: readonly RigServer[]): Promise<string[]> {
  return Promise.all(masters.map((master) => cluster.sidAt(master)))
}

function isOpen(store: ResilientStore, server: RigServer): boolean {
  return store.masters.get(server.address)?.read.closed === false
}

async function untilOpen(store: ResilientStore, server: RigServer): Promise<void> {
  await until(() => isOpen(store, server), { timeoutMs: RECOVERY, what: 'the lanes of the dead master to open' })
}

async function drained(walk: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of walk);
}

describe('all is well', () => {
  it.each(['sess:', '{app}:'])('sessions of every shard are saved, read, touched and destroyed: %s', async (prefix) => {
    const store = await opened({ prefix })
    const sids = Array.from({ length: 30 }, (_, n) => `visitor-${n}`)
    await Promise.all(sids.map((sid) => store.set(sid, session({ sid }, 60_000))))
    const read = await Promise.all(sids.map((sid) => load(store, sid)))
    expect(read.map(({ sid }) => sid)).toEqual(sids)
    await Promise.all(sids.map((sid, n) => store.touch(sid, read[n]!)))
    await store.destroy('visitor-0')
    await expect(store.set('visitor-0', read[0]!)).rejects.toMatchObject(REVOKED)
    expect((await store.ids()).sort()).toEqual(sids.slice(1).sort())
    expect(await store.length()).toBe(29)
    expect((await store.all()).map(({ id }) => id).sort()).toEqual(sids.slice(1).sort())
    const scanned: string[] = []
    for await (const { sid, session: data } of store.scan()) {
      expect(data).toMatchObject({ sid })
      // Known to be loaded: saved again under its guard.
      await store.set(sid, data)
      scanned.push(sid)
    }
    expect(scanned.sort()).toEqual(sids.slice(1).sort())
    await store.clear()
    expect(await store.ids()).toEqual([])
    expect(store.health().status).toBe('up')
  })

  it('each master has lanes of its own, shown by health() without sessions; a tagged prefix needs one', async () => {
    const store = await opened()
    const names = (await cluster.masters()).map(({ address }) => address)
    expect([...store.masters.keys()].sort()).toEqual([...names].sort())
    const { masters = [] } = store.health()
    expect(masters.map(({ master }) => master).sort()).toEqual([...names].sort())
    for (const { lanes } of masters)
      expect(Object.values(lanes).map(({ state }) => state)).toEqual(Array(3).fill('closed'))
    expect(store.masters.get(names[0]!)?.save.name).toBe(`session-store:save@${names[0]}`)
    const tagged = await opened({ prefix: '{app}:' })
    expect([...tagged.masters.keys()]).toEqual([(await cluster.masterOf('{app}:x')).address])
  })

  it('the scripts are sent to every master that does not know them', async () => {
    const store = await opened()
    const masters = await cluster.masters()
    const sids = await sidsOf(masters)
    for (const sid of sids) await store.set(sid, session({ n: 1 }))
    await Promise.all(masters.map((master) => master.cli('SCRIPT', 'FLUSH')))
    await Promise.all(sids.map(async (sid) => store.set(sid, change(await load(store, sid), { n: 2 }))))
    for (const [n, master] of masters.entries()) {
      expect(JSON.parse(await master.cli('GET', keyOf(sids[n]!)))).toMatchObject({ n: 2 })
    }
  })

  it('an ACL user with the rights that the README names, each master asking for the password', async () => {
    const rights = RIGHTS.split(' ')
    for (const server of cluster.data) await server.cli('ACL', 'SETUSER', 'shop', 'on', '>pa:ss', ...rights)
    afterThis(() => Promise.all(cluster.data.map((server) => server.cli('ACL', 'DELUSER', 'shop'))))
    const redisOptions = { username: 'shop', password: 'pa:ss' }
    const store = await opened({ redis: { ...cluster.options, redisOptions }, cache: true })
    const sids = await sidsOf(await cluster.masters())
    for (const sid of sids) await store.set(sid, session({ sid }))
    for (const sid of sids) expect(await load(store, sid)).toMatchObject({ sid })
    await store.destroy(sids[0]!)
    expect(await store.length()).toBe(2)
    const refused = open({ redis: { ...cluster.options, redisOptions: { ...redisOptions, password: 'wrong' } } })
    expect(await downError(refused.ready(2_000))).toMatchObject({ reason: 'auth' })
  })

  it('a supplied Cluster is left open, whatever it is set to', async () => {
    const { cluster: nodes, natMap } = cluster.options as RedisClusterOptions
    const client = new Cluster([...nodes], { natMap: natMap ?? {}, scaleReads: 'slave' })
    client.on('error', () => {})
    afterThis(() => client.disconnect())
    const store = openStore({ url: '' }, { client, timeout: TIMEOUT })
    await store.ready()
    await store.set('sid', session({ n: 1 }))
    expect(await load(store, 'sid')).toMatchObject({ n: 1 })
    await store.close()
    expect(await client.get(keyOf('nobody'))).toBeNull()
  })
})

it('every connection goes where `natMap` says, those to other masters too', async () => {
  const store = await opened({ redis: await cluster.optionsOf('behind-proxies') })
  const sids = await sidsOf(await cluster.masters())
  const refused = await cluster.inject({ kind: 'refuse', app: 'behind-proxies' })
  // Its way around them would be open.
  await until(() => store.health().status === 'down', { timeoutMs: RECOVERY, what: 'every master to be lost' })
  await refused.heal()
  await untilUp(store, RECOVERY)
  for (const sid of sids) await store.set(sid, session({ sid }))
  await cluster.inject({ kind: 'failover' })
  await eventually(async () => store.set(sids[0]!, session({ step: 1 })), { timeoutMs: RECOVERY })
  await cluster.inject({ kind: 'refuse', app: 'behind-proxies' })
  await until(() => store.health().status === 'down', { timeoutMs: RECOVERY, what: 'every master to be lost again' })
})

describe.each(['kill', 'pause'] as const)('a master is lost: %s', (fault) => {
  it('the others answer as ever, its own sessions by policy, and its replica takes over', async () => {
    const store = await opened({ cache: true, degradation: 'available' })
    const events = outcomes(store)
    const masters = await cluster.masters()
    const [dead] = masters as [RigServer]
    const [sid, ...others] = (await sidsOf(masters)) as [string, ...string[]]
    for (const each of [sid, ...others]) await store.set(each, session({ step: 0 }, 600_000))
    const running = await load(store, sid)
    await dead[fault]()
    const deadName = dead.address
    let slowest = 0
    let stale = 0
    await until(
      async () => {
        for (const other of others) {
          const { ms, outcome } = await timed(() => store.get(other))
          expect(outcome).toMatchObject({ status: 'fulfilled', value: { step: 0 } })
          slowest = Math.max(slowest, ms)
        }
        expect(await load(store, sid)).toMatchObject({ step: 0 })
        stale++
        return isOpen(store, dead)
      },
      { timeoutMs: RECOVERY, what: 'the lanes of the dead master to open' },
    )
    const { status, masters: shown = [] } = store.health()
    expect(status).toBe('degraded')
    for (const { master, lanes } of shown) {
      if (master !== deadName) expect(Object.values(lanes).map(({ state }) => state)).toEqual(Array(3).fill('closed'))
    }
    await store.set(sid, change(running, { step: 1 }))
    expect(events.some((event) => event.type === 'queued')).toBe(true)
    await Promise.all(others.map(async (other) => store.set(other, change(await load(store, other), { step: 1 }))))
    expect(stale).toBeGreaterThan(0)
    // No other shard waits for the dead one's.
    expect(slowest).toBeLessThan(TIMEOUT)
    await untilUp(store, RECOVERY)
    const promoted = await cluster.masterOf(keyOf(sid))
    expect(promoted).not.toBe(dead)
    expect(JSON.parse(await promoted.cli('GET', keyOf(sid)))).toMatchObject({ step: 1 })
    expect(store.masters.has(deadName)).toBe(false)
    expect(new Set(events.flatMap((event) => (event.type === 'down' ? [event.master] : [])))).toEqual(
      new Set([deadName]),
    )
    expect(events.filter(({ type }) => type === 'up')).toHaveLength(events.filter(({ type }) => type === 'down').length)
  })
})

describe('a shard with nobody left', () => {
  async function killShard(store: ResilientStore): Promise<{ killed: Injected; sid: string }> {
    const dead = await cluster.master()
    const sid = await cluster.sidAt(dead)
    await store.set(sid, session({ step: 0 }, 600_000))
    const killed = await cluster.inject({ kind: 'kill', target: 'shard' })
    await untilOpen(store, dead)
    return { killed, sid }
  }

  it('is an outage for its sessions and for walks; clear() empties the others and says so', async () => {
    const store = await opened()
    const [, second] = (await cluster.masters()) as [RigServer, RigServer]
    const other = await cluster.sidAt(second)
    await store.set(other, session())
    const { sid } = await killShard(store)
    expect(['refused', 'reset', 'cluster-down']).toContain(rootReason(await downError(store.set(sid, session()))))
    expect(await load(store, other)).toBeTruthy()
    for (const walk of [() => store.ids(), () => store.all(), () => store.length(), () => drained(store.scan())]) {
      const { ms, outcome } = await timed<unknown>(walk)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'EREDISDOWN' } })
      expect(ms).toBeLessThan(4 * TIMEOUT)
    }
    await downError(store.clear())
    expect(await store.get(other)).toBeNull()
  })

  it('that comes back empty has its sessions restored, and is told of the logouts first', async () => {
    const store = await opened({ cache: true, degradation: 'available' })
    const events = told(store)
    const first = await cluster.master()
    const [, changed, destroyed] = (await cluster.sidsAt(first, 3)) as [string, string, string]
    await store.set(changed, session({ step: 0 }, 600_000))
    await store.set(destroyed, session({ step: 0 }, 600_000))
    const running = await load(store, changed)
    await store.destroy(destroyed)
    const { killed } = await killShard(store)
    await store.set(changed, change(running, { step: 1 }))
    await killed.heal()
    await untilUp(store, RECOVERY)
    const master = await cluster.masterOf(keyOf(changed))
    expect(JSON.parse(await master.cli('GET', keyOf(changed)))).toMatchObject({ step: 1 })
    expect(await master.cli('EXISTS', markerOf(destroyed))).toBe(1)
    expect(events.map(({ type }) => type)).toContain('restored')
  })
})

it('a replica that missed a logout and is promoted is told of it', async () => {
  const store = await opened()
  const master = await cluster.master()
  const [replica] = (await cluster.replicasOf(master)) as [RigServer]
  const sid = await cluster.sidAt(master)
  await store.set(sid, session({ user: 'ada' }, 600_000))
  await until(async () => (await replica.cli('DBSIZE')) === (1 as never), { what: 'the replica to have the session' })
  const paused = await replica.pause()
  await store.destroy(sid)
  await master.kill()
  await paused.heal()
  await until(async () => (await cluster.masterOf(keyOf(sid))) === replica, { timeoutMs: RECOVERY })
  await untilUp(store, RECOVERY)
  await until(async () => (await replica.cli<number>('EXISTS', markerOf(sid))) === 1, { what: 'the marker' })
  expect(await replica.cli('EXISTS', keyOf(sid))).toBe(0)
})

describe('a slot that moves to another master', () => {
  it('is followed while it moves and afterwards; no breaker moves', async () => {
    const store = await opened({ timeout: 5_000 })
    const events = outcomes(store)
    const [from, to] = (await cluster.masters()) as [RigServer, RigServer]
    const sid = await cluster.sidAt(from)
    const slot = await from.cli<number>('CLUSTER', 'KEYSLOT', keyOf(sid))
    await store.set(sid, session({ step: 0 }, 600_000))
    const [fromId, toId] = await Promise.all([from, to].map((server) => server.cli('CLUSTER', 'MYID')))
    afterThis(async () => {
      // Back to where it was, for the next test.
      for (const server of cluster.data) await server.cli('CLUSTER', 'SETSLOT', slot, 'NODE', fromId!).catch(() => {})
      await to.cli('DEL', keyOf(sid)).catch(() => {})
    })
    await to.cli('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId!)
    await from.cli('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId!)
    // Not there yet: the session is read where it is; what is new is written where it goes.
    const running = await load(store, sid)
    expect(running).toMatchObject({ step: 0 })
    await from.cli('MIGRATE', to.announced.host, to.announced.port, keyOf(sid), 0, 5_000)
    expect(await load(store, sid)).toMatchObject({ step: 0 })
    // A save needs two keys, and Redis wants both to have arrived: it is tried again until the slot has.
    const half = store.set(sid, change(running, { step: 1 }))
    expect(await isPending(half)).toBe(true)
    for (const server of [to, from]) await server.cli('CLUSTER', 'SETSLOT', slot, 'NODE', toId!)
    await half
    expect(await load(store, sid)).toMatchObject({ step: 1 })
    await store.set(sid, change(running, { step: 2 }))
    expect(await load(store, sid)).toMatchObject({ step: 2 })
    expect(JSON.parse(await to.cli('GET', keyOf(sid)))).toMatchObject({ step: 2 })
    expect(events).toEqual([])
  })
})
