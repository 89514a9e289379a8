/** One run from beginning to end: performed, saved, judged, shown. */
import { join } from 'node:path'
import { type Judgement, judge } from '../checkers/index.js'
import type { Driver } from '../drivers/contract.js'
import { writeHistory } from '../history-file.js'
import type { Header } from '../records.js'
import { Cleanup } from '../runner/cleanup.js'
import type { Plan } from '../runner/plan.js'
import { performRun, type Show, type Stage } from '../runner/run.js'
import { nameOfRun } from './lines.js'

export interface Outcome {
  readonly header: Header
  readonly judgement: Judgement
  /** Where its files are. */
  readonly directory: string
  /** The history. */
  readonly file: string
}

/** Runs a plan; what it started has ended when the promise resolves. The history is saved even of a run that breaks off. */
export async function runOne(
  plan: Plan,
  driver: Driver,
  out: string,
  interrupted: Cleanup,
  watch: (stage: Stage, cleanup: Cleanup) => Show,
): Promise<Outcome> {
  const cleanup = new Cleanup()
  interrupted.defer(() => cleanup.run())
  let under: Stage | undefined
  const save = async ({ header, history }: Stage): Promise<string> => {
    const file = join(out, nameOfRun(header), 'history.jsonl')
    await writeHistory(file, { header, records: history.records })
    return file
  }
  try {
    const stage = await performRun(plan, driver, cleanup, (begun) => {
      under = begun
      return watch(begun, cleanup)
    })
    const { header, history } = stage
    const file = await save(stage)
    const judgement = judge({ header, records: history.records })
    return { header, judgement, directory: join(out, nameOfRun(header)), file }
  } catch (error) {
    if (under !== undefined) await save(under)
    throw error
  } finally {
    await cleanup.run()
  }
}
