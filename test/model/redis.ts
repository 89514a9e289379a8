/** One real Redis under many histories: watched by MONITOR, with its faults, and looked at behind the stores' backs. */
import type { RedisConfig } from '../support/redis-config.js'
import { type RedisServer, startRedis } from '../support/redis-server.js'
import type { RespValue } from '../support/resp.js'
import type { Content, FoundKey } from './history.js'
import { type Executed, Monitor } from './monitor.js'
import type { ServerFault } from './steps.js'

/** An orderly shutdown leaves the data on disk; nothing else ever writes there by itself. */
const CONFIG: RedisConfig = { save: '86400 1000000' }

/** Of each session: value, what is left of its life, whether it is marked as revoked. KEYS come in pairs. */
const LOOK = `
local found = {}
for i = 1, #KEYS, 2 do
  found[#found + 1] = { redis.call('GET', KEYS[i]), redis.call('PTTL', KEYS[i]), redis.call('EXISTS', KEYS[i + 1]) }
end
return found`

/** A redis-server and the MONITOR connection to it. */
export class WatchedRedis implements AsyncDisposable {
  readonly server: RedisServer
  readonly #sinks = new Map<string, (command: Executed) => void>()
  #monitor: Monitor
  #fault: ServerFault | undefined
  #lost = 0

  private constructor(server: RedisServer, monitor: Monitor, sinks: Map<string, (command: Executed) => void>) {
    this.server = server
    this.#monitor = monitor
    this.#sinks = sinks
  }

  static async open(): Promise<WatchedRedis> {
    const server = await startRedis({ config: CONFIG })
    const sinks = new Map<string, (command: Executed) => void>()
    return new WatchedRedis(server, await Monitor.open(server, sinks), sinks)
  }

  /** Whether it takes connections. */
  get listening(): boolean {
    return this.#fault === undefined || ['pause', 'full', 'read-only'].includes(this.#fault)
  }

  /** What is wrong with it now. */
  get fault(): ServerFault | undefined {
    return this.#fault
  }

  /** Follows what is carried out on keys with this prefix; ends with the returned function. */
  follow(prefix: string, sink: (command: Executed) => void): () => void {
    this.#sinks.set(prefix, sink)
    return () => this.#sinks.delete(prefix)
  }

  /** Does something to it; nothing where it suffers already. Only for a server that one history has for itself. */
  async suffer(fault: ServerFault): Promise<void> {
    if (this.#fault !== undefined) return
    if (fault === 'snapshot') {
      await this.server.cli('SAVE')
      return
    }
    this.#fault = fault
    if (fault === 'pause') await this.server.pause()
    else if (fault === 'full') await this.server.cli('CONFIG', 'SET', 'maxmemory', '1')
    else if (fault === 'read-only') await this.server.cli('REPLICAOF', '127.0.0.1', '1')
    else {
      if (fault === 'stop-kept') await this.server.shutdown()
      else await this.server.kill()
      // What it had told by then still arrives.
      await this.#monitor.ended
    }
  }

  /** Ends what it suffers. Resolves to true where another server process answers now, watched from its first command on. */
  async recover(): Promise<boolean> {
    const fault = this.#fault
    if (fault === undefined || fault === 'snapshot') return false
    if (fault === 'pause') await this.server.resume()
    else if (fault === 'full') await this.server.cli('CONFIG', 'SET', 'maxmemory', '0')
    else if (fault === 'read-only') await this.server.cli('REPLICAOF', 'NO', 'ONE')
    else {
      const config = fault === 'kill-lost' ? { dbfilename: `empty-${++this.#lost}.rdb` } : this.#files()
      await this.server.start({ config })
      this.#monitor = await Monitor.open(this.server, this.#sinks)
      this.#fault = undefined
      return true
    }
    this.#fault = undefined
    return false
  }

  /** Resolves once everything that was carried out before this call has been told to those who follow. */
  caughtUp(): Promise<void> {
    return this.#monitor.caughtUp(this.server)
  }

  /** What is stored for these sessions. */
  async look(prefix: string, sids: readonly string[]): Promise<Record<string, FoundKey>> {
    if (sids.length === 0) return {}
    const keys = sids.flatMap((sid) => [prefix + sid, `{${prefix}${sid}}:revoked`])
    const found = await this.server.cli<RespValue>('EVAL', LOOK, keys.length, ...keys)
    return Object.fromEntries(
      (found as [string | null, number, number][]).map(([value, ttl, marked], at) => [
        sids[at] as string,
        { ...(value !== null && { content: contentOf(value) }), ...(ttl >= 0 && { ttl }), revoked: marked === 1 },
      ]),
    )
  }

  async forget(prefix: string, sids: readonly string[]): Promise<void> {
    const keys = sids.flatMap((sid) => [prefix + sid, `{${prefix}${sid}}:revoked`])
    if (keys.length > 0) await this.server.cli<number>('UNLINK', ...keys)
  }

  /** Redis's clock minus a clock of ours, ms, and how far that may be off. */
  async clockOffset(now: () => number): Promise<{ offset: number; error: number }> {
    let best = { offset: 0, error: Number.POSITIVE_INFINITY }
    for (let sample = 0; sample < 3; sample++) {
      const before = now()
      const [seconds, micros] = (await this.server.cli<RespValue>('TIME')) as [string, string]
      const after = now()
      const error = (after - before) / 2
      if (error < best.error) best = { offset: Number(seconds) * 1e3 + Number(micros) / 1e3 - (before + error), error }
    }
    return best
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#monitor.close()
    await this.server.stop()
  }

  #files(): RedisConfig {
    return this.#lost === 0 ? {} : { dbfilename: `empty-${this.#lost}.rdb` }
  }
}

/** A stored session without its cookie. */
export function contentOf(value: string): Content {
  const { cookie: _, ...content } = JSON.parse(value) as Content & { cookie: unknown }
  return content
}
