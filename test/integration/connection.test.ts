import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { ResilientStore } from '../../src/index.js'
import { Connection, type ConnectionOptions } from '../../src/redis/connect.js'
import { hasOpenssl } from '../support/certificates.js'
import type { RedisServer } from '../support/redis-server.js'
import { settled, until } from '../support/wait.js'
import {
  afterThis,
  downError,
  load,
  openClient,
  openStore,
  outcomes,
  proxyTo,
  readyClient,
  readyStore,
  rootReason,
  server,
  session,
  untilDown,
  untilUp,
} from './store-kit.js'

afterEach(() => {
  vi.restoreAllMocks()
})

async function works(store: ResilientStore): Promise<void> {
  await store.ready()
  const sid = randomUUID()
  await store.set(sid, session({ user: 'ada' }))
  expect(await load(store, sid)).toMatchObject({ user: 'ada' })
  await store.destroy(sid)
  expect(await store.get(sid)).toBeNull()
}

describe('the store connects', () => {
  it('by URL', async () => {
    await works(openStore(await server()))
  })

  it("by ioredis's options", async () => {
    const { host, port } = await server({ requirepass: 'secret' })
    await works(openStore({ url: '' }, { redis: { host, port, password: 'secret' } }))
  })

  it('by unix socket, as a path and as an option', async () => {
    const { socketPath } = await server({ port: 0 })
    await works(openStore({ url: socketPath }))
    await works(openStore({ url: '' }, { redis: { path: socketPath } }))
  })

  it('by TLS', async ({ skip }) => {
    if (!(await hasOpenssl())) skip('no openssl here')
    const { host, port, ca } = await server({ tls: true, requirepass: 'secret' })
    await works(openStore({ url: '' }, { redis: { host, port, password: 'secret', tls: { ca } } }))
  })

  it('by a rediss: URL', async ({ skip }) => {
    if (!(await hasOpenssl())) skip('no openssl here')
    const redis = await server({ tls: true })
    // A URL has no room for a private authority's certificate: the connection is refused for that reason alone.
    const store = openStore(redis)
    await untilDown(store)
    expect(rootReason(await downError(store.get('sid')))).toBe('tls')
  })

  it('as an ACL user with a password that needs escaping', async () => {
    const redis = await server()
    await redis.cli('ACL', 'SETUSER', 'app', 'on', '>p@ss/wö:rd', '~*', '+@all')
    await works(openStore({ url: `redis://app:${encodeURIComponent('p@ss/wö:rd')}@127.0.0.1:${redis.port}` }))
    await expect(redis.cli('ACL', 'WHOAMI')).resolves.not.toBe('app')
  })

  it('as a user with just the rights that README names, and not with less', async () => {
    const redis = await server()
    const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
    const named = /^ACL SETUSER sessions on >PASSWORD (.+)$/m.exec(readme)?.[1]?.split(' ') ?? []
    const url = redis.url.replace('redis://', 'redis://sessions:secret@')
    const missing = ['get', 'mget', 'set', 'del', 'exists', 'pexpire', 'pttl', 'time', 'evalsha']
    for (const right of missing) {
      await redis.cli('ACL', 'SETUSER', 'sessions', 'reset', 'on', '>secret', ...named, `-${right}`)
      await expect(openStore({ url }).ready(), right).rejects.toMatchObject({ reason: 'auth' })
    }
    await redis.cli('ACL', 'SETUSER', 'sessions', 'reset', 'on', '>secret', ...named)
    const store = openStore({ url })
    await works(store)
    await store.set('kept', session())
    expect(await store.ids()).toEqual(['kept'])
    await store.clear()
    expect(await store.length()).toBe(0)
  })

  it('to the database that the URL or the options name', async () => {
    const redis = await server()
    const byUrl = await readyStore({ url: `${redis.url}/3` })
    await byUrl.set('sid', session({ user: 'ada' }))
    expect(await redis.cli('DBSIZE')).toBe(0)
    const byOption = await readyStore(redis, { redis: { port: redis.port, db: 3 } })
    expect(await load(byOption, 'sid')).toMatchObject({ user: 'ada' })
    await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal')
    await until(async () => (await settled(byUrl.get('sid'))).status === 'fulfilled')
    expect(await load(byUrl, 'sid')).toMatchObject({ user: 'ada' })
  })

  it('under a name that shows in CLIENT LIST', async () => {
    const redis = await server()
    await readyStore(redis)
    expect(await redis.cli('CLIENT', 'LIST')).toContain('name=resilient-session-store')
  })
})

describe('the first operations', () => {
  it('wait for the connection', async () => {
    const redis = await server()
    const store = openStore(redis)
    expect(await store.get('sid')).toBeNull()
    await openStore(redis).set('sid', session())
    await load(openStore(redis), 'sid')
    await openStore(redis).destroy('sid')
  })

  it('wait within their deadline', async () => {
    const redis = await server()
    const proxy = await proxyTo(redis)
    proxy.delay({ down: 60 })
    const store = openStore(proxy, { timeout: 400 })
    expect(await store.get('sid')).toBeNull()
    const hurried = openStore(proxy, { timeout: 50 })
    expect((await downError(hurried.get('sid'))).reason).toBe('timeout')
  })

  it('wait for a supplied client that is not connected yet, and connect a lazy one', async () => {
    const redis = await server()
    expect(await openStore(redis, { client: openClient(redis) }).get('sid')).toBeNull()
    expect(await openStore(redis, { client: openClient(redis, { lazyConnect: true }) }).get('sid')).toBeNull()
  })
})

describe('a store that starts while Redis is down', () => {
  it.each(['redis', 'client'] as const)('connects when it comes, with option %s', async (option) => {
    const redis = await server()
    await redis.kill()
    const store = openStore(redis, option === 'client' ? { client: openClient(redis) } : {})
    expect(rootReason(await downError(store.get('sid')))).toBe('refused')
    await untilDown(store)
    expect(await downError(store.ready(50))).toMatchObject({ operation: 'ready' })
    const ready = store.ready()
    await redis.start()
    await ready
    expect(store.health().status).toBe('up')
    await works(store)
  })
})

describe('credentials', () => {
  it.each([
    ['in a URL', (port: number) => `redis://app:hunter2-secret@127.0.0.1:${port}`],
    [
      'in options',
      (port: number) => ({
        host: '127.0.0.1',
        port,
        username: 'app',
        password: 'hunter2-secret',
        retryStrategy: () => 20,
      }),
    ],
  ])('%s are in no error, warning, health or event', async (_, redisOption) => {
    const redis = await server()
    const said: unknown[] = []
    const warnings = vi.spyOn(process, 'emitWarning').mockImplementation((...args: unknown[]) => void said.push(args))
    const logged = [vi.spyOn(console, 'warn'), vi.spyOn(console, 'error')]
    const store = openStore(redis, {
      redis: redisOption(redis.port),
      cache: true,
      degradation: 'available',
      breaker: { resetTimeout: 100 },
      onRedisDown: (error) => void said.push(error),
    })
    said.push(outcomes(store))
    const sayAll = async () => {
      const calls = [store.get('a'), store.set('b', session()), store.touch('c', session()), store.destroy('d')]
      said.push(...(await Promise.allSettled<unknown>([...calls, store.ids(), store.ready(1)])))
      said.push(store.health(), { ...store })
    }
    await untilDown(store)
    await sayAll()
    expect(said.length).toBeGreaterThan(8)
    await redis.cli('ACL', 'SETUSER', 'app', 'on', '>hunter2-secret', '~*', '+@all', '-@write')
    await until(() => store.health().connection.state === 'ready')
    await sayAll()
    await redis.kill()
    await untilDown(store)
    await sayAll()
    said.push(await store.close(1), ...logged.map(({ mock }) => mock.calls))
    const text = inspect(said, { depth: Number.POSITIVE_INFINITY, showHidden: true, maxStringLength: null })
    expect(text).toContain('EREDISDOWN')
    expect(text).not.toContain('hunter2')
    expect(warnings).not.toHaveBeenCalled()
  })

  it('of a bad option are not quoted', () => {
    expect(() => openStore({ url: '' }, { redis: 5 as never })).toThrow(TypeError)
    const bad = { redis: 'redis://:hunter2@x', client: {} } as never
    expect(() => new ResilientStore(bad)).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('hunter2') }),
    )
  })

  it('and session ids and data are not hidden in errors either', async () => {
    const redis = await server()
    const store = await readyStore(redis, { breaker: { resetTimeout: 10_000 } })
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    const said = [await downError(store.set('very-secret-id', session({ iban: 'DE89370400440532013000' })))]
    await redis.kill()
    await untilDown(store)
    said.push(await downError(store.set('very-secret-id', session({ iban: 'DE89370400440532013000' }))))
    said.push(await downError(store.get('very-secret-id')))
    const text = inspect(said, { depth: Number.POSITIVE_INFINITY, showHidden: true })
    expect(text).not.toMatch(/very-secret-id|DE89/)
  })
})

describe('a Redis that may evict', () => {
  const EVICTING = { config: { 'maxmemory-policy': 'allkeys-lru' } }

  /** What the store, or Redis through it, makes Node warn of. */
  function warnings() {
    const spy = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    return (): unknown[] => spy.mock.calls.map(([, options]) => (options as unknown as { code: string }).code)
  }

  /** Cuts every connection but the test's own, and waits until the store has asked its first questions again. */
  async function reconnect(redis: RedisServer, store: ResilientStore): Promise<void> {
    const lost = new Promise<void>((resolve) => store.once('down', () => resolve()))
    await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal')
    await lost
    await untilUp(store)
  }

  it.each(['redis', 'client'] as const)('is warned of once per store, whatever the reconnects: %s', async (option) => {
    const redis = await server(EVICTING)
    const spy = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const open = () => readyStore(redis, option === 'client' ? { client: openClient(redis) } : {})
    const store = await open()
    expect(spy.mock.calls).toEqual([
      [
        expect.stringContaining("'allkeys-lru'"),
        {
          type: 'SessionStoreWarning',
          code: 'SESSION_STORE_EVICTION',
          detail: expect.stringContaining('Set maxmemory-policy to noeviction'),
        },
      ],
    ])
    for (let time = 0; time < 3; time++) await reconnect(redis, store)
    await works(store)
    expect(spy).toHaveBeenCalledOnce()
    await open()
    expect(spy).toHaveBeenCalledTimes(2)
  })

  it.each(['volatile-lru', 'volatile-ttl', 'allkeys-random', 'allkeys-lfu'])('by %s is warned of', async (policy) => {
    const redis = await server({ config: { 'maxmemory-policy': policy } })
    const warned = warnings()
    await readyStore(redis)
    expect(warned()).toEqual(['SESSION_STORE_EVICTION'])
  })

  it('is not a noeviction one; its policy is read anew at every connection', async () => {
    const redis = await server({ maxmemory: '100mb' })
    const warned = warnings()
    const store = await readyStore(redis)
    await reconnect(redis, store)
    await works(store)
    expect(warned()).toEqual([])
    await redis.cli('CONFIG', 'SET', 'maxmemory-policy', 'volatile-lru')
    await reconnect(redis, store)
    expect(warned()).toEqual(['SESSION_STORE_EVICTION'])
  })

  it('goes unnoticed, and nothing else, by a user who may not ask for it', async () => {
    const redis = await server(EVICTING)
    await redis.cli('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '+@all', '-info')
    const warned = warnings()
    await works(openStore({ url: `redis://app:secret@127.0.0.1:${redis.port}` }))
    expect(warned()).toEqual([])
  })

  it('costs no round trip: its policy is asked for with the rest', async () => {
    const redis = await server(EVICTING)
    const warned = warnings()
    const proxy = await proxyTo(redis)
    const held = proxy.holdReply(/^INFO/i)
    const store = openStore(proxy, { timeout: 5_000 })
    await held.hit()
    await Promise.all([proxy.command('INFO', { nth: 2 }), proxy.command('TIME'), proxy.command('CLIENT')])
    expect(warned()).toEqual([])
    held.release()
    await store.ready()
    expect(warned()).toEqual(['SESSION_STORE_EVICTION'])
  })
})

describe('a supplied client', () => {
  it('with dangerous settings is reported, once', async () => {
    const redis = await server()
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const client = new Redis(redis.url)
    afterThis(() => client.disconnect())
    openStore(redis, { client })
    openStore(redis, { client })
    expect(warn).toHaveBeenCalledOnce()
    const [message, options] = warn.mock.calls[0] as unknown as [string, { code: string; detail: string }]
    expect(message).toContain('ioredis client')
    expect(options).toMatchObject({ code: 'SESSION_STORE_CLIENT', type: 'SessionStoreWarning' })
    for (const name of ['enableOfflineQueue', 'autoResendUnfulfilledCommands', 'commandTimeout']) {
      expect(options.detail).toContain(name)
    }
  })

  it('with good settings is not', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const redis = await server()
    await works(openStore(redis, { client: openClient(redis) }))
    expect(warn).not.toHaveBeenCalled()
  })

  it('of node-redis is refused, with what to do', async () => {
    const redis = await server()
    const client = createClient({ url: redis.url })
    const refusing = (): ResilientStore => new ResilientStore({ client: client as never })
    expect(refusing).toThrow(TypeError)
    expect(refusing).toThrow(/node-redis.*ioredis/)
    await client.connect()
    expect(refusing).toThrow(/node-redis/)
    client.destroy()
  })

  it.each([null, {}, 'redis://x', 5, () => {}])('that is %s is refused', (client) => {
    expect(() => new ResilientStore({ client: client as never })).toThrow(/option 'client'/)
  })

  it('is not closed by close(), and no listener is left on it', async () => {
    const redis = await server()
    const client = await readyClient(redis)
    const counts = () => client.eventNames().map((name) => [name, client.listenerCount(name)])
    const before = counts()
    for (let n = 0; n < 3; n++) {
      const store = openStore(redis, { client })
      await store.ready()
      await store.get('sid')
      await store.close()
    }
    expect(counts()).toEqual(before)
    expect(client.status).toBe('ready')
    expect(await client.ping()).toBe('PONG')
  })

  it('is not cut by a store that finds Redis silent', async () => {
    const redis = await server()
    const client = await readyClient(redis)
    const close = vi.fn()
    client.on('close', close)
    const store = openStore(redis, { client, timeout: 50, breaker: { resetTimeout: 50 } })
    await store.ready()
    await redis.pause()
    for (let failed = 0; failed < 5; failed++) await downError(store.get('sid'))
    await untilDown(store)
    await redis.resume()
    await untilUp(store)
    expect(close).not.toHaveBeenCalled()
  })

  it('may be shared by two stores of different prefixes', async () => {
    const redis = await server()
    const client = openClient(redis)
    const [one, other] = [openStore(redis, { client, prefix: 'one:' }), openStore(redis, { client, prefix: 'two:' })]
    await one.set('sid', session({ of: 'one' }))
    expect(await other.get('sid')).toBeNull()
    await other.set('sid', session({ of: 'two' }))
    await one.close()
    expect(await load(other, 'sid')).toMatchObject({ of: 'two' })
  })

  it('that the application closes leaves the store down, and lets it be closed', async () => {
    const redis = await server()
    const client = await readyClient(redis)
    const store = openStore(redis, { client })
    await store.ready()
    client.disconnect()
    await untilDown(store)
    await downError(store.get('sid'))
    expect(await store.close(100)).toEqual({ droppedSaves: 0, droppedDestroys: 0 })
  })
})

describe('a connection that was cut for its silence', () => {
  it('says so from that moment on, and is made anew', async () => {
    const redis = await server()
    const onLost = vi.fn<ConnectionOptions['onLost']>()
    const connection = new Connection({
      client: undefined,
      redis: redis.url,
      timeout: 250,
      onReady: () => {},
      onLost,
    })
    afterThis(() => connection.close())
    connection.start()
    await connection.usable()
    expect(connection.usable()).toBeUndefined()
    connection.stalled()
    // The client has not noticed yet: what is sent now it would refuse as not connected.
    expect(connection.client.status).toBe('ready')
    expect(connection.state).toBe('lost')
    await expect(connection.usable()).rejects.toMatchObject({ reason: 'timeout' })
    await until(() => connection.client.status !== 'ready', { what: 'the client to notice' })
    for (const [failure] of onLost.mock.calls) expect(failure).toMatchObject({ reason: 'timeout' })
    expect(onLost).toHaveBeenCalled()
    await until(() => connection.state === 'ready', { what: 'the connection to be back' })
    expect(connection.usable()).toBeUndefined()
  })
})
