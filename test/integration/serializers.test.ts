import { describe, expect, it, vi } from 'vitest'
import type { Serializer } from '../../src/index.js'
import { keyOf, load, readyClient, readyStore, server, session, untilDown } from './store-kit.js'

const rich = () => ({
  when: new Date(0),
  roles: new Set(['a']),
  cart: new Map([['book', 2]]),
  big: 12_345_678_901_234_567_890n,
  bytes: new Uint8Array([0, 255]),
})

describe("'json'", () => {
  it('writes what JSON.stringify makes', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    const one = session({ user: 'ada' }, 20_000)
    await store.set('sid', one)
    expect(await redis.cli('GET', keyOf('sid'))).toBe(JSON.stringify(one))
  })
})

describe("'v8'", () => {
  it('keeps rich types, also in a copy served without Redis', async () => {
    const redis = await server()
    const store = await readyStore(redis, { serializer: 'v8', cache: true })
    await store.set('sid', session(rich()))
    expect(await load(store, 'sid')).toMatchObject(rich())
    expect(await store.all()).toMatchObject([rich()])
    await redis.kill()
    await untilDown(store)
    expect(await load(store, 'sid')).toMatchObject(rich())
  })

  it('refuses what cannot be cloned, as an error of the application', async () => {
    const store = await readyStore(await server(), { serializer: 'v8' })
    await expect(store.set('sid', session({ fn: () => {} }))).rejects.toThrow()
    expect(store.health().status).toBe('up')
  })

  it('guards its saves too: bytes are compared, not text', async () => {
    const redis = await server()
    const store = await readyStore(redis, { serializer: 'v8', cache: true, degradation: 'available' })
    await store.set('sid', session({ bytes: new Uint8Array([200, 201]) }))
    const loaded = await load(store, 'sid')
    await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '1')
    await store.set('sid', Object.assign(loaded, { changed: new Uint8Array([250]) }))
    await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '0')
    await vi.waitUntil(() => store.health().queue.saves === 0, { timeout: 5_000 })
    expect(await load(store, 'sid')).toMatchObject({ changed: new Uint8Array([250]) })
  })
})

describe("'hybrid'", () => {
  it('reads what v8 and json wrote, and writes JSON', async () => {
    const redis = await server()
    const [v8, json, hybrid] = await Promise.all(
      (['v8', 'json', 'hybrid'] as const).map((serializer) => readyStore(redis, { serializer })),
    )
    await v8!.set('old', session(rich()))
    await json!.set('new', session({ user: 'ädå' }))
    expect(await load(hybrid!, 'old')).toMatchObject(rich())
    const loaded = await load(hybrid!, 'new')
    expect(loaded).toMatchObject({ user: 'ädå' })
    await hybrid!.set('new', Object.assign(loaded, { more: 'ü' }))
    expect(await load(json!, 'new')).toMatchObject({ user: 'ädå', more: 'ü' })
  })
})

describe('one of your own', () => {
  it('gets sid and prefix, and may be asynchronous', async () => {
    const redis = await server()
    const serializer: Serializer = {
      stringify: async (one, { sid, prefix }) => `${prefix}|${sid}|${JSON.stringify(one)}`,
      parse: async (value: string, { sid, prefix }) => {
        const start = `${prefix}|${sid}|`
        if (!value.startsWith(start)) throw new Error('moved here from another sid')
        return JSON.parse(value.slice(start.length))
      },
    }
    const store = await readyStore(redis, { serializer, prefix: 'mine:' })
    await store.set('sid', session({ user: 'ada' }))
    expect(await load(store, 'sid')).toMatchObject({ user: 'ada' })
    expect(await store.all()).toMatchObject([{ user: 'ada' }])
    await redis.cli('COPY', 'mine:sid', 'mine:other')
    expect(await store.get('other')).toBeNull()
  })

  it('may be binary', async () => {
    const redis = await server()
    const flip = (bytes: Buffer): Buffer => bytes.map((byte) => byte ^ 0xff) as Buffer
    const serializer: Serializer = {
      binary: true,
      stringify: (one) => flip(Buffer.from(JSON.stringify(one))),
      parse: (value: Buffer) => JSON.parse(Buffer.from(flip(value)).toString()),
    }
    const store = await readyStore(redis, { serializer })
    await store.set('sid', session({ user: 'ada' }))
    expect(await load(store, 'sid')).toMatchObject({ user: 'ada' })
    const raw = await (await readyClient(redis)).getBuffer(keyOf('sid'))
    expect(raw?.[0]).toBe('{'.charCodeAt(0) ^ 0xff)
  })

  it.each([undefined, 5, {}, null])('that returns %s fails its save alone', async (value) => {
    const store = await readyStore(await server(), {
      serializer: { stringify: () => value as never, parse: (text: string) => JSON.parse(text) },
    })
    await expect(store.set('sid', session())).rejects.toThrow(TypeError)
    expect(store.health().status).toBe('up')
  })

  it('that rejects fails its save alone, or makes the session unreadable', async () => {
    const redis = await server()
    const onSessionLoadError = vi.fn()
    const fail = () => Promise.reject(new Error('not today'))
    const store = await readyStore(redis, { serializer: { stringify: fail, parse: fail }, onSessionLoadError })
    await expect(store.set('sid', session())).rejects.toThrow('not today')
    await redis.cli('SET', keyOf('sid'), 'x')
    expect(await store.get('sid')).toBeNull()
    expect(onSessionLoadError).toHaveBeenCalledOnce()
  })
})
