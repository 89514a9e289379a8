import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Codec } from '../../src/codec.js'
import { RedisFailure, SessionKeyUnknownError } from '../../src/errors.js'
import type { Node } from '../../src/node.js'
import { type Raw, type SaveCommand, type SaveReply, sha1 } from '../../src/redis/sessions.js'
import { Replay, type ReplayOptions } from '../../src/replay.js'
import { resolveOptions } from '../../src/resolve-options.js'
import type { OutcomeRecord } from '../../src/telemetry.js'
import { type NewSave, WriteQueue } from '../../src/write-queue.js'
import { FakeClock } from '../support/fake-clock.js'
import { until } from '../support/wait.js'

const REFUSED = { type: 'conflict', operation: 'set', queued: true, resolution: 'refused', clashes: 0 }
const DOWN = new RedisFailure('busy', 'BUSY Redis is busy running a script.')

interface Destroy {
  readonly sid: string
  readonly revokeFor: number | undefined
}

/** Redis as the replay sees it: keeps values, and compares as the SAVE script does. */
class FakeRedis {
  readonly stored = new Map<string, Raw>()
  readonly revoked = new Set<string>()
  /** What reached it, in order: `revoke a`, `destroy b`, `save c`. */
  readonly log: string[] = []
  /** For how long the markers stand that were sent again, ms. */
  readonly revocations = new Map<string, number>()
  readonly ttls = new Map<string, number | undefined>()
  /** How long each command had until its caller was to be told that it failed, ms. */
  readonly patience = new Set<number>()
  underWay = 0
  mostUnderWay = 0
  /** Runs before each command is carried out: may wait, throw, or change something. */
  before: (command: string, sid: string) => unknown = () => {}
  /** Runs after each command was carried out, before its reply leaves. */
  after: (command: string, sid: string) => unknown = () => {}

  readonly saves = {
    run: (command: SaveCommand, deadline: number) =>
      this.#command('save', command.sid, deadline, () => this.#save(command)),
  }
  /** A delete says for how long its marker is to stand only where that is sent again. */
  readonly commands = { destroy: (sid: string, revokeFor?: number): Destroy => ({ sid, revokeFor }) }
  readonly lifetime = {
    run: ({ sid, revokeFor }: Destroy, deadline: number) =>
      this.#command(revokeFor === undefined ? 'destroy' : 'revoke', sid, deadline, () => this.#destroy(sid, revokeFor)),
  }

  async #command<T>(name: string, sid: string, deadline: number, run: () => T): Promise<T> {
    this.patience.add(deadline - performance.now())
    this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay)
    try {
      this.log.push(`${name} ${sid}`)
      await this.before(name, sid)
      const reply = run()
      await this.after(name, sid)
      return reply
    } finally {
      this.underWay--
    }
  }

  #save({ sid, value, ttl, guard }: SaveCommand): SaveReply {
    if (this.revoked.has(sid)) return { result: 'revoked' }
    const stored = this.stored.get(sid)
    const digest = stored === undefined ? 'absent' : sha1(stored)
    if (guard.kind !== 'digest') throw new Error('a replay compares with what is stored')
    if (!guard.digests.every((one) => /^(absent|[0-9a-f]{40})$/.test(one))) throw new Error('that is no digest')
    if (!guard.digests.includes(digest))
      return stored === undefined ? { result: 'gone' } : { result: 'conflict', stored }
    this.stored.set(sid, value)
    this.ttls.set(sid, ttl)
    return { result: digest === sha1(value) ? 'unchanged' : 'saved' }
  }

  #destroy(sid: string, revokeFor: number | undefined): number {
    this.revoked.add(sid)
    if (revokeFor !== undefined) this.revocations.set(sid, revokeFor)
    return this.stored.delete(sid) ? 1 : 0
  }
}

let redis: FakeRedis
let queue: WriteQueue
let clock: FakeClock
let records: OutcomeRecord[]
let written: [sid: string, payload: Raw, ttl: number | undefined][]
/** Sessions that the replay found destroyed. */
let revoked: string[]
let replay: Replay
/** Runs when a stored value is read for comparison: may wait. */
let whileComparing: () => unknown
/** The `run_id` of the server that answers. */
let server: string | undefined

beforeEach(() => {
  redis = new FakeRedis()
  clock = new FakeClock()
  queue = new WriteQueue({ max: 1_000, maxBytes: 1_000_000, maxAge: 600_000 })
  records = []
  written = []
  revoked = []
  whileComparing = () => {}
  server = 'one'
  replay = newReplay()
})

/** The only server. */
const node = {
  get lanes() {
    return { lifetime: redis.lifetime }
  },
  get runId() {
    return server
  },
} as unknown as Node

/** A replay of the queue; `more` wins. */
function newReplay(more: Partial<ReplayOptions> = {}): Replay {
  const serializer = {
    stringify: (session: object) => JSON.stringify(session),
    parse: async (value: string) => {
      await whileComparing()
      return JSON.parse(value)
    },
  }
  return new Replay({
    queue,
    commands: redis.commands as unknown as ReplayOptions['commands'],
    saves: redis.saves as unknown as ReplayOptions['saves'],
    nodes: { of: () => node },
    codec: new Codec(resolveOptions({ serializer }), clock),
    concurrency: 'last-write',
    restoreLost: false,
    timeout: 250,
    clock,
    onWritten: (sid, payload, _, ttl) => written.push([sid, payload, ttl]),
    onRevoked: (sid) => revoked.push(sid),
    onKeyUnknown: () => {},
    publish: (record) => records.push(record),
    ...more,
  })
}

afterEach(async () => {
  redis.before = () => {
    throw DOWN
  }
  vi.useRealTimers()
  vi.restoreAllMocks()
  await replay.finish(performance.now())
})

function text(data: object, cookie: object = {}): string {
  return JSON.stringify({ cookie, ...data })
}

function addSave(sid: string, more: Partial<NewSave> = {}): void {
  const now = clock.monotonic()
  const save: NewSave = {
    sid,
    base: undefined,
    attempts: [],
    payload: text({ saved: sid }),
    expiresAt: now + 60_000,
    servedUntil: now + 600_000,
    queuedAt: performance.now(),
    ...more,
  }
  expect(queue.addSave(save)).toBe(true)
}

function addDestroy(sid: string): void {
  queue.addDestroy({ sid, queuedAt: performance.now() })
}

/** Starts the replay and waits until it has stopped. */
async function run(): Promise<void> {
  replay.kick()
  await until(() => !replay.active, { what: 'the replay to stop' })
}

/** From here on time passes only when a test lets it. */
function stopTime(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
}

/** Time passes, in small steps, and what is due happens. */
async function pass(ms: number, step = 1): Promise<void> {
  for (let at = 0; at < ms; at += step) {
    await nextTurn()
    vi.advanceTimersByTime(step)
  }
  await nextTurn()
}

/** What was told: each record in a few words. */
function types(): string[] {
  return records.map((record) => {
    switch (record.type) {
      case 'replayed':
        return `replayed ${record.operation} ${record.outcome}`
      case 'conflict':
        return `conflict ${record.resolution} ${record.clashes}`
      case 'dropped':
      case 'revoked':
        return `${record.type} ${record.reason}`
      default:
        return record.type
    }
  })
}

describe('order', () => {
  it('deletes come first, in the order they were made, then saves', async () => {
    addSave('a')
    addSave('b')
    addDestroy('x')
    addDestroy('y')
    await run()
    expect(redis.log).toEqual(['destroy x', 'destroy y', 'save a', 'save b'])
    expect([queue.saves.size, queue.destroys.size]).toEqual([0, 0])
  })

  it('no save leaves before every delete is confirmed', async () => {
    addSave('a')
    addDestroy('x')
    addDestroy('y')
    redis.before = (_, sid) => {
      if (sid === 'y') throw DOWN
    }
    await run()
    expect(redis.log).toEqual(['destroy x', 'destroy y'])
    expect([...queue.destroys.keys()]).toEqual(['y'])
    expect(queue.saves.size).toBe(1)
  })

  it('a bounded number is under way at once', async () => {
    for (let n = 0; n < 200; n++) addSave(`session ${n}`)
    redis.before = () => nextTurn()
    await run()
    expect(redis.stored.size).toBe(200)
    expect(redis.mostUnderWay).toBeLessThanOrEqual(32)
  })

  it('when Redis fails no more are begun', async () => {
    for (let n = 0; n < 200; n++) addSave(`session ${n}`)
    redis.before = async () => {
      await nextTurn()
      throw DOWN
    }
    await run()
    expect(redis.log.length).toBeLessThanOrEqual(32)
    expect(queue.saves.size).toBe(200)
    expect(records).toEqual([])
  })

  it('asked for while it runs, it goes round once more, and only once', async () => {
    stopTime()
    addSave('a')
    redis.before = async () => {
      await nextTurn()
      throw DOWN
    }
    replay.kick()
    replay.kick()
    replay.kick()
    for (let turn = 0; turn < 50; turn++) await nextTurn()
    expect(redis.log).toEqual(['save a', 'save a'])
    expect(replay.active).toBe(false)
  })

  it('each command has the timeout of the store', async () => {
    stopTime()
    addSave('a')
    addDestroy('x')
    revokeAgain({ r: 60_000 })
    await run()
    expect(redis.log).toEqual(['revoke r', 'destroy x', 'save a'])
    expect([...redis.patience]).toEqual([250])
  })

  it('what has ended tells how long it had waited', async () => {
    stopTime()
    vi.advanceTimersByTime(1_000)
    addSave('a')
    addDestroy('x')
    vi.advanceTimersByTime(3_000)
    await run()
    expect(records).toMatchObject([
      { operation: 'destroy', waited: 3_000 },
      { operation: 'set', waited: 3_000 },
    ])
  })

  it('nothing to send is nothing to do', async () => {
    replay.kick()
    expect(replay.active).toBe(false)
    expect(redis.log).toEqual([])
  })
})

describe('a queued delete', () => {
  it('is carried out and told', async () => {
    redis.stored.set('x', text({}))
    addDestroy('x')
    await run()
    expect(redis.stored.has('x')).toBe(false)
    expect(records).toEqual([
      { type: 'replayed', operation: 'destroy', outcome: 'written', waited: expect.any(Number) },
    ])
    expect((records[0] as { waited: number }).waited).toBeGreaterThanOrEqual(0)
  })

  it('of a session that is gone already leaves its marker, and is told', async () => {
    addDestroy('x')
    await run()
    expect(redis.revoked.has('x')).toBe(true)
    expect(records).toEqual([
      { type: 'replayed', operation: 'destroy', outcome: 'already-there', waited: expect.any(Number) },
    ])
  })

  it('that was confirmed meanwhile by another destroy is not told again', async () => {
    addDestroy('x')
    redis.after = () => queue.removeDestroy('x')
    await run()
    expect(records).toEqual([])
  })

  it('that the store itself cannot send is given up, and told', async () => {
    addDestroy('x')
    redis.before = () => {
      throw new RangeError('no hash tag')
    }
    await run()
    expect(records).toEqual([{ type: 'dropped', operation: 'destroy', reason: 'error' }])
    expect(queue.destroys.size).toBe(0)
  })
})

describe('a queued save', () => {
  it('of a new session is written with what is left of its life, and told', async () => {
    addSave('a', { payload: text({ n: 1 }), expiresAt: clock.monotonic() + 60_000 })
    clock.advance(15_000)
    await run()
    expect(redis.stored.get('a')).toBe(text({ n: 1 }))
    expect(redis.ttls.get('a')).toBe(45_000)
    expect(written).toEqual([['a', text({ n: 1 }), 45_000]])
    expect(records).toEqual([{ type: 'replayed', operation: 'set', outcome: 'written', waited: expect.any(Number) }])
    expect([queue.saves.size, queue.bytes]).toEqual([0, 0])
  })

  it('that is stored already is told as such', async () => {
    redis.stored.set('a', text({ n: 1 }))
    addSave('a', { base: text({ n: 0 }), attempts: [sha1(text({ n: 1 }))], payload: text({ n: 1 }) })
    await run()
    expect(records).toEqual([
      { type: 'replayed', operation: 'set', outcome: 'already-there', waited: expect.any(Number) },
    ])
    expect(written).toEqual([['a', text({ n: 1 }), 60_000]])
    expect([queue.saves.size, queue.bytes]).toEqual([0, 0])
  })

  it('of a session without end is written without', async () => {
    addSave('a', { expiresAt: Number.POSITIVE_INFINITY })
    await run()
    expect(redis.ttls).toEqual(new Map([['a', undefined]]))
    expect(written[0]?.[2]).toBeUndefined()
  })

  it('replaces what it was made from', async () => {
    redis.stored.set('a', text({ n: 0 }))
    addSave('a', { base: text({ n: 0 }), payload: text({ n: 1 }) })
    await run()
    expect(redis.stored.get('a')).toBe(text({ n: 1 }))
  })

  it('replaces binary values, too', async () => {
    redis.stored.set('a', Buffer.from([255, 1]))
    addSave('a', { base: Buffer.from([255, 1]), payload: Buffer.from([255, 2]) })
    await run()
    expect(redis.stored.get('a')).toEqual(Buffer.from([255, 2]))
  })

  it('never replaces what somebody else wrote meanwhile: a conflict, and told', async () => {
    redis.stored.set('a', text({ n: 'theirs' }))
    addSave('a', { base: text({ n: 0 }), payload: text({ n: 1 }) })
    await run()
    expect(redis.stored.get('a')).toBe(text({ n: 'theirs' }))
    expect(redis.log).toEqual(['save a'])
    expect(records).toEqual([REFUSED])
    expect(written).toEqual([])
    expect([queue.saves.size, queue.bytes]).toEqual([0, 0])
  })

  it('of a new session never replaces one that is there: a conflict', async () => {
    redis.stored.set('a', text({ n: 'theirs' }))
    addSave('a', { base: undefined })
    await run()
    expect(redis.stored.get('a')).toBe(text({ n: 'theirs' }))
    expect(types()).toEqual(['conflict refused 0'])
  })

  it('replaces earlier writes of its own that were applied although they failed', async () => {
    redis.stored.set('a', text({ n: 1 }))
    addSave('a', { base: text({ n: 0 }), attempts: [sha1(text({ n: 1 }))], payload: text({ n: 2 }) })
    await run()
    expect(redis.stored.get('a')).toBe(text({ n: 2 }))
    expect(types()).toEqual(['replayed set written'])
  })

  it('replaces what a replay before it wrote without hearing of it', async () => {
    addSave('a', { payload: text({ n: 1 }) })
    redis.after = () => {
      throw new RedisFailure('timeout', 'no answer within the timeout')
    }
    await run()
    expect(redis.stored.get('a')).toBe(text({ n: 1 }))
    expect(records).toEqual([])
    addSave('a', { payload: text({ n: 2 }) })
    redis.after = () => {}
    await run()
    expect(redis.stored.get('a')).toBe(text({ n: 2 }))
    expect(types()).toEqual(['replayed set written'])
  })

  it('that has run out is given up unsent, and told', async () => {
    addSave('a', { expiresAt: clock.monotonic() + 1_000 })
    clock.advance(1_000)
    await run()
    expect(redis.log).toEqual([])
    expect(records).toEqual([{ type: 'dropped', operation: 'set', reason: 'expired' }])
    expect(queue.saves.size).toBe(0)
  })

  it('does not mind the wall clock', async () => {
    addSave('a', { expiresAt: clock.monotonic() + 60_000 })
    clock.setWall(clock.wall() + 365 * 86_400_000)
    await run()
    expect(redis.ttls.get('a')).toBe(60_000)
  })

  it('of a session destroyed elsewhere is refused, and told', async () => {
    redis.revoked.add('a')
    addSave('a')
    await run()
    expect(redis.stored.has('a')).toBe(false)
    expect(records).toEqual([{ type: 'revoked', operation: 'set', reason: 'revoked', queued: true }])
    expect(revoked).toHaveLength(1)
    expect(queue.saves.size).toBe(0)
  })

  it('of a session that was deleted meanwhile does not create it again, and is told', async () => {
    addSave('a', { base: text({ n: 0 }) })
    await run()
    expect(redis.stored.has('a')).toBe(false)
    expect(records).toEqual([{ type: 'revoked', operation: 'set', reason: 'gone', queued: true }])
    expect(revoked).toEqual([])
    expect([queue.saves.size, queue.bytes]).toEqual([0, 0])
  })

  it('that the store itself cannot send is given up, and told', async () => {
    addSave('a')
    redis.before = () => {
      throw new TypeError('a bug')
    }
    await run()
    expect(records).toEqual([{ type: 'dropped', operation: 'set', reason: 'error' }])
    expect([queue.saves.size, queue.bytes]).toEqual([0, 0])
  })

  it('no record shows whose it is', async () => {
    for (const sid of ['secret-1', 'secret-2']) addSave(sid, { payload: text({ card: '4111' }) })
    redis.stored.set('secret-2', text({}))
    addDestroy('secret-3')
    await run()
    expect(records).toHaveLength(3)
    expect(JSON.stringify(records)).not.toMatch(/secret|4111/)
  })
})

describe('when only the cookie changed meanwhile', () => {
  const base = text({ n: 0 }, { expires: '2030-01-01T00:00:00.000Z' })
  const touched = text({ n: 0 }, { expires: '2030-01-02T00:00:00.000Z' })

  it('it is no conflict: the save is written over the touched value', async () => {
    redis.stored.set('a', touched)
    addSave('a', { base, payload: text({ n: 1 }) })
    await run()
    expect(redis.stored.get('a')).toBe(text({ n: 1 }))
    expect(types()).toEqual(['replayed set written'])
    expect(queue.bytes).toBe(0)
  })

  it('time and again, the save gives up at last rather than go on for ever', async () => {
    let n = 0
    redis.before = () => redis.stored.set('a', text({ n: 0 }, { touched: ++n }))
    addSave('a', { base, payload: text({ n: 1 }) })
    await run()
    expect(types()).toEqual(['conflict refused 0'])
    expect(redis.log).toHaveLength(1 + 5)
  })

  it('a value that cannot be read is another one: a conflict', async () => {
    redis.stored.set('a', '{"broken')
    addSave('a', { base, payload: text({ n: 1 }) })
    await run()
    expect(redis.stored.get('a')).toBe('{"broken')
    expect(types()).toEqual(['conflict refused 0'])
  })

  it('a value that another process has the key of stays: the save is given up, and told', async () => {
    const told: unknown[] = []
    const serializer = {
      stringify: (session: object) => JSON.stringify(session),
      parse: (value: string) => {
        if (value === 'sealed') throw new SessionKeyUnknownError('get', 'next')
        return JSON.parse(value)
      },
    }
    replay = newReplay({
      codec: new Codec(resolveOptions({ serializer }), clock),
      concurrency: 'merge',
      onKeyUnknown: ({ operation, keyId }, sid) => told.push([operation, keyId, sid]),
    })
    redis.stored.set('a', 'sealed')
    addSave('a', { base, payload: text({ n: 1 }) })
    await run()
    expect(redis.stored.get('a')).toBe('sealed')
    expect(told).toEqual([['set', 'next', 'a']])
    expect(types()).toEqual(['dropped key-unknown'])
    expect([queue.saves.size, queue.bytes]).toEqual([0, 0])
  })
})

/** What this process knows to be destroyed is to be sent again: each session for so many ms. */
function revokeAgain(sessions: Record<string, number>): void {
  replay.revokeAgain(Object.entries(sessions))
}

describe('revocations that another server may not know', () => {
  it('are sent before deletes, and those before saves', async () => {
    addSave('a')
    addDestroy('x')
    revokeAgain({ r: 60_000, s: 60_000 })
    redis.stored.set('r', text({ back: true }))
    await run()
    expect(redis.log).toEqual(['revoke r', 'revoke s', 'destroy x', 'save a'])
    expect(redis.stored.has('r')).toBe(false)
  })

  it('each for what is left of its life, also when it had to wait', async () => {
    revokeAgain({ r: 60_000, s: 5_000.5 })
    clock.advance(1_000)
    await run()
    expect(redis.revocations).toEqual(
      new Map([
        ['r', 59_000],
        ['s', 4_001],
      ]),
    )
  })

  it('are not sent when they are over', async () => {
    revokeAgain({ r: 1_000, s: 1_001 })
    clock.advance(1_000)
    await run()
    expect(redis.log).toEqual(['revoke s'])
    expect(replay.revoked('a')).toBeUndefined()
  })

  it('are the replay’s own matter: nobody is told', async () => {
    revokeAgain({ r: 60_000 })
    await run()
    expect(records).toEqual([])
    expect([redis.log, replay.active]).toEqual([['revoke r'], false])
  })

  it('are something to send: alone, too, and then no more', async () => {
    revokeAgain({ r: 60_000 })
    replay.kick()
    expect(replay.active).toBe(true)
    await run()
    redis.log.length = 0
    await run()
    expect(redis.log).toEqual([])
  })

  it('no delete and no save leaves before every one of them is confirmed', async () => {
    addSave('a')
    addDestroy('x')
    revokeAgain({ r: 60_000, s: 60_000, t: 60_000 })
    redis.before = (_, sid) => {
      if (sid === 's') throw DOWN
    }
    await run()
    expect(redis.log.filter((sent) => !sent.startsWith('revoke'))).toEqual([])
    expect([queue.saves.size, queue.destroys.size]).toEqual([1, 1])
    expect(records).toEqual([])

    redis.before = () => {}
    redis.log.length = 0
    await run()
    // What was confirmed is not sent again.
    expect(redis.log).toEqual(['revoke s', 'destroy x', 'save a'])
  })

  it('a reply that was lost means one more, not one less', async () => {
    addSave('a')
    revokeAgain({ r: 60_000 })
    redis.after = () => {
      throw new RedisFailure('timeout', 'no answer within the timeout')
    }
    await run()
    expect(redis.log).toEqual(['revoke r'])
    redis.after = () => {}
    await run()
    expect(redis.log).toEqual(['revoke r', 'revoke r', 'save a'])
  })

  it('are tried again by themselves', async () => {
    revokeAgain({ r: 60_000 })
    let failures = 0
    redis.before = () => {
      if (++failures <= 2) throw DOWN
    }
    replay.kick()
    await until(() => redis.revocations.has('r'))
    expect(redis.log).toEqual(['revoke r', 'revoke r', 'revoke r'])
  })

  it('one that cannot be sent at all holds up nobody', async () => {
    addSave('a')
    revokeAgain({ r: 60_000, s: 60_000 })
    redis.before = (_, sid) => {
      if (sid === 'r') throw new RangeError('no hash tag')
    }
    await run()
    expect(redis.log).toEqual(['revoke r', 'revoke s', 'save a'])
    expect(replay.revoked('a')).toBeUndefined()
  })

  it('a bounded number is under way at once', async () => {
    revokeAgain(Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`session ${n}`, 60_000])))
    redis.before = () => nextTurn()
    await run()
    expect(redis.revocations.size).toBe(200)
    expect(redis.mostUnderWay).toBeLessThanOrEqual(32)
  })

  it('that come while a replay runs are sent by the next one, before its saves', async () => {
    addSave('a')
    let first = true
    redis.before = () => {
      if (first) {
        revokeAgain({ r: 60_000 })
        addSave('b')
        replay.kick()
      }
      first = false
    }
    await run()
    expect(redis.log).toEqual(['save a', 'revoke r', 'save b'])
  })

  it('of yet another server replace those that wait', async () => {
    revokeAgain({ r: 60_000 })
    clock.advance(10_000)
    revokeAgain({ r: 50_000, s: 50_000 })
    await run()
    expect(redis.log).toEqual(['revoke r', 'revoke s'])
    expect(redis.revocations.get('r')).toBe(50_000)
  })
})

describe('revoked()', () => {
  it('is nothing to wait for where none is to be sent', async () => {
    expect(replay.revoked('a')).toBeUndefined()
    addSave('a')
    await run()
    expect(replay.revoked('a')).toBeUndefined()
  })

  it('settles when the last one is confirmed, and not before', async () => {
    let answer!: () => void
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    revokeAgain({ r: 60_000, s: 60_000 })
    const revoked = replay.revoked('a')
    let done = false
    revoked?.then(() => {
      done = true
    })
    redis.before = (_, sid) => (sid === 's' ? answered : undefined)
    replay.kick()
    await until(() => redis.revocations.has('r'))
    await nextTurn()
    expect(done).toBe(false)
    answer()
    await revoked
    expect([...redis.revocations.keys()]).toEqual(['r', 's'])
    expect(replay.revoked('a')).toBeUndefined()
  })

  it('is one promise for all who ask, and outlives failures', async () => {
    revokeAgain({ r: 60_000 })
    const revoked = replay.revoked('a')
    redis.before = () => {
      throw DOWN
    }
    await run()
    expect(replay.revoked('a')).toBe(revoked)
    redis.before = () => {}
    await run()
    await revoked
  })

  it('settles where all were over, or could not be sent', async () => {
    revokeAgain({ over: 1, refused: 60_000 })
    const revoked = replay.revoked('a')
    clock.advance(1_000)
    redis.before = () => {
      throw new RangeError('no hash tag')
    }
    await run()
    await revoked
  })

  it('does not settle while more have come meanwhile', async () => {
    revokeAgain({ r: 60_000 })
    const sent: string[] = []
    const revoked = replay.revoked('any')?.then(() => sent.push(...redis.revocations.keys()))
    redis.before = async () => {
      redis.before = () => {}
      await nextTurn()
      revokeAgain({ s: 60_000 })
      replay.kick()
    }
    await run()
    await revoked
    expect(sent).toEqual(['r', 's'])
  })

  it('is another promise for those of the next server', async () => {
    revokeAgain({ r: 60_000 })
    const first = replay.revoked('a')
    await run()
    await first
    revokeAgain({ r: 60_000 })
    const second = replay.revoked('a')
    expect(second).toBeInstanceOf(Promise)
    expect(second).not.toBe(first)
    await run()
    await second
  })
})

describe('several servers', () => {
  const of = (sid: string): Node => (sid.endsWith('2') ? second : node)
  /** The second one, which knows no sessions of the first. */
  const second = {
    get lanes() {
      return { lifetime: redis.lifetime }
    },
    runId: 'two',
  } as unknown as Node

  beforeEach(() => {
    replay = newReplay({ nodes: { of }, restoreLost: true })
  })

  it.each([
    ['1', '2'],
    ['2', '1'],
  ])('one that is away (server %s) holds back nothing of the others’, and is tried again', async (away, there) => {
    stopTime()
    for (const at of ['1', '2']) {
      addSave(`save ${at}`)
      addDestroy(`destroy ${at}`)
      revokeAgain({ [`revoke ${at}`]: 60_000 })
    }
    redis.before = (_, sid) => {
      if (sid.endsWith(away)) throw DOWN
    }
    await run()
    expect(redis.log.filter((sent) => sent.endsWith(there))).toEqual([
      `revoke revoke ${there}`,
      `destroy destroy ${there}`,
      `save save ${there}`,
    ])
    expect([...queue.destroys.keys(), ...queue.saves.keys()]).toEqual([`destroy ${away}`, `save ${away}`])
    redis.before = () => {}
    redis.log.length = 0
    await pass(100)
    expect(redis.log).toEqual([`revoke revoke ${away}`, `destroy destroy ${away}`, `save save ${away}`])
  })

  it('each has its own revocations to wait for', async () => {
    revokeAgain({ r1: 60_000, r2: 60_000 })
    const [one, two] = [replay.revoked('a1'), replay.revoked('a2')]
    expect(one).toBeInstanceOf(Promise)
    expect(replay.revoked('b1')).toBe(one)
    expect(two).not.toBe(one)
    redis.before = (_, sid) => {
      if (sid === 'r2') throw DOWN
    }
    await run()
    await one
    expect(replay.revoked('a1')).toBeUndefined()
    expect(replay.revoked('a2')).toBe(two)
    redis.before = () => {}
    await run()
    await two
    expect(replay.revoked('a2')).toBeUndefined()
  })

  it('a session is lost where its own server is another one than before', async () => {
    for (const sid of ['a1', 'a2']) addSave(sid, { base: text({ n: 0 }), server: 'one', payload: text({ n: 1 }) })
    await run()
    expect([...redis.stored.keys()]).toEqual(['a2'])
    expect(types()).toEqual(expect.arrayContaining(['revoked gone', 'restored']))
  })
})

describe('what another server does not have', () => {
  const lost = (more: Partial<NewSave> = {}): void =>
    addSave('a', { base: text({ n: 0 }), server: 'one', payload: text({ n: 1 }), ...more })

  beforeEach(() => {
    replay = newReplay({ restoreLost: true })
    server = 'another'
  })

  it('is written again with what is left of its life, and told, where `restoreLost` is on', async () => {
    lost()
    clock.advance(15_000)
    await run()
    expect(redis.stored.get('a')).toBe(text({ n: 1 }))
    expect(redis.ttls.get('a')).toBe(45_000)
    expect(written).toEqual([['a', text({ n: 1 }), 45_000]])
    expect(records).toEqual([
      { type: 'replayed', operation: 'set', outcome: 'written', waited: expect.any(Number) },
      { type: 'restored', operation: 'set', queued: true },
    ])
    expect([queue.saves.size, queue.bytes]).toEqual([0, 0])
  })

  it('is refused as gone where it is off', async () => {
    replay = newReplay({ restoreLost: false })
    lost()
    await run()
    expect(redis.stored.has('a')).toBe(false)
    expect(records).toEqual([{ type: 'revoked', operation: 'set', reason: 'gone', queued: true }])
  })

  it.each([
    ['the same server answers: it was deleted there', 'one', 'one'],
    ['it is not known who confirmed it', undefined, 'another'],
    ['it is not known who answers', 'one', undefined],
    ['neither is known', undefined, undefined],
  ])('is refused as gone where %s', async (_, confirmedBy, answering) => {
    server = answering
    lost({ server: confirmedBy })
    await run()
    expect(redis.stored.has('a')).toBe(false)
    expect(types()).toEqual(['revoked gone'])
  })

  it('is not restored where it was destroyed: revocations known here come first', async () => {
    lost()
    revokeAgain({ a: 60_000 })
    await run()
    expect(redis.stored.has('a')).toBe(false)
    expect(redis.log[0]).toBe('revoke a')
    expect(types()).toEqual(['revoked revoked'])
  })

  it('is not restored where somebody destroys it between the refusal and the restoring', async () => {
    lost()
    redis.after = () => redis.revoked.add('a')
    await run()
    expect(redis.log).toEqual(['save a', 'save a'])
    expect(redis.stored.has('a')).toBe(false)
    expect(types()).toEqual(['revoked revoked'])
  })

  it('never replaces what somebody has made anew meanwhile: a conflict', async () => {
    lost()
    redis.after = () => {
      redis.after = () => {}
      redis.stored.set('a', text({ n: 'theirs' }))
    }
    await run()
    expect(redis.stored.get('a')).toBe(text({ n: 'theirs' }))
    expect(types()).toEqual(['conflict refused 0'])
  })

  it('replaces what somebody has restored of it meanwhile, if that is what it was made from', async () => {
    lost()
    redis.after = () => {
      redis.after = () => {}
      redis.stored.set('a', text({ n: 0 }))
    }
    await run()
    expect(redis.stored.get('a')).toBe(text({ n: 1 }))
    expect(types()[0]).toBe('replayed set written')
  })

  it('is found there by the next try where the reply was lost', async () => {
    lost()
    let saves = 0
    redis.after = () => {
      if (++saves === 2) throw new RedisFailure('timeout', 'no answer within the timeout')
    }
    await run()
    expect(redis.stored.get('a')).toBe(text({ n: 1 }))
    expect(records).toEqual([])
    await run()
    expect(types()).toEqual(['replayed set already-there'])
    expect(queue.saves.size).toBe(0)
  })

  it('is a matter of sessions that were there: a new one is simply written', async () => {
    addSave('a', { server: 'one' })
    await run()
    expect(types()).toEqual(['replayed set written'])
  })
})

describe("a conflict under `concurrency: 'merge'`", () => {
  const base = text({ cart: [1], theme: 'light' })
  const ours = text({ cart: [1, 2], theme: 'light' })

  beforeEach(() => {
    replay = newReplay({ concurrency: 'merge' })
  })

  it('keeps both changes, and is told to nobody where they do not clash', async () => {
    redis.stored.set('a', text({ cart: [1], theme: 'dark', admin: false }))
    addSave('a', { base, payload: ours })
    await run()
    expect(JSON.parse(String(redis.stored.get('a')))).toEqual({
      cookie: {},
      cart: [1, 2],
      theme: 'dark',
      admin: false,
    })
    expect(types()).toEqual(['replayed set written'])
    // What is kept for the time without Redis is the merged one.
    expect(written).toEqual([['a', redis.stored.get('a'), 60_000]])
    expect([queue.saves.size, queue.bytes]).toEqual([0, 0])
  })

  it('is told with the number of keys that both had changed, and ours stand', async () => {
    redis.stored.set('a', text({ cart: [], theme: 'dark' }))
    addSave('a', { base, payload: text({ cart: [1, 2], theme: 'red' }) })
    await run()
    expect(redis.stored.get('a')).toBe(text({ cart: [1, 2], theme: 'red' }))
    expect(records[0]).toEqual({ type: 'conflict', operation: 'set', queued: true, resolution: 'merged', clashes: 2 })
    expect(types()).toEqual(['conflict merged 2', 'replayed set written'])
  })

  it('is merged anew when the stored session changes again meanwhile: every change is kept', async () => {
    redis.stored.set('a', text({ cart: [1], theme: 'dark' }))
    addSave('a', { base, payload: ours })
    let changes = 0
    redis.after = () => {
      if (++changes <= 2) redis.stored.set('a', text({ cart: [1], theme: 'dark', [`tab${changes}`]: true }))
    }
    await run()
    expect(JSON.parse(String(redis.stored.get('a')))).toEqual({ cookie: {}, cart: [1, 2], theme: 'dark', tab2: true })
    expect(types()).toEqual(['replayed set written'])
  })

  it('time and again, the save gives up at last rather than go on for ever', async () => {
    let n = 0
    redis.before = () => redis.stored.set('a', text({ cart: [1], theme: `theirs ${++n}` }))
    addSave('a', { base, payload: ours })
    await run()
    expect(types()).toEqual(['conflict refused 0'])
    expect(redis.log).toHaveLength(1 + 5)
    expect(redis.stored.get('a')).toBe(text({ cart: [1], theme: `theirs ${n}` }))
    expect([queue.saves.size, queue.bytes]).toEqual([0, 0])
  })

  it.each([
    ['of a session that was new here', undefined, text({ theme: 'dark' })],
    ['with what cannot be read', base, '{"broken'],
  ])('%s is refused all the same', async (_, from, stored) => {
    redis.stored.set('a', stored)
    addSave('a', { base: from, payload: ours })
    await run()
    expect(redis.stored.get('a')).toBe(stored)
    expect(records).toEqual([REFUSED])
  })

  it.each(['last-write', 'reject'] as const)("is refused under '%s'", async (concurrency) => {
    replay = newReplay({ concurrency })
    redis.stored.set('a', text({ cart: [1], theme: 'dark' }))
    addSave('a', { base, payload: ours })
    await run()
    expect(redis.stored.get('a')).toBe(text({ cart: [1], theme: 'dark' }))
    expect(records).toEqual([REFUSED])
  })

  it('a save that changes while it is merged is merged as it is then', async () => {
    redis.stored.set('a', text({ cart: [1], theme: 'dark' }))
    addSave('a', { base, payload: ours })
    whileComparing = () => {
      whileComparing = () => {}
      addSave('a', { base, payload: text({ cart: [1, 2, 3], theme: 'light' }) })
    }
    await run()
    expect(JSON.parse(String(redis.stored.get('a')))).toEqual({ cookie: {}, cart: [1, 2, 3], theme: 'dark' })
    expect(types()).toEqual(['replayed set written'])
    expect([queue.saves.size, queue.bytes]).toEqual([0, 0])
  })

  it('a logout while it is merged wins: nothing is written, and nothing told of it here', async () => {
    const theirs = text({ cart: [], theme: 'dark' })
    redis.stored.set('a', theirs)
    addSave('a', { base, payload: ours })
    whileComparing = () => queue.removeSave('a')
    await run()
    expect(redis.stored.get('a')).toBe(theirs)
    expect(redis.log).toEqual(['save a'])
    expect([records, written]).toEqual([[], []])
    expect([queue.saves.size, queue.bytes]).toEqual([0, 0])
  })

  it('another session of that id, made while it is merged, waits untouched', async () => {
    redis.stored.set('a', text({ cart: [1], theme: 'dark' }))
    addSave('a', { base, payload: ours })
    whileComparing = () => {
      whileComparing = () => {}
      queue.removeSave('a')
      addSave('a', { base: text({ of: 'bob' }), payload: text({ of: 'bob', n: 1 }) })
    }
    await run()
    expect(queue.saves.get('a')).toMatchObject({ base: text({ of: 'bob' }), payload: text({ of: 'bob', n: 1 }) })
    expect(records).toEqual([])
    expect(queue.bytes).toBe(2 * ('a'.length + text({ of: 'bob' }).length + text({ of: 'bob', n: 1 }).length))
  })

  it('a session that ends while it is merged is given up, and told', async () => {
    redis.stored.set('a', text({ cart: [1], theme: 'dark' }))
    addSave('a', { base, payload: ours, expiresAt: clock.monotonic() + 1_000 })
    whileComparing = () => clock.advance(1_000)
    await run()
    expect(redis.stored.get('a')).toBe(text({ cart: [1], theme: 'dark' }))
    expect(types()).toEqual(['dropped expired'])
  })
})

describe('what happens while a save is on its way', () => {
  it('a newer state of the session is written after it, over it', async () => {
    addSave('a', { payload: text({ n: 1 }) })
    let first = true
    redis.before = () => {
      if (first) addSave('a', { payload: text({ n: 2 }) })
      first = false
    }
    await run()
    expect(redis.log).toEqual(['save a', 'save a'])
    expect(redis.stored.get('a')).toBe(text({ n: 2 }))
    expect(written.map(([, payload]) => payload)).toEqual([text({ n: 2 })])
    expect(types()).toEqual(['replayed set written'])
    expect([queue.saves.size, queue.bytes]).toEqual([0, 0])
  })

  it('a logout wins: nothing is remembered of the save', async () => {
    addSave('a')
    redis.after = () => queue.removeSave('a')
    await run()
    expect(written).toEqual([])
    expect(records).toEqual([])
    expect([queue.saves.size, queue.bytes]).toEqual([0, 0])
  })

  it('a logout wins over a save that failed by itself', async () => {
    addSave('a')
    redis.before = () => {
      queue.removeSave('a')
      throw new TypeError('a bug')
    }
    await run()
    expect(records).toEqual([])
  })

  it.each([
    ['the same but for the cookie', text({ n: 0 }, { touched: true })],
    ['another', text({ n: 'theirs' })],
  ])(
    'a logout during the comparison wins, and the login after it waits untouched: the stored value is %s',
    async (_, stored) => {
      redis.stored.set('a', stored)
      addSave('a', { base: text({ n: 0 }) })
      whileComparing = () => {
        whileComparing = () => {}
        queue.removeSave('a')
        addSave('a', { base: text({ n: 'new' }), payload: text({ n: 'newer' }) })
      }
      replay.kick()
      await until(() => !replay.active)
      expect(queue.saves.get('a')?.payload).toBe(text({ n: 'newer' }))
      expect(records).toEqual([])
      expect(queue.bytes).toBe(2 * ('a'.length + text({ n: 'new' }).length + text({ n: 'newer' }).length))
    },
  )

  it('what is queued then is sent, too, once replay is told of it', async () => {
    addSave('a')
    let first = true
    redis.before = () => {
      if (first) {
        addSave('b')
        addDestroy('x')
        replay.kick()
      }
      first = false
    }
    await run()
    expect(redis.log).toEqual(['save a', 'destroy x', 'save b'])
    expect(queue.saves.size).toBe(0)
  })

  it('it is active, and not when it has stopped', async () => {
    addSave('a')
    expect(replay.active).toBe(false)
    replay.kick()
    expect(replay.active).toBe(true)
    await until(() => !replay.active)
  })
})

describe('when Redis fails', () => {
  it('what is not written waits on, unchanged and untold', async () => {
    addSave('a', { base: text({ n: 0 }) })
    addDestroy('x')
    redis.before = () => {
      throw DOWN
    }
    await run()
    expect([...queue.saves.keys(), ...queue.destroys.keys()]).toEqual(['a', 'x'])
    expect(records).toEqual([])
  })

  it('it is tried again by itself, and then written', async () => {
    addSave('a')
    let failures = 0
    redis.before = () => {
      if (++failures <= 2) throw DOWN
    }
    replay.kick()
    await until(() => redis.stored.has('a'))
    await until(() => queue.saves.size === 0)
    expect(types()).toEqual(['replayed set written'])
  })

  it('a save that came too late for Redis is tried again, too', async () => {
    addSave('a')
    const { run: save } = redis.saves
    let late = true
    redis.saves.run = (command, deadline) => {
      if (!late) return save(command, deadline)
      late = false
      return Promise.resolve({ result: 'late' })
    }
    replay.kick()
    await until(() => redis.stored.has('a'))
    expect(types()).not.toContain('dropped expired')
  })

  it('a save that came too late for Redis is not tried again at once', async () => {
    stopTime()
    addSave('a')
    let tries = 0
    redis.saves.run = async () => {
      await nextTurn()
      tries++
      return { result: 'late' }
    }
    replay.kick()
    for (let turn = 0; turn < 50; turn++) await nextTurn()
    expect(tries).toBe(1)
    expect(queue.saves.has('a')).toBe(true)
    await pass(100)
    expect(tries).toBe(2)
  })

  it.each([
    ['all of it', 1, 5_000],
    ['half of it, so that not all processes come at the same moment', 0, 2_500],
  ])('tries come less and less often, at last every few seconds, or %s', async (_, random, last) => {
    vi.spyOn(Math, 'random').mockReturnValue(random)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    addSave('a')
    let elapsed = 0
    const tries: number[] = []
    redis.before = () => {
      tries.push(elapsed)
      throw DOWN
    }
    replay.kick()
    for (; elapsed < 30_000; elapsed += 50) {
      await nextTurn()
      vi.advanceTimersByTime(50)
    }
    const gaps = tries.slice(1).map((at, n) => at - (tries[n] as number))
    expect(gaps[0]).toBeLessThanOrEqual(200)
    expect(gaps).toEqual([...gaps].sort((a, b) => a - b))
    expect(gaps.at(-1)).toBeGreaterThanOrEqual(last - 100)
    expect(gaps.at(-1)).toBeLessThanOrEqual(last + 100)
  })

  it('a success makes the next tries quick again', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(1)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    addSave('a')
    redis.before = () => {
      throw DOWN
    }
    replay.kick()
    await pass(5_000, 50)
    redis.before = () => {}
    replay.kick()
    await pass(50, 50)
    expect(queue.saves.size).toBe(0)
    addSave('b')
    redis.before = () => {
      throw DOWN
    }
    redis.log.length = 0
    replay.kick()
    await pass(400, 50)
    expect(redis.log.length).toBeGreaterThanOrEqual(2)
  })

  it('a kick does not wait for the next try', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    addSave('a')
    redis.before = () => {
      throw DOWN
    }
    await run()
    redis.before = () => {}
    await run()
    expect(redis.stored.has('a')).toBe(true)
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('finish', () => {
  it('sends what waits', async () => {
    addSave('a')
    addDestroy('x')
    expect(await replay.finish(performance.now() + 5_000)).toEqual({ droppedSaves: 0, droppedDestroys: 0 })
    expect(redis.log).toEqual(['destroy x', 'save a'])
    expect(types().sort()).toEqual(['replayed destroy already-there', 'replayed set written'])
  })

  it('goes on trying until the deadline', async () => {
    addSave('a')
    let failures = 0
    redis.before = () => {
      if (++failures <= 3) throw DOWN
    }
    expect(await replay.finish(performance.now() + 10_000)).toEqual({ droppedSaves: 0, droppedDestroys: 0 })
    expect(redis.stored.has('a')).toBe(true)
  })

  it('gives Redis its time to answer', async () => {
    addSave('a')
    redis.before = () => nextTurn()
    expect(await replay.finish(performance.now() + 1_000)).toEqual({ droppedSaves: 0, droppedDestroys: 0 })
  })

  it('without time sends nothing', async () => {
    stopTime()
    addSave('a')
    expect(await replay.finish(performance.now())).toEqual({ droppedSaves: 1, droppedDestroys: 0 })
    expect(redis.log).toEqual([])
  })

  it('does not hammer a Redis that fails, and ends at the deadline, not after it', async () => {
    stopTime()
    addSave('a')
    redis.before = () => {
      throw DOWN
    }
    let ended: unknown
    replay.finish(performance.now() + 1_010).then((left) => {
      ended = left
    })
    await pass(1_000)
    expect(redis.log.length).toBeGreaterThanOrEqual(10)
    expect(redis.log.length).toBeLessThanOrEqual(60)
    expect(ended).toBeUndefined()
    await pass(10)
    expect(ended).toEqual({ droppedSaves: 1, droppedDestroys: 0 })
  })

  it('with nothing to send ends at once', async () => {
    expect(await replay.finish(performance.now() + 60_000)).toEqual({ droppedSaves: 0, droppedDestroys: 0 })
  })

  it('at the deadline gives up what is left, counts it, and reports each exactly once', async () => {
    for (let n = 0; n < 50; n++) addSave(`session ${n}`)
    for (let n = 0; n < 40; n++) addDestroy(`destroyed ${n}`)
    redis.before = () => {
      throw DOWN
    }
    expect(await replay.finish(performance.now() + 60)).toEqual({ droppedSaves: 50, droppedDestroys: 40 })
    await until(() => !replay.active)
    const of = (operation: string): OutcomeRecord[] =>
      records.filter((record) => 'operation' in record && record.operation === operation)
    expect(of('set')).toEqual(
      Array.from({ length: 50 }, () => ({ type: 'dropped', operation: 'set', reason: 'shutdown' })),
    )
    expect(of('destroy')).toEqual(
      Array.from({ length: 40 }, () => ({ type: 'dropped', operation: 'destroy', reason: 'shutdown' })),
    )
    expect([queue.saves.size, queue.destroys.size, queue.bytes]).toEqual([0, 0, 0])
  })

  it.each([
    ['deletes', addDestroy],
    ['saves', addSave],
  ])('what was on its way then is not reported again, and no more %s are sent', async (_, add) => {
    for (let n = 0; n < 100; n++) add(`session ${n}`)
    let answer!: () => void
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    redis.before = () => answered
    const { droppedSaves, droppedDestroys } = await replay.finish(performance.now() + 40)
    expect(droppedSaves + droppedDestroys).toBe(100)
    const sent = redis.log.length
    answer()
    await until(() => !replay.active)
    expect(records).toHaveLength(100)
    expect(new Set(types())).toEqual(new Set(['dropped shutdown']))
    expect(redis.log).toHaveLength(sent)
    expect(written).toEqual([])
  })

  it('what was written before the deadline is not given up', async () => {
    for (let n = 0; n < 3; n++) addSave(`session ${n}`)
    redis.before = (_, sid) => {
      if (sid === 'session 1') throw DOWN
    }
    expect(await replay.finish(performance.now() + 60)).toEqual({ droppedSaves: 1, droppedDestroys: 0 })
    expect(types().sort()).toEqual(['dropped shutdown', 'replayed set written', 'replayed set written'])
  })

  it('sends revocations, too, before what waits', async () => {
    addSave('a')
    revokeAgain({ r: 60_000 })
    expect(await replay.finish(performance.now() + 5_000)).toEqual({ droppedSaves: 0, droppedDestroys: 0 })
    expect(redis.log).toEqual(['revoke r', 'save a'])
  })

  it('leaves no timer behind for revocations that could not be sent', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    let answer!: () => void
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    redis.before = async () => {
      await answered
      throw DOWN
    }
    revokeAgain({ r: 60_000 })
    replay.kick()
    await replay.finish(performance.now())
    answer()
    await until(() => !replay.active)
    vi.advanceTimersByTime(60_000)
    expect(redis.log).toEqual(['revoke r'])
    expect([vi.getTimerCount(), replay.active]).toEqual([0, false])
  })

  it('leaves no timer behind', async () => {
    addSave('a')
    redis.before = () => {
      throw DOWN
    }
    await replay.finish(performance.now() + 30)
    const tries = redis.log.length
    await until(() => !replay.active)
    await nextTurn()
    expect(redis.log).toHaveLength(tries)
  })

  it('leaves nothing to wait for what comes later: nobody would send it', async () => {
    await replay.finish(performance.now())
    expect(() => addSave('late')).toThrow()
    expect(queue.addDestroy({ sid: 'late', queuedAt: 0 })).toBeUndefined()
    expect([queue.saves.size, queue.destroys.size, queue.bytes]).toEqual([0, 0, 0])
  })
})
