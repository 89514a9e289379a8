import { describe, expect, it } from 'vitest'
import type { ResilientStoreOptions } from '../../src/index.js'
import type { RedisServer } from '../support/redis-server.js'
import { until } from '../support/wait.js'
import {
  downError,
  keyOf,
  load,
  markerOf,
  outcomes,
  readyStore,
  rootReason,
  server,
  session,
  untilUp,
} from './store-kit.js'

/** Less than is in use already: every command that wants memory is refused. */
async function fill(redis: RedisServer): Promise<void> {
  await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
}

async function makeRoom(redis: RedisServer): Promise<void> {
  await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
}

async function fullRedis(options: ResilientStoreOptions = {}) {
  const redis = await server({ maxmemory: '0' })
  const store = await readyStore(redis, options)
  await Promise.all(['a', 'b', 'c'].map((sid) => store.set(sid, session({ sid }, 600_000))))
  const loaded = await load(store, 'a')
  await fill(redis)
  return { redis, store, loaded }
}

describe('while Redis is full', () => {
  it('reads go on', async () => {
    const { store, loaded } = await fullRedis()
    for (let failed = 0; failed < 5; failed++) await downError(store.set('a', loaded))
    expect(await load(store, 'b')).toMatchObject({ sid: 'b' })
    expect(await store.get('nobody')).toBeNull()
  })

  it('logouts go on: the session is deleted and the marker left', async () => {
    const { redis, store } = await fullRedis()
    await store.destroy('b')
    expect(await redis.cli('EXISTS', keyOf('b'))).toBe(0)
    expect(await redis.cli('EXISTS', markerOf('b'))).toBe(1)
    expect(await redis.cli<number>('PTTL', markerOf('b'))).toBeGreaterThan(500_000)
  })

  it('a logout of a session that Redis does not have leaves its marker too', async () => {
    const { redis, store } = await fullRedis()
    await store.destroy('nobody')
    expect(await redis.cli('EXISTS', markerOf('nobody'))).toBe(1)
  })

  it('logouts work though Redis has never seen the script', async () => {
    const { redis, store } = await fullRedis()
    await redis.cli('SCRIPT', 'FLUSH')
    await store.destroy('b')
    expect(await redis.cli('EXISTS', keyOf('b'), markerOf('b'))).toBe(1)
  })

  it('touches go on', async () => {
    const { redis, store } = await fullRedis({ touchAfter: 0 })
    await store.touch('b', session({}, 900_000))
    expect(await redis.cli<number>('PTTL', keyOf('b'))).toBeGreaterThan(800_000)
  })

  it('saves fail, with the reason', async () => {
    const { redis, store, loaded } = await fullRedis()
    const error = await downError(store.set('a', Object.assign(loaded, { changed: true })))
    expect(error).toMatchObject({ operation: 'set', reason: 'out-of-memory', status: 503 })
    expect((await downError(store.set('new', session()))).reason).toBe('out-of-memory')
    expect(await redis.cli('GET', keyOf('a'))).not.toContain('changed')
  })

  it('opens the save lane and no other', async () => {
    const { store, loaded } = await fullRedis({ breaker: { resetTimeout: 100 } })
    const told = outcomes(store)
    while (store.health().lanes.save.state === 'closed') await downError(store.set('a', loaded))
    expect(rootReason(await downError(store.set('a', loaded)))).toBe('out-of-memory')
    // Several probes later, too.
    const { save } = store.lanes
    let probes = 0
    save.on('halfOpen', () => probes++)
    await until(() => probes >= 3)
    expect(store.health()).toMatchObject({
      status: 'degraded',
      lanes: { read: { state: 'closed' }, lifetime: { state: 'closed' }, save: { reason: 'out-of-memory' } },
    })
    expect(told).toEqual([{ type: 'down', lane: 'save', reason: 'out-of-memory' }])
  })
})

describe('when there is room again', () => {
  it('saves go on by themselves', async () => {
    const { redis, store, loaded } = await fullRedis({ breaker: { resetTimeout: 100 } })
    while (store.health().lanes.save.state === 'closed') await downError(store.set('a', loaded))
    await makeRoom(redis)
    await untilUp(store, 1_000)
    await store.set('a', Object.assign(loaded, { changed: true }))
    expect(await load(store, 'a')).toMatchObject({ changed: true })
  })

  it('what was queued is written', async () => {
    const { redis, store, loaded } = await fullRedis({
      cache: true,
      degradation: 'available',
      breaker: { resetTimeout: 100 },
    })
    const told = outcomes(store)
    await store.set('a', Object.assign(loaded, { changed: true }))
    for (let n = 0; n < 5; n++) await store.set(`new-${n}`, session({ n }))
    expect(await load(store, 'a')).toMatchObject({ changed: true })
    expect(store.health().queue.saves).toBe(6)
    await makeRoom(redis)
    await untilUp(store)

    expect(await redis.cli('GET', keyOf('a'))).toContain('changed')
    for (let n = 0; n < 5; n++) expect(await redis.cli('GET', keyOf(`new-${n}`))).toContain(`"n":${n}`)
    expect(told.filter(({ type }) => type === 'replayed')).toHaveLength(6)
    expect(told.filter(({ type }) => type === 'dropped' || type === 'conflict')).toEqual([])
  })
})
