import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it, vi } from 'vitest'
import { FallbackCache } from '../../src/fallback-cache.js'
import {
  type EncryptionOptions,
  encrypted,
  type ResilientStore,
  type ResilientStoreOptions,
  type Serializer,
  type SerializerName,
} from '../../src/index.js'
import { WriteQueue } from '../../src/write-queue.js'
import { FakeClock } from '../support/fake-clock.js'
import type { RedisServer } from '../support/redis-server.js'
import { until } from '../support/wait.js'
import {
  afterThis,
  keyOf,
  load,
  outcomes,
  proxyTo,
  readyClient,
  readyStore,
  server,
  session,
  untilDown,
  untilUp,
} from './store-kit.js'

const one = { id: 'one', key: randomBytes(32) }
const two = { id: 'two', key: randomBytes(32) }
/** What no byte of Redis may show. */
const SECRET = 'card 4111-1111'

interface Sealed extends ResilientStoreOptions {
  readonly of?: SerializerName | Serializer
  readonly keys?: EncryptionOptions['keys']
}

function sealed({ of = 'json', keys = [one], ...more }: Sealed = {}): ResilientStoreOptions {
  return { serializer: encrypted(of, { keys }), ...more }
}

/** Every value of every string key in Redis. */
async function dump(redis: RedisServer): Promise<Buffer> {
  const client = await readyClient(redis)
  const keys = await client.keys('*')
  const values = await Promise.all(keys.map((key) => client.getBuffer(key)))
  return Buffer.concat([Buffer.from(keys.join()), ...values.map((value) => value ?? Buffer.alloc(0))])
}

async function untilEmpty(store: ResilientStore): Promise<void> {
  await until(() => store.health().queue.saves === 0, { what: 'the queue to drain' })
}

describe('encrypted sessions', () => {
  const inner: [string, SerializerName | Serializer][] = [
    ['json', 'json'],
    ['v8', 'v8'],
    ['hybrid', 'hybrid'],
    [
      'asynchronous',
      { stringify: async (one) => JSON.stringify(one), parse: async (text: string) => JSON.parse(text) },
    ],
  ]

  it.each(inner)('are saved and loaded, and show nothing in Redis: %s', async (_, of) => {
    const redis = await server()
    const store = await readyStore(redis, sealed({ of }))
    await store.set('sid', session({ note: SECRET }, 60_000))
    await store.set('other', session({ note: SECRET }))
    const loaded = await load(store, 'sid')
    expect(loaded).toMatchObject({ note: SECRET })
    await store.set('sid', Object.assign(loaded, { more: `${SECRET} again` }))
    await store.touch('sid', loaded)
    expect(await store.all()).toHaveLength(2)
    const bytes = await dump(redis)
    expect(bytes.includes('sess:sid')).toBe(true)
    for (const text of ['4111', 'note', 'more', 'cookie', 'originalMaxAge']) expect(bytes.includes(text)).toBe(false)
  })

  it('are the same in memory: copies and what waits are encrypted too', async () => {
    const kept: (string | Buffer)[] = []
    const put = vi.spyOn(FallbackCache.prototype, 'put')
    const add = vi.spyOn(WriteQueue.prototype, 'addSave')
    afterThis(() => vi.restoreAllMocks())
    const redis = await server()
    const store = await readyStore(redis, sealed({ cache: true, degradation: 'available' }))
    await store.set('sid', session({ note: SECRET }, 120_000))
    const loaded = await load(store, 'sid')
    await redis.kill()
    await untilDown(store)
    expect(await load(store, 'sid')).toMatchObject({ note: SECRET })
    await store.set('sid', Object.assign(loaded, { more: SECRET }))
    expect(await load(store, 'sid')).toMatchObject({ note: SECRET, more: SECRET })
    for (const [, { raw }] of put.mock.calls) kept.push(raw)
    for (const [{ payload, base }] of add.mock.calls) kept.push(payload, base ?? '')
    expect(kept.length).toBeGreaterThan(3)
    for (const raw of kept) expect(raw.includes('4111')).toBe(false)
  })

  it('are queued, and written when Redis is back: no conflict with what they were made from', async () => {
    const redis = await server()
    const proxy = await proxyTo(redis)
    const store = await readyStore(proxy, sealed({ cache: true, degradation: 'available', timeout: 1_000 }))
    const told = outcomes(store)
    await store.set('sid', session({ step: 1 }, 60_000))
    const loaded = await load(store, 'sid')
    proxy.refuse()
    proxy.resetAll()
    await untilDown(store)
    for (const step of [2, 3]) await store.set('sid', Object.assign(await load(store, 'sid'), { step }))
    await store.set('new', session({ note: SECRET }))
    await proxy.heal()
    await untilUp(store)
    await untilEmpty(store)
    expect(await load(await readyStore(redis, sealed()), 'sid')).toMatchObject({ step: 3 })
    expect(told.filter(({ type }) => type === 'replayed')).toHaveLength(2)
    expect(told.filter(({ type }) => type === 'conflict' || type === 'dropped')).toEqual([])
    expect((await dump(redis)).includes('4111')).toBe(false)
    expect(loaded).toMatchObject({ step: 1 })
  })

  it('are compared by what they hold: the same session encrypted anew is no conflict', async () => {
    const redis = await server()
    for (const concurrency of ['reject', 'merge'] as const) {
      const [a, b] = await Promise.all([0, 1].map(() => readyStore(redis, sealed({ concurrency }))))
      await a!.set(concurrency, session({ n: 1 }))
      const loaded = await load(a!, concurrency)
      await b!.set(concurrency, await load(b!, concurrency))
      await a!.set(concurrency, Object.assign(loaded, { n: 2 }))
      expect(await load(b!, concurrency)).toMatchObject({ n: 2 })
    }
  })

  it('are merged, and a change that cannot be is a conflict', async () => {
    const redis = await server()
    const [a, b] = await Promise.all(
      (['merge', 'reject'] as const).map((concurrency) => readyStore(redis, sealed({ concurrency }))),
    )
    await a!.set('sid', session({ mine: 1, theirs: 1 }))
    const [first, second] = [await load(a!, 'sid'), await load(b!, 'sid')]
    await b!.set('sid', Object.assign(await load(b!, 'sid'), { theirs: 2 }))
    await a!.set('sid', Object.assign(first, { mine: 2 }))
    expect(await load(b!, 'sid')).toMatchObject({ mine: 2, theirs: 2 })
    await expect(b!.set('sid', Object.assign(second, { theirs: 3 }))).rejects.toMatchObject({
      code: 'ESESSIONCONFLICT',
    })
  })

  it('moved to another id are unreadable there, told and deleted', async () => {
    const redis = await server()
    const onSessionLoadError = vi.fn()
    const store = await readyStore(redis, sealed({ onSessionLoadError }))
    await store.set('admin', session({ admin: true }))
    await redis.cli('COPY', keyOf('admin'), keyOf('mine'))
    expect(await store.get('mine')).toBeNull()
    expect(onSessionLoadError).toHaveBeenCalledExactlyOnceWith(expect.any(Error), 'mine')
    expect(await redis.cli('EXISTS', keyOf('mine'))).toBe(0)
    expect(await load(store, 'admin')).toMatchObject({ admin: true })
  })

  it('show no key in what can be printed of a store', async () => {
    const redis = await server()
    const store = await readyStore(redis, sealed())
    const texts = [inspect(store, { depth: 20, showHidden: true, maxArrayLength: 200 }), JSON.stringify(store.health())]
    for (const text of texts) {
      for (const form of ['base64', 'hex'] as const) expect(text).not.toContain(one.key.toString(form).slice(0, 16))
      expect(text).not.toContain(inspect(one.key).slice(8, 40))
    }
  })
})

describe('sessions in clear', () => {
  it('are read until the date, encrypted by their next save, and unreadable from then on', async () => {
    const redis = await server()
    const old = await readyStore(redis)
    for (const sid of ['saved', 'read']) await old.set(sid, session({ note: SECRET }))
    const clock = new FakeClock()
    const readPlainUntil = new Date(clock.wall() + 60_000)
    const onSessionLoadError = vi.fn()
    const serializer = encrypted('json', { keys: [one], readPlainUntil }, clock)
    const store = await readyStore(redis, { serializer, onSessionLoadError, concurrency: 'merge', cache: true })
    await store.set('saved', Object.assign(await load(store, 'saved'), { more: 1 }))
    expect(await load(store, 'read')).toMatchObject({ note: SECRET })

    clock.advance(60_000)
    expect(await load(store, 'saved')).toMatchObject({ note: SECRET, more: 1 })
    expect(onSessionLoadError).not.toHaveBeenCalled()
    expect(await store.get('read')).toBeNull()
    expect(onSessionLoadError).toHaveBeenCalledExactlyOnceWith(expect.any(Error), 'read')
    expect((await dump(redis)).includes('4111')).toBe(false)
  })

  it('go on while processes that write them and processes that encrypt run side by side', async () => {
    const redis = await server()
    const both = encrypted('json', { keys: [one], readPlainUntil: new Date(Date.now() + 3_600_000) })
    const first: Serializer = { ...both, stringify: (data) => JSON.stringify(data) }
    const [writing, encrypting] = await Promise.all(
      [first, both].map((serializer) => readyStore(redis, { serializer, concurrency: 'reject' })),
    )
    await writing!.set('sid', session({ step: 0 }))
    for (const step of [1, 2, 3]) {
      await encrypting!.set('sid', Object.assign(await load(encrypting!, 'sid'), { step }))
      await writing!.set('sid', await load(writing!, 'sid'))
    }
    expect(JSON.parse(await redis.cli('GET', keyOf('sid')))).toMatchObject({ step: 3 })
  })

  it('kept in memory are no absence when the date comes in an outage', async () => {
    const redis = await server()
    await (await readyStore(redis)).set('sid', session({ note: SECRET }, 120_000))
    const clock = new FakeClock()
    const serializer = encrypted('json', { keys: [one], readPlainUntil: new Date(clock.wall() + 60_000) }, clock)
    const onSessionLoadError = vi.fn()
    const store = await readyStore(redis, { serializer, onSessionLoadError, cache: true })
    await load(store, 'sid')
    await redis.kill()
    await untilDown(store)
    expect(await load(store, 'sid')).toMatchObject({ note: SECRET })
    clock.advance(60_000)
    await expect(store.get('sid')).rejects.toMatchObject({ code: 'EREDISDOWN' })
    expect(onSessionLoadError).toHaveBeenCalledExactlyOnceWith(expect.any(Error), 'sid')
  })

  it('kept by the near cache are unreadable from the date on, and deleted', async () => {
    const redis = await server()
    await (await readyStore(redis)).set('sid', session({ note: SECRET }))
    const clock = new FakeClock()
    const serializer = encrypted('json', { keys: [one], readPlainUntil: new Date(clock.wall() + 60_000) }, clock)
    const onSessionLoadError = vi.fn()
    const store = await readyStore(redis, { serializer, onSessionLoadError, cache: { near: true } })
    await until(() => store.health().cache?.near?.state === 'on', { what: 'the near cache to be on' })
    await load(store, 'sid')
    clock.advance(60_000)
    expect(await store.get('sid')).toBeNull()
    expect(onSessionLoadError).toHaveBeenCalledExactlyOnceWith(expect.any(Error), 'sid')
    expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(0)
  })
})

describe('several keys', () => {
  it('sessions of the old one go on, and are encrypted with the new one by their next save', async () => {
    const redis = await server()
    const before = await readyStore(redis, sealed())
    await before.set('sid', session({ step: 1 }))
    const rotated = await readyStore(redis, sealed({ keys: [two, one] }))
    await rotated.set('sid', Object.assign(await load(rotated, 'sid'), { step: 2 }))
    const after = await readyStore(redis, sealed({ keys: [two] }))
    expect(await load(after, 'sid')).toMatchObject({ step: 2 })
  })
})

describe('a key that this process does not have', () => {
  const UNKNOWN = { code: 'ESESSIONKEYUNKNOWN', status: 503, keyId: 'two' }

  async function strangers(options: Sealed = {}) {
    const redis = await server()
    const onSessionLoadError = vi.fn()
    const onRedisDown = vi.fn()
    const proxy = await proxyTo(redis)
    const theirs = await readyStore(redis, sealed({ keys: [two, one] }))
    const ours = await readyStore(proxy, sealed({ timeout: 1_000, onSessionLoadError, onRedisDown, ...options }))
    return { redis, proxy, theirs, ours, told: outcomes(ours), onSessionLoadError, onRedisDown }
  }

  it('answers 503, is told once and destroys nothing; a logout is honoured', async () => {
    const { redis, theirs, ours, told, onSessionLoadError, onRedisDown } = await strangers({ cache: true })
    await theirs.set('sid', session({ user: 'ann' }))
    await expect(ours.get('sid')).rejects.toMatchObject({ ...UNKNOWN, operation: 'get' })
    expect(onSessionLoadError).toHaveBeenCalledExactlyOnceWith(expect.objectContaining(UNKNOWN), 'sid')
    expect(onRedisDown).not.toHaveBeenCalled()
    expect(ours.health().status).toBe('up')
    expect(told).toEqual([])
    expect(await load(theirs, 'sid')).toMatchObject({ user: 'ann' })

    await ours.destroy('sid')
    expect(await ours.get('sid')).toBeNull()
    expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(0)
  })

  it('is not answered from an older copy, neither then nor in an outage', async () => {
    const { redis, theirs, ours } = await strangers({ cache: true })
    await ours.set('sid', session({ step: 1 }))
    await theirs.set('sid', Object.assign(await load(theirs, 'sid'), { step: 2 }))
    await expect(ours.get('sid')).rejects.toMatchObject(UNKNOWN)
    await redis.kill()
    await untilDown(ours)
    await expect(ours.get('sid')).rejects.toMatchObject({ code: 'EREDISDOWN' })
  })

  it('leaves walks their other sessions, and is told', async () => {
    const { theirs, ours, onSessionLoadError } = await strangers()
    await theirs.set('sealed', session())
    await ours.set('plain', session())
    expect((await ours.all()).map(({ id }) => id)).toEqual(['plain'])
    expect((await ours.ids()).sort()).toEqual(['plain', 'sealed'])
    expect(onSessionLoadError).toHaveBeenCalledExactlyOnceWith(
      expect.objectContaining({ ...UNKNOWN, operation: 'scan' }),
      'sealed',
    )
    expect(await theirs.length()).toBe(2)
  })

  it.each(['reject', 'merge'] as const)('fails a save that must be compared with it: %s', async (concurrency) => {
    const { theirs, ours, onSessionLoadError } = await strangers({ concurrency })
    await ours.set('sid', session({ step: 1 }))
    const loaded = await load(ours, 'sid')
    await theirs.set('sid', Object.assign(await load(theirs, 'sid'), { step: 2 }))
    await expect(ours.set('sid', Object.assign(loaded, { mine: true }))).rejects.toMatchObject({
      ...UNKNOWN,
      operation: 'set',
    })
    expect(onSessionLoadError).toHaveBeenCalledOnce()
    expect(await load(theirs, 'sid')).toMatchObject({ step: 2 })
  })

  it('stays when a save that waited meets it: that is given up, and told', async () => {
    const { proxy, theirs, ours, told, onSessionLoadError } = await strangers({
      cache: true,
      degradation: 'available',
      concurrency: 'merge',
      breaker: { resetTimeout: 100 },
    })
    await ours.set('sid', session({ step: 1 }))
    const [mine, other] = [await load(ours, 'sid'), await load(theirs, 'sid')]
    proxy.refuse()
    proxy.resetAll()
    await untilDown(ours)
    await ours.set('sid', Object.assign(mine, { mine: true }))
    await theirs.set('sid', Object.assign(other, { step: 2 }))
    await proxy.heal()
    await untilEmpty(ours)
    expect(await load(theirs, 'sid')).toMatchObject({ step: 2 })
    expect(told.filter(({ type }) => type === 'dropped')).toEqual([
      { type: 'dropped', operation: 'set', reason: 'key-unknown' },
    ])
    expect(onSessionLoadError).toHaveBeenCalledOnce()
  })
})
