/** `all`, `ids`, `length` and `clear`: SCAN over every master. They never move a breaker; each round trip has the deadline. */
import type { SessionData } from 'express-session'
import type { Codec } from './codec.js'
import { RedisFailure } from './errors.js'
import type { Connection } from './redis/connect.js'
import { classify, toFailure } from './redis/failures.js'
import type { SessionCommands } from './redis/sessions.js'

export interface WalksOptions {
  readonly connection: Connection
  readonly commands: SessionCommands
  readonly codec: Codec
  readonly scanCount: number
  /** Of each round trip, ms. */
  readonly timeout: number
  /** Whether this process knows the session to be destroyed. */
  readonly isDestroyed: (sid: string) => boolean
}

export class Walks {
  readonly #options: WalksOptions

  constructor(options: WalksOptions) {
    this.#options = options
  }

  /** Rejects, as the others do, with a {@link RedisFailure} where Redis failed. */
  async ids(): Promise<string[]> {
    const ids = new Set<string>()
    for await (const sids of this.#scan()) for (const sid of sids) ids.add(sid)
    return [...ids].filter((sid) => !this.#options.isDestroyed(sid))
  }

  /** Sessions with their `id`; what cannot be parsed is left out, and left alone. */
  async all(): Promise<(SessionData & { id: string })[]> {
    const { commands, codec, isDestroyed } = this.#options
    const seen = new Set<string>()
    const sessions: (SessionData & { id: string })[] = []
    for await (const chunk of this.#scan()) {
      const sids = chunk.filter((sid) => !seen.has(sid) && !isDestroyed(sid))
      if (sids.length === 0) continue
      const values = await this.#bounded(commands.values(sids))
      for (const [index, sid] of sids.entries()) {
        seen.add(sid)
        const raw = values[index]
        if (raw == null) continue
        try {
          sessions.push(Object.assign(await codec.decode(sid, raw), { id: sid }))
        } catch {
          // Unreadable: `get` deals with it when its visitor comes; a walk does not delete.
        }
      }
    }
    return sessions
  }

  async clear(): Promise<void> {
    for await (const sids of this.#scan()) {
      if (sids.length > 0) await this.#bounded(this.#options.commands.delete(sids))
    }
  }

  async *#scan(): AsyncGenerator<string[], void, void> {
    const { connection, commands, scanCount } = this.#options
    await this.#bounded(connection.usable() ?? Promise.resolve())
    const chunks = commands.scan(scanCount, (reply) => this.#bounded(reply))
    yield* chunks
  }

  async #bounded<T>(reply: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      const failure = new RedisFailure('timeout', 'no answer within the timeout')
      timer = setTimeout(() => setImmediate(() => setImmediate(() => reject(failure))), this.#options.timeout)
    })
    try {
      return await Promise.race([late, reply])
    } catch (error) {
      const reason = classify(error)
      throw reason === undefined ? error : toFailure(error, reason)
    } finally {
      clearTimeout(timer)
    }
  }
}
