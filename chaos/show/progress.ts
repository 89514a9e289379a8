/** A run's progress where a screen cannot be redrawn. Pure. */
import { OUTCOMES } from '../workload/classify.js'
import type { Scene } from './scene.js'
import { PHASES } from './summary.js'
import { milliseconds } from './words.js'

/** One line of progress. */
export function drawProgress(scene: Scene): string {
  const phase = PHASES.findLast((name) => scene.begun[name] !== undefined) ?? 'before'
  const counts = OUTCOMES.map((outcome) => `${outcome} ${scene.recent[outcome]}`).join('  ')
  const { latencies, phases } = scene
  const width = Math.max(...PHASES.map((name) => phases[name].length))
  const times = latencies === undefined ? '' : `p50 ${milliseconds(latencies.p50)}  p99 ${milliseconds(latencies.p99)}`
  const stores = scene.processes.map(({ name, running, sample }) => {
    if (!running || sample?.store === undefined) return `${name} down`
    const { lanes, connection } = sample.store
    return `${name} ${lanes === undefined ? connection : `${lanes.read}/${lanes.save}/${lanes.lifetime}`}`
  })
  return `${scene.elapsed.toFixed(0).padStart(3)} s  ${phases[phase].padEnd(width)}  ${counts}  |  ${times}  |  ${stores.join('  ')}`
}
