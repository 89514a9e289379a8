// The connection on which Redis announces changes: lost, silent, late, refused, or on another server than the sessions.

import { describe, expect, it } from 'vitest'
import { eventually, settled, until } from '../../support/wait.js'
import { change } from '../guard-kit.js'
import {
  afterThis,
  keyOf,
  load,
  openClient,
  openStore,
  readyClient,
  readyStore,
  server,
  session,
  untilDown,
  untilUp,
} from '../store-kit.js'
import { commands, lines, listeners, nearOf, nearStore, read, untilNear, warm } from './near-kit.js'

const json = (data: Record<string, unknown>): string => JSON.stringify(session(data, 3_600_000))

describe('the connection for announcements is lost', () => {
  it('killed: what was changed meanwhile is seen when it is back', async () => {
    const redis = await server()
    const { store, line } = await lines(redis)
    await redis.cli('SET', keyOf('sid'), json({ n: 1 }))
    await redis.cli('SET', keyOf('gone'), json({ n: 1 }))
    await warm(store, 'sid', 'gone')
    line.refuse()
    const [id] = await listeners(redis)
    await redis.cli('CLIENT', 'KILL', 'ID', id as string)
    await until(() => nearOf(store)?.state === 'connecting', { what: 'the loss to be noticed' })
    await redis.cli('SET', keyOf('sid'), json({ n: 2 }))
    await redis.cli('DEL', keyOf('gone'))
    expect(await read(store, 'sid')).toMatchObject({ source: 'redis', session: { n: 2 } })
    await redis.cli('SET', keyOf('sid'), json({ n: 3 }))
    await line.accept()
    await untilNear(store)
    expect(await read(store, 'sid')).toMatchObject({ source: 'redis', session: { n: 3 } })
    expect(await store.get('gone')).toBeNull()
    await warm(store, 'sid')
    expect(store.health().status).toBe('up')
  })

  it('killed again and again under changes: nothing old stays', async () => {
    const redis = await server()
    const store = await nearStore(redis)
    for (let n = 1; n <= 15; n++) {
      await redis.cli('SET', keyOf('sid'), json({ n }))
      await eventually(async () => expect(await load(store, 'sid')).toMatchObject({ n }))
      if (n % 3 === 0) await redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await redis.cli('SET', keyOf('sid'), json({ n: n + 0.5 }))
      await eventually(async () => expect(await load(store, 'sid')).toMatchObject({ n: n + 0.5 }))
    }
    await untilNear(store)
    await warm(store, 'sid')
  })

  it('because the server dropped it: too much was announced at once', async () => {
    const redis = await server({ config: { 'client-output-buffer-limit': 'pubsub 64kb 0 0' } })
    const { store, line } = await lines(redis)
    await redis.cli('SET', keyOf('sid'), json({ n: 1 }))
    await warm(store, 'sid')
    line.blackhole('down')
    const long = 'x'.repeat(10_000)
    await until(
      async () => {
        await redis.cli('EVAL', "for i = 1, 300 do redis.call('SET', KEYS[1] .. i, '1') end", 1, keyOf(long))
        return (await listeners(redis)).length === 0
      },
      { what: 'the server to drop the connection' },
    )
    await redis.cli('SET', keyOf('sid'), json({ n: 2 }))
    await line.heal()
    await eventually(async () => expect(await load(store, 'sid')).toMatchObject({ n: 2 }))
    await untilNear(store)
  })

  it('together with the data connection: the copies are there for the time without Redis', async () => {
    const redis = await server({ appendonly: true })
    const store = await nearStore(redis)
    await store.set('sid', session({ n: 1 }, 3_600_000))
    await warm(store, 'sid')
    await redis.kill()
    await untilDown(store)
    expect(await read(store, 'sid')).toMatchObject({ source: 'stale', session: { n: 1 } })
    expect(nearOf(store)).toEqual({ state: 'connecting' })
    await redis.start()
    await redis.cli('SET', keyOf('sid'), json({ n: 2 }))
    await untilUp(store)
    expect(await read(store, 'sid')).toMatchObject({ source: 'redis', session: { n: 2 } })
    await untilNear(store)
    await warm(store, 'sid')
  })

  it('no, the data connection alone: what is announced still counts, for maxSilence', async () => {
    const redis = await server()
    const { store, data } = await lines(redis, { cache: { near: { maxSilence: 10_000 } } })
    await redis.cli('SET', keyOf('sid'), json({ n: 1 }))
    await warm(store, 'sid')
    data.refuse()
    data.resetAll()
    await untilDown(store)
    expect(await read(store, 'sid')).toMatchObject({ source: 'near', session: { n: 1 } })
    await redis.cli('SET', keyOf('sid'), json({ n: 2 }))
    await until(async () => (await read(store, 'sid')).source === 'stale', { what: 'the change to be announced' })
    await data.heal()
    await untilUp(store)
    expect(await read(store, 'sid')).toMatchObject({ source: 'redis', session: { n: 2 } })
    await warm(store, 'sid')
  })
})

describe('it is silent', () => {
  it('no, the server carries out no reads: it is asked for those, too', async () => {
    const redis = await server()
    const { store, data } = await lines(redis, { cache: { near: { maxSilence: 200 } } })
    await redis.cli('SET', keyOf('sid'), json({ n: 1 }))
    await warm(store, 'sid')
    data.holdReply('GET')
    await until(() => nearOf(store)?.state === 'silent', { what: 'the unanswered read' })
    await data.heal()
    await untilNear(store)
    await warm(store, 'sid')
  })

  it('for maxSilence: reads go to Redis; it need not be made anew to come back', async () => {
    const redis = await server()
    const { store, line } = await lines(redis, { cache: { near: { maxSilence: 400 } } })
    await redis.cli('SET', keyOf('sid'), json({ n: 1 }))
    await warm(store, 'sid')
    const before = await listeners(redis)
    line.blackhole('down')
    await redis.cli('SET', keyOf('sid'), json({ n: 2 }))
    const since = performance.now()
    await until(async () => (await read(store, 'sid')).source === 'redis', { what: 'reads to go to Redis' })
    expect(performance.now() - since).toBeGreaterThan(200)
    expect(nearOf(store)).toEqual({ state: 'silent' })
    expect(await load(store, 'sid')).toMatchObject({ n: 2 })
    await line.heal()
    await untilNear(store)
    expect(await listeners(redis)).toEqual(before)
    await warm(store, 'sid')
    expect(await load(store, 'sid')).toMatchObject({ n: 2 })
  })

  it('for longer: it is made anew', async () => {
    const redis = await server()
    const { store, line } = await lines(redis, { cache: { near: { maxSilence: 200 } } })
    const [before] = await listeners(redis)
    line.blackhole('down')
    await until(() => nearOf(store)?.state === 'connecting', { what: 'it to be given up' })
    await line.heal()
    await untilNear(store)
    expect(await listeners(redis)).not.toContain(before)
  })

  it('always later than maxSilence: nothing is served from memory, and everything works', async () => {
    const redis = await server()
    const { store, line } = await lines(redis, { cache: { near: { maxSilence: 200 } } })
    line.delay({ down: 300 })
    await until(() => nearOf(store)?.state !== 'on', { what: 'the delay to be noticed' })
    for (let n = 1; n <= 20; n++) {
      await redis.cli('SET', keyOf('sid'), json({ n }))
      expect(await read(store, 'sid')).toMatchObject({ source: 'redis', session: { n } })
    }
    line.delay(0)
    await untilNear(store)
    await warm(store, 'sid')
  })

  it('late, but in time: changes are seen that much later, own ones at once', async () => {
    const redis = await server()
    const { store, line } = await lines(redis)
    await redis.cli('SET', keyOf('sid'), json({ n: 0 }))
    await warm(store, 'sid')
    line.delay({ down: 100 })
    for (let n = 1; n <= 5; n++) {
      await redis.cli('SET', keyOf('sid'), json({ n }))
      await eventually(async () => expect(await load(store, 'sid')).toMatchObject({ n }))
      await warm(store, 'sid')
    }
    for (let n = 6; n <= 30; n++) {
      await store.set('sid', change(await load(store, 'sid'), { n }))
      expect(await load(store, 'sid')).toMatchObject({ n })
      await settled(store.get('sid'))
    }
    await store.destroy('sid')
    expect(await store.get('sid')).toBeNull()
  })

  it('because the server is: it comes back with it, and sees what was sent meanwhile', async () => {
    const redis = await server()
    const writer = await readyClient(redis, { commandTimeout: 20_000 })
    const store = await nearStore(redis, { cache: { near: { maxSilence: 300 } } })
    await redis.cli('SET', keyOf('sid'), json({ n: 1 }))
    await warm(store, 'sid')
    await redis.pause()
    const written = writer.set(keyOf('sid'), json({ n: 2 }))
    await until(async () => (await settled(store.get('nobody'))).status === 'rejected', { what: 'the outage' })
    await until(() => nearOf(store)?.state !== 'on', { what: 'the silence to be noticed' })
    expect(await read(store, 'sid')).toMatchObject({ source: 'stale', session: { n: 1 } })
    await redis.resume()
    await written
    await untilUp(store)
    await untilNear(store)
    await eventually(async () => expect(await load(store, 'sid')).toMatchObject({ n: 2 }))
    await warm(store, 'sid')
  })
})

describe('sessions are read from another server', () => {
  it('what the old one announces does not count, and the connection follows', async () => {
    const [old, promoted] = await Promise.all([server(), server()])
    for (const [redis, n] of [
      [old, 1],
      [promoted, 2],
    ] as const)
      await redis.cli('SET', keyOf('sid'), json({ n }))
    const { store, data, target } = await lines(old)
    await warm(store, 'sid')
    target.data = promoted
    const noticed = untilDown(store)
    data.resetAll()
    await noticed
    await untilUp(store)
    expect(await read(store, 'sid')).toMatchObject({ source: 'redis', session: { n: 2 } })
    expect(await read(store, 'sid'), 'the line leads to the old one').toMatchObject({ source: 'redis' })
    target.line = promoted
    await warm(store, 'sid')
    await promoted.cli('SET', keyOf('sid'), json({ n: 3 }))
    await eventually(async () => expect(await load(store, 'sid')).toMatchObject({ n: 3 }))
    expect(await listeners(old)).toEqual([])
  })

  it('the same server, restarted without its data: nothing of before is served', async () => {
    const redis = await server()
    const store = await nearStore(redis)
    await store.set('sid', session({ n: 1 }))
    await warm(store, 'sid')
    await redis.restart()
    await untilUp(store)
    expect(await store.get('sid')).toBeNull()
    await untilNear(store)
    await store.set('sid', session({ n: 2 }))
    await warm(store, 'sid')
  })

  it('a promoted replica goes on announcing', async () => {
    const redis = await server()
    const replica = await server({ config: { replicaof: `127.0.0.1 ${redis.port}` } })
    await until(async () => (await replica.info('master_link_status')) === 'up', { what: 'the replica' })
    await redis.cli('SET', keyOf('sid'), json({ n: 1 }))
    await until(async () => (await replica.cli<number>('EXISTS', keyOf('sid'))) === 1, { what: 'the copy' })
    const store = openStore(replica, { cache: { near: true } })
    await untilNear(store)
    await warm(store, 'sid')
    await redis.cli('SET', keyOf('sid'), json({ n: 2 }))
    await eventually(async () => expect(await load(store, 'sid')).toMatchObject({ n: 2 }))
    await warm(store, 'sid')
    await replica.cli('REPLICAOF', 'NO', 'ONE')
    await replica.cli('SET', keyOf('sid'), json({ n: 3 }))
    await eventually(async () => expect(await load(store, 'sid')).toMatchObject({ n: 3 }))
  })
})

/** The warnings with this store's code for the near cache. */
function warnings(): { readonly message: string; readonly detail: string }[] {
  const seen: { message: string; detail: string }[] = []
  const listener = (warning: Error & { code?: string; detail?: string }): void => {
    if (warning.code === 'SESSION_STORE_NEAR') seen.push({ message: warning.message, detail: warning.detail ?? '' })
  }
  process.on('warning', listener)
  afterThis(() => process.off('warning', listener))
  return seen
}

/** What the README says for a store without and with a near cache. */
const RIGHTS =
  '~sess:* ~{sess:*}:revoked resetchannels -@all +get +mget +set +del +exists +pexpire +pttl +time +info +eval +evalsha +scan'
const NEAR_RIGHTS = '+client|id +client|tracking +subscribe +ping &__redis__:invalidate'

describe('Redis does not announce changes', () => {
  it('for want of a right: the store warns once, says so, and works without', async () => {
    const redis = await server()
    await redis.cli('ACL', 'SETUSER', 'app', 'on', '>secret', ...RIGHTS.split(' '))
    const seen = warnings()
    const store = await readyStore({ url: `redis://app:secret@127.0.0.1:${redis.port}` }, { cache: { near: true } })
    await until(() => nearOf(store)?.state === 'off', { what: 'the refusal' })
    expect(store.health()).toMatchObject({ status: 'up', cache: { near: { state: 'off', reason: 'auth' } } })
    await store.set('sid', session({ n: 1 }))
    for (let time = 0; time < 3; time++) expect(await read(store, 'sid')).toMatchObject({ source: 'redis' })
    const [normal] = [await redis.cli('CLIENT', 'LIST', 'TYPE', 'normal')]
    expect([...normal.matchAll(/user=app/g)], 'the refused connection is not kept').toHaveLength(1)
    await redis.cli('ACL', 'SETUSER', 'app', ...NEAR_RIGHTS.split(' '))
    await redis.cli('CLIENT', 'KILL', 'USER', 'app')
    await untilNear(store)
    await warm(store, 'sid')
    await until(() => seen.length > 0, { what: 'the warning' })
    expect(seen).toHaveLength(1)
    expect(seen[0]?.detail).toContain(NEAR_RIGHTS.split(' ').at(-1))
  })

  it.each(NEAR_RIGHTS.split(' ').slice(0, 3).concat('+info'))('for want of %s alone', async (right) => {
    const redis = await server()
    await redis.cli('ACL', 'SETUSER', 'app', 'on', '>secret', ...RIGHTS.split(' '), ...NEAR_RIGHTS.split(' '))
    await redis.cli('ACL', 'SETUSER', 'app', right.replace('+', '-'))
    const store = await readyStore({ url: `redis://app:secret@127.0.0.1:${redis.port}` }, { cache: { near: true } })
    await until(() => nearOf(store)?.state === 'off', { what: 'the refusal' })
    expect(nearOf(store)).toEqual({ state: 'off', reason: 'auth' })
    await store.set('sid', session({ n: 1 }))
    expect(await load(store, 'sid')).toMatchObject({ n: 1 })
  })

  it('with exactly those rights it does', async () => {
    const redis = await server()
    await redis.cli('ACL', 'SETUSER', 'app', 'on', '>secret', ...RIGHTS.split(' '), ...NEAR_RIGHTS.split(' '))
    const store = await nearStore({ url: `redis://app:secret@127.0.0.1:${redis.port}` })
    await store.set('sid', session({ n: 1 }))
    await warm(store, 'sid')
    await redis.cli('SET', keyOf('sid'), json({ n: 2 }))
    await eventually(async () => expect(await load(store, 'sid')).toMatchObject({ n: 2 }))
    await untilNear(store)
  })

  it('because it does not know how', async () => {
    const redis = await server({ config: { 'rename-command': 'CLIENT ""' } })
    const seen = warnings()
    const store = await readyStore(redis, { cache: { near: true } })
    await until(() => nearOf(store)?.state === 'off', { what: 'the refusal' })
    expect(nearOf(store)).toEqual({ state: 'off', reason: 'unsupported' })
    await until(() => seen.length > 0, { what: 'the warning' })
    expect(seen[0]?.detail).toContain('Redis 6')
    await store.set('sid', session({ n: 1 }))
    expect(await read(store, 'sid')).toMatchObject({ source: 'redis', session: { n: 1 } })
  })

  it('because it is not asked to: no second connection, and nothing in health', async () => {
    const redis = await server()
    const store = await readyStore(redis, { cache: true })
    await store.set('sid', session({ n: 1 }))
    for (let time = 0; time < 3; time++) expect(await read(store, 'sid')).toMatchObject({ source: 'redis' })
    expect(store.health().cache).not.toHaveProperty('near')
    expect(await listeners(redis)).toEqual([])
    expect((await commands(redis))['client|tracking']).toBeUndefined()
  })
})

describe('a client of the application', () => {
  it('is not touched: no tracking and no subscription on it, whatever its prefix', async () => {
    const redis = await server()
    const client = await readyClient(redis, { keyPrefix: 'shop:' })
    const store = openStore(redis, { client, cache: { near: true } })
    await store.ready()
    await untilNear(store)
    await store.set('sid', session({ n: 1 }))
    await warm(store, 'sid')
    await redis.cli('SET', 'shop:sess:sid', json({ n: 2 }))
    await eventually(async () => expect(await load(store, 'sid')).toMatchObject({ n: 2 }))
    await warm(store, 'sid')
    await client.del('sess:sid')
    await eventually(async () => expect(await store.get('sid')).toBeNull())
    expect(await client.call('CLIENT', 'GETREDIR')).toBe(-1)
    await store.close()
    await until(async () => (await listeners(redis)).length === 0, { what: 'the second connection to be closed' })
    expect(await client.ping()).toBe('PONG')
  })

  it('may serve two stores', async () => {
    const redis = await server()
    const client = await readyClient(redis)
    const stores = ['one:', 'two:'].map((prefix) => openStore(redis, { client, prefix, cache: { near: true } }))
    for (const store of stores) {
      await store.ready()
      await store.set('sid', session({ n: 1 }))
      await untilNear(store)
      await warm(store, 'sid')
    }
    await stores[0]?.destroy('sid')
    expect(await read(stores[1]!, 'sid')).toMatchObject({ source: 'near' })
    await redis.cli('DEL', 'two:sid')
    await eventually(async () => expect(await stores[1]?.get('sid')).toBeNull())
  })

  it('that is closed for good takes the second connection with it', async () => {
    const redis = await server()
    const client = openClient(redis)
    const store = openStore(redis, { client, cache: { near: true } })
    await store.ready()
    await untilNear(store)
    await client.quit()
    await until(async () => (await listeners(redis)).length === 0, { what: 'the second connection to be closed' })
    await until(() => client.status === 'end', { what: 'its end' })
    await client.connect()
    await untilNear(store)
  })

  it('that is closed while the second connection is broken gets it back with its own', async () => {
    const redis = await server()
    const { store, client, line } = await lines(redis)
    line.refuse()
    line.resetAll()
    await until(() => nearOf(store)?.state === 'connecting', { what: 'the loss to be noticed' })
    await client.quit()
    await until(() => client.status === 'end', { what: 'its end' })
    await line.accept()
    await client.connect()
    await untilNear(store)
  })

  it('on a unix socket', async () => {
    const redis = await server({ port: 0 })
    const store = await nearStore(redis)
    await store.set('sid', session({ n: 1 }))
    await warm(store, 'sid')
  })
})

describe('close', () => {
  it('leaves no connection behind, whatever state it is in', async () => {
    const redis = await server()
    const working = await nearStore(redis)
    const { store: silent, line } = await lines(redis)
    line.blackhole()
    const fresh = openStore(redis, { cache: { near: true } })
    await Promise.all([working.close(), silent.close(), fresh.close()])
    await line.heal()
    await until(async () => (await listeners(redis)).length === 0, { what: 'all to be closed' })
  })
})

describe('bytes', () => {
  it('of a binary serializer come from memory as they went in', async () => {
    const redis = await server()
    const store = await nearStore(redis, { serializer: 'v8' })
    const data = { when: new Date(0), tags: new Map([['a', 1]]), bytes: Buffer.from([0, 255]) }
    await store.set('sid', session(data))
    await warm(store, 'sid')
    expect(await load(store, 'sid')).toMatchObject({ when: data.when, tags: data.tags })
    await redis.cli('DEL', keyOf('sid'))
    await eventually(async () => expect(await store.get('sid')).toBeNull())
  })
})
