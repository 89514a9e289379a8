import type { FrontName } from '../records.js'

/** A process that takes requests. */
export interface Target {
  readonly name: string
  readonly port: number
  /** Whether it takes requests now; who does not say takes them always. */
  readonly open?: boolean
}

/** Chooses the application process that gets a visitor's next request. */
export type Front = (visitor: string) => { readonly name: string; readonly port: number }

/**
 * What stands before the application processes: `round-robin` sends each request to the next one, `sticky` sends each
 * visitor to the same one every time. One that is closed is passed over for the next.
 */
export function createFront(kind: FrontName, targets: readonly Target[]): Front {
  const [first] = targets
  if (first === undefined) throw new RangeError('a front needs at least one process')
  const from = (place: number): Target => {
    for (let step = 0; step < targets.length; step++) {
      const target = targets[(place + step) % targets.length]
      if (target !== undefined && target.open !== false) return target
    }
    return first
  }
  if (kind === 'sticky') return (visitor) => from(hash(visitor))
  let turn = 0
  return () => from(turn++)
}

/** A number from a name (FNV-1a). */
function hash(name: string): number {
  let value = 0x811c9dc5
  for (let index = 0; index < name.length; index++) value = Math.imul(value ^ name.charCodeAt(index), 0x01000193)
  return value >>> 0
}
