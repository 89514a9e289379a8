/** Many runs, one after the other: two at a time would take the processor from each other and be judged for it. */
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Driver, Topology } from '../drivers/contract.js'
import type { Policy } from '../records.js'
import type { Cleanup } from '../runner/cleanup.js'
import type { Plan } from '../runner/plan.js'
import { SCENARIOS, scenarioNamed } from '../scenarios/index.js'
import { milliseconds, percent } from '../show/words.js'
import { brokenIn, goodShare, nameOfRun } from './lines.js'
import { runOne } from './one.js'
import type { ChaosOptions } from './options.js'
import { refusalOf } from './refusal.js'
import { reportOn } from './report.js'

const POLICIES: readonly Policy[] = ['strict', 'read-only', 'available']
const SEED = 7
/** Seeds for what matters most. */
const SEEDS = [7, 8, 9]
const MATTERS_MOST: ReadonlySet<string> = new Set(['kill', 'pause', 'partition-app', 'failover', 'shard-loss'])

/** What is run by CI: each promise is put to the test by some of them. */
const SELECTION: readonly (readonly [string, Topology, Policy])[] = [
  ['kill', 'standalone', 'available'],
  ['pause', 'standalone', 'read-only'],
  ['kill', 'sentinel', 'available'],
  ['shard-loss', 'cluster', 'read-only'],
  ['partition-app', 'standalone', 'read-only'],
]

/** A run's result, as the matrix remembers it. */
interface Result {
  readonly name: string
  readonly held: boolean
  readonly broken: readonly string[]
  readonly requests: number
  readonly good: number
  readonly p99: number
  readonly recovery: number | null
}

const RESULT = 'result.json'

/** Runs a matrix; what has a result already is not run again. */
export async function runMatrix(
  options: ChaosOptions,
  driver: Driver,
  out: string,
  cleanup: Cleanup,
  print: (line: string) => void,
): Promise<number> {
  const results: Result[] = []
  const plans = plansOf(options, driver, print)
  for (const [index, plan] of plans.entries()) {
    const name = nameOfRun({ ...plan, scenario: plan.scenario.name })
    const file = join(out, name, RESULT)
    const bar = drawBar(index, plans.length)
    if (!options.fresh && existsSync(file)) {
      results.push(JSON.parse(await readFile(file, 'utf8')) as Result)
      continue
    }
    print(`${bar} ${name} ...`)
    const result = await runNamed(name, plan, { driver, out, cleanup, file })
    results.push(result)
    print(`${bar} ${drawResult(result)}`)
  }
  print('')
  for (const result of results) print(drawResult(result))
  const held = results.filter((result) => result.held).length
  print(`\n${held} of ${results.length} runs held, driver ${driver.name}, ${driver.description}`)
  return held === results.length && held > 0 ? 0 : 1
}

interface Surroundings {
  readonly driver: Driver
  readonly out: string
  readonly cleanup: Cleanup
  readonly file: string
}

async function runNamed(name: string, plan: Plan, { driver, out, cleanup, file }: Surroundings): Promise<Result> {
  try {
    const { judgement, file: history } = await runOne(plan, driver, out, cleanup, () => ({ over: () => {} }))
    const [figures] = (await reportOn([history])).summary.stores
    const { requests, latency, recovery = null } = figures
    const broken = brokenIn(judgement)
    const result = {
      name,
      held: judgement.held,
      broken,
      requests,
      good: goodShare(figures),
      p99: latency?.p99 ?? 0,
      recovery,
    }
    await writeFile(file, `${JSON.stringify(result)}\n`)
    return result
  } catch (error) {
    const broken = [`it broke off: ${error instanceof Error ? error.message : error}`]
    return { name, held: false, broken, requests: 0, good: 0, p99: 0, recovery: null }
  }
}

function plansOf(options: ChaosOptions, driver: Driver, print: (line: string) => void): Plan[] {
  const cells = options.matrix === 'ci' ? SELECTION : everything()
  return cells.flatMap(([scenarioName, topology, policy]) => {
    const scenario = scenarioNamed(scenarioName)
    const seeds = options.matrix === 'all' && MATTERS_MOST.has(scenario.name) ? SEEDS : [SEED]
    const plans = (options.seed === undefined ? seeds : [options.seed]).map((seed): Plan => {
      const front = policy === 'available' ? 'sticky' : 'round-robin'
      return { scenario, topology, policy, seed, front, store: 'resilient', seconds: options.seconds }
    })
    const wanted = plans.filter((plan) => {
      const name = nameOfRun({ ...plan, scenario: scenario.name })
      return options.only.length === 0 || options.only.some((text) => name.includes(text))
    })
    const refusal = refusalOf(scenario, topology, driver)
    if (refusal !== undefined && wanted.length > 0) print(`left out: ${topology}, ${refusal}`)
    return refusal === undefined ? wanted : []
  })
}

function everything(): (readonly [string, Topology, Policy])[] {
  return SCENARIOS.flatMap(({ name, topologies }) =>
    topologies.flatMap((topology) => POLICIES.map((policy) => [name, topology, policy] as const)),
  )
}

const BAR = 20

function drawBar(done: number, all: number): string {
  const full = Math.floor((done / all) * BAR)
  return `[${'#'.repeat(full)}${'-'.repeat(BAR - full)}] ${String(done + 1).padStart(String(all).length)}/${all}`
}

const NAME = 38

function drawResult({ name, held, broken, requests, good, p99, recovery }: Result): string {
  const figures = [
    `${requests} requests`.padStart(14),
    `${percent(good)} good`.padStart(12),
    `p99 ${milliseconds(p99)}`.padEnd(12),
    `back in ${recovery === null ? 'never' : milliseconds(recovery)}`,
  ]
  return `${held ? '✔' : '✘'} ${name.padEnd(NAME)} ${figures.join('  ')}${held ? '' : `  broken: ${broken.join(', ')}`}`
}
