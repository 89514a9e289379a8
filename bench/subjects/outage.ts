/** What is asked of Redis while it does not answer. */
import { once } from 'node:events'
import { Redis } from 'ioredis'
import CircuitBreaker from 'opossum'
import { ResilientStore } from '../../src/store.js'
import { median } from '../measure.js'
import { type CreateSubject, called, PREFIX, type Subject, sidOf, type Task } from '../subject.js'

/** Nothing listens there. */
const NOWHERE = 'redis://127.0.0.1:1'

/** The caller's part alone: an error by `process.nextTick`. */
export const refusal: CreateSubject = async () => {
  const error = new Error('refused')
  return { tasks: { get: () => refused((callback) => process.nextTick(callback, error)) }, close: async () => {} }
}

/** The store with its breakers open. */
export const resilientRefusing: CreateSubject = async () => {
  let told = 0
  const store = new ResilientStore({
    redis: NOWHERE,
    prefix: PREFIX,
    onRedisDown: () => {
      told = performance.now()
    },
  })
  const get = (index: number): Promise<unknown> => refused((callback) => store.get(sidOf(index), callback))
  await get(0)
  /** Median us from the call to `onRedisDown`. */
  const handler = async (): Promise<number> => {
    const micros: number[] = []
    for (let index = 0; index < 50_000; index++) {
      const calledAt = performance.now()
      await get(index)
      micros.push((told - calledAt) * 1_000)
    }
    return median(micros)
  }
  return {
    tasks: { get, handler },
    close: () => store.close(1),
  }
}

/** opossum by its defaults, open. */
export const opossumRefusing: CreateSubject = async () => {
  const breaker = new CircuitBreaker(() => Promise.resolve(), { resetTimeout: 3_600_000 })
  breaker.open()
  return {
    tasks: { get: () => refused((callback) => breaker.fire().then(() => callback(undefined), callback)) },
    close: async () => breaker.shutdown(),
  }
}

/** The store, to be asked while Redis is silent. */
export const resilientFailing: CreateSubject = async ({ url }) => {
  const store = new ResilientStore({ redis: url, prefix: PREFIX, timeout: TIMEOUT })
  await store.ready()
  return failing(
    (index) => called((callback) => store.get(sidOf(index), callback)),
    () => store.close(1),
  )
}

/** One fire for each call, by opossum's defaults but for the same timeout. */
export const opossumFailing: CreateSubject = async ({ url }) => {
  const client = new Redis(url, { enableOfflineQueue: false, maxRetriesPerRequest: 0 })
  client.on('error', () => {})
  await once(client, 'ready')
  const breaker = new CircuitBreaker((key: string) => client.get(key), { timeout: TIMEOUT, resetTimeout: 100 })
  return failing(
    (index) => breaker.fire(PREFIX + sidOf(index)),
    async () => {
      breaker.shutdown()
      client.disconnect()
    },
  )
}

/** `fail`: 256 calls at once; how long, in ms, the event loop was blocked at most until all had settled. */
function failing(get: Task, close: () => Promise<unknown>): Subject {
  const fail = async (): Promise<number> => {
    let longest = 0
    let settled = false
    let before = performance.now()
    const turn = (): void => {
      const now = performance.now()
      longest = Math.max(longest, now - before)
      before = now
      if (!settled) setImmediate(turn)
    }
    const results = Promise.allSettled(Array.from({ length: 256 }, (_, index) => get(index)))
    before = performance.now()
    turn()
    const failed = (await results).filter(({ status }) => status === 'rejected').length
    settled = true
    turn()
    if (failed < 256) throw new Error(`only ${failed} of 256 calls failed`)
    return longest
  }
  return { tasks: { get, fail }, close }
}

/** For both, ms. */
const TIMEOUT = 300

function refused(call: (callback: (error: unknown) => void) => unknown): Promise<unknown> {
  return called(call).catch((error: unknown) => error)
}
