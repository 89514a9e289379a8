/** What a shop process and the driver that started it tell each other. */

/** The stores a shop can be built on. */
export type StoreName = 'resilient' | 'connect-redis' | 'memory'

/** The library's presets for an outage. */
export type Policy = 'strict' | 'read-only' | 'available'

/** How to build a shop: sent to a shop process as JSON, its one argument. */
export interface ShopConfig {
  readonly name: string
  readonly store: StoreName
  readonly policy: Policy
  readonly redis: { readonly host: string; readonly port: number }
}

export type LaneName = 'read' | 'save' | 'lifetime'
export type LaneState = 'closed' | 'open' | 'half-open'

/** What a store says about itself: shown to people, never evidence for a verdict. */
export interface StoreReport {
  /** Circuit breakers; none in a store that has none. */
  readonly lanes?: Readonly<Record<LaneName, LaneState>>
  /** One word on the connection to Redis. */
  readonly connection: string
  /** Changes that wait for Redis. */
  readonly queued: number
}

/** What a shop process says about itself. */
export interface ShopReport {
  readonly store: StoreReport
  /** The longest time its event loop stood still since it listens, in ms. */
  readonly stall: number
}

/** From a shop process to its driver. */
export type ShopMessage =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'report'; readonly report: ShopReport }
  /** An `onRedisDown` call (`down`) or an event of the store. */
  | { readonly kind: 'note'; readonly name: string; readonly detail: string }
