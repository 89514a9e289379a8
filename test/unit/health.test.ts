import { describe, expect, it, vi } from 'vitest'
import { RedisFailure } from '../../src/errors.js'
import { FallbackCache } from '../../src/fallback-cache.js'
import { healthOf } from '../../src/health.js'
import type { LaneName, LaneState } from '../../src/lanes.js'
import { Node, type ServerConnection } from '../../src/node.js'
import type { ConnectionState } from '../../src/redis/connect.js'
import { resolveOptions } from '../../src/resolve-options.js'
import { WriteQueue } from '../../src/write-queue.js'
import { FakeClock } from '../support/fake-clock.js'

interface Situation {
  readonly lanes?: Partial<Record<LaneName, LaneState['state']>>
  readonly connection?: ConnectionState
  readonly queue?: WriteQueue
  readonly cache?: FallbackCache
  readonly closed?: boolean
}

const since = '2026-01-01T00:00:00.000Z'

function emptyQueue(): WriteQueue {
  return new WriteQueue({ max: 10, maxBytes: 10_000, maxAge: 1_000 })
}

/** A server with lanes in these states. */
function server({ lanes = {}, connection = 'ready' }: Situation, name?: string): Node {
  const lane = (lane: LaneName, inFlight: number): unknown => {
    const state = lanes[lane] ?? 'closed'
    return {
      inFlight,
      state: state === 'closed' ? { state } : { state, reason: 'refused' },
      breaker: { closed: state === 'closed' },
    }
  }
  const failure = new RedisFailure('refused', 'connect ECONNREFUSED 10.0.0.1:6379')
  return Object.create(Node.prototype, {
    name: { value: name },
    transport: { value: { connection: { state: connection, failure } as unknown as ServerConnection } },
    lanes: { value: { read: lane('read', 1), save: lane('save', 2), lifetime: lane('lifetime', 4) } },
    since: { value: { read: since, save: since, lifetime: since } },
  }) as Node
}

function health(situation: Situation = {}, nodes: readonly Node[] = [server(situation)]) {
  const { queue = emptyQueue(), cache, closed = false } = situation
  return healthOf({ nodes, cache, near: undefined, queue, replaying: false, revocations: 3, closed })
}

describe('status', () => {
  it('is up when all is well', () => {
    expect(health().status).toBe('up')
  })

  it.each<[string, Situation]>([
    ['reads alone do not work', { lanes: { read: 'open' } }],
    ['saves alone do not work', { lanes: { save: 'open' } }],
    ['deletes alone do not work', { lanes: { lifetime: 'open' } }],
    ['writes do not work: a replica', { lanes: { save: 'open', lifetime: 'open' } }],
    ['a lane is half-open', { lanes: { read: 'half-open' } }],
    ['the connection is not ready yet', { connection: 'connecting' }],
    ['the connection was lost and no lane has noticed', { connection: 'lost' }],
  ])('is degraded when %s', (_, situation) => {
    expect(health(situation).status).toBe('degraded')
  })

  it('is degraded while something waits to be written', () => {
    const saves = emptyQueue()
    saves.addSave({
      sid: 'a',
      base: undefined,
      attempts: [],
      payload: '{}',
      expiresAt: 1,
      servedUntil: 1,
      queuedAt: 1,
    })
    expect(health({ queue: saves }).status).toBe('degraded')
    const destroys = emptyQueue()
    destroys.addDestroy({ sid: 'a', queuedAt: 1 })
    expect(health({ queue: destroys }).status).toBe('degraded')
  })

  it.each<[string, Situation]>([
    ['neither reads nor saves work', { lanes: { read: 'open', save: 'open' } }],
    ['nothing works', { lanes: { read: 'open', save: 'open', lifetime: 'open' }, connection: 'lost' }],
    ['reads and saves are only being tried', { lanes: { read: 'half-open', save: 'half-open' } }],
    ['the store was closed', { closed: true }],
  ])('is down when %s', (_, situation) => {
    expect(health(situation).status).toBe('down')
  })
})

it('tells the state of each lane and of the connection, with the reason where something is wrong', () => {
  expect(health().connection).toEqual({ state: 'ready' })
  const { lanes, connection } = health({ lanes: { save: 'open' }, connection: 'lost' })
  expect(lanes).toEqual({
    read: { state: 'closed', since },
    save: { state: 'open', reason: 'refused', since },
    lifetime: { state: 'closed', since },
  })
  expect(connection).toEqual({ state: 'lost', reason: 'refused' })
})

it('counts what is kept, what waits and what is under way', () => {
  const cache = new FallbackCache({ max: 10, maxBytes: 10_000, maxStale: 1_000 }, new FakeClock())
  cache.put('a', { raw: 'xyz', confirmedAt: 1, expiresAt: undefined })
  const queue = emptyQueue()
  queue.addDestroy({ sid: 'a', queuedAt: 1 })
  expect(health({ cache, queue })).toMatchObject({
    cache: { sessions: 1, bytes: 8 },
    queue: { saves: 0, destroys: 1, bytes: 0, replaying: false },
    revocations: 3,
    inFlight: 7,
  })
  expect(health()).not.toHaveProperty('cache')
})

describe('on Cluster', () => {
  const well = server({}, '10.0.0.1:7001')
  const dead = server({ lanes: { read: 'open', save: 'open', lifetime: 'open' }, connection: 'lost' }, '10.0.0.2:7002')

  it('one dead master is a degraded store, and shown as the one it is', () => {
    const shown = health({}, [well, dead])
    expect(shown).toMatchObject({
      status: 'degraded',
      lanes: { read: { state: 'open', reason: 'refused' } },
      connection: { state: 'lost', reason: 'refused' },
      inFlight: 14,
    })
    expect(shown.masters).toMatchObject([
      { master: '10.0.0.1:7001', lanes: { read: { state: 'closed' } }, connection: { state: 'ready' } },
      { master: '10.0.0.2:7002', lanes: { read: { state: 'open' } }, connection: { state: 'lost' } },
    ])
  })

  it('all of them dead is down, none is up', () => {
    expect(health({}, [dead, dead]).status).toBe('down')
    expect(health({}, [well, well]).status).toBe('up')
    expect(health()).not.toHaveProperty('masters')
  })
})

it('shows words and numbers only: no address, no session', () => {
  const queue = emptyQueue()
  queue.addDestroy({ sid: 'the-secret-sid', queuedAt: 1 })
  const shown = JSON.stringify(health({ queue, connection: 'lost', lanes: { read: 'open' } }))
  expect(shown).not.toMatch(/secret|10\.0\.0\.1|6379/)
})

describe('a lane that works, or does not, since', () => {
  /** A node whose read lane the test moves. */
  function nodeWithBreaker() {
    const connection = { state: 'ready', usable: () => undefined, stalled: () => {} }
    const transport = { connection, sendReads: () => {}, sendWrites: () => {}, probe: () => new Promise(() => {}) }
    const breaker = { ...resolveOptions({}).breaker, resetTimeout: 20 }
    const node = new Node(undefined, transport as never, { timeout: 100, breaker, maxInFlight: 10 }, () => {})
    return { node, read: () => health({}, [node]).lanes.read }
  }

  it('is told by the wall clock; a breaker that only tries does not begin anew', async () => {
    vi.useFakeTimers({ now: new Date('2026-01-01T00:00:00Z') })
    try {
      const { node, read } = nodeWithBreaker()
      expect(read()).toEqual({ state: 'closed', since: '2026-01-01T00:00:00.000Z' })
      vi.setSystemTime(new Date('2026-01-01T01:00:00Z'))
      node.lanes.read.open(new RedisFailure('refused', 'nobody there'))
      const open = { reason: 'refused', since: '2026-01-01T01:00:00.000Z' }
      expect(read()).toEqual({ state: 'open', ...open })
      await vi.advanceTimersByTimeAsync(30)
      expect(read()).toEqual({ state: 'half-open', ...open })
      node.eachLane((lane) => lane.shutdown())
    } finally {
      vi.useRealTimers()
    }
  })

  it('of several servers: not since the first is not, well since the last is', () => {
    const a = nodeWithBreaker().node
    const b = nodeWithBreaker().node
    const read = () => health({}, [a, b]).lanes.read
    Object.assign(a.since, { read: '2026-01-01T00:00:02.000Z' })
    Object.assign(b.since, { read: '2026-01-01T00:00:01.000Z' })
    expect(read().since).toBe('2026-01-01T00:00:02.000Z')
    for (const node of [a, b]) node.lanes.read.open(new RedisFailure('refused', 'nobody there'))
    Object.assign(a.since, { read: '2026-01-01T00:00:02.000Z' })
    Object.assign(b.since, { read: '2026-01-01T00:00:01.000Z' })
    expect(read()).toEqual({ state: 'open', reason: 'refused', since: '2026-01-01T00:00:01.000Z' })
    for (const node of [a, b]) node.eachLane((lane) => lane.shutdown())
  })
})
