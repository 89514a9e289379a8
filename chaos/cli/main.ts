/** `npm run chaos` and its sisters. Run by `scripts/chaos.mjs`, which has made sure that everything needed is there. */
import { basename, dirname, join, resolve } from 'node:path'
import { judge } from '../checkers/index.js'
import { openDriver } from '../drivers/drivers.js'
import { readHistory } from '../history-file.js'
import { type Cleanup, withCleanup } from '../runner/cleanup.js'
import type { Plan } from '../runner/plan.js'
import { scenarioNamed } from '../scenarios/index.js'
import { openDisplay, showRun } from '../show/terminal.js'
import { drawComparison, drawJudgement, listScenarios, nameOfRun } from './lines.js'
import { runMatrix } from './matrix.js'
import { type Outcome, runOne } from './one.js'
import type { ChaosOptions } from './options.js'
import { refusalOf } from './refusal.js'
import { reportOn } from './report.js'

const SEED = 7

const print = (line: string): void => void process.stdout.write(`${line}\n`)

/** Does what was asked for. Resolves with an exit code, after everything it started has ended. */
export async function runChaos(options: ChaosOptions): Promise<number> {
  if (options.list) {
    for (const line of listScenarios()) print(line)
    return 0
  }
  if (options.judge !== undefined) return judgeAgain(options.judge, options)
  return withCleanup((cleanup) => perform(options, cleanup))
}

async function judgeAgain(file: string, options: ChaosOptions): Promise<number> {
  const run = await readHistory(file)
  const judgement = judge(run)
  const { header } = run
  print(`${header.scenario} on ${header.topology}, ${header.store}, policy ${header.policy}, seed ${header.seed}`)
  const { ink } = openDisplay(process.stdout, options.color)
  for (const line of drawJudgement(judgement, ink)) print(line)
  const others = options.compare.map((store) =>
    join(dirname(dirname(file)), nameOfRun({ ...header, store }), basename(file)),
  )
  print(`Report: ${(await reportOn([file, ...others])).page}`)
  return judgement.held ? 0 : 1
}

async function perform(options: ChaosOptions, cleanup: Cleanup): Promise<number> {
  const driver = await openDriver(options.driver)
  cleanup.defer(() => driver.close())
  print(`driver: ${driver.name}, ${driver.description}`)
  const out = resolve(options.out)
  if (options.matrix !== undefined) return runMatrix(options, driver, out, cleanup, print)

  const scenario = scenarioNamed(options.scenario)
  const refusal = refusalOf(scenario, options.topology, driver)
  if (refusal !== undefined) throw new RangeError(refusal)
  const runs: Outcome[] = []
  for (const store of new Set([options.store, ...options.compare])) {
    const { topology, policy, front, seconds, seed = SEED } = options
    const plan: Plan = { scenario, topology, store, policy, front, seed, seconds }
    print(`\nStarting ${topology} and two processes of the shop on ${store} ...\n`)
    const display = openDisplay(process.stdout, options.color)
    const outcome = await runOne(plan, driver, out, cleanup, (stage, ending) => {
      const title = `${scenario.name} on ${topology}: ${store}${store === 'resilient' ? `, policy ${policy}` : ''}`
      const subtitle = `seed ${seed}, ${stage.header.visitors} visitors, ${stage.header.rate} requests/s, ${front}`
      const messages = { before: 'Redis is well.', during: scenario.title, after: 'The faults are over.' }
      const phases = { before: 'before', during: 'fault', after: 'after' }
      const staging = { title, subtitle, messages, phases, total: seconds * 1000 }
      return showRun(display, { ...staging, history: stage.history, processes: stage.shops }, stage.now, ending)
    })
    runs.push(outcome)
    print('')
    for (const line of drawJudgement(outcome.judgement, display.ink)) print(`  ${line}`)
    print(`\n  History: ${outcome.file}`)
  }
  const { page, summary } = await reportOn(runs.map(({ file }) => file))
  if (runs.length > 1) {
    print('')
    for (const line of drawComparison(summary.stores)) print(`  ${line}`)
  }
  print(`\n  Report: ${page}`)
  // The other stores are there to be compared with: what they break is no failure of the run.
  return runs.every(({ header, judgement }) => header.store !== 'resilient' || judgement.held) ? 0 : 1
}
