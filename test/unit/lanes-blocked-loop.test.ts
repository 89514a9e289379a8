// A stalled event loop is not an outage. Apart from lanes.test.ts, so that its blocking disturbs no other test.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { settled, sleep, until } from '../support/wait.js'
import { answerAll, type Batch, closeLanes, createLane, type LaneHarness, occupy } from './lane-harness.js'

afterEach(closeLanes)

const TIMEOUT = 250
const BLOCK = 400

/** What a handler does that computes too much. */
function block(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

/** `count` requests as operations make them. */
function ask({ lane }: LaneHarness, count: number): Promise<PromiseSettledResult<string>[]> {
  return Promise.allSettled(Array.from({ length: count }, (_, n) => lane.run(`r${n}`, performance.now() + TIMEOUT)))
}

function failed(results: readonly PromiseSettledResult<string>[]): number {
  return results.filter(({ status }) => status === 'rejected').length
}

/** A lane on which one failure would open the breaker. */
function touchy(send: (batch: Batch) => void): LaneHarness {
  return createLane({ send, timeout: TIMEOUT, breaker: { consecutiveFailures: 1 } })
}

/** Redis answers at the next turn of the loop, as often as the loop turns. */
const answerNextTurn = (batch: Batch): void => {
  setImmediate(() => answerAll(batch))
}

function expectNoOutage({ lane, changes }: LaneHarness): void {
  expect(lane.state).toEqual({ state: 'closed' })
  expect(lane.breaker.stats.failures).toBe(0)
  expect(changes).toEqual([])
}

describe('a block of the loop for longer than the timeout, with a healthy Redis, fails nothing and opens nothing', () => {
  it('right after the requests were made', async () => {
    const harness = touchy(answerNextTurn)
    const results = ask(harness, 50)
    block(BLOCK)
    expect(failed(await results)).toBe(0)
    expectNoOutage(harness)
  })

  it('while they wait for Redis', async () => {
    const harness = touchy((batch) => {
      setImmediate(() => {
        block(BLOCK)
        setImmediate(() => answerAll(batch))
      })
    })
    expect(failed(await ask(harness, 50))).toBe(0)
    expectNoOutage(harness)
  })

  it('between the request and the batch that it leaves with', async () => {
    const held: Batch[] = []
    const harness = touchy((batch) => {
      if (held.length === 0) held.push(batch)
      else setTimeout(() => answerAll(batch), 50)
    })
    const first = await occupy(harness)
    const results = ask(harness, 50)
    block(BLOCK)
    expect(failed(await results)).toBe(0)
    held.forEach(answerAll)
    await first.result
    expectNoOutage(harness)
  })

  it('again and again', async () => {
    const harness = touchy(answerNextTurn)
    for (let round = 0; round < 3; round++) {
      const results = ask(harness, 20)
      block(BLOCK)
      expect(failed(await results)).toBe(0)
    }
    expectNoOutage(harness)
  })

  it('and an answer that needs another round trip after the block has time for it', async () => {
    const harness = touchy((batch) => {
      // Redis did not know the script: the source is sent when the loop turns again.
      setImmediate(() => setTimeout(() => answerAll(batch), 40))
    })
    const results = ask(harness, 20)
    block(BLOCK)
    expect(failed(await results)).toBe(0)
    expectNoOutage(harness)
  })
})

describe('a block of the loop while Redis is silent', () => {
  it('ends each request all the same', async () => {
    const harness = createLane({ timeout: TIMEOUT, breaker: { consecutiveFailures: 1_000 } })
    const results = ask(harness, 10)
    block(BLOCK)
    const outcomes = await settled(results, { timeoutMs: 3_000 })
    expect(outcomes.status === 'fulfilled' && failed(outcomes.value)).toBe(10)
    expect(harness.lane.inFlight).toBe(0)
  })

  it('does not hide the silence: the breaker opens once the loop turns freely again', async () => {
    const harness = touchy(() => {})
    const results = ask(harness, 10)
    block(BLOCK)
    await results
    // Once would do, but for what else this machine may be busy with.
    await until(async () => {
      await ask(harness, 1)
      return harness.lane.breaker.opened
    })
    expect(harness.lane.state).toEqual({ state: 'open', reason: 'timeout' })
  })

  it('a deadline that fires late never counts against the breaker, however often', async () => {
    const harness = touchy(() => {})
    const results = ask(harness, 10)
    // Whenever the timer fires, it fires late.
    let blocking = true
    const blocked = (async () => {
      while (blocking) {
        await nextTurn()
        block(BLOCK)
      }
    })()
    expect(failed(await results)).toBe(10)
    blocking = false
    await blocked
    await sleep(0)
    expect(harness.lane.state).toEqual({ state: 'closed' })
  })

  it('a deadline that had passed before the request was made is no block: nothing is given back', async () => {
    const { lane } = createLane({ timeout: TIMEOUT })
    const start = performance.now()
    await settled(lane.run('late', start - 5_000))
    expect(performance.now() - start).toBeLessThan(2_500)
  })
})
