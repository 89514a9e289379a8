import type { Front } from './traffic.js'

/** A process that takes requests. */
export interface Target {
  readonly name: string
  readonly port: number
}

/**
 * What stands before the application processes: `round-robin` sends each request to the next one, `sticky` sends each
 * visitor to the same one every time.
 */
export function createFront(kind: 'round-robin' | 'sticky', targets: readonly Target[]): Front {
  const [first] = targets
  if (first === undefined) throw new RangeError('a front needs at least one process')
  if (kind === 'sticky') return (visitor) => targets[hash(visitor) % targets.length] ?? first
  let turn = 0
  return () => targets[turn++ % targets.length] ?? first
}

/** A number from a name (FNV-1a). */
function hash(name: string): number {
  let value = 0x811c9dc5
  for (let index = 0; index < name.length; index++) value = Math.imul(value ^ name.charCodeAt(index), 0x01000193)
  return value >>> 0
}
