import { AsyncLocalStorage } from 'node:async_hooks'
import { tracingChannel } from 'node:diagnostics_channel'
import { describe, expect, it } from 'vitest'
import { OPERATION_CHANNEL, type OperationRecord, type ResilientStore } from '../../src/index.js'
import { until } from '../support/wait.js'
import { afterThis, downError, load, openStore, readyStore, server, session, untilDown, untilUp } from './store-kit.js'

type Step = 'start' | 'end' | 'asyncStart' | 'asyncEnd' | 'error'

/** What is told of a store's operations: the steps in order, and each record when it is complete. */
function follow(store: ResilientStore, onStart: () => void = () => {}) {
  const steps: Step[] = []
  const records: OperationRecord[] = []
  const note =
    (step: Step) =>
    (message: unknown): void => {
      const record = message as OperationRecord
      if (record.store !== store) return
      if (step === 'start') onStart()
      steps.push(step)
      if (step === 'asyncEnd') records.push(record)
    }
  const subscribers = {
    start: note('start'),
    end: note('end'),
    asyncStart: note('asyncStart'),
    asyncEnd: note('asyncEnd'),
    error: note('error'),
  }
  const channels = tracingChannel(OPERATION_CHANNEL)
  channels.subscribe(subscribers)
  afterThis(() => channels.unsubscribe(subscribers))
  return { steps, records, last: () => records.at(-1) }
}

describe('an operation is told once, on tracing channels', () => {
  it('as start, end, asyncStart and asyncEnd, before its caller goes on', async () => {
    const store = await readyStore(await server())
    const { steps, records } = follow(store)
    await store.set('a', session({ user: 'ada' }))
    expect(steps).toEqual(['start', 'end', 'asyncStart', 'asyncEnd'])
    expect(records).toEqual([{ operation: 'set', store, outcome: 'ok', duration: expect.any(Number) }])
    expect(records[0]?.duration).toBeGreaterThan(0)
  })

  it('by callback too, and touch although its callback does not wait', async () => {
    const store = await readyStore(await server(), { touchAfter: 0 })
    await store.set('a', session())
    const { records } = follow(store)
    await new Promise<void>((resolve) => store.get('a', () => resolve()))
    store.touch('a', session(), () => {})
    await until(() => records.length === 2)
    expect(records.map(({ operation, outcome }) => `${operation} ${outcome}`)).toEqual(['get ok', 'touch ok'])
  })

  it('start is published in the async context of the caller', async () => {
    const store = await readyStore(await server())
    const context = new AsyncLocalStorage<string>()
    const seen: unknown[] = []
    follow(store, () => seen.push(context.getStore()))
    await context.run('the request', () => store.get('a'))
    expect(seen).toEqual(['the request'])
  })

  it('to subscribers of a single channel; others hear nothing once it is left', async () => {
    const store = await readyStore(await server())
    const heard: unknown[] = []
    const { asyncEnd } = tracingChannel(OPERATION_CHANNEL)
    const listen = (message: unknown): void => void heard.push((message as OperationRecord).operation)
    asyncEnd.subscribe(listen)
    afterThis(() => asyncEnd.unsubscribe(listen))
    await store.get('a')
    asyncEnd.unsubscribe(listen)
    await store.get('a')
    expect(heard).toEqual(['get'])
  })

  it('a subscriber of `start` may bind a store: the operation runs in it', async () => {
    const store = await readyStore(await server())
    const context = new AsyncLocalStorage<OperationRecord>()
    const { start } = tracingChannel<OperationRecord, OperationRecord>(OPERATION_CHANNEL)
    start.bindStore(context, (record) => record)
    afterThis(() => start.unbindStore(context))
    const { last } = follow(store)
    await store.get('a')
    expect(last()).toMatchObject({ operation: 'get', outcome: 'none' })
  })
})

describe('the outcome', () => {
  it('while Redis answers', async () => {
    const redis = await server()
    const store = await readyStore(redis, { concurrency: 'reject' })
    const { records, last } = follow(store)
    const outcome = async (run: () => Promise<unknown>): Promise<string | undefined> => {
      await run().catch(() => {})
      return last()?.outcome
    }
    expect(await outcome(() => store.get('a'))).toBe('none')
    expect(await outcome(() => store.set('a', session({ n: 1 })))).toBe('ok')
    expect(await outcome(() => store.get('a'))).toBe('ok')
    const mine = await load(store, 'a')
    expect(await outcome(() => store.touch('a', mine))).toBe('skipped')
    expect(await outcome(() => store.touch('elsewhere', session()))).toBe('none')
    await openStore(redis).set('a', session({ n: 2 }))
    expect(await outcome(() => store.set('a', Object.assign(mine, { n: 3 })))).toBe('conflict')
    expect(last()?.error).toMatchObject({ code: 'ESESSIONCONFLICT' })
    expect(await outcome(() => store.destroy('a'))).toBe('ok')
    expect(await outcome(() => store.get('a'))).toBe('none')
    expect(await outcome(() => store.set('a', mine))).toBe('revoked')
    expect(await outcome(() => store.ids())).toBe('ok')
    expect(records.every(({ reason }) => reason === undefined)).toBe(true)
  })

  it('while Redis is away: what was served, and why Redis did not', async () => {
    const redis = await server({ appendonly: true })
    const store = await readyStore(redis, { cache: true, degradation: 'available', touchAfter: 0 })
    await store.set('known', session({ user: 'ada' }))
    const known = await load(store, 'known')
    await redis.kill()
    await untilDown(store)
    const { records } = follow(store)

    await load(store, 'known')
    await store.set('known', Object.assign(known, { user: 'eve' }))
    await load(store, 'known')
    await downError(store.touch('known', known))
    await store.destroy('known')
    await downError(store.get('unknown'))
    await downError(store.length())
    const shown = records.map(({ operation, outcome, reason }) => `${operation} ${outcome} ${reason}`)
    expect(shown.slice(0, 6)).toEqual([
      'get stale circuit-open',
      'set queued circuit-open',
      'get queued circuit-open',
      'touch down circuit-open',
      'destroy queued circuit-open',
      'get down circuit-open',
    ])
    expect(shown[6]).toMatch(/^length down /)
    expect(records[0]?.age).toBeGreaterThan(0)
    expect(records[5]?.error).toMatchObject({ code: 'EREDISDOWN' })
    await redis.start()
    await untilUp(store)
  })

  it('of what is dropped and what is blank', async () => {
    const redis = await server()
    const store = await readyStore(redis, { degradation: { read: 'blank', save: 'drop' } })
    const fresh = session()
    await redis.kill()
    await untilDown(store)
    const { records } = follow(store)
    const blank = await load(store, 'a')
    await store.set('b', fresh)
    await store.touch('a', blank)
    expect(records.map(({ operation, outcome }) => `${operation} ${outcome}`)).toEqual([
      'get blank',
      'set dropped',
      'touch skipped',
    ])
  })

  it("is 'error', with nothing of it, where a serializer throws", async () => {
    const store = await readyStore(await server(), {
      serializer: {
        stringify: (value) => {
          throw new Error(`cannot write ${JSON.stringify(value)}`)
        },
        parse: (value) => JSON.parse(String(value)),
      },
    })
    const { steps, last } = follow(store)
    await expect(store.set('a', session({ secret: 'xyzzy' }))).rejects.toThrow('xyzzy')
    expect(steps).toContain('error')
    expect(last()).toEqual({ operation: 'set', store, outcome: 'error', duration: expect.any(Number) })
  })
})
