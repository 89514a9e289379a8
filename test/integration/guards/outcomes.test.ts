// Everything that is queued ends in exactly one reported outcome; the diagnostics channel carries the same records; none
// tells whose session it was, or what was in it.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import {
  OUTCOME_CHANNEL,
  type OutcomeRecord,
  type ResilientStore,
  type ResilientStoreOptions,
} from '../../../src/index.js'
import { settled, until } from '../../support/wait.js'
import { change, cut, heal, type Place, place, REVOKED, saveOf, stored } from '../guard-kit.js'
import { afterThis, downError, keyOf, load, session, type TestSession } from '../store-kit.js'

const SECRET = 'a-sid-nobody-may-read'
const DATA = 'data-nobody-may-read'

/** The channel's records, to be compared with the emitter's. */
function channelled(): OutcomeRecord[] {
  const records: OutcomeRecord[] = []
  const listener = (message: unknown): void => void records.push(message as OutcomeRecord)
  subscribe(OUTCOME_CHANNEL, listener)
  afterThis(() => unsubscribe(OUTCOME_CHANNEL, listener))
  return records
}

interface Watched extends Place {
  readonly onChannel: OutcomeRecord[]
  readonly onEmitter: OutcomeRecord[]
}

async function watched(options: ResilientStoreOptions = {}): Promise<Watched> {
  const here = await place({ cache: true, degradation: 'available', ...options })
  const onEmitter: OutcomeRecord[] = []
  for (const type of ['down', 'up', 'dropped', 'queued', 'replayed', 'conflict', 'revoked', 'restored'] as const) {
    here.store.on(type, (record: OutcomeRecord) => onEmitter.push(record))
  }
  return { ...here, onEmitter, onChannel: channelled() }
}

async function loaded(store: ResilientStore): Promise<TestSession> {
  await store.set(SECRET, session({ secret: DATA, step: 0 }, 3_600_000))
  return load(store, SECRET)
}

/** What was queued, and how it ended; and that the channel and the records are as they must be. */
function ends({ events, onChannel, onEmitter }: Watched): OutcomeRecord[] {
  expect(onChannel).toEqual(onEmitter)
  for (const [n, record] of onChannel.entries()) expect(record).toBe(onEmitter[n])
  expect(onEmitter.filter(({ type }) => type !== 'down' && type !== 'up')).toEqual(events)
  const text = inspect(onChannel, { depth: Number.POSITIVE_INFINITY, showHidden: true })
  expect(text).not.toContain(SECRET)
  expect(text).not.toContain(DATA)
  expect(text).not.toContain('sess:')
  return events.filter(({ type }) => type !== 'queued')
}

function queued({ events }: Watched): OutcomeRecord[] {
  return events.filter(({ type }) => type === 'queued')
}

describe('a queued save ends', () => {
  it('written', async () => {
    const here = await watched()
    const running = await loaded(here.store)
    await cut(here)
    await here.store.set(SECRET, change(running, { step: 1 }))
    await heal(here)
    expect(ends(here)).toEqual([{ type: 'replayed', operation: 'set', outcome: 'written', waited: expect.any(Number) }])
    expect(queued(here)).toEqual([{ type: 'queued', operation: 'set', reason: 'circuit-open' }])
  })

  it('already there', async () => {
    const here = await watched()
    const running = await loaded(here.store)
    here.proxy.cutBeforeReply(saveOf())
    await here.store.set(SECRET, change(running, { step: 1 }))
    await heal(here)
    expect(ends(here)).toEqual([
      { type: 'replayed', operation: 'set', outcome: 'already-there', waited: expect.any(Number) },
    ])
    expect(queued(here)).toHaveLength(1)
  })

  it('in a conflict', async () => {
    const here = await watched()
    const running = await loaded(here.store)
    await cut(here)
    await here.store.set(SECRET, change(running, { step: 1 }))
    await here.redis.cli('SET', keyOf(SECRET), JSON.stringify(session({ secret: DATA, by: 'another' })))
    await heal(here)
    expect(ends(here)).toEqual([
      { type: 'conflict', operation: 'set', queued: true, resolution: 'refused', clashes: 0 },
    ])
    expect(queued(here)).toHaveLength(1)
  })

  it('merged, with its clashes, and written', async () => {
    const here = await watched({ concurrency: 'merge' })
    const running = await loaded(here.store)
    await cut(here)
    await here.store.set(SECRET, change(running, { step: 1 }))
    const theirs = { ...(await stored(here.redis, SECRET)), step: 2, other: DATA }
    await here.redis.cli('SET', keyOf(SECRET), JSON.stringify(theirs))
    await heal(here)
    expect(ends(here)).toEqual([
      { type: 'conflict', operation: 'set', queued: true, resolution: 'merged', clashes: 1 },
      { type: 'replayed', operation: 'set', outcome: 'written', waited: expect.any(Number) },
    ])
    expect(await stored(here.redis, SECRET)).toMatchObject({ step: 1, other: DATA })
  })

  it('revoked, by a logout here', async () => {
    const here = await watched()
    const running = await loaded(here.store)
    await cut(here)
    await here.store.set(SECRET, change(running, { step: 1 }))
    await here.store.destroy(SECRET)
    await heal(here)
    expect(ends(here)).toEqual([
      { type: 'revoked', operation: 'set', reason: 'revoked', queued: true },
      { type: 'replayed', operation: 'destroy', outcome: 'written', waited: expect.any(Number) },
    ])
    expect(queued(here)).toHaveLength(2)
  })

  it('revoked, by a logout elsewhere', async () => {
    const here = await watched()
    const there = await here.other()
    const running = await loaded(here.store)
    await cut(here)
    await here.store.set(SECRET, change(running, { step: 1 }))
    await there.destroy(SECRET)
    await heal(here)
    expect(ends(here)).toEqual([{ type: 'revoked', operation: 'set', reason: 'revoked', queued: true }])
  })

  it('gone, with what it was made from', async () => {
    const here = await watched()
    const running = await loaded(here.store)
    await cut(here)
    await here.store.set(SECRET, change(running, { step: 1 }))
    await here.redis.cli('DEL', keyOf(SECRET))
    await heal(here)
    expect(ends(here)).toEqual([{ type: 'revoked', operation: 'set', reason: 'gone', queued: true }])
  })

  it('expired, having waited too long', async () => {
    const here = await watched()
    const { store } = here
    await cut(here)
    await store.set(SECRET, session({ secret: DATA }, 1_000))
    await until(async () => (await settled(store.get(SECRET))).status === 'rejected', { what: 'the session to end' })
    await heal(here)
    expect(ends(here)).toEqual([{ type: 'dropped', operation: 'set', reason: 'expired' }])
    expect(queued(here)).toHaveLength(1)
    expect(await stored(here.redis, SECRET)).toBeNull()
  })

  it('expired, by a save of a session that is over', async () => {
    const here = await watched()
    const running = await loaded(here.store)
    await cut(here)
    await here.store.set(SECRET, change(running, { step: 1 }))
    running.cookie.expires = new Date(Date.now() - 1_000)
    running.cookie.originalMaxAge = null
    await downError(here.store.set(SECRET, running))
    await heal(here)
    expect(ends(here)).toEqual([{ type: 'dropped', operation: 'set', reason: 'expired' }])
    expect(here.store.health().queue).toMatchObject({ saves: 0, bytes: 0 })
  })

  it('at the shutdown of its process, counted', async () => {
    const here = await watched()
    const running = await loaded(here.store)
    await cut(here)
    await here.store.set(SECRET, change(running, { step: 1 }))
    await here.store.set('another', session({ secret: DATA }))
    await here.store.destroy('third')
    expect(await here.store.close(30)).toEqual({ droppedSaves: 2, droppedDestroys: 1 })
    expect(ends(here)).toEqual([
      { type: 'dropped', operation: 'destroy', reason: 'shutdown' },
      { type: 'dropped', operation: 'set', reason: 'shutdown' },
      { type: 'dropped', operation: 'set', reason: 'shutdown' },
    ])
    expect(queued(here)).toHaveLength(3)
  })

  it('at the shutdown while its replay is under way: once', async () => {
    const here = await watched({ timeout: 300 })
    const running = await loaded(here.store)
    await here.store.destroy('any')
    await cut(here)
    await here.store.set(SECRET, change(running, { step: 1 }))
    await here.store.destroy('third')
    const held = here.proxy.holdReply(/^EVAL/)
    await here.proxy.accept()
    await held.hit()
    const closing = here.store.close(50)
    const report = await closing
    held.release()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(report).toEqual({ droppedSaves: 1, droppedDestroys: 1 })
    expect(ends(here)).toHaveLength(2)
    expect(ends(here)).toMatchObject(Array(2).fill({ type: 'dropped', reason: 'shutdown' }))
  })

  it('with the clear() of all', async () => {
    const here = await watched()
    const running = await loaded(here.store)
    await here.redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    await here.store.set(SECRET, change(running, { step: 1 }))
    await here.store.clear()
    await here.redis.cli('CONFIG', 'SET', 'maxmemory', '0')
    await heal(here)
    expect(ends(here)).toEqual([{ type: 'revoked', operation: 'set', reason: 'revoked', queued: true }])
    expect(await here.redis.cli('DBSIZE')).toBe(0)
  })

  it('written although it changed many times: one entry, one outcome', async () => {
    const here = await watched()
    const running = await loaded(here.store)
    await cut(here)
    for (let step = 1; step <= 100; step++) await here.store.set(SECRET, change(running, { step }))
    expect(here.store.health().queue.saves).toBe(1)
    await heal(here)
    expect(ends(here)).toMatchObject([{ type: 'replayed', outcome: 'written' }])
    expect(await stored(here.redis, SECRET)).toMatchObject({ step: 100 })
  })

  it('restored, where Redis came back empty', async () => {
    const here = await watched()
    const running = await loaded(here.store)
    await cut(here)
    await here.store.set(SECRET, change(running, { step: 1 }))
    await here.redis.kill()
    await here.redis.start()
    await heal(here)
    expect(ends(here)).toEqual([
      { type: 'replayed', operation: 'set', outcome: 'written', waited: expect.any(Number) },
      { type: 'restored', operation: 'set', queued: true },
    ])
  })
})

describe('a queued destroy ends', () => {
  it.each([
    ['written', true],
    ['already-there', false],
  ] as const)('%s', async (outcome, there) => {
    const here = await watched()
    if (there) await loaded(here.store)
    await cut(here)
    await here.store.destroy(SECRET)
    await heal(here)
    expect(ends(here)).toEqual([{ type: 'replayed', operation: 'destroy', outcome, waited: expect.any(Number) }])
    expect(queued(here)).toEqual([{ type: 'queued', operation: 'destroy', reason: 'circuit-open' }])
  })
})

describe('at the bound of destroys', () => {
  it('queued saves make room and are told; then destroys fail, and nothing from memory is served', async () => {
    const here = await watched()
    const { store } = here
    await store.set('cached', session({ secret: DATA }, 3_600_000))
    const running = await loaded(store)
    await cut(here)
    await store.set(SECRET, change(running, { step: 1 }))
    const filling = Array.from({ length: 100_000 }, (_, n) => store.destroy(`left-${n}`))
    await Promise.all(filling)
    expect(store.health().queue).toMatchObject({ saves: 1, destroys: 100_000 })
    await load(store, 'cached')
    await store.destroy('one-more')
    expect(store.health().queue).toMatchObject({ saves: 0, bytes: 0 })
    const overflow = here.events.filter(({ type }) => type === 'dropped')
    expect(overflow).toEqual([{ type: 'dropped', operation: 'set', reason: 'overflow' }])
    expect((await downError(store.destroy('too-many'))).reason).toBe('queue-full')
    expect(await store.get('too-many')).toBeNull()
    await downError(store.get('cached'))
  })
})

describe('what was not queued is told too', () => {
  it('refused saves, dropped touches, and lanes that go and come', async () => {
    const here = await watched({ degradation: { read: 'stale', save: 'drop', destroy: 'fail' } })
    const there = await here.other()
    const running = await loaded(here.store)
    await here.store.set('left', session({ secret: DATA }))
    const left = await load(here.store, 'left')
    await there.destroy('left')
    await expect(here.store.set('left', left)).rejects.toMatchObject(REVOKED)
    await cut(here)
    await here.store.set(SECRET, change(running, { step: 1 }))
    await settled(here.store.touch(SECRET, running))
    await heal(here)
    expect(ends(here)).toEqual([
      { type: 'revoked', operation: 'set', reason: 'revoked', queued: false },
      { type: 'dropped', operation: 'set', reason: 'circuit-open' },
      { type: 'dropped', operation: 'touch', reason: 'circuit-open' },
    ])
    const lanes = here.onChannel.filter(({ type }) => type === 'down' || type === 'up')
    expect(lanes.map((record) => `${record.type} ${'lane' in record && record.lane}`).sort()).toEqual([
      'down lifetime',
      'down read',
      'down save',
      'up lifetime',
      'up read',
      'up save',
    ])
  })

  it('a listener that throws hurts neither the store nor the other listeners’ records', async () => {
    const here = await watched()
    const thrown: unknown[] = []
    const before = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    const keep = (error: unknown): void => void thrown.push(error)
    process.on('uncaughtException', keep)
    afterThis(() => {
      process.off('uncaughtException', keep)
      for (const listener of before) process.on('uncaughtException', listener)
    })
    here.store.on('queued', () => {
      throw new Error('the listener’s own')
    })
    const running = await loaded(here.store)
    await cut(here)
    await here.store.set(SECRET, change(running, { step: 1 }))
    await until(() => thrown.length === 1)
    await heal(here)
    expect(await stored(here.redis, SECRET)).toMatchObject({ step: 1 })
    expect(ends(here)).toMatchObject([{ type: 'replayed' }])
  })
})
