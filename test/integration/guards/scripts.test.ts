// What the guarded save and the destroy answer, word by word, on a real Redis; and what fails inside them.
import { describe, expect, it } from 'vitest'
import { GuardedSaves } from '../../../src/guarded-saves.js'
import type { DownReason } from '../../../src/index.js'
import type { Nodes } from '../../../src/node.js'
import { Connection } from '../../../src/redis/connect.js'
import { classify } from '../../../src/redis/failures.js'
import { type Guard, type SaveReply, SessionCommands, sha1, type WriteRequest } from '../../../src/redis/sessions.js'
import type { RedisServer } from '../../support/redis-server.js'
import { change, expectDead, stored } from '../guard-kit.js'
import {
  afterThis,
  downError,
  keyOf,
  load,
  markerOf,
  outcomes,
  readyStore,
  server,
  session,
  untilUp,
} from '../store-kit.js'

interface Bench {
  readonly redis: RedisServer
  readonly connection: Connection
  readonly commands: SessionCommands
  /** Sends a save with a deadline so many ms from now. */
  save(value: string, guard: Guard, options?: { readonly deadline?: number; readonly ttl?: number }): Promise<SaveReply>
}

async function bench(): Promise<Bench> {
  const redis = await server()
  const connection = new Connection({
    ...{ client: undefined, redis: redis.url, timeout: 1_000 },
    onReady: () => {},
    onLost: () => {},
  })
  afterThis(() => connection.close())
  connection.start()
  await connection.usable()
  const commands = new SessionCommands({ prefix: 'sess:', binary: false, revokeFor: 60_000, onCluster: false })
  return {
    ...{ redis, connection, commands },
    save: (value, guard, { deadline = 10_000, ttl } = {}) =>
      commands
        .save({ sid: 'sid', value, ttl, guard })
        .send(connection, performance.now() + deadline) as Promise<SaveReply>,
  }
}

const NONE: Guard = { kind: 'none' }
const PRESENT: Guard = { kind: 'present' }

function digests(...values: string[]): Guard {
  return { kind: 'digest', digests: values.map((value) => (value === 'absent' ? value : sha1(value))) }
}

describe('a guarded save', () => {
  it.each([
    ['none', NONE, undefined, 'saved'],
    ['none', NONE, 'old', 'saved'],
    ['present', PRESENT, 'old', 'saved'],
    ['present', PRESENT, undefined, 'gone'],
    ['the digest of what is stored', digests('old'), 'old', 'saved'],
    ['several digests, one of them right', digests('other', 'old', 'new'), 'old', 'saved'],
    ['the digest of the value itself', digests('new'), 'new', 'unchanged'],
    ['other digests', digests('other', 'new'), 'old', 'conflict'],
    ['digests', digests('old'), undefined, 'gone'],
    ['absent', digests('absent'), undefined, 'saved'],
    ['absent', digests('absent'), 'old', 'conflict'],
    ['absent and a digest', digests('absent', 'old'), 'old', 'saved'],
    ['no digest at all', digests(), 'old', 'conflict'],
    ['no digest at all', digests(), undefined, 'gone'],
  ] as const)('under %s, with %j stored', async (_, guard, before, result) => {
    const { redis, save } = await bench()
    if (before !== undefined) await redis.cli('SET', keyOf('sid'), before)
    const reply = await save('new', guard)
    expect(reply).toEqual(result === 'conflict' ? { result, stored: before } : { result })
    const after = result === 'saved' || result === 'unchanged' ? 'new' : (before ?? null)
    expect(await redis.cli('GET', keyOf('sid'))).toBe(after)
  })

  it('sets the ttl it is given, or none', async () => {
    const { redis, save } = await bench()
    await save('new', NONE, { ttl: 5_000 })
    const left = await redis.cli<number>('PTTL', keyOf('sid'))
    expect(left).toBeGreaterThan(0)
    expect(left).toBeLessThanOrEqual(5_000)
    await save('new', PRESENT)
    expect(await redis.cli('PTTL', keyOf('sid'))).toBe(-1)
    await save('new', digests('new'), { ttl: 5_000 })
    expect(await redis.cli<number>('PTTL', keyOf('sid'))).toBeGreaterThan(0)
  })

  it('is late after its deadline, by Redis’s clock, whatever its guard', async () => {
    const { redis, save } = await bench()
    await redis.cli('SET', keyOf('sid'), 'old')
    for (const guard of [NONE, PRESENT, digests('old')]) {
      expect(await save('new', guard, { deadline: -1 })).toEqual({ result: 'late' })
      expect(await save('new', guard, { deadline: -1e6 })).toEqual({ result: 'late' })
    }
    expect(await redis.cli('GET', keyOf('sid'))).toBe('old')
    expect(await save('new', NONE, { deadline: 1_000 })).toEqual({ result: 'saved' })
  })

  it('is revoked where a marker stands, before anything else is looked at', async () => {
    const { redis, connection, save, commands } = await bench()
    await commands.destroy('sid').send(connection, 0)
    await redis.cli('SET', keyOf('sid'), 'old')
    for (const guard of [NONE, PRESENT, digests('old'), digests('absent')]) {
      expect(await save('new', guard)).toEqual({ result: 'revoked' })
      expect(await save('new', guard, { deadline: -1 })).toEqual({ result: 'revoked' })
    }
    expect(await redis.cli('GET', keyOf('sid'))).toBe('old')
  })
})

describe('a destroy', () => {
  it('says whether there was a session, and marks in both cases', async () => {
    const { redis, connection, commands } = await bench()
    await redis.cli('SET', keyOf('sid'), 'old')
    expect(await commands.destroy('sid').send(connection, 0)).toBe(1)
    expect(await commands.destroy('sid').send(connection, 0)).toBe(0)
    expect(await commands.destroy('nobody', 1_500).send(connection, 0)).toBe(0)
    expect(await redis.cli<number>('PTTL', markerOf('sid'))).toBeGreaterThan(50_000)
    expect(await redis.cli<number>('PTTL', markerOf('nobody'))).toBeLessThanOrEqual(1_500)
  })

  it.each([true, false])('in a full Redis deletes and marks; a session there: %s', async (there) => {
    const { redis, connection, commands, save } = await bench()
    if (there) await save('old', NONE)
    await commands.destroy('another').send(connection, 0)
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    expect(classify(await save('new', NONE).catch((error: unknown) => error))).toBe('out-of-memory')
    expect(await commands.destroy('sid').send(connection, 0)).toBe(there ? 1 : 0)
    expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(0)
    expect(await redis.cli('EXISTS', markerOf('sid'))).toBe(1)
    expect(await save('new', NONE)).toEqual({ result: 'revoked' })
  })
})

describe('Redis’s clock', () => {
  /** A connection whose idea of Redis's clock is wrong by so many ms until it is measured again, and a lane that just sends. */
  async function skewed(skew: number) {
    const on = await bench()
    let wrong = skew
    let measured = 0
    const connection = {
      client: on.connection.client,
      isCluster: false,
      notAfter: (deadline: number) => on.connection.notAfter(deadline + wrong),
      measure: async () => {
        measured++
        wrong = 0
        await on.connection.measure()
      },
    } as unknown as Connection
    const sent: string[] = []
    const lane = {
      run: (request: WriteRequest, deadline: number) => {
        sent.push(request.send.length === 1 ? 'measure' : 'save')
        return request.send(connection, deadline)
      },
    }
    const nodes = { of: () => ({ lanes: { save: lane } }) } as unknown as Nodes
    const commands = new SessionCommands({ prefix: 'sess:', binary: false, revokeFor: 60_000, onCluster: false })
    const saves = new GuardedSaves(nodes, commands)
    const save = (deadline: number) =>
      saves.run({ sid: 'sid', value: 'new', ttl: undefined, guard: NONE }, performance.now() + deadline)
    return { ...on, save, sent, nodes, commands, measured: () => measured }
  }

  it('that was set forward is measured again, and the save goes through', async () => {
    const { save, sent, measured, redis } = await skewed(-3_600_000)
    expect(await save(5_000)).toEqual({ result: 'saved' })
    expect(sent).toEqual(['save', 'measure', 'save'])
    expect(measured()).toBe(1)
    expect(await redis.cli('GET', keyOf('sid'))).toBe('new')
    // From then on it is known.
    expect(await save(5_000)).toEqual({ result: 'saved' })
    expect(sent).toHaveLength(4)
  })

  it('is not to blame where the answer took long: the save is late', async () => {
    const { save, sent } = await skewed(0)
    expect(await save(-1)).toEqual({ result: 'late' })
    expect(sent).toEqual(['save', 'measure'])
  })

  it('that is off again after it was measured makes the save late: it is tried once', async () => {
    const { sent, nodes, commands, redis } = await skewed(0)
    const late = {
      measure: (sid: string) => commands.measure(sid),
      save: (command: Parameters<SessionCommands['save']>[0]) => {
        const { key, send } = commands.save(command)
        return { key, send: (link: Connection, deadline: number) => send(link, deadline - 3_600_000) }
      },
    } as unknown as SessionCommands
    const saves = new GuardedSaves(nodes, late)
    const command = { sid: 'sid', value: 'new', ttl: undefined, guard: NONE }
    expect(await saves.run(command, performance.now() + 5_000)).toEqual({ result: 'late' })
    expect(sent).toEqual(['save', 'measure', 'save'])
    expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(0)
  })
})

describe('an error inside a script', () => {
  const cases: readonly (readonly [
    DownReason,
    (redis: RedisServer) => Promise<unknown>,
    (redis: RedisServer) => Promise<unknown>,
  ])[] = [
    ['read-only', (redis) => redis.cli('REPLICAOF', '127.0.0.1', '1'), (redis) => redis.cli('REPLICAOF', 'NO', 'ONE')],
    [
      'no-replicas',
      (redis) => redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '1'),
      (redis) => redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '0'),
    ],
  ]

  it.each(cases)('%s is an outage for saves and destroys, and over when it is over', async (reason, breakIt, mend) => {
    const redis = await server()
    const store = await readyStore(redis, { timeout: 2_000, breaker: { resetTimeout: 50 } })
    await store.set('sid', session({ step: 0 }))
    const running = await load(store, 'sid')
    await breakIt(redis)
    const save = await downError(store.set('sid', change(running, { step: 1 })))
    expect(save).toMatchObject({ reason, operation: 'set' })
    expect(await downError(store.destroy('other'))).toMatchObject({ reason, operation: 'destroy' })
    await mend(redis)
    await untilUp(store)
    await store.set('sid', change(running, { step: 2 }))
    expect(await stored(redis, 'sid')).toMatchObject({ step: 2 })
    await expectDead(redis, 'other', store)
  })

  it('out-of-memory is one for saves alone', async () => {
    const redis = await server()
    const store = await readyStore(redis, { timeout: 2_000, breaker: { resetTimeout: 50 } })
    await store.set('sid', session({ step: 0 }))
    const running = await load(store, 'sid')
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    for (let n = 0; n < 5; n++) await downError(store.set('sid', change(running, { step: 1 })))
    expect(store.health()).toMatchObject({
      status: 'degraded',
      lanes: { read: { state: 'closed' }, save: { reason: 'out-of-memory' }, lifetime: { state: 'closed' } },
    })
    expect(await load(store, 'sid')).toMatchObject({ step: 0 })
    await store.destroy('sid')
    await expectDead(redis, 'sid', store)
    await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
    await untilUp(store)
  })

  it.each(['last-write', 'reject', 'merge'] as const)(
    'a value of another type is no outage: %s',
    async (concurrency) => {
      const redis = await server()
      const store = await readyStore(redis, { timeout: 2_000, concurrency })
      const told = outcomes(store)
      await store.set('sid', session({ step: 0 }))
      const running = await load(store, 'sid')
      await redis.cli('DEL', keyOf('sid'))
      await redis.cli('LPUSH', keyOf('sid'), 'not a string')
      for (let n = 0; n < 12; n++) {
        const error = await store.set('sid', change(running, { step: n })).catch((thrown: unknown) => thrown)
        // A plain SET replaces it; a comparison cannot read it, and says so without taking it for a dead Redis.
        if (concurrency === 'last-write') expect(error).toBeUndefined()
        else expect(error).not.toHaveProperty('code', 'EREDISDOWN')
        if (concurrency !== 'last-write') expect(error).toBeInstanceOf(Error)
      }
      expect(store.health().status).toBe('up')
      expect(told.filter(({ type }) => type === 'down')).toEqual([])
    },
  )

  it('a command the user may not run is one of rights', async () => {
    const redis = await server()
    await redis.cli('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '+@all')
    const store = await readyStore({ url: redis.url.replace('redis://', 'redis://app:secret@') }, { timeout: 2_000 })
    await store.set('sid', session())
    const running = await load(store, 'sid')
    await redis.cli('ACL', 'SETUSER', 'app', '-set')
    expect(await downError(store.set('sid', running))).toMatchObject({ reason: 'auth' })
    await redis.cli('ACL', 'SETUSER', 'app', '+set')
    await untilUp(store)
    await store.set('sid', running)
  })
})
