import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { inspect } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { RedisFailure } from '../../src/errors.js'
import { isPending, settled, until } from '../support/wait.js'
import {
  answerAll,
  type Batch,
  closeLanes,
  createLane,
  DOWN,
  failAll,
  farAway,
  type LaneHarness,
  occupy,
  WRONG_TYPE,
} from './lane-harness.js'

afterEach(closeLanes)

/** Sends requests as one batch, whatever is under way, and gives it back when it has left. */
async function sendBatch(
  { lane, batches }: LaneHarness,
  requests: readonly string[] = ['x'],
): Promise<{ batch: Batch; results: Promise<PromiseSettledResult<string>[]> }> {
  const before = batches.length
  const results = Promise.allSettled(requests.map((request) => lane.run(request, farAway())))
  await until(() => batches.length > before)
  return { batch: batches[before] as Batch, results }
}

/** Lets `count` batches of one request fail, one after the other. */
async function failBatches(harness: LaneHarness, count: number, error: unknown = DOWN): Promise<void> {
  for (let n = 0; n < count; n++) {
    const { batch, results } = await sendBatch(harness)
    failAll(batch, error)
    await results
    await nextTurn()
  }
}

/** Lets `count` batches of one request succeed, one after the other. */
async function answerBatches(harness: LaneHarness, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const { batch, results } = await sendBatch(harness)
    answerAll(batch)
    await results
    await nextTurn()
  }
}

/** What opossum has counted. */
function stats({ lane }: LaneHarness): { fires: number; failures: number; successes: number; rejects: number } {
  const { fires, failures, successes, rejects } = lane.breaker.stats
  return { fires, failures, successes, rejects } as ReturnType<typeof stats>
}

function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: unknown) => void } {
  let resolve!: (value: T) => void
  let reject!: (error: unknown) => void
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}

describe('a batch', () => {
  it('leaves at once when nothing is under way', async () => {
    const { lane, batches } = createLane()
    const results = ['a', 'b'].map((request) => lane.run(request, farAway()))
    // Before the event loop goes on to anything else.
    await new Promise<void>((resolve) => process.nextTick(resolve))
    expect(batches.map(({ requests }) => requests)).toEqual([['a', 'b']])
    batches.forEach(answerAll)
    await Promise.all(results)
  })

  it('is all that one turn asks while another is under way, in order', async () => {
    const harness = createLane()
    const { lane, batches } = harness
    const first = await occupy(harness)
    const results = Promise.all(['a', 'b', 'c'].map((request) => lane.run(request, farAway())))
    await until(() => batches.length === 2)
    expect(batches.map(({ requests }) => requests)).toEqual([['first'], ['a', 'b', 'c']])
    batches.forEach(answerAll)
    expect(await results).toEqual(['A', 'B', 'C'])
    expect(await first.result).toBe('FIRST')
  })

  it('gathers what is asked in microtasks of the same turn too', async () => {
    const harness = createLane()
    const { lane, batches } = harness
    await occupy(harness)
    const results = [lane.run('a', farAway())]
    await Promise.resolve()
    results.push(lane.run('b', farAway()))
    await Promise.resolve()
    results.push(lane.run('c', farAway()))
    await until(() => batches.length > 1)
    expect(batches[1]?.requests).toEqual(['a', 'b', 'c'])
    batches.forEach(answerAll)
    await Promise.all(results)
  })

  it('does not wait for later turns', async () => {
    const harness = createLane()
    const { lane, batches } = harness
    await occupy(harness)
    const results = [lane.run('a', farAway())]
    await until(() => batches.length === 2)
    results.push(lane.run('b', farAway()))
    await until(() => batches.length === 3)
    expect(batches.map(({ requests }) => requests)).toEqual([['first'], ['a'], ['b']])
    batches.forEach(answerAll)
    await Promise.all(results)
  })

  it('is one fire of the breaker', async () => {
    const harness = createLane()
    const { batch, results } = await sendBatch(harness, ['a', 'b', 'c', 'd'])
    answerAll(batch)
    await results
    await until(() => stats(harness).successes === 1)
    expect(stats(harness)).toMatchObject({ fires: 1, failures: 0 })
  })

  it('gives each request its own result, in whatever order they come', async () => {
    const { batch, results } = await sendBatch(createLane(), ['a', 'b', 'c', 'd'])
    batch.settle(3, undefined, 'D')
    batch.settle(1, WRONG_TYPE)
    batch.settle(0, undefined, 'A')
    batch.settle(2, DOWN)
    expect(await results).toEqual([
      { status: 'fulfilled', value: 'A' },
      { status: 'rejected', reason: WRONG_TYPE },
      { status: 'rejected', reason: DOWN },
      { status: 'fulfilled', value: 'D' },
    ])
  })

  it('gives each request its result when it comes, without waiting for the others', async () => {
    const { lane, batches } = createLane()
    const [a, b] = [lane.run('a', farAway()), lane.run('b', farAway())]
    await until(() => batches.length === 1)
    batches[0]?.settle(1, undefined, 'B')
    expect(await b).toBe('B')
    expect(await isPending(a)).toBe(true)
  })

  it('takes the first word on each request', async () => {
    const { batch, results } = await sendBatch(createLane(), ['a', 'b'])
    batch.settle(0, undefined, 'A')
    batch.settle(0, DOWN)
    batch.settle(0, undefined, 'again')
    batch.settle(7, undefined, 'nobody asked')
    batch.settle(1, undefined, null as unknown as string)
    expect(await results).toEqual([
      { status: 'fulfilled', value: 'A' },
      { status: 'fulfilled', value: null },
    ])
  })

  it('that cannot be sent fails each request in it with what send threw', async () => {
    const trouble = new RangeError('no hash tag')
    const send = (): never => {
      throw trouble
    }
    const harness = createLane({ send, breaker: { consecutiveFailures: 1 } })
    const results = await Promise.allSettled([harness.lane.run('a', farAway()), harness.lane.run('b', farAway())])
    expect(results.map((result) => result.status === 'rejected' && result.reason)).toEqual([trouble, trouble])
    expect(harness.lane.state).toEqual({ state: 'closed' })
    expect(harness.lane.inFlight).toBe(0)
  })

  it('tells send when each caller gives up', async () => {
    const { lane, batches } = createLane()
    const [soon, late] = [farAway(), farAway() + 1_000]
    lane.run('a', soon).catch(() => {})
    lane.run('b', late).catch(() => {})
    await until(() => batches.length === 1)
    expect(batches[0]?.deadlines).toEqual([soon, late])
  })

  it("hands over Redis's own error without the command that ioredis hangs on it", async () => {
    const error = Object.assign(new Error('WRONGTYPE Operation against a key'), {
      command: { name: 'get', args: ['sess:the-secret-sid'] },
    })
    const { batch, results } = await sendBatch(createLane())
    failAll(batch, error)
    const [result] = await results
    expect(result).toMatchObject({ status: 'rejected', reason: { message: 'WRONGTYPE Operation against a key' } })
    expect(inspect(result, { depth: 10, showHidden: true })).not.toContain('the-secret-sid')
  })

  it('does not mix the asynchronous contexts of the requests in it', async () => {
    const storage = new AsyncLocalStorage<number>()
    const harness = createLane({ send: (batch) => setImmediate(() => answerAll(batch)) })
    const ask = (n: number): Promise<readonly [number | undefined, string]> =>
      storage.run(n, async () => {
        const reply = await harness.lane.run(`request ${n}`, farAway())
        return [storage.getStore(), reply] as const
      })
    const numbers = Array.from({ length: 16 }, (_, n) => n)
    expect(await Promise.all(numbers.map(ask))).toEqual(numbers.map((n) => [n, `REQUEST ${n}`]))
    expect(harness.batches.length).toBeLessThan(16)
  })
})

describe('deadlines', () => {
  it('a request without answer fails by its own, though the others of its batch go on', async () => {
    const { lane, batches } = createLane()
    const soon = lane.run('soon', performance.now() + 30)
    const later = lane.run('later', farAway())
    await until(() => batches.length === 1)
    expect(await settled(soon)).toMatchObject({ status: 'rejected', reason: { reason: 'timeout' } })
    expect(await isPending(later)).toBe(true)
    batches[0]?.settle(1, undefined, 'LATER')
    expect(await later).toBe('LATER')
  })

  it('none of several in one batch comes before its time', async () => {
    const { lane } = createLane()
    lane.run('first', farAway()).catch(() => {})
    const start = performance.now()
    const ended: [number, number][] = []
    const runs = [150, 30, 90].map((ms) =>
      lane.run(`${ms}`, start + ms).catch(() => {
        ended.push([ms, performance.now() - start])
      }),
    )
    await Promise.all(runs)
    expect(ended.map(([ms]) => ms).sort((a, b) => a - b)).toEqual([30, 90, 150])
    // Node's timers count whole milliseconds.
    for (const [ms, after] of ended) expect(after).toBeGreaterThan(ms - 2)
  })

  it('one that has passed already ends at once', async () => {
    const { lane } = createLane()
    expect(await settled(lane.run('a', performance.now() - 10_000), { timeoutMs: 2_000 })).toMatchObject({
      status: 'rejected',
      reason: { reason: 'timeout' },
    })
  })

  it('an answer that comes later changes nothing', async () => {
    const { lane, batches } = createLane()
    const run = lane.run('a', performance.now() + 20)
    await settled(run)
    batches.forEach(answerAll)
    await expect(run).rejects.toMatchObject({ reason: 'timeout' })
    expect(lane.inFlight).toBe(0)
  })

  it('the failure has no stack frames', async () => {
    const error = await createLane()
      .lane.run('a', performance.now() + 10)
      .catch((reason: unknown) => reason as Error)
    expect(error).toBeInstanceOf(RedisFailure)
    expect((error as Error).stack).not.toMatch(/\n\s+at /)
  })
})

describe('what counts for the breaker', () => {
  it('a batch that Redis failed altogether counts one failure, however many were in it', async () => {
    const harness = createLane()
    await answerBatches(harness, 1)
    const hold = await sendBatch(harness, ['hold'])
    const { batch, results } = await sendBatch(harness, ['a', 'b', 'c', 'd', 'e'])
    failAll(batch)
    await results
    await until(() => stats(harness).failures > 0)
    expect(stats(harness)).toMatchObject({ failures: 1, successes: 1 })
    answerAll(hold.batch)
  })

  it('a batch in which one was answered counts none', async () => {
    const harness = createLane({ breaker: { consecutiveFailures: 1 } })
    const hold = await sendBatch(harness, ['hold'])
    const { batch, results } = await sendBatch(harness, ['a', 'b', 'c'])
    batch.settle(0, DOWN)
    batch.settle(1, undefined, 'B')
    batch.settle(2, DOWN)
    await results
    await until(() => stats(harness).successes === 1)
    expect(stats(harness).failures).toBe(0)
    expect(harness.lane.state).toEqual({ state: 'closed' })
    answerAll(hold.batch)
  })

  it('an error of the command itself is an answer: it never moves the breaker', async () => {
    const bugs = [WRONG_TYPE, new TypeError('a bug'), new Error('ERR syntax error')]
    const harness = createLane({ breaker: { consecutiveFailures: 1, volumeThreshold: 1, errorThresholdPercentage: 0 } })
    for (const bug of bugs) {
      const { batch, results } = await sendBatch(harness)
      failAll(batch, bug)
      expect(await results).toEqual([{ status: 'rejected', reason: bug }])
    }
    await until(() => stats(harness).successes === 3)
    expect(harness.lane.state).toEqual({ state: 'closed' })
    expect(harness.changes).toEqual([])
  })

  it('a deadline that passes does', async () => {
    const harness = createLane({ breaker: { consecutiveFailures: 1 } })
    // Once would do, unless this machine is so busy that the deadline fires late.
    await until(async () => {
      await settled(harness.lane.run('a', performance.now() + 20))
      return harness.lane.breaker.opened
    })
    expect(harness.lane.state).toEqual({ state: 'open', reason: 'timeout' })
  })
})

describe('opening', () => {
  it('comes after as many failed batches in a row as consecutiveFailures says', async () => {
    const harness = createLane({ breaker: { consecutiveFailures: 3 } })
    await failBatches(harness, 2)
    expect(harness.lane.state).toEqual({ state: 'closed' })
    await failBatches(harness, 1)
    expect(harness.lane.state).toEqual({ state: 'open', reason: 'reset' })
    expect(harness.changes).toEqual([{ state: 'open', reason: 'reset' }])
    expect(harness.lane.breaker.opened).toBe(true)
  })

  it('an answered batch in between starts the count anew', async () => {
    const harness = createLane({ breaker: { consecutiveFailures: 3, volumeThreshold: 1_000 } })
    for (let round = 0; round < 5; round++) {
      await failBatches(harness, 2)
      await answerBatches(harness, 1)
    }
    expect(harness.lane.state).toEqual({ state: 'closed' })
  })

  it('a batch answered with an error of its own starts the count anew, too', async () => {
    const harness = createLane({ breaker: { consecutiveFailures: 2, volumeThreshold: 1_000 } })
    await failBatches(harness, 1)
    await failBatches(harness, 1, WRONG_TYPE)
    await failBatches(harness, 1)
    expect(harness.lane.state).toEqual({ state: 'closed' })
  })

  it('closing starts the count anew, too', async () => {
    const harness = createLane({ breaker: { consecutiveFailures: 3, volumeThreshold: 1_000 } })
    await failBatches(harness, 2)
    harness.lane.open(DOWN)
    await harness.lane.probe()
    await failBatches(harness, 2)
    expect(harness.lane.state).toEqual({ state: 'closed' })
    await failBatches(harness, 1)
    expect(harness.lane.breaker.opened).toBe(true)
  })

  it('comes when more than errorThresholdPercentage of the batches failed', async () => {
    const harness = createLane({
      breaker: { consecutiveFailures: 1_000, errorThresholdPercentage: 50, volumeThreshold: 4 },
    })
    await answerBatches(harness, 3)
    await failBatches(harness, 3)
    expect(harness.lane.state).toEqual({ state: 'closed' })
    await failBatches(harness, 1)
    expect(harness.lane.state).toEqual({ state: 'open', reason: 'reset' })
  })

  it('the percentage counts only from volumeThreshold batches on', async () => {
    const harness = createLane({
      breaker: { consecutiveFailures: 1_000, errorThresholdPercentage: 0, volumeThreshold: 5 },
    })
    await failBatches(harness, 4)
    expect(harness.lane.state).toEqual({ state: 'closed' })
    await failBatches(harness, 1)
    expect(harness.lane.state).toEqual({ state: 'open', reason: 'reset' })
  })

  it('comes at once when the connection is lost, with the reason', () => {
    const { lane, changes } = createLane()
    lane.open(new RedisFailure('refused', 'connect ECONNREFUSED'))
    expect(lane.state).toEqual({ state: 'open', reason: 'refused' })
    expect(changes).toEqual([{ state: 'open', reason: 'refused' }])
  })

  it('again with another reason tells that reason', async () => {
    const { lane, changes } = createLane()
    lane.open(new RedisFailure('reset', 'read ECONNRESET'))
    lane.open(new RedisFailure('refused', 'connect ECONNREFUSED'))
    expect(lane.state).toEqual({ state: 'open', reason: 'refused' })
    expect(changes).toHaveLength(1)
    await expect(lane.run('a', farAway())).rejects.toMatchObject({ cause: { reason: 'refused' } })
  })

  it('refuses what waits for its turn, unsent; what was sent still gets its result', async () => {
    const harness = createLane()
    const { lane, batches } = harness
    const sent = await occupy(harness)
    const waiting = lane.run('waiting', farAway())
    lane.open(DOWN)
    await expect(waiting).rejects.toMatchObject({ reason: 'circuit-open' })
    expect(batches.map(({ requests }) => requests)).toEqual([['first']])
    batches.forEach(answerAll)
    expect(await sent.result).toBe('FIRST')
    expect(lane.inFlight).toBe(0)
  })
})

describe('a refusal', () => {
  it('says circuit-open, and as its cause what opened it', async () => {
    const { lane } = createLane()
    lane.open(DOWN)
    const refusal = await lane.run('a', farAway()).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(RedisFailure)
    expect(refusal).toMatchObject({ reason: 'circuit-open', cause: DOWN })
  })

  it('after failed batches has the last failure as its cause', async () => {
    const harness = createLane({ breaker: { consecutiveFailures: 2 } })
    await failBatches(harness, 1)
    const last = new RedisFailure('busy', 'BUSY Redis is busy running a script.')
    await failBatches(harness, 1, last)
    await expect(harness.lane.run('a', farAway())).rejects.toMatchObject({ reason: 'circuit-open', cause: last })
  })

  it('costs next to nothing: no stack, nothing sent, no timer, nothing counted', async () => {
    const harness = createLane()
    harness.lane.open(DOWN)
    const before = stats(harness)
    const resources = process.getActiveResourcesInfo().length
    const refusals = Array.from({ length: 1_000 }, () => harness.lane.run('a', farAway()))
    expect(harness.lane.inFlight).toBe(0)
    expect(process.getActiveResourcesInfo()).toHaveLength(resources)
    const errors = await Promise.all(refusals.map((refusal) => refusal.catch((error: unknown) => error as Error)))
    for (const error of errors) expect((error as Error).stack).not.toMatch(/\n\s+at /)
    expect(harness.batches).toEqual([])
    expect(stats(harness)).toEqual(before)
  })
})

describe('the bound on requests under way', () => {
  it('refuses more as overloaded, and takes more when there is room', async () => {
    const { lane, batches } = createLane({ maxInFlight: 2 })
    const runs = [lane.run('a', farAway()), lane.run('b', farAway())]
    await expect(lane.run('c', farAway())).rejects.toMatchObject({ reason: 'overloaded' })
    expect(lane.inFlight).toBe(2)
    await until(() => batches.length === 1)
    batches.forEach(answerAll)
    await Promise.all(runs)
    const again = lane.run('d', farAway())
    await until(() => batches.length === 2)
    batches.slice(1).forEach(answerAll)
    expect(await again).toBe('D')
  })

  it('does not move the breaker', async () => {
    const harness = createLane({ maxInFlight: 1, breaker: { consecutiveFailures: 1 } })
    harness.lane.run('a', farAway()).catch(() => {})
    for (let n = 0; n < 20; n++) await settled(harness.lane.run('more', farAway()))
    expect(harness.lane.state).toEqual({ state: 'closed' })
    expect(stats(harness).failures).toBe(0)
  })

  it('counts what failed, timed out or was refused as ended', async () => {
    const harness = createLane({ maxInFlight: 10 })
    await failBatches(harness, 1)
    await settled(harness.lane.run('late', performance.now() + 10))
    const { batch, results: sent } = await sendBatch(harness)
    const waiting = harness.lane.run('waiting', farAway())
    harness.lane.open(DOWN)
    failAll(batch)
    await Promise.allSettled([sent, waiting])
    expect(harness.lane.inFlight).toBe(0)
  })
})

describe('half-open', () => {
  it("is the store's own affair: it probes after resetTimeout, without any user's request", async () => {
    const harness = createLane({ breaker: { resetTimeout: 10 } })
    harness.lane.open(DOWN)
    await until(() => harness.lane.breaker.closed)
    expect(harness.probes()).toBe(1)
    expect(harness.batches).toEqual([])
    expect(harness.changes.map(({ state }) => state)).toEqual(['open', 'half-open', 'closed'])
  })

  it('users are refused while the probe is under way, and served once it succeeded', async () => {
    const probe = deferred()
    const { lane, batches } = createLane({ breaker: { resetTimeout: 10 }, probe: () => probe.promise })
    lane.open(DOWN)
    await until(() => lane.breaker.halfOpen)
    expect(lane.state).toEqual({ state: 'half-open', reason: 'reset' })
    await expect(lane.run('a', farAway())).rejects.toMatchObject({ reason: 'circuit-open', cause: DOWN })
    expect(batches).toEqual([])
    probe.resolve()
    await until(() => lane.breaker.closed)
    const run = lane.run('b', farAway())
    await until(() => batches.length === 1)
    batches.forEach(answerAll)
    expect(await run).toBe('B')
  })

  it('a failing probe opens again, with its reason, and another follows', async () => {
    let attempts = 0
    const probe = (): Promise<void> =>
      ++attempts < 3 ? Promise.reject(new Error('LOADING Redis is loading the dataset in memory')) : Promise.resolve()
    const harness = createLane({ breaker: { resetTimeout: 10 }, probe })
    harness.lane.open(DOWN)
    await until(() => harness.lane.breaker.closed)
    expect(harness.probes()).toBe(3)
    expect(harness.changes).toContainEqual({ state: 'open', reason: 'loading' })
  })

  it('a probe that hangs ends by the deadline, has the connection renewed, and another follows', async () => {
    let attempts = 0
    const probe = (): Promise<void> => (++attempts === 1 ? new Promise(() => {}) : Promise.resolve())
    const harness = createLane({ timeout: 20, breaker: { resetTimeout: 10 }, probe })
    harness.lane.open(DOWN)
    await until(() => harness.lane.breaker.closed)
    expect(harness.probes()).toBe(2)
    expect(harness.stalls()).toBe(1)
    expect(harness.changes).toContainEqual({ state: 'open', reason: 'timeout' })
  })

  it('a probe waits for the connection, within the deadline', async () => {
    let connected = false
    const usable = (): Promise<void> | undefined => (connected ? undefined : new Promise(() => {}))
    const harness = createLane({ timeout: 20, breaker: { resetTimeout: 10 }, usable })
    harness.lane.open(DOWN)
    await until(() => harness.changes.filter(({ state }) => state === 'open').length >= 3)
    expect(harness.probes()).toBe(0)
    connected = true
    await until(() => harness.lane.breaker.closed)
  })

  it('a probe that is refused by a lost connection opens again with that reason', async () => {
    const lost = new RedisFailure('refused', 'connect ECONNREFUSED')
    const harness = createLane({ breaker: { resetTimeout: 10 }, usable: () => Promise.reject(lost) })
    harness.lane.open(DOWN)
    await until(() => harness.lane.state.reason === 'refused')
    expect(harness.stalls()).toBe(0)
  })
})

describe('a probe asked for', () => {
  it('closes an open breaker at once', async () => {
    const harness = createLane()
    harness.lane.open(DOWN)
    await harness.lane.probe()
    expect(harness.lane.state).toEqual({ state: 'closed' })
    expect(harness.probes()).toBe(1)
  })

  it('does not run beside another', async () => {
    const probe = deferred()
    const harness = createLane({ probe: () => probe.promise })
    harness.lane.open(DOWN)
    const both = [harness.lane.probe(), harness.lane.probe()]
    probe.resolve()
    await Promise.all(both)
    expect(harness.probes()).toBe(1)
    expect(harness.lane.state).toEqual({ state: 'closed' })
  })

  it('that hangs when the breaker becomes half-open blocks nothing: its deadline ends both', async () => {
    let attempts = 0
    const probe = (): Promise<void> => (++attempts === 1 ? new Promise(() => {}) : Promise.resolve())
    const harness = createLane({ timeout: 60, breaker: { resetTimeout: 10 }, probe })
    harness.lane.open(DOWN)
    void harness.lane.probe()
    await until(() => harness.lane.breaker.halfOpen)
    await until(() => harness.lane.breaker.closed)
    expect(harness.probes()).toBe(2)
  })

  it('on a closed lane that works changes nothing', async () => {
    const harness = createLane()
    await harness.lane.probe()
    expect(harness.changes).toEqual([])
  })

  it('on a closed lane that does not work opens it: nobody has to wait to find out', async () => {
    const harness = createLane({ probe: () => Promise.reject(DOWN) })
    await harness.lane.probe()
    expect(harness.lane.state).toEqual({ state: 'open', reason: 'reset' })
  })

  it('takes an answer for an answer, be it that Redis does not know the command', async () => {
    const probe = (): Promise<never> => {
      const unknown = new Error("ERR unknown command 'DEL'")
      unknown.name = 'ReplyError'
      return Promise.reject(unknown)
    }
    const harness = createLane({ probe })
    harness.lane.open(new RedisFailure('reset', 'cut'))
    await harness.lane.probe()
    expect(harness.lane.breaker.closed).toBe(true)
  })

  it('never rejects, and survives a probe that throws', async () => {
    const probe = (): never => {
      throw new TypeError('a bug')
    }
    const harness = createLane({ probe })
    await expect(harness.lane.probe()).resolves.toBeUndefined()
    expect(harness.lane.breaker.closed).toBe(false)
  })
})

describe('what was sent before the breaker changed', () => {
  /** A lane that opened while `old` was under way. */
  async function openedBehind(
    options: Parameters<typeof createLane>[0],
  ): Promise<{ harness: LaneHarness; old: Batch }> {
    const harness = createLane({ ...options, breaker: { consecutiveFailures: 1, ...options?.breaker } })
    const { batch: old } = await sendBatch(harness, ['old'])
    await failBatches(harness, 1)
    return { harness, old }
  }

  it('and fails after it closed again does not re-open it', async () => {
    const { harness, old } = await openedBehind({})
    await harness.lane.probe()
    failAll(old)
    for (let turn = 0; turn < 5; turn++) await nextTurn()
    expect(harness.lane.state).toEqual({ state: 'closed' })
  })

  it('and fails after it closed again is not counted with what follows', async () => {
    const harness = createLane({ breaker: { consecutiveFailures: 2 } })
    const olds = [await sendBatch(harness), await sendBatch(harness)]
    harness.lane.open(DOWN)
    await harness.lane.probe()
    for (const { batch } of olds) failAll(batch)
    await failBatches(harness, 1)
    expect(harness.lane.state).toEqual({ state: 'closed' })
  })

  it.each([
    ['fails', failAll],
    ['is answered', answerAll],
  ])('and %s while a probe is under way leaves the verdict to the probe', async (_, end) => {
    const probe = deferred()
    const { harness, old } = await openedBehind({ breaker: { resetTimeout: 10 }, probe: () => probe.promise })
    await until(() => harness.lane.breaker.halfOpen)
    end(old)
    for (let turn = 0; turn < 5; turn++) await nextTurn()
    expect(harness.lane.state.state).toBe('half-open')
    probe.reject(new RedisFailure('loading', 'LOADING'))
    await until(() => harness.lane.state.reason === 'loading')
    expect(harness.changes.map(({ state }) => state)).not.toContain('closed')
  })
})

describe('the connection', () => {
  it('while it is being made holds a batch back, and lets it go', async () => {
    const ready = deferred()
    const { lane, batches } = createLane({ usable: () => ready.promise })
    const run = lane.run('a', farAway())
    await nextTurn()
    expect(batches).toEqual([])
    ready.resolve()
    await until(() => batches.length === 1)
    batches.forEach(answerAll)
    expect(await run).toBe('A')
  })

  it('that is made too late fails what waited by its deadline, and sends it no more', async () => {
    const ready = deferred()
    const { lane, batches } = createLane({ usable: () => ready.promise })
    const soon = lane.run('soon', performance.now() + 20)
    const later = lane.run('later', farAway())
    expect(await settled(soon)).toMatchObject({ reason: { reason: 'timeout' } })
    ready.resolve()
    await until(() => batches.length === 1)
    expect(batches.map(({ requests }) => requests)).toEqual([['later']])
    batches.forEach(answerAll)
    expect(await later).toBe('LATER')
  })

  it('that is made when nobody waits any more sends nothing', async () => {
    const ready = deferred()
    const { lane, batches } = createLane({ usable: () => ready.promise })
    await settled(lane.run('soon', performance.now() + 10))
    ready.resolve()
    await nextTurn()
    expect(batches).toEqual([])
  })

  it('that is lost fails a batch at once, as one failure', async () => {
    const lost = new RedisFailure('refused', 'connect ECONNREFUSED')
    const harness = createLane({ usable: () => Promise.reject(lost), breaker: { consecutiveFailures: 2 } })
    expect(await settled(harness.lane.run('a', farAway()))).toEqual({ status: 'rejected', reason: lost })
    expect(harness.lane.state).toEqual({ state: 'closed' })
    await settled(harness.lane.run('b', farAway()))
    expect(harness.lane.state).toEqual({ state: 'open', reason: 'refused' })
    expect(harness.batches).toEqual([])
  })
})

describe('shutdown', () => {
  it('refuses what comes after, and what waits for its turn', async () => {
    const harness = createLane()
    const { lane } = harness
    await occupy(harness)
    const waiting = lane.run('waiting', farAway())
    lane.shutdown()
    await expect(waiting).rejects.toBeInstanceOf(RedisFailure)
    await expect(lane.run('after', farAway())).rejects.toBeInstanceOf(RedisFailure)
  })

  it('lets what is under way settle', async () => {
    const { lane, batches } = createLane()
    const [a, b] = [lane.run('a', farAway()), lane.run('b', performance.now() + 20)]
    await until(() => batches.length === 1)
    lane.shutdown()
    batches[0]?.settle(0, undefined, 'A')
    expect(await a).toBe('A')
    await expect(b).rejects.toMatchObject({ reason: 'timeout' })
    expect(lane.inFlight).toBe(0)
  })

  it('ends the probing', async () => {
    const harness = createLane({ breaker: { resetTimeout: 10 } })
    harness.lane.open(DOWN)
    harness.lane.shutdown()
    await harness.lane.probe()
    expect(harness.probes()).toBe(0)
    expect(harness.lane.breaker.closed).toBe(false)
  })

  it('while a probe is under way is the last word', async () => {
    const probe = deferred()
    const harness = createLane({ probe: () => probe.promise })
    harness.lane.open(DOWN)
    const probing = harness.lane.probe()
    harness.lane.shutdown()
    probe.resolve()
    await probing
    expect(harness.lane.breaker.closed).toBe(false)
    expect(harness.changes).toHaveLength(1)
  })

  it('a failure after it changes nothing and tells nobody', async () => {
    const harness = createLane({ breaker: { consecutiveFailures: 1 } })
    const { batch, results } = await sendBatch(harness)
    harness.lane.shutdown()
    failAll(batch)
    await results
    await nextTurn()
    harness.lane.open(DOWN)
    expect(harness.changes).toEqual([])
  })
})

it("the breaker is opossum's, for its own tools", async () => {
  const { default: CircuitBreaker } = await import('opossum')
  const { lane } = createLane()
  expect(lane.breaker).toBeInstanceOf(CircuitBreaker)
  expect(lane.breaker).toMatchObject({ name: 'session-store:read', group: 'session-store' })
})
