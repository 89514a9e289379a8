import { dirname } from 'node:path'
import { judge } from '../checkers/index.js'
import { readHistory } from '../history-file.js'
import type { RecordedRun } from '../report/from-history.js'
import { type WrittenReport, writeReport } from '../report/write-report.js'

/** Writes the report of a saved run beside its history; the other histories are those to compare it with. */
export async function reportOn(histories: readonly string[]): Promise<WrittenReport> {
  const [run, ...compared] = await Promise.all(histories.map(load))
  if (run === undefined) throw new RangeError('a report needs a history')
  return writeReport(dirname(histories[0]!), { ...run, compared })
}

async function load(history: string): Promise<RecordedRun> {
  const run = await readHistory(history)
  return { ...run, judgement: judge(run) }
}
