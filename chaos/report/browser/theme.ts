/** Colours come from the style sheet, so that charts and page cannot disagree, and light or dark is decided there. */
import type { Kind } from '../model.js'

export interface Palette {
  readonly ink: string
  readonly muted: string
  readonly hairline: string
  readonly fault: string
  readonly faultEdge: string
  readonly paper: string
  readonly kinds: Readonly<Record<Kind, string>>
  /** One for each line of a chart, in turn. */
  readonly lines: readonly string[]
  readonly open: string
  readonly halfOpen: string
  readonly closed: string
  readonly font: string
}

/** The colours now in force. */
export function palette(): Palette {
  const probe = document.createElement('span')
  document.body.append(probe)
  const style = getComputedStyle(probe)
  const colour = (name: string) => {
    probe.style.color = `var(--${name})`
    return style.color
  }
  const kind = (name: Kind) => colour(`kind-${name}`)
  const result: Palette = {
    ink: colour('ink'),
    muted: colour('muted'),
    hairline: colour('hairline'),
    fault: colour('fault'),
    faultEdge: colour('fault-edge'),
    paper: colour('paper'),
    kinds: {
      fresh: kind('fresh'),
      stale: kind('stale'),
      queued: kind('queued'),
      blank: kind('blank'),
      conflict: kind('conflict'),
      refused: kind('refused'),
      error: kind('error'),
      'logged-out': kind('logged-out'),
      hung: kind('hung'),
    },
    lines: ['line-1', 'line-2', 'line-3', 'line-4', 'line-5', 'line-6'].map(colour),
    open: colour('open'),
    halfOpen: colour('half-open'),
    closed: colour('closed'),
    font: style.fontFamily,
  }
  probe.remove()
  return result
}

type Scheme = 'light' | 'dark'

/** Makes `button` switch between light and dark, and calls `redraw` whenever the colours have changed. */
export function followScheme(button: HTMLButtonElement, redraw: () => void): void {
  const system = matchMedia('(prefers-color-scheme: dark)')
  const root = document.documentElement
  let chosen: Scheme | undefined
  const current = (): Scheme => chosen ?? (system.matches ? 'dark' : 'light')
  const show = () => {
    button.textContent = current() === 'dark' ? 'Light' : 'Dark'
    button.setAttribute('aria-label', `Switch to ${current() === 'dark' ? 'light' : 'dark'} colours`)
  }
  const use = (scheme: Scheme | undefined) => {
    root.style.colorScheme = scheme ?? ''
    show()
    redraw()
  }
  button.addEventListener('click', () => {
    chosen = current() === 'dark' ? 'light' : 'dark'
    use(chosen)
  })
  system.addEventListener('change', () => use(chosen))
  // Paper is white, and narrower than the window: canvases are drawn for it before it is laid out.
  const print = (printing: boolean) => {
    root.classList.toggle('printing', printing)
    use(printing ? 'light' : chosen)
  }
  addEventListener('beforeprint', () => print(true))
  addEventListener('afterprint', () => print(false))
  show()
}
