/** `all`, `ids`, `length` and `clear`: SCAN over every master. They never move a breaker; each round trip has the deadline. */
import type { SessionData } from 'express-session'
import type { Codec } from './codec.js'
import { RedisFailure } from './errors.js'
import type { Send } from './lanes.js'
import type { Node, Nodes } from './node.js'
import { classify, toFailure } from './redis/failures.js'
import type { Raw, SessionCommands } from './redis/sessions.js'

export interface WalksOptions {
  readonly nodes: Pick<Nodes, 'all' | 'known'>
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
    for await (const [, sids] of this.#scan()) for (const sid of sids) ids.add(sid)
    return [...ids].filter((sid) => !this.#options.isDestroyed(sid))
  }

  /** Sessions with their `id`; what cannot be parsed is left out, and left alone. */
  async all(): Promise<(SessionData & { id: string })[]> {
    const { codec, isDestroyed } = this.#options
    const seen = new Set<string>()
    const sessions: (SessionData & { id: string })[] = []
    for await (const [node, chunk] of this.#scan()) {
      const sids = chunk.filter((sid) => !seen.has(sid) && !isDestroyed(sid))
      if (sids.length === 0) continue
      const values = await this.#values(node, sids)
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

  /** Goes on to the other servers where one fails, and rejects with that failure at the end. */
  async clear(): Promise<void> {
    const { commands, nodes } = this.#options
    await this.#bounded(nodes.known() ?? Promise.resolve())
    let failure: unknown
    for (const node of nodes.all()) {
      try {
        for await (const sids of this.#scanNode(node)) {
          const deletes = sids.map((sid) => commands.expireNow(sid))
          await this.#collect(node.transport.sendWrites, deletes)
        }
      } catch (error) {
        failure ??= error
      }
    }
    if (failure !== undefined) throw failure
  }

  async *#scan(): AsyncGenerator<[Node, string[]], void, void> {
    const { nodes } = this.#options
    await this.#bounded(nodes.known() ?? Promise.resolve())
    for (const node of nodes.all()) for await (const sids of this.#scanNode(node)) yield [node, sids]
  }

  async *#scanNode({ connection, transport }: Node): AsyncGenerator<string[], void, void> {
    await this.#bounded(connection.usable() ?? Promise.resolve())
    yield* transport.scan(this.#options.scanCount, (reply) => this.#bounded(reply))
  }

  /** Values by sid, in order. */
  #values({ transport }: Node, sids: readonly string[]): Promise<(Raw | null)[]> {
    const { commands } = this.#options
    const requests = sids.map((sid) => ({ kind: 'get', key: commands.key(sid) }) as const)
    return this.#collect(transport.sendReads, requests) as Promise<(Raw | null)[]>
  }

  /** Sends requests around the lanes, in one batch. */
  async #collect<Request, Reply>(send: Send<Request, Reply>, requests: readonly Request[]): Promise<Reply[]> {
    if (requests.length === 0) return []
    const deadline = performance.now() + this.#options.timeout
    const replies = new Promise<Reply[]>((resolve, reject) => {
      const found: Reply[] = []
      let left = requests.length
      send(
        requests.map((request) => ({ request, deadline })),
        (index, error, reply) => {
          if (error != null) reject(error)
          found[index] = reply as Reply
          if (--left === 0) resolve(found)
        },
        () => {},
      )
    })
    return this.#bounded(replies)
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
