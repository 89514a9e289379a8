/** The verdict and the progress lines, as text. Pure. */
import { OUTCOMES } from '../workload/classify.js'
import type { Ink } from './ink.js'
import type { Scene } from './scene.js'
import { PHASES, sum } from './summary.js'
import type { Verdict } from './verdict.js'
import { milliseconds, percent, seconds } from './words.js'

const PHASE_WORDS = { healthy: 'healthy', killed: 'Redis killed', back: 'Redis back' } as const

/** The verdict as lines. `judged` says whether the exit code follows it. */
export function drawVerdict(verdict: Verdict, title: string, judged: boolean, ink: Ink): string[] {
  const { checks, tallies, requests, visitors, outage, conflicts } = verdict
  const shown = checks.filter(({ headline, held }) => headline || !held)
  const width = Math.max(...shown.map(({ name }) => name.length))
  const during = tallies.killed
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
    conclusion(verdict.held, judged, ink),
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

/** One line of progress, for where a screen cannot be redrawn. */
export function drawProgress(scene: Scene): string {
  const phase = PHASES.findLast((name) => scene.begun[name] !== undefined) ?? 'healthy'
  const counts = OUTCOMES.map((outcome) => `${outcome} ${scene.recent[outcome]}`).join('  ')
  const { latencies } = scene
  const times = latencies === undefined ? '' : `p50 ${milliseconds(latencies.p50)}  p99 ${milliseconds(latencies.p99)}`
  const stores = scene.processes.map(({ name, running, report }) => {
    if (!running || report === undefined) return `${name} down`
    const { lanes } = report
    return `${name} ${lanes === undefined ? report.connection : `${lanes.read}/${lanes.save}/${lanes.lifetime}`}`
  })
  return `${scene.elapsed.toFixed(0).padStart(3)} s  ${PHASE_WORDS[phase].padEnd(12)}  ${counts}  |  ${times}  |  ${stores.join('  ')}`
}
