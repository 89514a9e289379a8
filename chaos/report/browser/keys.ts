/** What a key does on a chart. Pure. */

/** What is seen of the run, in s. */
export interface View {
  readonly from: number
  readonly to: number
  /** Where the cursor is, if anywhere. */
  readonly at: number | undefined
}

/** The view after a key, or `undefined` for a key that means nothing here. `step` is one column, all times in s. */
export function pressed(key: string, shift: boolean, view: View, duration: number, step: number): View | undefined {
  const { from, to, at } = view
  const clamp = (time: number) => Math.min(duration, Math.max(0, time))
  const pointAt = (time: number): View => {
    const point = Math.min(duration - step / 2, Math.max(step / 2, time))
    // The view follows the cursor out of its edge.
    const shift = Math.min(0, point - from) + Math.max(0, point - to)
    return { from: from + shift, to: to + shift, at: point }
  }
  const zoom = (factor: number): View => {
    const middle = at ?? (from + to) / 2
    const width = Math.max(step * 4, (to - from) * factor)
    return { from: clamp(middle - width / 2), to: clamp(middle + width / 2), at }
  }
  const reach = shift ? step * 10 : step
  switch (key) {
    case 'ArrowLeft':
      return pointAt((at ?? to + reach) - reach)
    case 'ArrowRight':
      return pointAt((at ?? from - reach) + reach)
    case 'Home':
      return pointAt(from)
    case 'End':
      return pointAt(to - step)
    case '+':
    case '=':
      return zoom(0.5)
    case '-':
      return zoom(2)
    case 'Escape':
      return { from: 0, to: duration, at: undefined }
    default:
      return undefined
  }
}
