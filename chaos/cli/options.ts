import type { DriverName, Topology } from '../drivers/contract.js'
import type { FrontName, Policy, StoreName } from '../records.js'

/** What `npm run chaos` was asked for. */
export interface ChaosOptions {
  /** Many runs instead of one. */
  readonly matrix?: 'all' | 'ci'
  readonly scenario: string
  readonly topology: Topology
  readonly driver: DriverName | 'auto'
  readonly policy: Policy
  readonly store: StoreName
  readonly compare: readonly StoreName[]
  readonly front: FrontName
  /** Length of the traffic. */
  readonly seconds: number
  /** @default 7; in a matrix, those that the matrix says */
  readonly seed?: number
  readonly out: string
  readonly judge?: string
  readonly list: boolean
  readonly only: readonly string[]
  readonly fresh: boolean
  readonly color: boolean
}
