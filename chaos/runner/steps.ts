/** Plays a scenario's steps at their times, and writes down when each of them was felt. */
import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from '../../test/support/random.js'
import type { ShopProcess } from '../app/shop-process.js'
import type { Fault, Rig } from '../drivers/contract.js'
import type { FaultRecord, HistoryRecord } from '../records.js'
import type { AppFault, Step } from '../scenarios/contract.js'
import type { Plan } from './plan.js'

export interface StageHands {
  readonly rig: Rig
  readonly shops: readonly ShopProcess[]
  readonly log: (record: HistoryRecord) => void
  readonly now: () => number
  /** Length of the traffic, in ms. */
  readonly total: number
}

/** Between two looks for a successor of the master, or for processes to be back, in ms. */
const LOOK_EVERY = 100

/** Resolves when every step is over. */
export async function playSteps({ scenario, seed }: Plan, hands: StageHands): Promise<void> {
  const timetable = scenario.steps.flatMap((step, index) => spread(step, hands.total, seed + index))
  await Promise.all(timetable.map((turn) => playTurn(turn, hands)))
}

/** One time a fault comes, and goes. */
interface Turn {
  readonly fault: Fault | AppFault
  readonly from: number
  readonly to: number | undefined
}

/** When a step's fault comes and goes, in ms. */
export function spread({ at, until, fault, flapping }: Step, total: number, seed: number): Turn[] {
  const end = until === undefined ? undefined : until * total
  if (flapping === undefined || end === undefined) return [{ fault, from: at * total, to: end }]
  const random = seededRandom(seed)
  const turns: Turn[] = []
  for (let from = at * total; from < end; ) {
    const to = Math.min(end, from + flapping.on * (1 + random() / 2))
    turns.push({ fault, from, to })
    from = to + flapping.off * (1 + random() / 2)
  }
  return turns
}

async function playTurn({ fault, from, to }: Turn, hands: StageHands): Promise<void> {
  const { log, now } = hands
  await sleep(Math.max(0, from - now()))
  const record: FaultRecord = { kind: 'fault', fault: fault.kind, target: targetOf(fault), at: now() }
  log(record)
  const before = await masters(hands.rig)
  const heal = await begin(fault, hands)
  record.bites = now()
  const seen = watchForSuccessor(record, before, hands)
  if (to !== undefined) await sleep(Math.max(0, to - now()))
  record.ending = now()
  await heal()
  record.end = now()
  await seen()
}

/** Does it; resolves with what undoes it. */
async function begin(fault: Fault | AppFault, { rig, shops }: StageHands): Promise<() => Promise<void>> {
  switch (fault.kind) {
    case 'restart-app': {
      const shop = shopOf(shops, fault.app)
      // A deployment takes the next one only when those before it are back.
      while (!shops.every((other) => other === shop || other.open)) await sleep(LOOK_EVERY)
      await shop.stop()
      await shop.start()
      return async () => {}
    }
    case 'clock-jump': {
      const shop = shopOf(shops, fault.app)
      shop.send({ kind: 'jump', by: fault.by })
      return async () => shop.send({ kind: 'jump', by: -fault.by })
    }
    default: {
      const injected = await rig.inject(fault)
      return () => injected.heal()
    }
  }
}

function shopOf(shops: readonly ShopProcess[], name: string): ShopProcess {
  const shop = shops.find((each) => each.name === name)
  if (shop === undefined) throw new RangeError(`no application process is called ${name}`)
  return shop
}

function targetOf(fault: Fault | AppFault): string {
  if ('app' in fault && fault.app !== undefined) return `process ${fault.app}`
  const target = 'target' in fault ? fault.target : undefined
  if (target === undefined) return DEFAULT_TARGETS[fault.kind] ?? 'master'
  return typeof target === 'string' ? target : Object.entries(target).flat().join(' ')
}

const DEFAULT_TARGETS: Readonly<Record<string, string>> = {
  'rotate-password': 'all',
  flush: 'all',
  lag: 'replicas',
  latency: 'connections',
  loss: 'connections',
  refuse: 'connections',
  reset: 'connections',
  'half-open': 'connections',
  'cut-mid-reply': 'connections',
  'lose-replies': 'connections',
}

async function masters(rig: Rig): Promise<Set<string>> {
  if (rig.topology === 'standalone') return new Set()
  const { nodes } = await rig.state()
  return new Set(nodes.filter(({ role }) => role === 'master').map(({ name }) => name))
}

/** Looks, until the fault has ended, for a master that was none before. Returns what ends the looking. */
function watchForSuccessor(
  record: FaultRecord,
  before: ReadonlySet<string>,
  { rig, now }: StageHands,
): () => Promise<void> {
  if (before.size === 0) return async () => {}
  let over = false
  const looking = (async () => {
    while (!over) {
      const current = await masters(rig).catch(() => before)
      if ([...current].some((name) => !before.has(name))) {
        record.successor = now()
        return
      }
      await sleep(LOOK_EVERY)
    }
  })()
  return async () => {
    over = true
    await looking
  }
}
