/**
 * `scan`, `all`, `ids`, `length` and `clear`: SCAN over every master. They never move a breaker; each round trip has the
 * deadline, and between chunks whatever else waits for the event loop has its turn.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { SessionData } from 'express-session'
import type { Codec } from './codec.js'
import { isSessionKeyUnknownError, RedisFailure, SessionKeyUnknownError } from './errors.js'
import type { Send } from './lanes.js'
import type { Node, Nodes } from './node.js'
import { classify, toFailure } from './redis/failures.js'
import type { Raw, SessionCommands } from './redis/sessions.js'
import type { StoredSession } from './serializers/contract.js'

/** A session as `scan()` finds it. */
export interface ScannedSession {
  readonly sid: string
  /** As `get` would have given it. */
  readonly session: SessionData
}

/** How long a walk keeps the event loop to itself, ms; one session is never parsed in parts. */
const MAX_TURN = 4

export interface WalksOptions {
  readonly nodes: Pick<Nodes, 'all' | 'known'>
  readonly commands: SessionCommands
  readonly codec: Codec
  readonly scanCount: number
  /** Of each round trip, ms. */
  readonly timeout: number
  /** Whether this process knows the session to be destroyed. */
  readonly isDestroyed: (sid: string) => boolean
  /** Makes a decoded session what `get` gives; `sentAt` (monotonic ms) is when Redis was asked for it. */
  readonly scanned: (sid: string, session: StoredSession, raw: Raw, sentAt: number) => void
  /** Told of a session that is left out because its key is not known here. */
  readonly onKeyUnknown: (error: SessionKeyUnknownError, sid: string) => void
}

export class Walks {
  readonly #options: WalksOptions

  constructor(options: WalksOptions) {
    this.#options = options
  }

  /** Rejects, as the others do, with a {@link RedisFailure} where Redis failed. */
  async ids(): Promise<string[]> {
    const ids: string[] = []
    for await (const [, sids] of this.#scan()) for (const sid of sids) ids.push(sid)
    return ids
  }

  async length(): Promise<number> {
    let length = 0
    for await (const [, sids] of this.#scan()) length += sids.length
    return length
  }

  /** Sessions with their `id`. */
  async all(): Promise<(SessionData & { id: string })[]> {
    const sessions: (SessionData & { id: string })[] = []
    for await (const { sid, session } of this.scan()) sessions.push(Object.assign(session, { id: sid }))
    return sessions
  }

  /** What cannot be parsed is left out, and left alone: `get` deals with it when its visitor comes. */
  async *scan(): AsyncGenerator<ScannedSession, void, void> {
    const { codec, isDestroyed, scanned, onKeyUnknown } = this.#options
    const pace = new Pace()
    for await (const [node, sids] of this.#scan()) {
      const sentAt = performance.now()
      const values = await this.#values(node, sids)
      pace.begin()
      for (const [index, sid] of sids.entries()) {
        if (pace.isOver) await pace.rest()
        const raw = values[index]
        if (raw == null) continue
        let session: StoredSession
        try {
          session = await codec.decode(sid, raw)
        } catch (error) {
          if (isSessionKeyUnknownError(error)) onKeyUnknown(new SessionKeyUnknownError('scan', error.keyId), sid)
          continue
        }
        if (isDestroyed(sid)) continue
        scanned(sid, session, raw, sentAt)
        yield { sid, session }
      }
    }
  }

  /** Goes on to the other servers where one fails, and rejects with that failure at the end. */
  async clear(): Promise<void> {
    const { commands, nodes } = this.#options
    await this.#bounded(nodes.known() ?? Promise.resolve())
    let failure: unknown
    for (const node of nodes.all()) {
      try {
        for await (const sids of this.#scanNode(node)) {
          await this.#collect(node.transport.sendWrites, commands.deleteAll(sids))
        }
      } catch (error) {
        failure ??= error
      }
    }
    if (failure !== undefined) throw failure
  }

  /** A chunk's sessions that this process does not know to be destroyed, each once as far as {@link Recent} tells. */
  async *#scan(): AsyncGenerator<[Node, string[]], void, void> {
    const { nodes, isDestroyed } = this.#options
    await this.#bounded(nodes.known() ?? Promise.resolve())
    const recent = new Recent()
    for (const node of nodes.all()) {
      for await (const chunk of this.#scanNode(node)) {
        const sids = chunk.filter((sid) => recent.add(sid) && !isDestroyed(sid))
        if (sids.length > 0) yield [node, sids]
      }
    }
  }

  async *#scanNode({ connection, transport }: Node): AsyncGenerator<string[], void, void> {
    await this.#bounded(connection.usable() ?? Promise.resolve())
    const pace = new Pace()
    for await (const sids of transport.scan(this.#options.scanCount, (reply) => this.#bounded(reply))) {
      yield sids
      // A reply has as many chunks as `scanCount` asks for, and no round trip lies between them.
      if (pace.isOver) await pace.rest()
    }
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

/** Gives way to what else waits for the event loop. */
class Pace {
  #since = performance.now()

  begin(): void {
    this.#since = performance.now()
  }

  get isOver(): boolean {
    return performance.now() - this.#since > MAX_TURN
  }

  async rest(): Promise<void> {
    await nextTurn()
    this.begin()
  }
}

/** Ids remembered at most, in two halves. */
const MAX_RECENT = 20_000

/**
 * The ids found last. SCAN finds a key twice where Redis has made its table smaller meanwhile: then it begins again with
 * as many buckets as have become one, and those are the ones it has just been through.
 */
class Recent {
  #young = new Set<string>()
  #old = new Set<string>()

  /** Whether it is not among them. */
  add(sid: string): boolean {
    if (this.#young.has(sid) || this.#old.has(sid)) return false
    this.#young.add(sid)
    if (this.#young.size < MAX_RECENT / 2) return true
    this.#old = this.#young
    this.#young = new Set()
    return true
  }
}
