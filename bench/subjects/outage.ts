/** What is asked of Redis while it does not answer. */
import CircuitBreaker from 'opossum'
import { ResilientStore } from '../../src/store.js'
import { type CreateSubject, called, PREFIX, sidOf } from '../subject.js'

/** Nothing listens there. */
const NOWHERE = 'redis://127.0.0.1:1'

/** The caller's part alone: an error by `process.nextTick`. */
export const refusal: CreateSubject = async () => {
  const error = new Error('refused')
  return { tasks: { get: () => refused((callback) => process.nextTick(callback, error)) }, close: async () => {} }
}

/** The store with its breakers open. */
export const resilientRefusing: CreateSubject = async () => {
  const store = new ResilientStore({ redis: NOWHERE, prefix: PREFIX })
  await refused((callback) => store.get(sidOf(0), callback))
  return {
    tasks: { get: (index) => refused((callback) => store.get(sidOf(index), callback)) },
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

function refused(call: (callback: (error: unknown) => void) => unknown): Promise<unknown> {
  return called(call).catch((error: unknown) => error)
}
