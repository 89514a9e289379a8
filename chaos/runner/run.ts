/** One run: a topology, application processes on it, visitors, faults, an audit. What happened is its result. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ShopProcess } from '../app/shop-process.js'
import type { Driver } from '../drivers/contract.js'
import { History } from '../history.js'
import { monotonic } from '../monotonic.js'
import type { Header, HistoryRecord } from '../records.js'
import { StallMeter } from '../stall-meter.js'
import { audit } from '../workload/audit.js'
import { createFront } from '../workload/front.js'
import { SHOP_MIX } from '../workload/population.js'
import { startTraffic } from '../workload/traffic.js'
import { warmUp } from '../workload/warm-up.js'
import type { Cleanup } from './cleanup.js'
import { headerFor, type Plan } from './plan.js'
import { playSteps } from './steps.js'

/** A visitor waits this long before closing the page, in ms. */
const GIVE_UP_AFTER = 8000
/** How long answers are waited for once no more requests are sent, in ms. */
const LAST_ANSWERS = 3000
const SAMPLE_EVERY = 100

/** A run under way. */
export interface Stage {
  readonly header: Header
  readonly history: History
  readonly shops: readonly ShopProcess[]
  /** Milliseconds since the traffic began. */
  readonly now: () => number
}

/** Shows a run to somebody, until it is over. */
export interface Show {
  over(): void
}

/**
 * Performs a run. What it starts is ended by `cleanup`, however the run ends.
 *
 * @param watch called once, when the traffic begins; what it returns is told when all is over, and is part of the result
 */
export async function performRun<Shown extends Show>(
  plan: Plan,
  driver: Driver,
  cleanup: Cleanup,
  watch: (stage: Stage) => Shown,
): Promise<Stage & { readonly shown: Shown }> {
  const { scenario, topology, store, policy, seed, defect } = plan
  const rig = await driver.open(topology, scenario.rig)
  cleanup.defer(() => rig.close())
  const header = headerFor(plan, driver.name, rig.version)
  const history = new History()
  let zero: number | undefined
  const now = (): number => monotonic() - (zero ?? monotonic())
  const log = (record: HistoryRecord): void => {
    if (zero !== undefined) history.add(record)
  }

  const shops = await Promise.all(
    header.processes.map(async (name) => {
      const redis = await rig.connection(name)
      const defects = defect === undefined ? {} : { defect }
      return new ShopProcess({ name, store, policy, redis, settings: header.settings, ...defects }, (record) => {
        if (record.kind === 'process') log({ ...record, at: now() })
        else log(since(record, zero ?? 0) as HistoryRecord)
      })
    }),
  )
  cleanup.defer(() => Promise.all(shops.map((shop) => shop.stop())))
  await Promise.all(shops.map((shop) => shop.start()))
  await Promise.all(shops.map(({ port }) => warmUp(port)))

  zero = monotonic()
  for (const { name } of shops) log({ kind: 'process', process: name, event: 'listening', at: 0 })
  const stopSampling = sampleRunner(log, now)
  cleanup.defer(stopSampling)
  const traffic = startTraffic({
    history,
    front: createFront(plan.front, shops),
    seed,
    rate: header.rate,
    visitors: header.visitors,
    mix: scenario.mix ?? SHOP_MIX,
    giveUpAfter: GIVE_UP_AFTER,
    now,
  })
  cleanup.defer(() => traffic.close())
  const stage: Stage = { header, history, shops, now }
  const shown = watch(stage)

  const total = header.seconds * 1000
  await Promise.all([playSteps(plan, { rig, shops, log, now, total }), sleep(total)])
  await traffic.stop(LAST_ANSWERS)
  await rig.settled()
  await audit({
    history,
    visitors: traffic.population.everyone,
    ports: () => shops.filter(({ running }) => running).map(({ port }) => port),
    attempts: 8,
    pause: 300,
    now,
  })
  shown.over()
  // Processes say at their end what of their stores has not settled.
  await Promise.all(shops.map((shop) => shop.stop()))
  stopSampling()
  log({ kind: 'end', at: now(), skipped: traffic.skipped })
  return { ...stage, shown }
}

const TIMES: ReadonlySet<string> = new Set(['at', 'start', 'end'])

/** Turns times of the machine's clock into times since the run began. */
function since<T extends object>(record: T, zero: number): T {
  const move = ([name, value]: [string, unknown]) => [name, TIMES.has(name) ? Number(value) - zero : value]
  return Object.fromEntries(Object.entries(record).map(move)) as T
}

/** The runner's own share in what visitors wait for. */
function sampleRunner(log: (record: HistoryRecord) => void, now: () => number): () => void {
  const stalls = new StallMeter()
  const timer = setInterval(() => {
    const stall = stalls.take()
    log({ kind: 'sample', process: 'runner', at: now(), stall, rss: process.memoryUsage.rss(), requests: 0 })
  }, SAMPLE_EVERY)
  return () => {
    clearInterval(timer)
    stalls.stop()
  }
}
