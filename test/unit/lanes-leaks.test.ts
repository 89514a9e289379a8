// Breakers open and close for as long as a process lives. Apart from lanes.test.ts: it watches timers and the heap.
import { createHook } from 'node:async_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, expect, it } from 'vitest'
import { until } from '../support/wait.js'
import { answerAll, closeLanes, createLane, DOWN, failAll, farAway, type LaneHarness } from './lane-harness.js'

afterEach(closeLanes)

const CYCLES = 10_000

/** The timers that were started and neither fired nor cleared, those that do not keep the process alive included. */
function watchTimers(): { readonly live: () => number; readonly stop: () => void } {
  const live = new Set<number>()
  const hook = createHook({
    init: (id, type) => {
      if (type === 'Timeout' || type === 'Immediate') live.add(id)
    },
    destroy: (id) => {
      live.delete(id)
    },
  }).enable()
  return { live: () => live.size, stop: () => hook.disable() }
}

/** A batch leaves at once, or at the end of the turn. */
async function sent({ batches }: LaneHarness): Promise<void> {
  while (batches.length === 0) await new Promise((resolve) => setImmediate(resolve))
}

/** Opens by a failed batch, refuses, and closes by a probe. */
async function cycle(harness: LaneHarness): Promise<void> {
  const { lane, batches } = harness
  const served = lane.run('served', farAway())
  await sent(harness)
  answerAll(batches.pop() as (typeof batches)[number])
  await served
  const failing = lane.run('failing', farAway()).catch(() => {})
  await sent(harness)
  failAll(batches.pop() as (typeof batches)[number])
  await failing
  lane.open(DOWN)
  await lane.run('refused', farAway()).catch(() => {})
  await lane.probe()
  harness.changes.length = 0
}

function listeners({ lane }: LaneHarness): number {
  return lane.breaker.eventNames().reduce((sum, name) => sum + lane.breaker.listenerCount(name), 0)
}

async function heap(): Promise<number> {
  setFlagsFromString('--expose-gc')
  const collect = (globalThis as { gc?: () => void }).gc ?? (runInNewContext('gc') as () => void)
  await new Promise((resolve) => setImmediate(resolve))
  collect()
  collect()
  return process.memoryUsage().heapUsed
}

it(`${CYCLES} cycles of opening and closing leave no listeners, timers, resources or memory behind`, async () => {
  // The shortest window that opossum keeps its counts for, so that they do not pass for a leak.
  const harness = createLane({
    breaker: { consecutiveFailures: 1, rollingCountTimeout: 100, rollingCountBuckets: 1, resetTimeout: 60_000 },
  })
  const timers = watchTimers()
  try {
    // What is made once: hidden classes, compiled code, opossum's buckets.
    for (let n = 0; n < 1_000; n++) await cycle(harness)
    const before = {
      listeners: listeners(harness),
      resources: process.getActiveResourcesInfo().length,
      heap: await heap(),
    }
    for (let n = 0; n < CYCLES; n++) await cycle(harness)
    expect(harness.lane.state).toEqual({ state: 'closed' })
    expect(harness.lane.inFlight).toBe(0)
    expect(listeners(harness)).toBe(before.listeners)
    // Cleared timers are reported a turn later; the wait has timers of its own.
    await until(() => timers.live() < 20, { what: 'the timers to be gone' })
    await until(() => process.getActiveResourcesInfo().length <= before.resources + 5)
    // 10,000 leaked objects of the least kind, an error without stack, would be more.
    await until(async () => (await heap()) - before.heap < 2_000_000, { what: 'the heap to be as before' })
  } finally {
    timers.stop()
  }
}, 60_000)

it('half-open cycles by themselves leave none behind either', async () => {
  let failing = true
  const harness = createLane({
    breaker: { resetTimeout: 10 },
    probe: () => (failing ? Promise.reject(DOWN) : Promise.resolve()),
  })
  const timers = watchTimers()
  try {
    harness.lane.open(DOWN)
    await until(() => harness.probes() >= 5)
    const before = listeners(harness)
    await until(() => harness.probes() >= 50)
    expect(listeners(harness)).toBe(before)
    failing = false
    await until(() => harness.lane.breaker.closed)
    await until(() => timers.live() < 20, { what: 'the timers to be gone' })
  } finally {
    timers.stop()
  }
})

it('a lane that was shut down keeps no timer at all', async () => {
  const timers = watchTimers()
  try {
    const lanes = Array.from({ length: 50 }, () => createLane({ breaker: { resetTimeout: 10_000 } }))
    for (const { lane } of lanes) lane.open(DOWN)
    expect(timers.live()).toBeGreaterThanOrEqual(50)
    for (const { lane } of lanes) lane.shutdown()
    await until(() => timers.live() < 20, { what: 'the timers to be gone' })
  } finally {
    timers.stop()
  }
})
