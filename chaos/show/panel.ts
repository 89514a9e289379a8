/** The part of the screen that shows the processes and the times. Pure. */
import type { LaneState, StoreSample } from '../records.js'
import { type Ink, padEnd } from './ink.js'
import type { ProcessView, Scene } from './scene.js'
import { milliseconds } from './words.js'

/** Its width. */
export const PANEL = 31

/** Each process's breakers, and the latencies. */
export function drawPanel(scene: Scene, ink: Ink): string[] {
  const lanes = scene.processes.some(({ sample }) => sample?.store?.lanes !== undefined)
  const head = lanes ? `${'breakers'.padEnd(9)}read   save   lifetime` : 'connection to Redis'
  const { latencies, processes } = scene
  return [
    ink.paint('dim', head),
    ...scene.processes.map((process) => drawProcess(process, ink)),
    drawTrouble(processes, ink),
    ink.paint('dim', 'time to the answer (last 2 s)'),
    latencies === undefined ? '' : `p50 ${milliseconds(latencies.p50)}   p99 ${milliseconds(latencies.p99)}`,
    `under way: ${scene.underWay.toLocaleString('en')} ${scene.underWay === 1 ? 'request' : 'requests'}`,
  ]
}

/** What else is worth a line: crashes, or changes in a queue. */
function drawTrouble(processes: readonly ProcessView[], ink: Ink): string {
  const crashed = processes.filter(({ crashes }) => crashes > 0).map(({ name, crashes }) => `${name} ${crashes}x`)
  if (crashed.length > 0) return ink.paint('bad', `crashed: ${crashed.join(', ')}`)
  const queued = processes.reduce((total, { sample }) => total + waiting(sample?.store), 0)
  return queued === 0 ? '' : `${queued} ${queued === 1 ? 'change waits' : 'changes wait'} for Redis`
}

function waiting({ queue }: Partial<StoreSample> = {}): number {
  return queue === undefined ? 0 : queue.saves + queue.destroys
}

function drawProcess({ name, running, sample }: ProcessView, ink: Ink): string {
  const label = `shop ${name}`.padEnd(9)
  if (!running) return label + ink.paint('bad', 'starting again')
  if (sample?.store === undefined) return `${label}starting`
  const { lanes, connection } = sample.store
  if (lanes === undefined) return label + ink.paint(connection === 'ready' ? 'good' : 'bad', connection)
  const states = (['read', 'save', 'lifetime'] as const).map((lane) => padEnd(drawState(lanes[lane], ink), 7))
  return label + states.join('').trimEnd()
}

function drawState(state: LaneState, ink: Ink): string {
  switch (state) {
    case 'closed':
      return ink.paint('good', 'closed')
    case 'open':
      return ink.paint('bad', 'open')
    case 'half-open':
      return ink.paint('warning', 'half')
  }
}
