/** Where histories are played: one Redis for many, proxies that are used again, one history at a time in each plot. */
import { startProxy, type TcpProxy } from '../support/tcp-proxy.js'
import { watchLag } from './lag.js'
import { WatchedRedis } from './redis.js'

let histories = 0

/** Room for one history at a time. */
export class Plot {
  readonly redis: WatchedRedis
  readonly #free: TcpProxy[] = []

  constructor(redis: WatchedRedis) {
    this.redis = redis
  }

  /** A key prefix that no other history of this Redis has. */
  newPrefix(): string {
    return `m${++histories}:`
  }

  /** A proxy without faults and connections. */
  async takeProxy(): Promise<TcpProxy> {
    return this.#free.pop() ?? (await startProxy({ target: this.redis.server }))
  }

  /** Takes it back in whatever state it is. */
  async giveBack(proxy: TcpProxy): Promise<void> {
    proxy.resetAll()
    await proxy.heal()
    proxy.resetAll()
    proxy.forget()
    this.#free.push(proxy)
  }

  async close(): Promise<void> {
    for (const proxy of this.#free.splice(0)) await proxy.close()
  }
}

/** Plots on shared ground (one Redis, faults of the network only) and on ground of their own (a Redis each). */
export class World implements AsyncDisposable {
  readonly shared: readonly Plot[]
  readonly own: readonly Plot[]

  private constructor(shared: readonly Plot[], own: readonly Plot[]) {
    this.shared = shared
    this.own = own
  }

  static async open({ shared, own }: { shared: number; own: number }): Promise<World> {
    watchLag()
    const [common, ...each] = await Promise.all(Array.from({ length: own + 1 }, () => WatchedRedis.open()))
    return new World(
      Array.from({ length: shared }, () => new Plot(common as WatchedRedis)),
      each.map((redis) => new Plot(redis)),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const plot of [...this.shared, ...this.own]) await plot.close()
    for (const redis of new Set([...this.shared, ...this.own].map((plot) => plot.redis))) {
      await redis[Symbol.asyncDispose]()
    }
  }
}
