import { describe, expect, it } from 'vitest'
import { pressed, type View } from './keys.js'

const WHOLE: View = { from: 0, to: 10, at: undefined }
const press = (key: string, view: View, shift = false) => pressed(key, shift, view, 10, 0.25)

describe('keys on a chart', () => {
  it('move the cursor by a column, with shift by ten', () => {
    const view = { ...WHOLE, at: 5 }
    expect(press('ArrowRight', view)?.at).toBe(5.25)
    expect(press('ArrowLeft', view)?.at).toBe(4.75)
    expect(press('ArrowRight', view, true)?.at).toBe(7.5)
  })

  it('begin at the near edge of what is seen, and stop at the edges of the run', () => {
    expect(press('ArrowRight', WHOLE)?.at).toBe(0.125)
    expect(press('ArrowLeft', WHOLE)?.at).toBe(9.875)
    expect(press('ArrowRight', { ...WHOLE, at: 9.875 })?.at).toBe(9.875)
  })

  it('take the view along', () => {
    expect(press('ArrowRight', { from: 2, to: 4, at: 4 })).toEqual({ from: 2.25, to: 4.25, at: 4.25 })
    expect(press('ArrowLeft', { from: 2, to: 4, at: 2 })).toEqual({ from: 1.75, to: 3.75, at: 1.75 })
  })

  it('zoom around the cursor, within the run, down to four columns', () => {
    expect(press('+', { ...WHOLE, at: 5 })).toEqual({ from: 2.5, to: 7.5, at: 5 })
    expect(press('-', { from: 0, to: 4, at: 1 })).toEqual({ from: 0, to: 5, at: 1 })
    expect(press('+', { from: 2, to: 3, at: 2.5 })).toEqual({ from: 2, to: 3, at: 2.5 })
  })

  it('go back to the whole run', () => {
    expect(press('Escape', { from: 2, to: 4, at: 3 })).toEqual(WHOLE)
  })

  it('mean nothing else', () => {
    expect(press('Tab', WHOLE)).toBeUndefined()
  })
})
