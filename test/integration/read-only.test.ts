import { describe, expect, it } from 'vitest'
import type { ResilientStoreOptions } from '../../src/index.js'
import type { RedisServer } from '../support/redis-server.js'
import { until } from '../support/wait.js'
import { downError, keyOf, load, markerOf, readyStore, rootReason, server, session, untilUp } from './store-kit.js'

async function follow(replica: RedisServer, master: RedisServer): Promise<void> {
  await replica.cli('REPLICAOF', master.host, master.port)
  await until(async () => (await replica.info('master_link_status')) === 'up', {
    timeoutMs: 15_000,
    what: 'the replica to have its copy',
  })
}

/** A Redis with sessions that has become the replica of another with the same data. */
async function readOnlyRedis(options: ResilientStoreOptions = {}) {
  const [redis, other] = await Promise.all([server(), server()])
  const store = await readyStore(redis, { breaker: { resetTimeout: 100 }, touchAfter: 0, ...options })
  await Promise.all(['a', 'b'].map((sid) => store.set(sid, session({ sid }, 600_000))))
  const loaded = await load(store, 'a')
  await follow(other, redis)
  await other.cli('REPLICAOF', 'NO', 'ONE')
  await follow(redis, other)
  return { redis, other, store, loaded }
}

describe('while Redis is a replica', () => {
  it('reads go on', async () => {
    const { store, loaded } = await readOnlyRedis()
    for (let failed = 0; failed < 5; failed++) await downError(store.set('a', loaded))
    expect(await load(store, 'a')).toMatchObject({ sid: 'a' })
    expect(await store.get('nobody')).toBeNull()
    expect(store.health().lanes.read.state).toBe('closed')
  })

  it('saves, touches and logouts fail, with the reason', async () => {
    const { redis, store, loaded } = await readOnlyRedis({ breaker: { resetTimeout: 10_000 } })
    for (let round = 0; round < 5; round++) {
      expect(rootReason(await downError(store.set('a', loaded)))).toBe('read-only')
      expect(rootReason(await downError(store.set(`new-${round}`, session())))).toBe('read-only')
      expect(rootReason(await downError(store.touch('a', loaded)))).toBe('read-only')
      expect(rootReason(await downError(store.destroy('b')))).toBe('read-only')
    }
    expect(store.health()).toMatchObject({
      status: 'degraded',
      lanes: { read: { state: 'closed' }, save: { reason: 'read-only' }, lifetime: { reason: 'read-only' } },
    })
    expect(await redis.cli('EXISTS', keyOf('b'))).toBe(1)
  })

  it('a session logged out meanwhile is served no more, though Redis still has it', async () => {
    const { redis, store } = await readOnlyRedis()
    await downError(store.destroy('b'))
    expect(await redis.cli('EXISTS', keyOf('b'))).toBe(1)
    expect(await store.get('b')).toBeNull()
  })

  it('a missing script is no obstacle to the right reason', async () => {
    const { redis, store } = await readOnlyRedis()
    await redis.cli('SCRIPT', 'FLUSH')
    expect((await downError(store.set('new', session()))).reason).toBe('read-only')
    expect((await downError(store.destroy('b'))).reason).toBe('read-only')
  })
})

describe('when it is a master again', () => {
  it('everything works again, and the logout that waited is sent', async () => {
    const { redis, store, loaded } = await readOnlyRedis()
    while (store.health().lanes.save.state === 'closed') await downError(store.set('a', loaded))
    await downError(store.destroy('b'))
    await redis.cli('REPLICAOF', 'NO', 'ONE')
    await untilUp(store, 2_000)

    expect(await redis.cli('EXISTS', keyOf('b'))).toBe(0)
    expect(await redis.cli('EXISTS', markerOf('b'))).toBe(1)
    await store.set('a', Object.assign(loaded, { changed: true }))
    await store.touch('a', loaded)
    expect(await load(store, 'a')).toMatchObject({ changed: true })
  })

  it('what was queued is written', async () => {
    const { redis, store, loaded } = await readOnlyRedis({ cache: true, degradation: 'available' })
    await store.set('a', Object.assign(loaded, { changed: true }))
    await store.destroy('b')
    await redis.cli('REPLICAOF', 'NO', 'ONE')
    await untilUp(store)
    expect(await redis.cli('GET', keyOf('a'))).toContain('changed')
    expect(await redis.cli('EXISTS', keyOf('b'))).toBe(0)
  })
})
