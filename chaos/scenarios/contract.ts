import type { Fault, RigSettings, Topology } from '../drivers/contract.js'
import type { Header, Losses, Settings } from '../records.js'
import type { Mix } from '../workload/population.js'

/** A fault in an application process itself, which the runner makes. */
export type AppFault =
  /** It ends as in a deployment and starts again at once. */
  | { readonly kind: 'restart-app'; readonly app: string }
  /** Its wall clock jumps by so many ms, and back when the fault ends. */
  | { readonly kind: 'clock-jump'; readonly app: string; readonly by: number }

/** A fault and its time. `at` and `until` are shares of the traffic's length; a momentary fault has no `until`. */
export interface Step {
  readonly at: number
  readonly until?: number
  readonly fault: Fault | AppFault
  /** Comes and goes between `at` and `until`: so many ms of it, so many without, each up to 50 % longer by the seed. */
  readonly flapping?: { readonly on: number; readonly off: number }
}

/** What a scenario is, as data. */
export interface Scenario {
  readonly name: string
  /** One sentence: what happens. */
  readonly title: string
  /** Where it makes sense. */
  readonly topologies: readonly Topology[]
  readonly steps: readonly Step[]
  readonly rig?: RigSettings
  readonly settings?: Partial<Settings>
  readonly mix?: Mix
  /** What Redis itself loses, by topology. @default nothing */
  readonly loses?: Partial<Readonly<Record<Topology, Losses>>>
  /** What must be seen to suffer meanwhile, or else the run proves nothing: `nothing` where no visitor need notice. */
  readonly bites: Bite | Readonly<Record<Topology, Bite>>
}

export type Bite = Header['bites']

export const ANYWHERE: readonly Topology[] = ['standalone', 'sentinel', 'cluster']
export const HIGHLY_AVAILABLE: readonly Topology[] = ['sentinel', 'cluster']

/** What a failover may lose: replicas lag by less than a second, or the master takes no writes (`min-replicas`). */
export const UNREPLICATED: NonNullable<Scenario['loses']> = {
  sentinel: { kind: 'unreplicated', lag: 1000 },
  cluster: { kind: 'unreplicated', lag: 1000 },
}
