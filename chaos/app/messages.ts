/** What a shop process and the driver that started it tell each other. */
import type { Connection } from '../drivers/contract.js'
import type {
  Defect,
  EventRecord,
  OperationRecord,
  Policy,
  SampleRecord,
  Settings,
  StoreName,
  ToldRecord,
} from '../records.js'

/** How to build a shop: sent to a shop process as JSON, its one argument. */
export interface ShopConfig {
  readonly name: string
  readonly store: StoreName
  readonly defect?: Defect
  readonly policy: Policy
  readonly redis: Connection
  readonly settings: Settings
}

type OwnRecord = OperationRecord | ToldRecord | EventRecord | SampleRecord

/** What a shop process writes into the history, but for its own name. Times are of the machine's monotonic clock, in ms. */
export type ShopRecord = {
  [Kind in OwnRecord['kind']]: Omit<Extract<OwnRecord, { kind: Kind }>, 'process'>
}[OwnRecord['kind']]

/** From a shop process to its driver. */
export type ShopMessage =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'records'; readonly records: readonly ShopRecord[] }

/** From the driver to a shop process: its wall clock jumps by so many ms. */
export interface DriverMessage {
  readonly kind: 'jump'
  readonly by: number
}
