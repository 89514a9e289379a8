/** The demo's verdict, as text. Pure. */
import { type Finding, type Judgement, PROMISES, type PromiseName } from '../checkers/index.js'
import type { Figures } from '../show/figures.js'
import type { Ink } from '../show/ink.js'
import { sum } from '../show/summary.js'
import { percent, seconds } from '../show/words.js'
import { OUTCOMES } from '../workload/classify.js'

/** The first good change must come within this time after Redis answers again, in ms. */
export const RECOVER_WITHIN = 1000

interface Line {
  readonly name: string
  readonly found: string
  readonly held: boolean
}

/** What visitors noticed, in lines that hold or do not. */
function headlines(figures: Figures): Line[] {
  const zero = (name: string, count: number, detail = ''): Line => ({
    name,
    found: `${count}${detail}`,
    held: count === 0,
  })
  const errors = Object.entries(figures.errors)
  const kinds = errors.map(([kind, count]) => `${kind}: ${count}`).join(', ')
  const wrong = errors.reduce((total, [, count]) => total + count, 0)
  const { recovery } = figures
  return [
    zero('visitors logged out', figures.loggedOut),
    zero('requests hung (no answer in 1 s)', figures.hung),
    zero('errors and cut connections', wrong, wrong === 0 ? '' : ` (${kinds})`),
    zero('acknowledged cart items lost', figures.lost, ` of ${figures.acknowledged}`),
    zero('logouts undone', figures.undone, ` of ${figures.logouts}`),
    { name: 'longest wait for an answer', found: seconds(figures.longest), held: true },
    {
      name: 'time to recovery',
      found: recovery === undefined ? 'never' : seconds(recovery),
      held: recovery !== undefined && recovery <= RECOVER_WITHIN,
    },
  ]
}

/** What the checkers found broken, if anything, and how many promises were put to the test. */
function findings({ promises, policy, soundness }: Judgement): Line[] {
  const named = (Object.entries(promises) as [PromiseName, Finding][]).map(
    ([name, finding]) => [`${name} ${PROMISES[name].title}`, finding] as const,
  )
  const all = [...named, ['the policy is what happened', policy] as const, ...Object.entries(soundness)]
  return all.flatMap(([name, finding]) =>
    finding.verdict === 'broken' ? [{ name, found: `${finding.breaches} of ${finding.checked}`, held: false }] : [],
  )
}

/** Whether the demo showed what it is to show. */
export function isKept(figures: Figures, judgement: Judgement): boolean {
  return judgement.held && headlines(figures).every(({ held }) => held)
}

/** The verdict as lines. `judged` says whether the exit code follows it. */
export function drawVerdict(
  { figures, judgement, title, judged }: { figures: Figures; judgement: Judgement; title: string; judged: boolean },
  ink: Ink,
): string[] {
  const { tallies, requests, visitors, outage, conflicts } = figures
  const shown = [...headlines(figures), ...findings(judgement)]
  const width = Math.max(...shown.map(({ name }) => name.length))
  const { during } = tallies
  const shares = OUTCOMES.filter((outcome) => during[outcome] > 0)
    .sort((a, b) => during[b] - during[a])
    .map((outcome) => `${percent(during[outcome] / sum(during))} ${outcome}`)
  return [
    `${ink.paint('strong', `Verdict: ${title}`)}`,
    `${requests.toLocaleString('en')} requests of ${visitors} visitors. Redis was away for ${seconds(outage)}; meanwhile:`,
    shares.join(', '),
    '',
    ...shown.map(({ name, found, held }) => {
      const mark = held ? ink.paint('good', '✔') : ink.paint('bad', '✘')
      return `${mark} ${name.padEnd(width)}  ${found}`
    }),
    '',
    ...(conflicts === 0 ? [] : explainConflicts(conflicts)),
    conclusion(isKept(figures, judgement), judged, ink),
  ]
}

function explainConflicts(conflicts: number): string[] {
  return [
    `The store reported ${conflicts} ${conflicts === 1 ? 'conflict' : 'conflicts'}: changes of one session queued in two processes.`,
    'The first is written, the others are reported; a sticky front avoids them.',
  ]
}

function conclusion(held: boolean, judged: boolean, ink: Ink): string {
  if (!judged) return 'Shown for comparison: the exit code is 0 whatever the verdict says.'
  return held
    ? ink.paint('good', 'The promises held.')
    : ink.paint('bad', 'The promises did not hold: see the lines marked ✘.')
}
