import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { OUTCOME_CHANNEL, type OutcomeRecord, publish } from '../../src/telemetry.js'
import { until } from '../support/wait.js'

const record: OutcomeRecord = { type: 'dropped', operation: 'touch', reason: 'timeout' }

let uncaught: unknown[]
let others: NodeJS.UncaughtExceptionListener[]
const catchIt = (error: unknown): void => {
  uncaught.push(error)
}

beforeEach(() => {
  uncaught = []
  // The test runner's own listeners would take what is thrown here for failures of the run.
  others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', catchIt)
})

afterEach(() => {
  process.removeAllListeners('uncaughtException')
  for (const listener of others) process.on('uncaughtException', listener)
})

describe('publish', () => {
  it('hands the record to the listeners of its type, and to no others', () => {
    const emitter = new EventEmitter()
    const heard: unknown[] = []
    emitter.on('dropped', (...args) => heard.push(args))
    emitter.on('queued', () => heard.push('queued'))
    publish(emitter, record)
    expect(heard).toEqual([[record]])
  })

  it('hands the very same record to the diagnostics channel', () => {
    const emitter = new EventEmitter()
    const heard: unknown[] = []
    const listener = (message: unknown): void => {
      heard.push(message)
    }
    subscribe(OUTCOME_CHANNEL, listener)
    publish(emitter, record)
    unsubscribe(OUTCOME_CHANNEL, listener)
    publish(emitter, record)
    expect(heard).toEqual([record])
    expect(heard[0]).toBe(record)
  })

  it('with nobody listening does nothing', () => {
    expect(() => publish(new EventEmitter(), record)).not.toThrow()
  })

  it('calls a listener added by once one time', () => {
    const emitter = new EventEmitter()
    let calls = 0
    emitter.once('dropped', () => calls++)
    publish(emitter, record)
    publish(emitter, record)
    expect(calls).toBe(1)
  })

  it('calls listeners with the emitter as `this`, as emit does', () => {
    const emitter = new EventEmitter()
    let seen: unknown
    emitter.on('dropped', function (this: unknown) {
      seen = this
    })
    publish(emitter, record)
    expect(seen).toBe(emitter)
  })
})

describe('a listener that throws', () => {
  it("does not throw into the store: its error is the process's", async () => {
    const emitter = new EventEmitter()
    const trouble = new Error('a bug in the listener')
    emitter.on('dropped', () => {
      throw trouble
    })
    expect(() => publish(emitter, record)).not.toThrow()
    await until(() => uncaught.length > 0, { what: 'the error to surface' })
    expect(uncaught).toEqual([trouble])
  })

  it('hurts no other listener', async () => {
    const emitter = new EventEmitter()
    const heard: unknown[] = []
    emitter.on('dropped', () => heard.push('first'))
    emitter.on('dropped', () => {
      throw new Error('a bug in the listener')
    })
    emitter.on('dropped', () => heard.push('third'))
    publish(emitter, record)
    expect(heard).toEqual(['first', 'third'])
    await until(() => uncaught.length > 0, { what: 'the error to surface' })
  })

  it('on the diagnostics channel hurts no listener of the store', async () => {
    const emitter = new EventEmitter()
    const heard: unknown[] = []
    const trouble = new Error('a bug in the subscriber')
    const listener = (): void => {
      throw trouble
    }
    emitter.on('dropped', (one) => heard.push(one))
    subscribe(OUTCOME_CHANNEL, listener)
    expect(() => publish(emitter, record)).not.toThrow()
    unsubscribe(OUTCOME_CHANNEL, listener)
    expect(heard).toEqual([record])
    await until(() => uncaught.length > 0, { what: 'the error to surface' })
    expect(uncaught).toEqual([trouble])
  })
})
