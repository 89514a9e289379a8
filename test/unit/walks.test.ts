import { describe, expect, it } from 'vitest'
import { Codec } from '../../src/codec.js'
import { RedisFailure } from '../../src/errors.js'
import type { Sent, Settle } from '../../src/lanes.js'
import { resolveOptions } from '../../src/resolve-options.js'
import { Walks, type WalksOptions } from '../../src/walks.js'
import { FakeClock } from '../support/fake-clock.js'

interface Setting {
  /** What each round trip of SCAN finds. */
  readonly chunks?: readonly (readonly string[])[]
  readonly values?: Readonly<Record<string, string>>
  readonly destroyed?: readonly string[]
  readonly timeout?: number
  /** Runs at each command. */
  readonly command?: (name: string) => unknown
  readonly usable?: () => Promise<void> | undefined
}

function setUp({ chunks = [], values = {}, destroyed = [], timeout = 60_000, command, usable }: Setting): {
  walks: Walks
  deleted: string[]
  asked: string[]
} {
  const deleted: string[] = []
  const asked: string[] = []
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
  const commands = { key: (sid: string) => sid, expireNow: (sid: string) => sid }
  const connection = { usable: usable ?? (() => undefined) }
  const node = { transport, connection }
  const walks = new Walks({
    nodes: { all: () => [node], known: () => undefined } as unknown as WalksOptions['nodes'],
    commands: commands as unknown as WalksOptions['commands'],
    codec: new Codec(resolveOptions({}), new FakeClock()),
    scanCount: 77,
    timeout,
    isDestroyed: (sid) => destroyed.includes(sid),
  })
  return { walks, deleted, asked }
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

  it('ask for nothing where a round trip found nothing', async () => {
    const { walks } = setUp({
      chunks: [[], ['destroyed'], []],
      destroyed: ['destroyed'],
      command: (name) => expect(name).toBe('scan'),
    })
    expect(await walks.all()).toEqual([])
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
