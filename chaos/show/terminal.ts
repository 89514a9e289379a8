/** Where a run is shown: a redrawn screen, or lines one after the other. */
import type { WriteStream } from 'node:tty'
import type { Cleanup } from '../runner/cleanup.js'
import type { Show } from '../runner/run.js'
import { createInk, type Depth, type Ink } from './ink.js'
import { drawProgress } from './progress.js'
import { composeScene, type Scene, type Staging } from './scene.js'
import { drawScreen, SMALLEST } from './screen.js'

/** Shows scenes until it is closed. */
export interface Display {
  readonly ink: Ink
  show(scene: Scene): void
  /** Leaves the last scene where it is and gives the terminal back. */
  close(): void
}

const FRAME_EVERY = 200

/** Shows a run that is under way, until it is over or `cleanup` runs. */
export function showRun(
  display: Display,
  staging: Staging,
  now: () => number,
  cleanup: Cleanup,
): Show & { readonly ink: Ink } {
  const show = () => display.show(composeScene(staging, now()))
  const frames = setInterval(show, FRAME_EVERY)
  const close = () => {
    clearInterval(frames)
    display.close()
  }
  cleanup.defer(close)
  return {
    ink: display.ink,
    over() {
      show()
      close()
    },
  }
}

const HIDE_CURSOR = '\u001b[?25l'
const SHOW_CURSOR = '\u001b[?25h'
const CLEAR_SCREEN = '\u001b[2J\u001b[H'
const CLEAR_LINE_END = '\u001b[K'
const CLEAR_BELOW = '\u001b[J'

/** Chooses how to show: a screen on a terminal that is large enough, lines elsewhere. */
export function openDisplay(output: WriteStream, color: boolean): Display {
  const isScreen = output.isTTY && output.columns >= SMALLEST.columns && output.rows >= SMALLEST.rows
  return isScreen ? openScreen(output, createInk(depthOf(output, color))) : openLines(output)
}

/** What the terminal can show; `NO_COLOR` and the like are heeded. */
function depthOf(output: WriteStream, color: boolean): Depth {
  if (!color) return 'none'
  const bits = output.getColorDepth()
  if (bits >= 8) return '256'
  return bits >= 4 ? '16' : 'none'
}

function openScreen(output: WriteStream, ink: Ink): Display {
  let drawn = 0
  let resized = false
  const onResize = () => {
    resized = true
  }
  output.on('resize', onResize)
  output.write(HIDE_CURSOR)
  return {
    ink,
    show(scene) {
      const lines = drawScreen(scene, { columns: output.columns, rows: output.rows }, ink)
      const home = resized ? CLEAR_SCREEN : drawn === 0 ? '' : `\u001b[${drawn}A\r`
      output.write(`${home}${lines.map((line) => `${line}${CLEAR_LINE_END}\n`).join('')}${CLEAR_BELOW}`)
      drawn = lines.length
      resized = false
    },
    close() {
      output.off('resize', onResize)
      output.write(SHOW_CURSOR)
    },
  }
}

/** A line a second. */
function openLines(output: WriteStream): Display {
  let second = 0
  return {
    ink: createInk('none'),
    show(scene) {
      if (Math.floor(scene.elapsed) <= second) return
      second = Math.floor(scene.elapsed)
      output.write(`${drawProgress(scene)}\n`)
    },
    close() {},
  }
}
