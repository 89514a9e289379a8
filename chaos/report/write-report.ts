/** Writes a run's report: `index.html`, which needs nothing else, and `summary.json` with the same figures. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pageAssets } from './bundle.js'
import { commandOf, factsOf, type RecordedRun, storeRun } from './from-history.js'
import type { ReportInput } from './model.js'
import { renderPage } from './page/page.js'
import { type Summary, summarize } from './summary.js'

export interface ReportedRun extends RecordedRun {
  /** Runs of other stores: same scenario, same seed. */
  readonly compared?: readonly RecordedRun[]
}

/** Where a report went, and its figures. */
export interface WrittenReport {
  readonly page: string
  readonly summary: Summary
}

/** Writes `index.html` and `summary.json` into a directory, over what was there. */
export async function writeReport(directory: string, run: ReportedRun): Promise<WrittenReport> {
  const input = reportInput(run)
  const summary = summarize(input)
  const page = join(directory, 'index.html')
  await mkdir(directory, { recursive: true })
  await writeFile(page, renderPage(input, summary, await pageAssets()))
  await writeFile(join(directory, 'summary.json'), `${JSON.stringify(summary, undefined, 2)}\n`)
  return { page, summary }
}

function reportInput(run: ReportedRun): ReportInput {
  const { header, compared = [] } = run
  const subject = storeRun(run)
  return {
    title: `${header.scenario} on ${header.topology}`,
    lead: header.title,
    conditions: [`Policy ${header.policy}`, `${header.driver} driver`, `${header.front} front`, `seed ${header.seed}`],
    facts: factsOf(header, subject),
    command: commandOf([header, ...compared.map((other) => other.header)]),
    subject,
    compared: compared.map(storeRun),
  }
}
