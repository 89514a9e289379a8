import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'
import type { ResilientStore } from '../../src/index.js'
import { openClient, openStore, outcomes, readyStore, server, session, untilDown } from './store-kit.js'

function block(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** 50 operations of all kinds. */
function fifty(store: ResilientStore, name: string): Promise<unknown>[] {
  return Array.from({ length: 50 }, (_, n) => {
    const sid = `${name}-${n}`
    return [
      () => store.get(sid),
      () => store.set(sid, session()),
      () => store.touch(sid, session()),
      () => store.destroy(sid),
      () => store.get('there'),
    ][n % 5]!()
  })
}

describe('a block of the event loop of 400 ms, time after time, with Redis well', () => {
  it.each([
    ['redis', 20],
    ['client', 5],
  ] as const)(
    'fails nothing and opens no breaker, with option %s (%i times)',
    async (option, rounds) => {
      const redis = await server()
      const client = option === 'client' ? { client: openClient(redis, { commandTimeout: 60_000 }) } : {}
      const store = await readyStore(redis, { cache: true, ...client })
      const told = outcomes(store)
      await store.set('there', session({ user: 'ada' }))
      for (let round = 0; round < rounds; round++) {
        // Under way when the loop is blocked…
        const calls = fifty(store, `${round}-sent`)
        if (round % 2 === 0) await turn()
        // …made just before, and made right after.
        calls.push(...fifty(store, `${round}-before`))
        block(400)
        calls.push(...fifty(store, `${round}-after`))
        const results = await Promise.allSettled(calls)
        const failed = results.filter(({ status }) => status === 'rejected')
        expect(failed, `round ${round}`).toEqual([])
        for (let n = 4; n < results.length; n += 5) expect(results[n]).toMatchObject({ value: { user: 'ada' } })
      }
      expect(told).toEqual([])
      expect(store.health().status).toBe('up')
      for (const lane of Object.values(store.lanes)) expect(lane.stats).toMatchObject({ failures: 0, rejects: 0 })
    },
    60_000,
  )

  it('does not keep a store from connecting', async () => {
    const redis = await server()
    for (let round = 0; round < 3; round++) {
      const store = openStore(redis)
      const first = store.get('sid')
      block(400)
      expect(await first).toBeNull()
      expect(store.health().status).toBe('up')
    }
  })
})

describe('asynchronous context', () => {
  const contexts = new AsyncLocalStorage<number>()
  const all16 = Array.from({ length: 16 }, (_, n) => n)

  const operations: Record<string, (store: ResilientStore, sid: string, callback?: () => void) => unknown> = {
    get: (store, sid, callback) => (callback ? store.get(sid, callback) : store.get(sid)),
    set: (store, sid, callback) => (callback ? store.set(sid, session(), callback) : store.set(sid, session())),
    touch: (store, sid, callback) => (callback ? store.touch(sid, session(), callback) : store.touch(sid, session())),
    destroy: (store, sid, callback) => (callback ? store.destroy(sid, callback) : store.destroy(sid)),
  }

  async function contextsSeen(store: ResilientStore, operation: string): Promise<(number | undefined)[][]> {
    const call = operations[operation]!
    const byCallback = all16.map(
      (n) =>
        new Promise<number | undefined>((resolve) => {
          contexts.run(n, () => call(store, `callback-${operation}-${n}`, () => resolve(contexts.getStore())))
        }),
    )
    const byPromise = all16.map((n) =>
      contexts.run(n, async () => {
        await Promise.resolve(call(store, `promise-${operation}-${n}`)).catch(() => {})
        return contexts.getStore()
      }),
    )
    const byThen = all16.map((n) =>
      contexts.run(n, () => {
        const see = () => contexts.getStore()
        return Promise.resolve(call(store, `then-${operation}-${n}`)).then(see, see)
      }),
    )
    return Promise.all([Promise.all(byCallback), Promise.all(byPromise), Promise.all(byThen)])
  }

  it.each(Object.keys(operations))('is that of its caller for each of 16 concurrent calls: %s', async (operation) => {
    const store = await readyStore(await server(), { cache: true })
    expect(await contextsSeen(store, operation)).toEqual([all16, all16, all16])
  })

  it.each([...Object.keys(operations)])('also while Redis is down, and in onRedisDown: %s', async (operation) => {
    const redis = await server()
    const told: [string | undefined, number | undefined][] = []
    const store = await readyStore(redis, {
      cache: true,
      timeout: 100,
      breaker: { resetTimeout: 10_000 },
      onRedisDown: (_, __, sid) => void told.push([sid, contexts.getStore()]),
    })
    await redis.pause()
    // The first calls wait for their deadline, in one batch; the rest find the breaker open.
    expect(await contextsSeen(store, operation)).toEqual([all16, all16, all16])
    await redis.kill()
    await untilDown(store)
    expect(await contextsSeen(store, operation)).toEqual([all16, all16, all16])
    // A touch that calls back at once has not failed by then.
    while (told.length < 6 * 16) await turn()
    for (const [sid, seen] of told) expect(sid).toMatch(new RegExp(`-${seen}$`))
  })
})
