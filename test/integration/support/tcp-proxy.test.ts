import { connect as connectSocket, createServer, type Socket } from 'node:net'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { seededRandom } from '../../support/random.js'
import { type RedisServer, startRedis } from '../../support/redis-server.js'
import { encodeCommand } from '../../support/resp.js'
import { startProxy, type TcpProxy } from '../../support/tcp-proxy.js'
import { isPending, settled, until } from '../../support/wait.js'

let redis: RedisServer
let proxy: TcpProxy
const clients: Redis[] = []
const sockets: Socket[] = []

beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())
beforeEach(async () => {
  await redis.cli('FLUSHALL')
  proxy = await startProxy({ target: redis })
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.disconnect()
  for (const socket of sockets.splice(0)) socket.destroy()
  await proxy.close()
})

/** A client that fails at once and does not come back. */
function startClient(to: TcpProxy = proxy): Redis {
  const made = new Redis(to.url, {
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    enableReadyCheck: false,
    lazyConnect: true,
  })
  made.on('error', () => {})
  clients.push(made)
  return made
}

/** The same, connected; its own commands are not counted. */
async function client(to: TcpProxy = proxy): Promise<Redis> {
  const made = startClient(to)
  await made.ping()
  to.forget()
  return made
}

/** A bare connection, with what it has received and how it ended. */
function rawClient(to: TcpProxy = proxy): RawClient {
  const socket = connectSocket({ port: to.port, host: to.host })
  sockets.push(socket)
  const chunks: Buffer[] = []
  socket.setNoDelay(true)
  socket.on('data', (chunk) => chunks.push(chunk))
  const ending = new Promise<string>((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'))
    socket.on('end', () => resolve('fin'))
  })
  return { socket, chunks, ending, received: () => Buffer.concat(chunks).toString() }
}

interface RawClient {
  readonly socket: Socket
  readonly chunks: readonly Buffer[]
  readonly ending: Promise<string>
  received(): string
}

describe('with no fault', () => {
  it('passes everything on, in order, and counts it', async () => {
    const one = await client()
    const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => one.set(`key:${index}`, index)))
    expect(new Set(answers)).toEqual(new Set(['OK']))
    expect(await one.get('key:199')).toBe('199')
    expect([proxy.commandCount(), proxy.commandCount('set'), proxy.replyCount('GET')]).toEqual([201, 200, 1])
    proxy.forget()
    expect(proxy.commandCount()).toBe(0)
  })

  it('passes on values of 8 MB', async () => {
    const value = 'x'.repeat(8 * 1024 * 1024)
    const one = await client()
    await one.set('big', value)
    expect((await one.get('big')) === value).toBe(true)
  })

  it('passes on an end from either side', async () => {
    const { socket, ending } = rawClient()
    socket.write(encodeCommand(['QUIT']))
    expect(await ending).toBe('fin')
    await until(() => proxy.connections === 0, { what: 'the link to go' })

    const second = rawClient()
    second.socket.end(encodeCommand(['SET', 'last', 'words']))
    expect(await second.ending).toBe('fin')
    expect(second.received()).toBe('+OK\r\n')
  })

  it('passes on what never becomes a whole message', async () => {
    let heard = ''
    const sink = createServer((socket) => {
      socket.on('data', (chunk) => {
        heard += chunk
      })
      socket.on('end', () => socket.end('half an ans'))
    })
    const port = await new Promise<number>((resolve) => {
      sink.listen(0, '127.0.0.1', () => resolve((sink.address() as { port: number }).port))
    })
    await using front = await startProxy({ target: { port } })
    const { socket, ending, received } = rawClient(front)
    socket.end('*2\r\n$3\r\nGET\r\n$3\r\nab')
    expect(await ending).toBe('fin')
    expect([heard, received()]).toEqual(['*2\r\n$3\r\nGET\r\n$3\r\nab', 'half an ans'])
    sink.close()
  })

  it('does not take what Redis sends of its own accord for a reply', async () => {
    const { socket, received } = rawClient()
    const hello = [
      ['HELLO', 3],
      ['CLIENT', 'TRACKING', 'ON'],
      ['GET', 'watched'],
    ].map(encodeCommand)
    socket.write(Buffer.concat(hello))
    await proxy.reply('GET')
    const hold = proxy.holdCommand('PING')
    socket.write(encodeCommand(['PING']))
    await hold.hit()
    await redis.cli('SET', 'watched', 'changed')
    await until(() => received().includes('invalidate'), { what: 'the invalidation' })
    expect(proxy.replyCount('PING')).toBe(0)
    hold.release()
    await proxy.reply('PING')
  })

  it('keeps the password of its target in its url', async () => {
    await using guarded = await startRedis({ requirepass: 'secret' })
    await using front = await startProxy({ target: guarded })
    expect(await startClient(front).ping()).toBe('PONG')
  })

  it('stands in front of a unix socket, and of what is not Redis', async () => {
    await using hidden = await startRedis({ port: 0 })
    await using front = await startProxy({ target: hidden })
    expect(await startClient(front).ping()).toBe('PONG')

    const echo = createServer((socket) => socket.pipe(socket))
    const port = await new Promise<number>((resolve) => {
      echo.listen(0, '127.0.0.1', () => resolve((echo.address() as { port: number }).port))
    })
    await using plain = await startProxy({ target: { port }, opaque: true })
    const { socket, received } = rawClient(plain)
    socket.write('no line ending')
    await until(() => received() === 'no line ending', { what: 'the echo' })
    socket.destroy()
    echo.close()
  })

  it('resets its client when the server is not there', async () => {
    await using gone = await startRedis()
    await using front = await startProxy({ target: gone })
    await gone.kill()
    expect(await rawClient(front).ending).toBe('ECONNRESET')
    await gone.start()
    expect(await startClient(front).ping()).toBe('PONG')
  })
})

describe('delay', () => {
  it('makes each way late, once for a whole pipeline', async () => {
    const one = await client()
    proxy.delay(40)
    const startedAt = performance.now()
    await Promise.all(Array.from({ length: 50 }, () => one.ping()))
    const elapsed = performance.now() - startedAt
    expect(elapsed).toBeGreaterThanOrEqual(79)
    expect(elapsed).toBeLessThan(50 * 80)
    proxy.delay(60_000)
    proxy.delay(0)
    expect(await one.ping()).toBe('PONG')
  })

  it('can be one way alone', async () => {
    const [one, other] = [await client(), await client()]
    proxy.delay({ up: 60_000 })
    const notCarriedOut = settled(one.set('up', 1))
    await proxy.command('SET')
    expect(await redis.cli('GET', 'up')).toBeNull()

    proxy.delay({ down: 60_000 })
    const notAnswered = other.set('down', 1)
    const outcome = settled(notAnswered)
    await proxy.reply('SET')
    expect([await redis.cli('GET', 'down'), await isPending(notAnswered)]).toEqual(['1', true])
    expect(await redis.cli('GET', 'up')).toBeNull()
    proxy.resetAll()
    expect([(await notCarriedOut).status, (await outcome).status]).toEqual(['rejected', 'rejected'])
  })

  it('keeps the order under jitter, and repeats for a seed', async () => {
    const delays = async (seed: number): Promise<number[]> => {
      const drawn: number[] = []
      const random = seededRandom(seed)
      const noted = (): number => {
        const number = random()
        drawn.push(number)
        return number
      }
      await using front = await startProxy({ target: redis, random: noted })
      front.delay(5, 5)
      const { socket, received } = rawClient(front)
      await redis.cli('DEL', 'list')
      socket.write(Buffer.concat(Array.from({ length: 20 }, (_, index) => encodeCommand(['RPUSH', 'list', index]))))
      await until(() => received().split('\r\n').length === 21, { what: 'all replies' })
      expect(await redis.cli<string[]>('LRANGE', 'list', 0, -1)).toEqual(Array.from({ length: 20 }, (_, i) => `${i}`))
      expect(received()).toBe(Array.from({ length: 20 }, (_, index) => `:${index + 1}\r\n`).join(''))
      return drawn
    }
    const first = await delays(3)
    expect(first.length).toBe(40)
    expect(await delays(3)).toEqual(first)
  })
})

describe('blackhole', () => {
  it('is silent both ways, and delivers afterwards', async () => {
    const one = await client()
    proxy.blackhole()
    const late = one.set('key', 'late')
    await proxy.command('SET')
    expect(await isPending(late)).toBe(true)
    expect(await redis.cli('GET', 'key')).toBeNull()
    await proxy.heal()
    expect(await late).toBe('OK')
    expect(await redis.cli('GET', 'key')).toBe('late')
  })

  it('ends by itself, and leaves the other faults as they are', async () => {
    const one = await client()
    proxy.blackhole()
    const cut = proxy.cutAfterReply('GET')
    const answer = one.ping()
    await proxy.command('PING')
    expect(await isPending(answer)).toBe(true)
    proxy.blackhole('none')
    expect(await answer).toBe('PONG')
    await one.get('key')
    await cut.hit()
  })

  it('lets new connections in, and leaves them waiting', async () => {
    proxy.blackhole()
    const { socket, received } = rawClient()
    socket.write(encodeCommand(['PING']))
    await proxy.command('PING')
    expect([proxy.connections, proxy.replyCount(), received()]).toEqual([1, 0, ''])
    await proxy.heal()
    await until(() => received() === '+PONG\r\n', { what: 'the answer' })
  })

  it('down alone: Redis carries out, the client does not learn of it', async () => {
    const one = await client()
    proxy.blackhole('down')
    const unanswered = one.set('key', 'done')
    await proxy.reply('SET')
    expect(await redis.cli('GET', 'key')).toBe('done')
    expect(await isPending(unanswered)).toBe(true)
    await proxy.heal()
    expect(await unanswered).toBe('OK')
  })

  it('up alone: what Redis had to say still comes', async () => {
    const one = await client()
    const hold = proxy.holdReply('GET')
    const answer = one.get('key')
    await hold.hit()
    proxy.blackhole('up')
    hold.release()
    expect(await answer).toBeNull()
    expect(await isPending(one.get('key'))).toBe(true)
  })

  it('delivers what a client has sent that gave up meanwhile', async () => {
    const { socket } = rawClient()
    socket.write(encodeCommand(['PING']))
    await proxy.reply('PING')
    proxy.blackhole()
    socket.write(encodeCommand(['SET', 'key', 'from the grave']))
    await proxy.command('SET')
    socket.destroy()
    await until(() => socket.closed, { what: 'the client to be gone' })
    expect(await redis.cli('GET', 'key')).toBeNull()
    await proxy.heal()
    await until(async () => (await redis.cli('GET', 'key')) === 'from the grave', { what: 'the late write' })
    await until(() => proxy.connections === 0, { what: 'the link to go' })
  })

  it('does not tell the client that the server has gone, until it is over', async () => {
    await using server = await startRedis()
    await using front = await startProxy({ target: server })
    const { socket, ending } = rawClient(front)
    socket.write(encodeCommand(['PING']))
    await front.reply('PING')
    front.blackhole()
    const witness = connectSocket({ port: server.port, host: server.host }).resume()
    sockets.push(witness)
    const seen = new Promise((resolve) => witness.on('end', resolve).on('error', resolve))
    await new Promise((resolve) => witness.on('connect', resolve))
    await server.kill()
    await seen
    expect(await isPending(ending)).toBe(true)
    await front.heal()
    expect(['fin', 'ECONNRESET']).toContain(await ending)
  })
})

describe('refuse', () => {
  it('refuses new connections and leaves the others alone', async () => {
    const one = await client()
    proxy.refuse()
    expect(await rawClient().ending).toBe('ECONNREFUSED')
    expect(await one.ping()).toBe('PONG')
    await proxy.accept()
    expect(await (await client()).ping()).toBe('PONG')
  })

  it('is ended by heal(), and accept() twice does no harm', async () => {
    proxy.refuse()
    await proxy.heal()
    await proxy.accept()
    expect(await (await client()).ping()).toBe('PONG')
  })
})

describe('resetAll and finAll', () => {
  it.each([
    ['resetAll', 'ECONNRESET'],
    ['finAll', 'fin'],
  ] as const)('%s ends every connection with %s', async (verb, ending) => {
    const both = [rawClient(), rawClient()]
    for (const { socket } of both) socket.write(encodeCommand(['PING']))
    await until(() => both.every(({ received }) => received() === '+PONG\r\n'), { what: 'both to be connected' })
    proxy[verb]()
    expect(await Promise.all(both.map((one) => one.ending))).toEqual([ending, ending])
    await until(() => proxy.connections === 0, { what: 'the links to go' })
    expect(await (await client()).ping()).toBe('PONG')
  })
})

describe('slice', () => {
  it.each([1, 7, 4_096])('cuts the bytes into pieces of %i, and loses none', async (size) => {
    proxy.slice(size)
    const { socket, received, chunks } = rawClient()
    const value = 'abcdefghij'.repeat(50)
    socket.write(Buffer.concat([encodeCommand(['SET', 'key', value]), encodeCommand(['GET', 'key'])]))
    await until(() => received() === `+OK\r\n$500\r\n${value}\r\n`, { what: 'the whole reply' })
    expect(Math.min(...chunks.map((chunk) => chunk.length))).toBeLessThanOrEqual(size)
    if (size < 100) expect(chunks.length).toBeGreaterThan(10)
  })

  it('refuses slices of nothing', () => {
    expect(() => proxy.slice(0)).toThrow(RangeError)
  })
})

describe('cuts', () => {
  it('before a command: Redis never sees it', async () => {
    const one = await client()
    const cut = proxy.cutBeforeCommand('SET')
    expect(await one.get('key')).toBeNull()
    expect(cut.hits).toBe(0)
    await expect(one.set('key', 'value')).rejects.toThrow()
    await cut.hit()
    expect(await redis.cli('GET', 'key')).toBeNull()
  })

  it('after a command: Redis carries it out', async () => {
    const one = await client()
    const cut = proxy.cutAfterCommand('SET')
    await expect(one.set('key', 'value')).rejects.toThrow()
    await cut.hit()
    await until(async () => (await redis.cli('GET', 'key')) === 'value', { what: 'the write' })
    expect(proxy.replyCount('SET')).toBe(0)
  })

  it('before a reply: Redis has carried it out by then', async () => {
    const one = await client()
    const cut = proxy.cutBeforeReply('SET')
    await expect(one.set('key', 'value')).rejects.toThrow()
    await cut.hit()
    expect(await redis.cli('GET', 'key')).toBe('value')
  })

  it('after a reply: the client has it, the next command fails', async () => {
    const one = await client()
    const cut = proxy.cutAfterReply('SET')
    expect(await one.set('key', 'value')).toBe('OK')
    await cut.hit()
    await until(() => one.status === 'end', { what: 'the connection to end' })
  })

  it('amid a reply: the client has its first bytes', async () => {
    await redis.cli('SET', 'key', 'a long value')
    const { socket, received, ending } = rawClient()
    proxy.cutMidReply('GET', { bytes: 9, ending: 'fin' })
    socket.write(encodeCommand(['GET', 'key']))
    expect(await ending).toBe('fin')
    expect(received()).toBe('$12\r\na lo')
  })

  it.each([
    ['reset', 'ECONNRESET'],
    ['fin', 'fin'],
  ] as const)('%s is seen as %s', async (ending, seen) => {
    const one = rawClient()
    proxy.cutBeforeReply('PING', { ending })
    one.socket.write(encodeCommand(['PING']))
    expect(await one.ending).toBe(seen)
  })

  it('leave what was passed on before, however large', async () => {
    const one = await client()
    proxy.cutBeforeCommand('SET', { nth: 2 })
    await Promise.allSettled([one.set('large', 'x'.repeat(16 * 1024 * 1024)), one.set('next', 1)])
    await until(async () => (await redis.cli<number>('STRLEN', 'large')) === 16 * 1024 * 1024, {
      what: 'the large value',
    })
    expect(await redis.cli('GET', 'next')).toBeNull()
  })

  it('bite at the nth, over all connections, and as often as told', async () => {
    const cut = proxy.cutBeforeCommand('SET', { nth: 2, times: 2 })
    expect(await (await client()).set('a', 1)).toBe('OK')
    await expect((await client()).set('b', 2)).rejects.toThrow()
    await expect((await client()).set('c', 3)).rejects.toThrow()
    expect(await (await client()).set('d', 4)).toBe('OK')
    expect(cut.hits).toBe(2)
    expect(await redis.cli<string[]>('KEYS', '*')).toHaveLength(2)
  })

  it('can be aimed at a key', async () => {
    const one = await client()
    proxy.cutBeforeCommand(({ args }) => String(args[0]) === 'victim')
    expect(await one.set('bystander', 1)).toBe('OK')
    await expect(one.set('victim', 1)).rejects.toThrow()
  })

  it('let through, in a pipeline, what came before', async () => {
    const one = await client()
    proxy.cutBeforeReply('SET', { nth: 3 })
    const outcomes = await Promise.allSettled([one.set('a', 1), one.set('b', 2), one.set('c', 3), one.set('d', 4)])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected'])
  })

  it('are off once disarmed or healed', async () => {
    proxy.cutBeforeCommand('PING').disarm()
    proxy.cutBeforeReply('PING')
    await proxy.heal()
    expect(await (await client()).ping()).toBe('PONG')
  })
})

describe('swallow', () => {
  it('loses the reply and all that follow on that connection, and no other', async () => {
    const [one, other] = [await client(), await client()]
    const swallow = proxy.swallowReply('SET')
    const lost = one.set('key', 'value')
    await swallow.hit()
    const after = one.get('key')
    await proxy.reply('GET')
    expect(await redis.cli('GET', 'key')).toBe('value')
    expect([await isPending(lost), await isPending(after)]).toEqual([true, true])
    expect(await other.get('key')).toBe('value')

    await proxy.heal()
    expect((await settled(lost)).status).toBe('rejected')
    expect((await settled(after)).status).toBe('rejected')
    expect(await other.ping()).toBe('PONG')
  })

  it('can lose them all, on new connections too', async () => {
    const old = await client()
    proxy.swallowReplies()
    const lost = old.incr('count')
    const { socket, received, ending } = rawClient()
    socket.write(encodeCommand(['INCR', 'count']))
    await until(async () => (await redis.cli('GET', 'count')) === '2', { what: 'both to be carried out' })
    await proxy.reply('INCR', { nth: 2 })
    expect([await isPending(lost), received()]).toEqual([true, ''])
    await proxy.heal()
    expect((await settled(lost)).status).toBe('rejected')
    expect(await ending).toBe('ECONNRESET')
    expect(await (await client()).ping()).toBe('PONG')
  })
})

describe('hold', () => {
  it('stops a command, and what is behind it, until it is released', async () => {
    const [one, other] = [await client(), await client()]
    const hold = proxy.holdCommand('SET')
    const set = one.set('key', 'held')
    const behind = one.get('key')
    await hold.hit()
    expect(await other.get('key')).toBeNull()
    expect([await isPending(set), await isPending(behind)]).toEqual([true, true])
    await redis.cli('SET', 'key', 'first')
    hold.release()
    expect([await set, await behind]).toEqual(['OK', 'held'])
    expect(hold.hits).toBe(1)
    expect(await one.set('key', 'free')).toBe('OK')
  })

  it('stops a reply, which Redis has given', async () => {
    const one = await client()
    const hold = proxy.holdReply('SET')
    const set = one.set('key', 'value')
    await hold.hit()
    expect(await redis.cli('GET', 'key')).toBe('value')
    expect(await isPending(set)).toBe(true)
    hold.release()
    expect(await set).toBe('OK')
  })

  it('can be met by a second fault', async () => {
    const one = await client()
    const hold = proxy.holdReply('SET')
    const cut = proxy.cutBeforeReply('SET')
    const set = settled(one.set('key', 'value'))
    await hold.hit()
    expect(cut.hits).toBe(0)
    hold.release()
    expect((await set).status).toBe('rejected')
    expect(cut.hits).toBe(1)
  })

  it('is released by heal()', async () => {
    const one = await client()
    const hold = proxy.holdCommand()
    const ping = one.ping()
    await hold.hit()
    await proxy.heal()
    expect(await ping).toBe('PONG')
  })
})

describe('waiting for what passes', () => {
  it('resolves when it has come', async () => {
    const one = await client()
    const waits = Promise.all([proxy.seen(3), proxy.command('get', { nth: 2 }), proxy.reply('PING')])
    await one.get('a')
    await one.ping()
    expect(await isPending(proxy.command('GET', { nth: 2 }))).toBe(true)
    await one.get('b')
    await waits
  })

  it('fails, telling what has come instead', async () => {
    const one = await client()
    await one.ping()
    await expect(proxy.command('EVALSHA', { timeoutMs: 20 })).rejects.toThrow(
      'EVALSHA commands at the proxy; it has seen: PING 1',
    )
    await expect(proxy.holdCommand('SET').hit(20)).rejects.toThrow('waiting for the proxy to hold a command')
  })
})

it('close() ends the listener and every connection', async () => {
  const one = rawClient()
  one.socket.write(encodeCommand(['PING']))
  await until(() => one.received() === '+PONG\r\n', { what: 'the answer' })
  proxy.blackhole()
  await proxy.close()
  expect(await one.ending).toBe('ECONNRESET')
  expect(await rawClient().ending).toBe('ECONNREFUSED')
})

describe('half-open connections', () => {
  it('are silent, while new ones work, and are reset in the end', async () => {
    const { socket, ending, received } = rawClient()
    socket.write(encodeCommand(['SET', 'key', 'before']))
    await until(() => received() === '+OK\r\n', { what: 'the reply' })
    const served = await redis.info('connected_clients')
    proxy.forsakeAll()
    await until(async () => (await redis.info('connected_clients')) < served, { what: 'the server to see the end' })
    socket.write(encodeCommand(['SET', 'key', 'after']))
    expect(await isPending(ending)).toBe(true)
    expect(await (await client()).get('key')).toBe('before')

    proxy.resetDeaf()
    expect(await ending).toBe('ECONNRESET')
    expect(received()).toBe('+OK\r\n')
  })

  it('leave nothing behind when their client goes', async () => {
    const { socket } = rawClient()
    await until(() => proxy.connections === 1, { what: 'the link' })
    proxy.forsakeAll()
    socket.resetAndDestroy()
    await proxy.heal()
    await until(() => proxy.connections === 0, { what: 'the link to go' })
  })
})

describe('loss', () => {
  it('makes what is lost late by 200 ms or more, in order, and the rest not at all', async () => {
    const one = await client()
    proxy.lose(0.5)
    const order: number[] = []
    const start = performance.now()
    const times = await Promise.all(
      Array.from({ length: 8 }, async (_, index) => {
        await one.set(`key:${index}`, index)
        order.push(index)
        return performance.now() - start
      }),
    )
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    expect(times.at(-1)).toBeGreaterThanOrEqual(199)
    proxy.lose(0)
    expect(await one.get('key:7')).toBe('7')
  })

  it('is a share', () => {
    expect(() => proxy.lose(1)).toThrow('got 1')
  })
})
