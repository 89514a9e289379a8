/** What the command line prints of a judgement. Pure. */
import { type Finding, type Judgement, PROMISES, type PromiseName } from '../checkers/index.js'
import type { Header } from '../records.js'
import type { StoreSummary } from '../report/summary.js'
import { SCENARIOS } from '../scenarios/index.js'
import type { Ink } from '../show/ink.js'
import { milliseconds, percent } from '../show/words.js'

/** Breaches that are shown in full; the history has the others. */
const SHOWN = 3

/** Promise by promise, then whether the run proves anything: what is all right there takes no lines. */
export function drawJudgement({ promises, policy, soundness, held }: Judgement, ink: Ink): string[] {
  const named = (Object.entries(promises) as [PromiseName, Finding][]).map(
    ([name, finding]) => [`${name.padEnd(4)}${PROMISES[name].title}`, finding] as const,
  )
  const besides = [['    the policy is what happened', policy] as const, ...Object.entries(soundness)]
  const shown = [...named, ...besides.filter(([, { verdict }], index) => index === 0 || verdict === 'broken')]
  const width = Math.max(...shown.map(([name]) => name.length))
  return [
    ...shown.flatMap(([name, finding]) => drawFinding(name.padEnd(width), finding, ink)),
    '',
    held ? ink.paint('good', 'The promises held.') : ink.paint('bad', 'Not all of it held: see the lines marked ✘.'),
  ]
}

function drawFinding(name: string, finding: Finding, ink: Ink): string[] {
  switch (finding.verdict) {
    case 'held':
      return [`${ink.paint('good', '✔')} ${name}  ${finding.checked.toLocaleString('en')} ${finding.of}`]
    case 'not-exercised':
      return [ink.paint('dim', `· ${name}  not exercised: ${finding.why}`)]
    case 'broken':
      return [
        `${ink.paint('bad', '✘')} ${name}  ${finding.breaches} breaches in ${finding.checked} ${finding.of}`,
        ...finding.evidence.slice(0, SHOWN).map(({ what, records }) => `      ${what} (records ${records.join(', ')})`),
      ]
  }
}

/** Stores side by side, with the figures of the report. */
export function drawComparison(stores: readonly StoreSummary[]): string[] {
  const rows: readonly (readonly [string, (store: StoreSummary) => string])[] = [
    ['good answers during the faults', (store) => percent(goodShare(store))],
    ['requests hung (no answer in 1 s)', ({ hung }) => String(hung)],
    ['errors and cut connections', ({ answers }) => String(answers.error)],
    ['p99 of the time to the answer', ({ latency }) => milliseconds(latency?.p99 ?? 0)],
    ['longest wait for an answer', ({ latency }) => milliseconds(latency?.max ?? 0)],
    ['visitors logged out', ({ loggedOut }) => String(loggedOut)],
    ['logouts undone', ({ ghosts }) => String(ghosts)],
    ['acknowledged items lost', ({ items: { lost, acknowledged } }) => `${lost} of ${acknowledged}`],
    ['time to recovery', ({ recovery = null }) => (recovery === null ? 'never' : milliseconds(recovery))],
    ['promises broken', ({ broken = [] }) => broken.join(' ') || 'none'],
  ]
  const cells = [['', ...stores.map(({ name }) => name)], ...rows.map(([name, of]) => [name, ...stores.map(of)])]
  const widths = cells[0]?.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0))) ?? []
  return cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

/** Share of the requests during the faults that got a good answer; 1 when there were none. */
export function goodShare({ duringFaults: { good, requests } }: StoreSummary): number {
  return requests === 0 ? 1 : good / requests
}

/** What was found broken, by name. */
export function brokenIn({ promises, policy, soundness }: Judgement): string[] {
  const all: [string, Finding][] = [...Object.entries(promises), ['policy', policy], ...Object.entries(soundness)]
  return all.flatMap(([name, { verdict }]) => (verdict === 'broken' ? [name] : []))
}

/** A run in one line, as its directory is called. */
export function nameOfRun({
  scenario,
  topology,
  policy,
  seed,
  store,
}: Pick<Header, 'scenario' | 'topology' | 'policy' | 'seed' | 'store'>): string {
  return [scenario, topology, store === 'resilient' ? policy : store, seed].join('-')
}

/** The scenarios, with where they make sense. */
export function listScenarios(): string[] {
  const width = Math.max(...SCENARIOS.map(({ name }) => name.length))
  return SCENARIOS.flatMap(({ name, title, topologies }) => [
    `${name.padEnd(width)}  ${title}`,
    `${' '.repeat(width)}  (${topologies.join(', ')})`,
  ])
}
