import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import type { DownReason, ResilientStore, ResilientStoreOptions } from '../../src/index.js'
import { hasOpenssl } from '../support/certificates.js'
import { reservePort } from '../support/ports.js'
import { slowLoading } from '../support/redis-config.js'
import type { RedisServer } from '../support/redis-server.js'
import { eventually, settled, until } from '../support/wait.js'
import {
  afterThis,
  downError,
  keyOf,
  load,
  openClient,
  openStore,
  readyStore,
  rootReason,
  server,
  session,
  untilDown,
  untilUp,
} from './store-kit.js'

const quick: ResilientStoreOptions = { breaker: { resetTimeout: 100 }, touchAfter: 0 }

/** Reads the session over and over; ends with how often it was there, was "not there", and was not to be had. */
function watch(store: ResilientStore, sid = 'sid') {
  const seen = { found: 0, absent: 0, refused: 0, reasons: new Set<string>() }
  let going = true
  const ended = (async () => {
    while (going) {
      const outcome = await settled(store.get(sid))
      if (outcome.status === 'rejected') {
        seen.refused++
        seen.reasons.add(rootReason(outcome.reason))
      } else if (outcome.value === null) seen.absent++
      else seen.found++
      await new Promise((resolve) => setImmediate(resolve))
    }
  })()
  const stop = async () => {
    going = false
    await ended
    return seen
  }
  return { seen, stop }
}

/** Each operation fails for this reason: the first time and when the breakers are open; or works, where it says so. */
async function expectReasons(
  store: ResilientStore,
  expected: Readonly<Record<'get' | 'set' | 'touch' | 'destroy', DownReason | 'works'>>,
  rounds = 5,
): Promise<void> {
  const calls = {
    get: () => store.get('sid'),
    set: () => store.set('other', session({}, 600_000)),
    touch: () => store.touch('sid', session({}, 600_000)),
    destroy: () => store.destroy('left'),
  }
  for (let round = 0; round < rounds; round++) {
    const names = Object.keys(calls) as (keyof typeof calls)[]
    const actual = await Promise.all(
      names.map(async (name) => {
        const outcome = await settled<unknown>(calls[name]())
        if (outcome.status === 'rejected') return [name, rootReason(outcome.reason)]
        return [name, outcome.value === null ? 'null' : 'works']
      }),
    )
    expect(Object.fromEntries(actual), `round ${round}`).toEqual(expected)
  }
}

const all = (reason: DownReason) => ({ get: reason, set: reason, touch: reason, destroy: reason })
const writes = (reason: DownReason) => ({ ...all(reason), get: 'works' as const })

async function withSession(redis: RedisServer, options = quick) {
  const store = await readyStore(redis, options)
  await store.set('sid', session({ user: 'ada' }, 600_000))
  return store
}

describe('a Redis that loads its data', () => {
  it('is called loading', async () => {
    const redis = await server({ appendonly: true, config: { 'aof-use-rdb-preamble': 'yes' } })
    const store = await withSession(redis)
    await redis.cli('DEBUG', 'POPULATE', '2000')
    await redis.cli('BGREWRITEAOF')
    await until(async () => (await redis.info('aof_rewrite_in_progress')) === '0')
    const { seen, stop } = watch(store)
    await redis.kill()
    await redis.start({ config: slowLoading(1_000), until: 'answering' })
    await until(() => seen.reasons.has('loading'))
    await expectReasons(store, all('loading'))
    await untilUp(store, 15_000)
    expect(await load(store, 'sid')).toMatchObject({ user: 'ada' })
    expect((await stop()).absent).toBe(0)
  })
})

describe('credentials', () => {
  it('that are missing are called auth', async () => {
    const redis = await server({ requirepass: 'secret' })
    const store = openStore({ url: `redis://127.0.0.1:${redis.port}` }, quick)
    await expectReasons(store, all('auth'))
    expect(await downError(store.ready())).toMatchObject({ operation: 'ready', reason: 'auth' })
  })

  it('that are wrong are called auth', async () => {
    const redis = await server({ requirepass: 'secret' })
    const store = openStore({ url: `redis://:wrong@127.0.0.1:${redis.port}` }, quick)
    await untilDown(store)
    await expectReasons(store, all('auth'))
    expect(await downError(store.ready())).toMatchObject({ operation: 'ready', reason: 'auth' })
  })

  it('that are wrong in a supplied client are called auth', async () => {
    const redis = await server({ requirepass: 'secret' })
    const client = openClient({ url: `redis://:wrong@127.0.0.1:${redis.port}` })
    const store = openStore(redis, { ...quick, client })
    await untilDown(store)
    await expectReasons(store, all('auth'))
  })

  it('that were changed while it ran are called auth, until they are changed back', async () => {
    const redis = await server({ requirepass: 'secret' })
    const store = await withSession(redis)
    const { stop } = watch(store)
    await redis.cli('CONFIG', 'SET', 'requirepass', 'another')
    await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal')
    await until(() => store.health().connection.reason === 'auth')
    await expectReasons(store, all('auth'))
    await redis.cli('CONFIG', 'SET', 'requirepass', 'secret')
    await untilUp(store)
    expect((await stop()).absent).toBe(0)
    expect(await load(store, 'sid')).toMatchObject({ user: 'ada' })
  })

  it('that a password was set for while it ran without one are called auth', async () => {
    const redis = await server()
    const store = await withSession(redis)
    await redis.cli('CONFIG', 'SET', 'requirepass', 'secret')
    await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal')
    await until(() => store.health().connection.reason === 'auth')
    await expectReasons(store, all('auth'))
    await redis.cli('CONFIG', 'SET', 'requirepass', '')
    await untilUp(store)
  })

  it.each([
    ['a command', '~* +@all -evalsha', 'evalsha'],
    ['the markers', '~sess:* +@all', 'key'],
    ['writing', '~* +@all -set', 'set'],
    ['what only a script does', '~* +@all -exists', 'script'],
    ['read many', '~* +@all -mget', 'mget'],
    ['touch', '~* +@all -pexpire', 'pexpire'],
    ['ask for the expiry', '~* +@all -pttl', 'pttl'],
    ['ask for the time', '~* +@all -time', 'time'],
  ])('that lack the right to %s show at ready()', async (_, rights, named) => {
    const redis = await server()
    await redis.cli('ACL', 'SETUSER', 'app', 'on', '>secret', ...rights.split(' '))
    const store = openStore({ url: `redis://app:secret@127.0.0.1:${redis.port}` }, quick)
    const error = await downError(store.ready())
    expect(error).toMatchObject({ reason: 'auth' })
    expect((error.cause as Error).message).toMatch(new RegExp(named))
  })

  it('with the rights that the documentation names are enough', async () => {
    const redis = await server()
    const rights =
      'resetkeys ~sess:* ~{sess:*}:revoked resetchannels -@all +get +mget +set +del +exists +pexpire +pttl +time +info +eval +evalsha +scan'
    await redis.cli('ACL', 'SETUSER', 'app', 'on', '>secret', ...rights.split(' '))
    const store = await readyStore({ url: `redis://app:secret@127.0.0.1:${redis.port}` }, quick)
    await store.set('sid', session())
    await store.touch('sid', session())
    await load(store, 'sid')
    expect(await store.ids()).toEqual(['sid'])
    await store.destroy('sid')
    await store.clear()
  })

  it('that lack the right to write fail writes alone', async () => {
    const redis = await server()
    await (await readyStore(redis)).set('sid', session())
    await redis.cli('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '+@all', '-@write')
    const store = openStore({ url: `redis://app:secret@127.0.0.1:${redis.port}` }, quick)
    await until(() => store.health().connection.state === 'ready')
    await expectReasons(store, writes('auth'))
  })
})

describe('nobody there', () => {
  it('is called refused on a port', async () => {
    const { port, release } = await reservePort()
    afterThis(release)
    const store = openStore({ url: `redis://127.0.0.1:${port}` }, quick)
    await untilDown(store)
    await expectReasons(store, all('refused'))
  })

  it('is called refused on a unix socket, and never taken for "no session"', async () => {
    const store = openStore({ url: '/nowhere/redis.sock' }, quick)
    const first = await downError(store.get('sid'))
    expect(rootReason(first)).toBe('refused')
    expect(first.code).toBe('EREDISDOWN')
    await expectReasons(store, all('refused'))
  })

  it('is called refused by a supplied client', async () => {
    const store = openStore({ url: '' }, { ...quick, client: openClient({ url: '/nowhere/redis.sock' }) })
    await untilDown(store)
    await expectReasons(store, all('refused'))
  })

  it('is called unreachable where the name does not exist', async () => {
    const store = openStore({ url: 'redis://no-such-host.invalid:6379' }, quick)
    await untilDown(store)
    await expectReasons(store, all('unreachable'))
  })
})

describe('connections', () => {
  it('that Redis kills are called reset, and made anew', async () => {
    const redis = await server()
    const store = await withSession(redis)
    const watches = Array.from({ length: 8 }, () => watch(store))
    for (let round = 0; round < 5; round++) {
      const before = watches[0]!.seen.refused
      await until(() => watches.every(({ seen }) => seen.found > 0))
      await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal')
      await until(() => watches[0]!.seen.refused > before)
      await untilUp(store)
    }
    for (const { stop } of watches) {
      const { absent, reasons } = await stop()
      expect(absent).toBe(0)
      // What finds the socket ended, but its end not yet dealt with, is not sent at all.
      expect([...reasons].filter((reason) => reason !== 'not-connected')).toEqual(['reset'])
    }
  })

  it('beyond the limit are called max-clients, until there is room', async () => {
    const redis = await server({ config: { maxclients: 3 } })
    const crowd = [openClient(redis), openClient(redis)]
    await Promise.all(crowd.map((client) => until(() => client.status === 'ready')))
    const store = openStore(redis, quick)
    await untilDown(store)
    // Redis hangs up as it says so: where the hang-up overtakes the answer, that attempt to connect tells less.
    await eventually(() => expectReasons(store, all('max-clients'), 1))
    await redis.cli('CONFIG', 'SET', 'maxclients', '100')
    await untilUp(store)
    expect(await store.get('sid')).toBeNull()
  })

  it('that do not trust the certificate are called tls', async ({ skip }) => {
    if (!(await hasOpenssl())) skip('no openssl here')
    const redis = await server({ tls: true })
    const store = openStore(redis, quick)
    await untilDown(store)
    await expectReasons(store, all('tls'))
  })
})

describe('a Redis that answers with an error', () => {
  it('is called busy while a script runs on and on', async () => {
    const redis = await server({ config: { 'busy-reply-threshold': 20 } })
    const store = await withSession(redis)
    const other = openClient(redis, { commandTimeout: 60_000 })
    await until(() => other.status === 'ready')
    const { seen, stop } = watch(store)
    const looping = settled(other.eval('while true do end', 0), { timeoutMs: 20_000 })
    await until(() => seen.reasons.has('busy'))
    await expectReasons(store, all('busy'))
    await redis.cli('SCRIPT', 'KILL')
    await looping
    await untilUp(store)
    expect((await stop()).absent).toBe(0)
  })

  it('is called misconf when it cannot save its data', async () => {
    const redis = await server({ config: { save: '3600 1', dbfilename: 'occupied' } })
    const store = await withSession(redis)
    // Where the file is to be there is a directory.
    await mkdir(join(dirname(redis.socketPath), 'occupied', 'by'), { recursive: true })
    await redis.cli('BGSAVE')
    await until(async () => (await redis.info('rdb_last_bgsave_status')) === 'err')
    await expectReasons(store, writes('misconf'))
    await redis.cli('CONFIG', 'SET', 'stop-writes-on-bgsave-error', 'no')
    await untilUp(store)
  })

  it('is called no-replicas when too few follow it', async () => {
    const redis = await server()
    const store = await withSession(redis)
    await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '1')
    await expectReasons(store, writes('no-replicas'))
    await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '0')
    await untilUp(store)
  })

  it('is called master-down when it is a replica that has lost its master', async () => {
    const redis = await server({ config: { 'replica-serve-stale-data': 'no' } })
    const store = await withSession(redis)
    const { port, release } = await reservePort()
    afterThis(release)
    await redis.cli('REPLICAOF', '127.0.0.1', port)
    // Redis looks at the role first where the command itself is a write.
    await expectReasons(store, { ...all('master-down'), touch: 'read-only' }, 1)
    for (let n = 0; n < 5; n++) expect(rootReason(await downError(store.get('sid')))).toBe('master-down')
    await redis.cli('REPLICAOF', 'NO', 'ONE')
    await untilUp(store)
    expect(await load(store, 'sid')).toMatchObject({ user: 'ada' })
  })

  it('is called cluster-down when its cluster does not serve the slot', async () => {
    const redis = await server({ config: { 'cluster-enabled': 'yes' } })
    const store = openStore(redis, quick)
    await until(() => store.health().connection.state === 'ready')
    await expectReasons(store, all('cluster-down'))
  })
})

describe('what is no outage', () => {
  it('a key of another type is an error, moves no breaker and is not reported as one', async () => {
    const redis = await server()
    const told: unknown[] = []
    const store = await readyStore(redis, { ...quick, onRedisDown: (error) => void told.push(error) })
    await redis.cli('LPUSH', keyOf('list'), 'x')
    for (let n = 0; n < 5; n++) await settled(store.set('list', await store.get('list').then(() => session())))
    expect(store.health().status).toBe('up')
    expect(told).toEqual([])
  })
})

describe('a supplied client', () => {
  it('that waits for the data to be loaded never has it say "no session"', async () => {
    const redis = await server({ appendonly: true, config: { 'aof-use-rdb-preamble': 'yes' } })
    const client = openClient(redis, { maxLoadingRetryTime: 100 })
    const store = openStore(redis, { ...quick, client })
    await store.ready()
    await store.set('sid', session({ user: 'ada' }))
    await redis.cli('DEBUG', 'POPULATE', '1000')
    await redis.cli('BGREWRITEAOF')
    await until(async () => (await redis.info('aof_rewrite_in_progress')) === '0')
    const { stop } = watch(store)
    await redis.kill()
    await redis.start({ config: slowLoading(500), until: 'answering' })
    await untilUp(store, 15_000)
    const { absent, refused } = await stop()
    expect({ absent, refused: refused > 0 }).toEqual({ absent: 0, refused: true })
  })

  it('with the defaults of ioredis, that keeps commands for later, fails by the timeout all the same', async () => {
    const redis = await server()
    await redis.kill()
    const client = new Redis(redis.url)
    client.on('error', () => {})
    afterThis(() => client.disconnect())
    const store = openStore(redis, { ...quick, client, timeout: 100 })
    for (let n = 0; n < 5; n++) await downError(store.get('sid'), 1_000)
    await redis.start()
    await untilUp(store)
  })
})
