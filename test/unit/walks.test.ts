import { describe, expect, it } from 'vitest'
import { Codec } from '../../src/codec.js'
import { RedisFailure, SessionKeyUnknownError } from '../../src/errors.js'
import type { Sent, Settle } from '../../src/lanes.js'
import { resolveOptions } from '../../src/resolve-options.js'
import type { Serializer } from '../../src/serializers/contract.js'
import { type ScannedSession, Walks, type WalksOptions } from '../../src/walks.js'
import { FakeClock } from '../support/fake-clock.js'

interface Setting {
  /** What each round trip of SCAN finds. */
  readonly chunks?: readonly (readonly string[])[]
  readonly values?: Readonly<Record<string, string>>
  readonly destroyed?: readonly string[]
  readonly serializer?: Serializer
  readonly timeout?: number
  /** Runs at each command. */
  readonly command?: (name: string) => unknown
  readonly usable?: () => Promise<void> | undefined
}

function setUp({ chunks = [], values = {}, destroyed = [], timeout = 60_000, ...more }: Setting): {
  walks: Walks
  told: [code: string, operation: string | undefined, sid: string][]
  deleted: string[]
  asked: string[]
  scanned: unknown[][]
} {
  const { serializer = 'json', command, usable } = more
  const told: [string, string | undefined, string][] = []
  const deleted: string[] = []
  const asked: string[] = []
  const scanned: unknown[][] = []
  const transport = {
    async *scan(count: number, bounded: <T>(reply: Promise<T>) => Promise<T>) {
      expect(count).toBe(77)
      for (const chunk of chunks) {
        await bounded(Promise.resolve().then(() => command?.('scan')))
        yield [...chunk]
      }
    },
    sendReads: async (batch: readonly Sent<{ key: string }>[], settle: Settle<string | null>) => {
      try {
        await command?.('values')
        for (const [index, { request }] of batch.entries()) {
          asked.push(request.key)
          settle(index, undefined, values[request.key] ?? null)
        }
      } catch (error) {
        settle(0, error)
      }
    },
    sendWrites: async (batch: readonly Sent<string>[], settle: Settle<number>) => {
      try {
        await command?.('delete')
        for (const [index, { request }] of batch.entries()) {
          deleted.push(request)
          settle(index, undefined, 1)
        }
      } catch (error) {
        settle(0, error)
      }
    },
  }
  const commands = { key: (sid: string) => sid, deleteAll: (sids: readonly string[]) => sids }
  const connection = { usable: usable ?? (() => undefined) }
  const node = { transport, connection }
  const walks = new Walks({
    nodes: { all: () => [node], known: () => undefined } as unknown as WalksOptions['nodes'],
    commands: commands as unknown as WalksOptions['commands'],
    codec: new Codec(resolveOptions({ serializer }), new FakeClock()),
    scanCount: 77,
    timeout,
    isDestroyed: (sid) => destroyed.includes(sid),
    scanned: (...args) => scanned.push(args),
    onKeyUnknown: ({ code, operation }, sid) => told.push([code, operation, sid]),
  })
  return { walks, told, deleted, asked, scanned }
}

const value = (n: number): string => JSON.stringify({ cookie: {}, n })

describe('ids', () => {
  it('are those of every round trip, each once: SCAN may find a key twice', async () => {
    const { walks } = setUp({ chunks: [['a', 'b'], [], ['b', 'c', 'a']] })
    expect(await walks.ids()).toEqual(['a', 'b', 'c'])
  })

  it('of an empty Redis are none', async () => {
    expect(await setUp({ chunks: [[]] }).walks.ids()).toEqual([])
  })
})

describe('all', () => {
  it('are the sessions with their ids, each once', async () => {
    const { walks } = setUp({
      chunks: [
        ['a', 'b'],
        ['b', 'c'],
      ],
      values: { a: value(1), b: value(2), c: value(3) },
    })
    expect(await walks.all()).toEqual([
      { cookie: {}, n: 1, id: 'a' },
      { cookie: {}, n: 2, id: 'b' },
      { cookie: {}, n: 3, id: 'c' },
    ])
  })

  it('leave out what is gone by then, what cannot be read, and what this process knows to be destroyed', async () => {
    const { walks, asked, deleted } = setUp({
      chunks: [['gone', 'broken', 'no-session', 'destroyed', 'fine']],
      values: { broken: '{"', 'no-session': '5', destroyed: value(1), fine: value(2) },
      destroyed: ['destroyed'],
    })
    expect(await walks.all()).toEqual([{ cookie: {}, n: 2, id: 'fine' }])
    expect(asked).not.toContain('destroyed')
    expect(deleted).toEqual([])
  })

  it('leave out, leave alone and tell what another process has the key of', async () => {
    const serializer: Serializer = {
      stringify: (session) => JSON.stringify(session),
      parse: (text: string) => {
        if (text === 'sealed') throw new SessionKeyUnknownError('get', 'next')
        return JSON.parse(text)
      },
    }
    const { walks, told, deleted } = setUp({
      chunks: [['sealed', 'broken', 'fine']],
      values: { sealed: 'sealed', broken: '{"', fine: value(1) },
      serializer,
    })
    expect(await walks.all()).toEqual([{ cookie: {}, n: 1, id: 'fine' }])
    expect(told).toEqual([['ESESSIONKEYUNKNOWN', 'scan', 'sealed']])
    expect(deleted).toEqual([])
  })

  it('ask for nothing where a round trip found nothing', async () => {
    const { walks } = setUp({
      chunks: [[], ['destroyed'], []],
      destroyed: ['destroyed'],
      command: (name) => expect(name).toBe('scan'),
    })
    expect(await walks.all()).toEqual([])
  })
})

describe('length', () => {
  it('counts each session once, and none that this process knows to be destroyed', async () => {
    const { walks } = setUp({ chunks: [['a', 'b'], [], ['b', 'c', 'a', 'destroyed']], destroyed: ['destroyed'] })
    expect(await walks.length()).toBe(3)
  })
})

describe('scan', () => {
  it('gives each session once, with where it came from', async () => {
    const { walks, scanned } = setUp({ chunks: [['a'], ['a', 'b']], values: { a: value(1), b: value(2) } })
    const before = performance.now()
    const found: ScannedSession[] = []
    for await (const each of walks.scan()) found.push(each)
    expect(found).toEqual([
      { sid: 'a', session: { cookie: {}, n: 1 } },
      { sid: 'b', session: { cookie: {}, n: 2 } },
    ])
    expect(scanned).toEqual(
      found.map(({ sid, session }, index) => [sid, session, value(index + 1), expect.any(Number)]),
    )
    for (const [, , , sentAt] of scanned) expect(sentAt).toBeGreaterThanOrEqual(before)
  })

  it('asks Redis for no more than is wanted', async () => {
    let trips = 0
    const { walks, asked } = setUp({
      chunks: [['a', 'b'], ['c']],
      values: { a: value(1), b: value(2), c: value(3) },
      command: (name) => (name === 'scan' ? trips++ : undefined),
    })
    for await (const { sid } of walks.scan()) if (sid === 'b') break
    expect(trips).toBe(1)
    expect(asked).toEqual(['a', 'b'])
  })

  it('leaves out what is destroyed between the answer of Redis and its turn', async () => {
    const destroyed: string[] = []
    const { walks } = setUp({ chunks: [['a', 'b']], values: { a: value(1), b: value(2) }, destroyed })
    const seen: string[] = []
    for await (const { sid } of walks.scan()) {
      seen.push(sid)
      destroyed.push('b')
    }
    expect(seen).toEqual(['a'])
  })

  it('gives the event loop its turns while it parses', async () => {
    let turn = 0
    let parsing = true
    const count = (): void => {
      turn++
      if (parsing) setImmediate(count)
    }
    const parsed: number[] = []
    const serializer: Serializer = {
      stringify: (session) => JSON.stringify(session),
      parse: (text: string) => {
        parsed.push(turn)
        const end = performance.now() + 2
        while (performance.now() < end);
        return JSON.parse(text)
      },
    }
    const sids = Array.from({ length: 60 }, (_, n) => `sid-${n}`)
    const values = Object.fromEntries(sids.map((sid, n) => [sid, value(n)]))
    setImmediate(count)
    const { walks } = setUp({ chunks: [sids], values, serializer })
    expect(await walks.all()).toHaveLength(60)
    parsing = false
    expect(parsed).toHaveLength(60)
    for (const each of new Set(parsed)) expect(parsed.filter((at) => at === each).length).toBeLessThanOrEqual(6)
  })

  it('gives the event loop its turns between the chunks of one reply', async () => {
    let turns = 0
    let walking = true
    const count = (): void => {
      turns++
      if (walking) setImmediate(count)
    }
    setImmediate(count)
    const slow = (): undefined => {
      const end = performance.now() + 5
      while (performance.now() < end);
    }
    // No round trip lies between them: nothing but the walk itself gives way.
    const { walks } = setUp({ chunks: Array.from({ length: 20 }, (_, n) => [`sid-${n}`]), command: slow })
    expect(await walks.length()).toBe(20)
    walking = false
    expect(turns).toBeGreaterThanOrEqual(19)
  })
})

describe('clear', () => {
  it('deletes what every round trip found', async () => {
    const { walks, deleted } = setUp({ chunks: [['a'], [], ['b', 'c']] })
    await walks.clear()
    expect(deleted).toEqual(['a', 'b', 'c'])
  })
})

describe('a failure', () => {
  const READONLY = new Error("READONLY You can't write against a read only replica.")

  it.each(['scan', 'values', 'delete'])('of %s is the failure that it is', async (failing) => {
    const { walks } = setUp({
      chunks: [['a']],
      command: (name) => {
        if (name === failing) throw READONLY
      },
    })
    const walk = failing === 'delete' ? walks.clear() : walks.all()
    const error = await walk.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(RedisFailure)
    expect(error).toMatchObject({ reason: 'read-only' })
  })

  it('that is no outage comes out as it is', async () => {
    const bug = new TypeError('a bug')
    const { walks } = setUp({
      chunks: [['a']],
      command: () => {
        throw bug
      },
    })
    await expect(walks.ids()).rejects.toBe(bug)
  })

  it.each(['scan', 'values', 'delete'])('no round trip waits longer than the timeout: %s', async (hanging) => {
    const { walks } = setUp({
      chunks: [['a']],
      timeout: 20,
      command: (name) => (name === hanging ? new Promise(() => {}) : undefined),
    })
    const walk = hanging === 'delete' ? walks.clear() : walks.all()
    await expect(walk).rejects.toMatchObject({ reason: 'timeout' })
  })

  it('of the connection ends the walk before it begins', async () => {
    const lost = new RedisFailure('refused', 'connect ECONNREFUSED')
    await expect(setUp({ usable: () => Promise.reject(lost) }).walks.ids()).rejects.toBe(lost)
    const never = setUp({ usable: () => new Promise(() => {}), timeout: 20 })
    await expect(never.walks.ids()).rejects.toMatchObject({ reason: 'timeout' })
  })
})
