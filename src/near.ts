/** The near cache at work: a connection for invalidations to each server that has sessions, and one warning where it cannot be. */
import type { Clock } from './clock.js'
import type { FallbackCache } from './fallback-cache.js'
import { NearCache, type NearHealth } from './near-cache.js'
import type { Node, Nodes } from './node.js'
import { Invalidations } from './redis/invalidations.js'
import type { Tracking, TrackingObstacle } from './tracking.js'

export interface NearOptions {
  readonly cache: FallbackCache
  readonly clock: Clock
  readonly prefix: string
  readonly maxSilence: number
  readonly nodes: Pick<Nodes, 'of'>
}

interface Link {
  readonly tracking: Tracking
  readonly invalidations: Invalidations
}

export class Near {
  readonly cache: NearCache
  readonly #options: NearOptions
  readonly #links = new Map<Node, Link>()
  #warned = false

  constructor(options: NearOptions) {
    this.#options = options
    this.cache = new NearCache({
      cache: options.cache,
      clock: options.clock,
      maxSilence: options.maxSilence,
      epochOf: (sid) => {
        const node = options.nodes.of(sid)
        return this.#links.get(node)?.tracking.epoch(node.runId)
      },
    })
  }

  /** The worst of all servers. */
  get health(): NearHealth {
    let worst: NearHealth | undefined
    for (const { tracking } of this.#links.values()) {
      const health = this.cache.healthOf(tracking.state)
      if (worst === undefined || SEVERITY[health.state] > SEVERITY[worst.state]) worst = health
    }
    return worst ?? { state: 'connecting' }
  }

  /** Commands can be sent to this server (again). */
  ready(node: Node): void {
    this.#linkTo(node)?.invalidations.start()
  }

  /** Sessions have moved from one server to another. */
  renew(): void {
    for (const { tracking } of this.#links.values()) tracking.renew()
  }

  /** The server has no sessions any more. */
  retire(node: Node): void {
    this.#links.get(node)?.invalidations.close()
    this.#links.delete(node)
  }

  close(): void {
    for (const { invalidations } of this.#links.values()) invalidations.close()
  }

  #linkTo(node: Node): Link | undefined {
    const known = this.#links.get(node)
    const { client } = node.connection
    if (known !== undefined || client === undefined) return known
    const { clock, prefix, maxSilence } = this.#options
    const tracking = this.cache.track()
    const invalidations = new Invalidations({
      ...{ client, prefix, maxSilence, clock, tracking },
      server: () => node.runId,
      probe: () => probe(node),
      onChanged: (sids) => this.cache.announced(sids),
      onRefused: (reason) => this.#warn(reason),
    })
    const link = { tracking, invalidations }
    this.#links.set(node, link)
    return link
  }

  #warn(reason: TrackingObstacle): void {
    if (this.#warned) return
    this.#warned = true
    process.emitWarning(`The session store works without its near cache: ${WHY[reason]}`, {
      type: 'SessionStoreWarning',
      code: 'SESSION_STORE_NEAR',
      detail: HELP[reason],
    })
  }
}

/** A master that a majority has given up answers a PING, but no reads. */
function probe({ connection, transport }: Node): Promise<unknown> {
  return connection.state === 'ready' ? transport.probe('read') : Promise.reject(connection.failure)
}

const SEVERITY = Object.freeze({ on: 0, silent: 1, connecting: 2, off: 3 })

const WHY: Readonly<Record<TrackingObstacle, string>> = Object.freeze({
  auth: 'Redis does not permit it to be told of changes',
  unsupported: 'Redis does not tell of changes',
})

const HELP: Readonly<Record<TrackingObstacle, string>> = Object.freeze({
  auth: `Give its user the rights +client|id +client|tracking +info +subscribe +ping and the channel &__redis__:invalidate, or turn option 'cache.near' off.`,
  unsupported: `CLIENT TRACKING needs Redis 6 or newer. Turn option 'cache.near' off where that is not to be had.`,
})
