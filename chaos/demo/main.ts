/**
 * The demo: a chaos run of the scenario `kill` on one Redis, shown while it happens. Run by `scripts/demo.mjs`, which has
 * made sure that everything needed is there.
 */
import { judge } from '../checkers/index.js'
import { openDriver } from '../drivers/drivers.js'
import { type Cleanup, withCleanup } from '../runner/cleanup.js'
import type { Plan } from '../runner/plan.js'
import { performRun } from '../runner/run.js'
import { scenarioNamed } from '../scenarios/index.js'
import { figuresOf } from '../show/figures.js'
import { openDisplay, showRun } from '../show/terminal.js'
import { seconds } from '../show/words.js'
import { type DemoOptions, describeRun } from './narration.js'
import { drawVerdict, isKept } from './verdict-lines.js'

/** A stall of a process beyond this many ms is part of the times shown, and is told. */
const STALL_WORTH_TELLING = 200

/** Runs the demo. Resolves with an exit code, after everything it started has ended. */
export function runDemo(options: DemoOptions): Promise<number> {
  return withCleanup((cleanup) => perform(options, cleanup))
}

async function perform(options: DemoOptions, cleanup: Cleanup): Promise<number> {
  const { store, policy, front, seed } = options
  const print = (line: string) => void process.stdout.write(`${line}\n`)
  print('Starting Redis and two processes of the shop ...\n')
  const driver = await openDriver('process')
  cleanup.defer(() => driver.close())
  const scenario = scenarioNamed('kill')
  const plan: Plan = { scenario, topology: 'standalone', store, policy, front, seed, seconds: options.seconds }

  const { header, history, now, shown } = await performRun(plan, driver, cleanup, (stage) => {
    const narration = describeRun(options, stage.header.rate, stage.header.visitors)
    const display = openDisplay(process.stdout, options.color)
    const staging = { ...narration, total: options.seconds * 1000, history: stage.history, processes: stage.shops }
    return showRun(display, staging, stage.now, cleanup)
  })

  const judgement = judge({ header, records: history.records })
  const figures = figuresOf(history, header.processes, now())
  const judged = store === 'resilient'
  const title = `${describeRun(options, header.rate, header.visitors).title}, seed ${seed}`
  print('')
  for (const line of drawVerdict({ figures, judgement, title, judged }, shown.ink)) print(`  ${line}`)
  const stall = Math.max(0, ...history.of('sample').map((sample) => sample.stall))
  if (stall > STALL_WORTH_TELLING) {
    print(`  (This machine was busy: the demo's processes stood still for up to ${seconds(stall)}.)`)
  }
  return judged && !isKept(figures, judgement) ? 1 : 0
}
