/** What it takes to do a fault to a rig. */
import type { Fault, FaultKind } from './contract.js'
import type { Site } from './site.js'

/** A fault that was begun, and what ends it. */
export interface Begun {
  /** The nodes it was aimed at, by name. */
  readonly nodes: readonly string[]
  undo(): Promise<void>
}

/** One function for each kind of fault; it resolves once the fault is done. */
export type Verbs<Kind extends FaultKind> = {
  readonly [One in Kind]: (site: Site, fault: Extract<Fault, { readonly kind: One }>) => Promise<Begun>
}

/** For what is over as soon as it is done. */
export async function nothing(): Promise<void> {}
