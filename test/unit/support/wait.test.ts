import { describe, expect, it, vi } from 'vitest'
import { eventually, isPending, settled, until, WaitTimeoutError } from '../../support/wait.js'

describe('until', () => {
  it('gives the first truthy value', async () => {
    let looks = 0
    expect(await until(() => ++looks >= 3 && `look ${looks}`)).toBe('look 3')
  })

  it('waits for a promise, and holds an exception for a bug rather than a "not yet"', async () => {
    expect(await until(async () => 7)).toBe(7)
    await expect(until(() => Promise.reject(new TypeError('bug')))).rejects.toThrow(TypeError)
  })

  it('fails, saying how long it waited and what for', async () => {
    const failed = until(() => false, { timeoutMs: 20, what: 'the cows to come home' })
    await expect(failed).rejects.toThrow('timed out after 20 ms waiting for the cows to come home')
    await expect(failed).rejects.toBeInstanceOf(WaitTimeoutError)
  })

  it('fails when the condition itself hangs', async () => {
    await expect(until(() => new Promise<boolean>(() => {}), { timeoutMs: 20 })).rejects.toThrow(WaitTimeoutError)
  })

  it('waits in real time under fake timers', async () => {
    vi.useFakeTimers()
    try {
      let looks = 0
      await until(() => ++looks === 3)
      await expect(until(() => false, { timeoutMs: 20 })).rejects.toThrow(WaitTimeoutError)
    } finally {
      vi.useRealTimers()
    }
  })
})

describe('eventually', () => {
  it('repeats a step until it holds', async () => {
    let tries = 0
    const step = (): string => {
      if (++tries < 3) throw new Error('not yet')
      return 'done'
    }
    expect(await eventually(step)).toBe('done')
    expect(tries).toBe(3)
  })

  it('fails with the last error as its cause', async () => {
    const cause = new Error('still broken')
    const failed = eventually(() => Promise.reject(cause), { timeoutMs: 20, what: 'repair' })
    await expect(failed).rejects.toThrow('timed out after 20 ms waiting for repair; last: still broken')
    await expect(failed).rejects.toMatchObject({ cause })
  })
})

describe('settled', () => {
  it('tells how a promise ended', async () => {
    expect(await settled(Promise.resolve(1))).toEqual({ status: 'fulfilled', value: 1 })
    const reason = new Error('no')
    expect(await settled(Promise.reject(reason))).toEqual({ status: 'rejected', reason })
  })

  it('fails for one that does not', async () => {
    const hung = settled(new Promise(() => {}), { timeoutMs: 20, what: 'the answer' })
    await expect(hung).rejects.toThrow('waiting for the answer')
  })
})

describe('isPending', () => {
  it('tells a waiting promise from one that ends by itself', async () => {
    expect(await isPending(new Promise(() => {}))).toBe(true)
    expect(await isPending(Promise.resolve())).toBe(false)
    expect(await isPending(Promise.reject(new Error('no')))).toBe(false)
  })
})
