/**
 * The demo: one Redis, two shop processes, visitors, a kill. Run by `scripts/demo.mjs`, which has made sure that
 * everything needed is there.
 */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { type RedisOptions, type RedisServer, startRedis } from '../../test/support/redis-server.js'
import { ShopProcess } from '../app/shop-process.js'
import { History } from '../history.js'
import { audit } from '../workload/audit.js'
import { createFront } from '../workload/front.js'
import { SHOP_MIX } from '../workload/population.js'
import { startTraffic, type Traffic } from '../workload/traffic.js'
import { warmUp } from '../workload/warm-up.js'
import { Cleanup, untilSignal } from './cleanup.js'
import { type DemoOptions, describeRun } from './narration.js'
import { drawVerdict } from './report.js'
import { composeScene, type Staging } from './scene.js'
import { openDisplay } from './terminal.js'
import { judge } from './verdict.js'
import { seconds } from './words.js'

/** Arrivals a second, and visitors in the shop at a time. */
const RATE = 120
const VISITORS = 50
const PROCESSES = ['A', 'B'] as const

/** Share of the run before Redis is killed, and before it is started again. */
const KILL_AT = 0.28
const BACK_AT = 0.68

/** A visitor waits this long before closing the page, in ms. */
const GIVE_UP_AFTER = 8000
/** How long answers are waited for once no more requests are sent, in ms. */
const LAST_ANSWERS = 3000
const FRAME_EVERY = 200
/** A stall of a process beyond this many ms is part of the times shown, and is told. */
const STALL_WORTH_TELLING = 200

type Descriptor = NonNullable<RedisOptions['server']>

/** Runs the demo. Resolves with an exit code, after everything it started has ended. */
export async function runDemo(options: DemoOptions, server: Descriptor): Promise<number> {
  const cleanup = new Cleanup()
  const interrupted = untilSignal(cleanup)
  try {
    return await Promise.race([interrupted, perform(options, server, cleanup)])
  } finally {
    await cleanup.run()
  }
}

async function perform(options: DemoOptions, server: Descriptor, cleanup: Cleanup): Promise<number> {
  const { store, policy } = options
  const print = (line: string) => void process.stdout.write(`${line}\n`)
  const stalls = monitorEventLoopDelay()
  const history = new History()
  let zero = performance.now()
  const now = () => performance.now() - zero

  print('Starting Redis and two processes of the shop ...\n')
  const redis = await startRedis({ appendonly: true, server })
  cleanup.defer(() => redis.stop())
  const shops = PROCESSES.map((name) => {
    return new ShopProcess({ name, store, policy, redis: { host: redis.host, port: redis.port } }, history, now)
  })
  cleanup.defer(() => Promise.all(shops.map((shop) => shop.stop())))
  await Promise.all(shops.map((shop) => shop.start()))
  await Promise.all(shops.map(({ port }) => warmUp(port)))

  zero = performance.now()
  stalls.enable()
  const traffic = startTraffic({
    history,
    front: createFront(options.front, shops),
    seed: options.seed,
    rate: RATE,
    visitors: VISITORS,
    mix: SHOP_MIX,
    giveUpAfter: GIVE_UP_AFTER,
    now,
  })
  cleanup.defer(() => traffic.close())
  const total = options.seconds * 1000
  const narration = describeRun(options, RATE, VISITORS)
  const staging: Staging = { ...narration, total, history, processes: shops }

  const display = openDisplay(process.stdout, options.color)
  cleanup.defer(() => display.close())
  const frames = setInterval(() => display.show(composeScene(staging, now())), FRAME_EVERY)
  cleanup.defer(() => clearInterval(frames))

  await playActs({ redis, traffic, history, total, now })
  await audit({
    history,
    visitors: traffic.population.everyone,
    ports: () => shops.filter(({ running }) => running).map(({ port }) => port),
    attempts: 6,
    pause: 300,
    now,
  })

  clearInterval(frames)
  display.show(composeScene(staging, now()))
  display.close()
  const verdict = judge({ history, store, policy, processes: PROCESSES, skipped: traffic.skipped, now: now() })
  const judged = store === 'resilient'
  print('')
  for (const line of drawVerdict(verdict, `${narration.title}, seed ${options.seed}`, judged, display.ink)) {
    print(`  ${line}`)
  }
  const stall = Math.max(stalls.max / 1e6, ...shops.map((shop) => shop.stall))
  if (stall > STALL_WORTH_TELLING) {
    print(`  (This machine was busy: the demo's processes stood still for up to ${seconds(stall)}.)`)
  }
  return judged && !verdict.held ? 1 : 0
}

interface Acts {
  readonly redis: RedisServer
  readonly traffic: Traffic
  readonly history: History
  readonly total: number
  readonly now: () => number
}

/** Healthy, killed, back; then the last answers. */
async function playActs({ redis, traffic, history, total, now }: Acts): Promise<void> {
  const until = (time: number) => sleep(Math.max(0, time - now()))
  await until(total * KILL_AT)
  await redis.kill()
  history.add({ kind: 'fault', fault: 'killed', at: now() })
  await until(total * BACK_AT)
  history.add({ kind: 'fault', fault: 'starting', at: now() })
  await redis.start()
  history.add({ kind: 'fault', fault: 'back', at: now() })
  await until(total)
  await traffic.stop(LAST_ANSWERS)
}
