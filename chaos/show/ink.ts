/** Colors for terminals, or none. Pure. */
import type { Outcome } from '../workload/classify.js'

/** What can be colored: outcomes, and roles in the text. */
export type Tint = Outcome | 'waiting' | 'good' | 'bad' | 'warning' | 'dim' | 'strong'

/** Without color, with the terminal's 16, or with 256. */
export type Depth = 'none' | '16' | '256'

const COLORS: Readonly<Record<Outcome | 'waiting' | 'good' | 'bad' | 'warning', { basic: number; extended: number }>> =
  {
    ok: { basic: 32, extended: 71 },
    stale: { basic: 33, extended: 179 },
    refused: { basic: 34, extended: 67 },
    hung: { basic: 35, extended: 97 },
    error: { basic: 31, extended: 167 },
    lost: { basic: 95, extended: 199 },
    waiting: { basic: 90, extended: 240 },
    good: { basic: 32, extended: 71 },
    bad: { basic: 31, extended: 167 },
    warning: { basic: 33, extended: 179 },
  }

const RESET = '\u001b[0m'

/** Colors text. */
export interface Ink {
  readonly colored: boolean
  /** Text in a color. */
  paint(tint: Tint, text: string): string
  /** Text in one color on a ground of another. */
  on(tint: Outcome | 'waiting', ground: Outcome | 'waiting', text: string): string
}

export function createInk(depth: Depth): Ink {
  if (depth === 'none') return { colored: false, paint: (_tint, text) => text, on: (_tint, _ground, text) => text }
  const foreground = (tint: Tint): string => {
    if (tint === 'dim') return '2'
    if (tint === 'strong') return '1'
    const { basic, extended } = COLORS[tint]
    return depth === '16' ? `${basic}` : `38;5;${extended}`
  }
  const background = (tint: Outcome | 'waiting'): string => {
    const { basic, extended } = COLORS[tint]
    return depth === '16' ? `${basic + 10}` : `48;5;${extended}`
  }
  return {
    colored: true,
    paint: (tint, text) => `\u001b[${foreground(tint)}m${text}${RESET}`,
    on: (tint, ground, text) => `\u001b[${foreground(tint)};${background(ground)}m${text}${RESET}`,
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the sequences that color text begin with one.
const SEQUENCES = /\u001b\[[0-9;]*m/g

/** How many columns a text takes; every character used here takes one. */
export function widthOf(text: string): number {
  return [...text.replace(SEQUENCES, '')].length
}

/** Fills a text up with spaces on the right. */
export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)))
}

/** Fills a text up with spaces on the left. */
export function padStart(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - widthOf(text))) + text
}
