// The near cache where there are several servers: each announces its own sessions' changes.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ResilientStore, ResilientStoreOptions } from '../../../src/index.js'
import { eventually, until } from '../../support/wait.js'
import { listeners, nearOf, read, untilNear, warm } from '../near/near-kit.js'
import { keyOf, load, openStore, session, untilUp } from '../store-kit.js'
import { type RigServer, TestRig } from './test-rig.js'

const RECOVERY = 20_000
const OPTIONS: ResilientStoreOptions = { cache: { near: true }, timeout: 1_000, breaker: { resetTimeout: 100 } }

const json = (data: Record<string, unknown>): string => JSON.stringify(session(data, 3_600_000))

async function seen(store: ResilientStore, sid: string, expected: Record<string, unknown> | null): Promise<void> {
  await eventually(
    async () => {
      if (expected === null) expect(await store.get(sid)).toBeNull()
      else expect(await load(store, sid)).toMatchObject(expected)
    },
    { timeoutMs: RECOVERY },
  )
}

describe('on a Cluster', () => {
  let cluster: TestRig

  beforeAll(async () => {
    cluster = await TestRig.open('cluster')
  }, 60_000)

  afterAll(() => cluster?.close())

  async function opened(): Promise<ResilientStore> {
    await cluster.renew()
    const store = openStore({ url: '' }, { redis: cluster.options, ...OPTIONS })
    await store.ready()
    await until(() => nearOf(store)?.state === 'on' && store.masters.size === 3, { what: 'all masters to announce' })
    return store
  }

  /** One session of each master, in its order. */
  async function shards(): Promise<{ readonly master: RigServer; readonly sid: string }[]> {
    return Promise.all((await cluster.masters()).map(async (master) => ({ master, sid: await cluster.sidAt(master) })))
  }

  it('every master announces the changes of its own sessions', async () => {
    const store = await opened()
    for (const { master, sid } of await shards()) {
      await master.cli('SET', keyOf(sid), json({ n: 1 }))
      await warm(store, sid)
    }
    for (const { master, sid } of await shards()) {
      expect(await listeners(master)).toHaveLength(1)
      await master.cli('SET', keyOf(sid), json({ n: 2 }))
      await seen(store, sid, { n: 2 })
      await warm(store, sid)
      await master.cli('DEL', keyOf(sid))
      await seen(store, sid, null)
    }
    await store.close()
    for (const { master } of await shards()) {
      await until(async () => (await listeners(master)).length === 0, { what: 'the connections to be closed' })
    }
  })

  it('the sessions of a master whose announcements are lost are read from it, those of the others from memory', async () => {
    const store = await opened()
    const [one, other] = await shards()
    for (const { master, sid } of [one!, other!]) await master.cli('SET', keyOf(sid), json({ n: 1 }))
    await warm(store, one!.sid, other!.sid)
    await one!.master.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await one!.master.cli('SET', keyOf(one!.sid), json({ n: 2 }))
    await seen(store, one!.sid, { n: 2 })
    expect(await read(store, other!.sid)).toMatchObject({ source: 'near', session: { n: 1 } })
    await untilNear(store)
    await warm(store, one!.sid)
  })

  it('a replica that takes over announces in its place', async () => {
    const store = await opened()
    const [one] = await shards()
    const { master, sid } = one!
    await master.cli('SET', keyOf(sid), json({ n: 1 }))
    await warm(store, sid)
    await master.cli('WAIT', 1, 2_000)
    await master.kill()
    await until(async () => (await cluster.masterOf(keyOf(sid))) !== master, {
      timeoutMs: RECOVERY,
      what: 'a successor',
    })
    const successor = await cluster.masterOf(keyOf(sid))
    await successor.cli('SET', keyOf(sid), json({ n: 2 }))
    await seen(store, sid, { n: 2 })
    await until(async () => (await read(store, sid)).source === 'near', { timeoutMs: RECOVERY, what: 'the successor' })
    await successor.cli('SET', keyOf(sid), json({ n: 3 }))
    await seen(store, sid, { n: 3 })
  })

  // The last: where the slot is afterwards is not what the servers had agreed upon.
  it('while a slot moves, and afterwards, its changes are seen', async () => {
    const store = await opened()
    const [one, other] = await shards()
    const [from, to, sid] = [one!.master, other!.master, one!.sid]
    const [fromId, toId] = [await from.cli('CLUSTER', 'MYID'), await to.cli('CLUSTER', 'MYID')]
    const slot = await from.cli<number>('CLUSTER', 'KEYSLOT', keyOf(sid))
    await from.cli('SET', keyOf(sid), json({ n: 1 }))
    await warm(store, sid)
    await to.cli('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId)
    await from.cli('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId)
    await from.cli('MIGRATE', to.announced.host, to.announced.port, keyOf(sid), 0, 5_000)
    // Now the one that is asked first sends everybody on.
    await seen(store, sid, { n: 1 })
    for (let time = 0; time < 5; time++) expect(await read(store, sid)).toMatchObject({ source: 'redis' })
    for (const server of [to, from]) await server.cli('CLUSTER', 'SETSLOT', slot, 'NODE', toId)
    await to.cli('SET', keyOf(sid), json({ n: 2 }))
    await seen(store, sid, { n: 2 })
    await until(async () => (await read(store, sid)).source === 'near', { timeoutMs: RECOVERY, what: 'the new master' })
    await to.cli('SET', keyOf(sid), json({ n: 3 }))
    await seen(store, sid, { n: 3 })
  })
})

describe('with Sentinel', () => {
  let group: TestRig

  beforeAll(async () => {
    group = await TestRig.open('sentinel')
  }, 60_000)

  afterAll(() => group?.close())

  it.each(['an orderly failover', 'a lost master'])('after %s the new master announces', async (what) => {
    await group.renew()
    const store = openStore({ url: '' }, { redis: group.options, ...OPTIONS })
    await store.ready()
    await untilNear(store)
    const old = await group.master()
    await old.cli('SET', keyOf('sid'), json({ n: 1 }))
    await warm(store, 'sid')
    await old.cli('WAIT', 2, 2_000)
    if (what === 'a lost master') await old.kill()
    else await group.inject({ kind: 'failover' })
    await until(async () => (await group.master()) !== old, { timeoutMs: RECOVERY, what: 'another master' })
    const promoted = await group.master()
    await eventually(() => promoted.cli('SET', keyOf('sid'), json({ n: 2 })), { timeoutMs: RECOVERY })
    await seen(store, 'sid', { n: 2 })
    await untilUp(store, RECOVERY)
    await until(async () => (await read(store, 'sid')).source === 'near', {
      timeoutMs: RECOVERY,
      what: 'the new master',
    })
    await promoted.cli('SET', keyOf('sid'), json({ n: 3 }))
    await seen(store, 'sid', { n: 3 })
  })
})
