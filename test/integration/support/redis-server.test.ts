import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'
import { hasOpenssl } from '../../support/certificates.js'
import { findRedis } from '../../support/find-redis.js'
import { isListening, reservePort } from '../../support/ports.js'
import { slowLoading } from '../../support/redis-config.js'
import { GRACE_MS } from '../../support/redis-process.js'
import { type RedisOptions, type RedisServer, startRedis } from '../../support/redis-server.js'
import { eventually, isPending, settled, until } from '../../support/wait.js'

const servers: RedisServer[] = []
const clients: Redis[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.disconnect()
  await Promise.all(servers.splice(0).map((server) => server.stop()))
})

async function start(options?: RedisOptions): Promise<RedisServer> {
  const server = await startRedis(options)
  servers.push(server)
  return server
}

/** A client that fails at once and does not come back. */
function connect(server: RedisServer, options = {}): Redis {
  const client = new Redis(server.url, { retryStrategy: () => null, lazyConnect: true, ...options })
  client.on('error', () => {})
  clients.push(client)
  return client
}

describe('startRedis', () => {
  it('gives a server that answers at its url and at its socket', async () => {
    const server = await start()
    expect(await connect(server).ping()).toBe('PONG')
    const viaSocket = new Redis(server.socketPath)
    clients.push(viaSocket)
    expect(await viaSocket.info('server')).toContain(`run_id:${await server.info('run_id')}`)
    expect(server.pid).toBeGreaterThan(1)
    expect(server.version).toMatch(/^\d+\.\d+\.\d+$/)
  })

  it('gives many at once, each with its own port and data', async () => {
    const many = await Promise.all(Array.from({ length: 6 }, () => start()))
    expect(new Set(many.map(({ port }) => port)).size).toBe(6)
    await Promise.all(many.map((server, index) => server.cli('SET', 'who', index)))
    expect(await Promise.all(many.map((server) => server.cli('GET', 'who')))).toEqual(['0', '1', '2', '3', '4', '5'])
  })

  it('listens on a unix socket alone', async () => {
    const server = await start({ port: 0 })
    expect(server.url).toBe(server.socketPath)
    expect(await connect(server).ping()).toBe('PONG')
  })

  it('asks for a password, which its own connection does not depend on', async () => {
    const server = await start({ requirepass: 'p@ss/word' })
    expect(await connect(server).ping()).toBe('PONG')
    await server.cli('CONFIG', 'SET', 'requirepass', 'another')
    const { host, port } = server
    const old = new Redis({ host, port, password: 'p@ss/word', lazyConnect: true, retryStrategy: () => null })
    clients.push(old)
    old.on('error', () => {})
    await expect(old.ping()).rejects.toThrow(/WRONGPASS|NOAUTH/)
    expect(await server.cli('PING')).toBe('PONG')
  })

  it('refuses writes beyond its memory limit', async () => {
    const server = await start({ maxmemory: '10mb' })
    const fill = async (): Promise<void> => {
      for (let key = 0; key < 20; key++) await server.cli('SET', key, 'x'.repeat(1_000_000))
    }
    await expect(fill()).rejects.toMatchObject({ code: 'OOM' })
    expect(Number(await server.cli('DBSIZE'))).toBeGreaterThan(3)
  })

  it('takes any configuration, and says why a server did not start', async () => {
    expect(await (await start({ config: { databases: 3 } })).cli('CONFIG', 'GET', 'databases')).toEqual([
      'databases',
      '3',
    ])
    await expect(startRedis({ config: { nonsense: 'yes' } })).rejects.toThrow('nonsense')
  })

  it('does not settle for somebody else on a given port', async () => {
    const { port } = await start()
    await expect(startRedis({ port })).rejects.toThrow(/in use|allocated/)
  })

  it('takes another port when somebody outside is faster', async () => {
    const taken: number[] = []
    const thieves: ReturnType<typeof createServer>[] = []
    // The thief listens on all addresses only after the port was found free.
    const steal = async (port: number): Promise<void> => {
      taken.push(port)
      const thief = createServer().listen(port, '127.0.0.1')
      thieves.push(thief)
      await new Promise((resolve) => thief.once('listening', resolve))
    }
    const reserve = async (): ReturnType<typeof reservePort> => {
      const reserved = await reservePort()
      if (taken.length < 2) await steal(reserved.port)
      return reserved
    }
    const server = await startRedis({}, reserve)
    servers.push(server)
    expect(taken).toHaveLength(2)
    expect(taken).not.toContain(server.port)
    for (const thief of thieves) thief.close()
  })

  it('serves TLS', async ({ skip }) => {
    if (!(await hasOpenssl())) skip('no openssl here')
    const server = await start({ tls: true })
    expect(await connect(server, { tls: { ca: server.ca } }).ping()).toBe('PONG')
    await expect(connect(server, { tls: {} }).ping()).rejects.toThrow()
  })

  it('runs as a Sentinel', async () => {
    const master = await start()
    const sentinel = await start({ sentinel: true, config: { sentinel: [`monitor main 127.0.0.1 ${master.port} 1`] } })
    expect(await sentinel.cli('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'main')).toEqual(['127.0.0.1', `${master.port}`])
  })
})

describe('kill and start', () => {
  it('refuses connections meanwhile, and comes back empty on the same port', async () => {
    const server = await start()
    await server.cli('SET', 'key', 'value')
    const { pid, port } = server
    await server.kill()
    expect(server.up).toBe(false)
    expect(await isListening(port)).toBe(false)
    await expect(server.cli('PING')).rejects.toThrow()
    await server.start()
    expect(server.up).toBe(true)
    expect(server.port).toBe(port)
    expect(server.pid).not.toBe(pid)
    expect(await server.cli('DBSIZE')).toBe(0)
  })

  it('keeps the data, with appendonly, over SIGKILL', async () => {
    const server = await start({ appendonly: true })
    for (let round = 0; round < 3; round++) {
      await server.cli('INCR', 'rounds')
      await server.kill()
      await server.start()
    }
    expect(await server.cli('GET', 'rounds')).toBe('3')
  })

  it('can be wiped while it is down, and keeps what it was', async () => {
    await using redis = await startRedis({ appendonly: true, requirepass: 'secret' })
    await redis.cli('SET', 'key', 'value')
    await expect(redis.wipe()).rejects.toThrow('running')
    await redis.kill()
    await redis.wipe()
    await redis.start()
    expect(await redis.cli('GET', 'key')).toBeNull()
    expect(await redis.cli('CONFIG', 'GET', 'requirepass')).toEqual(['requirepass', 'secret'])
  })

  it('has another run_id each time, and keeps what CONFIG REWRITE has written', async () => {
    const server = await start()
    const before = await server.info('run_id')
    await server.cli('CONFIG', 'SET', 'maxmemory', '50mb')
    await server.cli('CONFIG', 'REWRITE')
    await server.restart()
    expect(await server.info('run_id')).not.toBe(before)
    expect(await server.cli('CONFIG', 'GET', 'maxmemory')).toEqual(['maxmemory', '52428800'])
  })

  it('can be met while it is LOADING', async () => {
    const server = await start({ appendonly: true, config: { 'aof-use-rdb-preamble': 'yes' } })
    await server.cli('DEBUG', 'POPULATE', '2000')
    await server.cli('BGREWRITEAOF')
    await until(async () => (await server.info('aof_rewrite_in_progress')) === '0', { what: 'the AOF rewrite' })
    await server.kill()
    await server.start({ config: slowLoading(2_000), until: 'answering' })
    await expect(server.cli('GET', 'key:1')).rejects.toMatchObject({ code: 'LOADING' })
    await server.kill()
    await server.start({ config: slowLoading(200) })
    expect(await server.cli('DBSIZE')).toBe(2000)
  })

  it('knows a server that has left by itself', async () => {
    const server = await start()
    await settled(server.cli('SHUTDOWN', 'NOSAVE'))
    await until(() => !server.up, { what: 'the server to notice' })
    await expect(server.kill()).rejects.toThrow('not running')
    await server.start()
    expect(await server.cli('PING')).toBe('PONG')
  })

  it('refuses a verb that would do nothing', async () => {
    const server = await start()
    await expect(server.start()).rejects.toThrow('running already')
    await expect(server.resume()).rejects.toThrow('not paused')
    await server.kill()
    for (const verb of ['kill', 'pause', 'resume', 'shutdown'] as const) {
      await expect(server[verb]()).rejects.toThrow('not running')
    }
    await server.stop()
    await server.stop()
    await expect(server.start()).rejects.toThrow('stopped for good')
  })
})

describe('pause and resume', () => {
  it('accepts connections, answers nothing, then goes on with what was sent', async () => {
    const server = await start()
    const client = connect(server)
    await client.ping()
    await server.pause()
    expect(server.up).toBe(false)
    expect(await isListening(server.port)).toBe(true)
    const stuck = client.set('key', 'value')
    expect(await isPending(stuck, 100)).toBe(true)
    await expect(server.cli('PING')).rejects.toThrow('is paused')
    await expect(server.pause()).rejects.toThrow('paused already')
    await server.resume()
    expect(await stuck).toBe('OK')
    expect(await server.cli('GET', 'key')).toBe('value')
  })

  it('can be killed, shut down and stopped while it is paused', async () => {
    const server = await start()
    await server.pause()
    await server.kill()
    await server.start()
    await server.pause()
    // In an orderly way: it is not left to be killed at the end of its grace.
    const shutdown = await settled(server.shutdown(), { timeoutMs: GRACE_MS - 500 })
    expect(shutdown.status).toBe('fulfilled')
    await server.start()
    await server.pause()
    await server.stop()
    expect(await isListening(server.port)).toBe(false)
    expect(existsSync(dirname(server.socketPath))).toBe(false)
  })
})

describe('cli', () => {
  it('gets through while the server takes no more clients', async () => {
    const server = await start({ config: { maxclients: 5 } })
    const crowd = Array.from({ length: 4 }, () => connect(server))
    await Promise.all(crowd.map((client) => client.ping()))
    await expect(connect(server).ping()).rejects.toThrow()
    expect(Number(await server.info('connected_clients'))).toBe(5)
    await server.cli('CONFIG', 'SET', 'maxclients', 100)
    expect(await eventually(() => connect(server).ping())).toBe('PONG')
  })

  it('comes back after its own connection was killed', async () => {
    const server = await start()
    const client = connect(server)
    await client.call('CLIENT', 'KILL', 'TYPE', 'normal')
    expect(await eventually(() => server.cli('PING'))).toBe('PONG')
  })

  it('sends bytes as they are and answers with the error that Redis gives', async () => {
    const server = await start()
    const blob = Buffer.from([0, 255, 13, 10])
    await server.cli('SET', 'blob', blob)
    expect(await connect(server).getBuffer('blob')).toEqual(blob)
    await expect(server.cli('INCR', 'blob')).rejects.toMatchObject({ code: 'ERR' })
    await expect(server.info('nonsense')).rejects.toThrow(RangeError)
  })

  it('makes a replica of another server, which then takes no writes', async ({ skip }) => {
    const found = await findRedis()
    if (found.kind === 'container' && found.network === 'published') skip('containers here do not see each other')
    const [master, replica] = await Promise.all([start(), start()])
    await master.cli('SET', 'key', 'value')
    await replica.cli('REPLICAOF', master.host, master.port)
    await until(async () => (await replica.info('master_link_status')) === 'up', {
      timeoutMs: 15_000,
      what: 'the link',
    })
    expect(await replica.cli('GET', 'key')).toBe('value')
    await expect(replica.cli('SET', 'key', 'other')).rejects.toMatchObject({ code: 'READONLY' })
  })
})
