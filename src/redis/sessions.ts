/** Session commands over ioredis: how a batch leaves, what each reply means. */
import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { LaneName, Sent, Settle } from '../lanes.js'
import { corked, type Link } from './connect.js'
import { isNoScript } from './failures.js'
import { isMarker, markerKey, startsWithPattern } from './keys.js'
import { DELETE_IF, DESTROY, GUARD, SAVE, type Script, TOUCH } from './scripts.js'

/** A value as Redis keeps it: text, or bytes where the serializer is binary. */
export type Raw = string | Buffer

/**
 * The same in memory of its own, for what is kept. A Buffer is a view of all that came with it: a reply of 0.5 KiB may hold
 * 64 KiB.
 */
export function owned(raw: Raw): Raw {
  if (typeof raw === 'string' || raw.buffer.byteLength === raw.length) return raw
  const copy = Buffer.allocUnsafeSlow(raw.length)
  raw.copy(copy)
  return copy
}

export type ReadRequest = { readonly kind: 'get' | 'pttl'; readonly key: string }
export type ReadReply = Raw | null | number
export interface WriteRequest {
  readonly key: string
  /** Called when it leaves, with the server and the moment (monotonic ms) at which its caller is told that it failed. */
  readonly send: (link: Link, deadline: number) => Promise<unknown>
  /** Where neighbours of its kind may leave in one command with it. */
  readonly bulk?: Bulk
}

/** A request's part of a script that does many of its kind, each for itself. */
export interface Bulk {
  readonly script: Script
  readonly keys: readonly string[]
  readonly args: (link: Link, deadline: number) => readonly Raw[]
  /** What the script replied for it. @throws the error that Redis replied with */
  readonly reply: (entry: unknown) => unknown
}

/** What a save is checked against, see {@link SAVE}. */
export type Guard =
  | { readonly kind: 'none' | 'present' }
  | { readonly kind: 'digest'; readonly digests: readonly string[] }

export type SaveReply =
  | { readonly result: 'saved' | 'unchanged' | 'revoked' | 'late' | 'gone' }
  | { readonly result: 'conflict'; readonly stored: Raw }

export interface SaveCommand {
  readonly sid: string
  readonly value: Raw
  /** Milliseconds; `undefined` for a session without expiry. */
  readonly ttl: number | undefined
  readonly guard: Guard
}

/** Requests in one command at most: Redis does nothing else meanwhile. */
const MAX_BULK = 64

/** Sessions that a walk reads or deletes with one command at most, for the same reason. */
const MAX_CHUNK = 256

/** Whose session is probed; nothing is ever stored there. */
export const PROBE: string = 'session-store-probe'

export class SessionCommands {
  readonly #prefix: string
  readonly #binary: boolean
  readonly #revokeFor: number
  readonly #onCluster: boolean

  constructor(options: { prefix: string; binary: boolean; revokeFor: number; onCluster: boolean }) {
    this.#prefix = options.prefix
    this.#binary = options.binary
    this.#revokeFor = options.revokeFor
    this.#onCluster = options.onCluster
  }

  /** The Redis key of a session. @throws RangeError for a key that cannot be used on Cluster */
  key(sid: string): string {
    const key = this.#prefix + sid
    if (this.#onCluster) markerKey(key, true)
    return key
  }

  /** Sends reads: all GETs as one MGET, on Cluster one by one in one write: Redis refuses an MGET over several slots. */
  sendReads(link: Link, batch: readonly Sent<ReadRequest>[], settle: Settle<ReadReply>): void {
    const { client } = link
    const gets: number[] = []
    corked(client, batch.length > 1, () => {
      batch.forEach(({ request }, index) => {
        if (request.kind === 'get' && !this.#onCluster) gets.push(index)
        else deliver(this.read(link, request), index, settle)
      })
      if (gets.length === 0) return
      // Readers of one session share its value. They have not been sent yet: no write can have come between them.
      const places = new Map<string, number>()
      for (const index of gets) {
        const { key } = (batch[index] as Sent<ReadRequest>).request
        if (!places.has(key)) places.set(key, places.size)
      }
      const keys = [...places.keys()]
      const replies: Promise<(Raw | null)[]> = this.#binary ? client.mgetBuffer(keys) : client.mget(keys)
      replies.then(
        (values) => {
          for (const index of gets) {
            const place = places.get((batch[index] as Sent<ReadRequest>).request.key) as number
            settle(index, undefined, values[place] ?? null)
          }
        },
        (error: unknown) => {
          for (const index of gets) settle(index, error)
        },
      )
    })
  }

  /** Sends writes in order, in one write to the socket; neighbours that can be are one command (not on Cluster: slots). */
  sendWrites(link: Link, batch: readonly Sent<WriteRequest>[], settle: Settle<unknown>): void {
    corked(link.client, batch.length > 1, () => {
      for (let start = 0; start < batch.length; ) {
        const { request, deadline } = batch[start] as Sent<WriteRequest>
        const end = this.#onCluster ? start + 1 : endOfBulk(batch, start)
        if (end === start + 1) deliver(request.send(link, deadline), start, settle)
        else this.#sendBulk(link, batch, start, end, settle)
        start = end
      }
    })
  }

  /** Sends one read by itself. */
  read({ client }: Link, request: ReadRequest): Promise<ReadReply> {
    if (request.kind === 'pttl') return client.pttl(request.key)
    return this.#binary ? client.getBuffer(request.key) : client.get(request.key)
  }

  save(command: SaveCommand): WriteRequest {
    const { value, ttl, guard } = command
    const [known, digests] = guard.kind === 'digest' ? [String(guard.digests.length), guard.digests] : [guard.kind, []]
    const bulk: Bulk = {
      script: SAVE,
      keys: this.#keys(command.sid),
      args: (link, deadline) => [
        value,
        ttl === undefined ? '' : String(ttl),
        link.notAfter(deadline),
        known,
        ...digests,
      ],
      reply: saveReply,
    }
    return this.#alone(bulk)
  }

  /** Deletes a session and leaves a marker, for `revokeFor` ms or what is left of it. */
  destroy(sid: string, revokeFor: number = this.#revokeFor): WriteRequest {
    const keys = this.#keys(sid)
    return { key: keys[0], send: (link) => this.#evaluate(link, DESTROY, keys, [String(revokeFor)]) }
  }

  /** Deletes without a marker: the session expired. */
  expireNow(sid: string): WriteRequest {
    const key = this.key(sid)
    return { key, send: ({ client }) => client.del(key) }
  }

  /** The same for many: one command, but on Cluster, where each slot needs its own. */
  deleteAll(sids: readonly string[]): WriteRequest[] {
    if (this.#onCluster) return sids.map((sid) => this.expireNow(sid))
    const keys = sids.map((sid) => this.key(sid))
    const [key] = keys
    return key === undefined ? [] : [{ key, send: ({ client }) => client.del(keys) }]
  }

  /** Deletes a session if it still holds this value. */
  deleteIf(sid: string, value: Raw): WriteRequest {
    const key = this.key(sid)
    return { key, send: (link) => this.#evaluate(link, DELETE_IF, [key], [sha1(value)]) }
  }

  /** Sets a session's expiry, ms from now. The reply is 1, or 0 when there is no such session. */
  touch(sid: string, ttl: number): WriteRequest {
    const key = this.key(sid)
    const bulk: Bulk = { script: TOUCH, keys: [key], args: () => [String(ttl)], reply: replied }
    return { key, send: ({ client }) => client.pexpire(key, ttl), bulk }
  }

  /** Reads the clock of the server that has this session, see {@link Link.measure}. */
  measure(sid: string): WriteRequest {
    return { key: this.#prefix + sid, send: (link) => link.measure() }
  }

  /**
   * Tries what a lane's commands need, without side effects.
   *
   * @param sid nobody's; on Cluster one of a slot of the server's own
   */
  probe(lane: LaneName, { client }: Link, sid: string = PROBE): Promise<unknown> {
    const key = this.#prefix + sid
    switch (lane) {
      case 'read':
        return client.get(key)
      case 'save':
        return client.set(key, '', 'XX')
      case 'lifetime':
        return client.del(key)
    }
  }

  /** Whether the store's scripts, and the commands that no probe tries, may run here. Writes nothing. */
  async checkRights(link: Link, sid: string = PROBE): Promise<void> {
    const { client } = link
    const script = this.save({ sid, value: '', ttl: 1, guard: { kind: GUARD.present } })
    const key = this.#prefix + sid
    await Promise.all([
      script.send(link, performance.now() + 60_000),
      this.#onCluster || client.mget(key),
      client.pexpire(key, 1),
      client.pttl(key),
      client.time(),
    ])
  }

  /**
   * Walks over the sessions of one server, in chunks of at most {@link MAX_CHUNK}. A key may come twice.
   *
   * @param bounded puts a deadline on each round trip
   */
  async *scan(
    { client }: Link,
    count: number,
    bounded: <T>(reply: Promise<T>) => Promise<T>,
  ): AsyncGenerator<string[], void, void> {
    // SCAN is the one command to which ioredis does not apply its keyPrefix.
    const added = client.options.keyPrefix ?? ''
    const pattern = startsWithPattern(added + this.#prefix)
    let cursor = '0'
    do {
      const [next, keys] = await bounded(client.scan(cursor, 'MATCH', pattern, 'COUNT', count))
      cursor = next
      for (let start = 0; start < keys.length; start += MAX_CHUNK) {
        const sids: string[] = []
        for (const key of keys.slice(start, start + MAX_CHUNK)) {
          const name = key.slice(added.length)
          if (!isMarker(name, this.#prefix)) sids.push(name.slice(this.#prefix.length))
        }
        yield sids
      }
    } while (cursor !== '0')
  }

  /** A request that is a script of its own where it has no neighbours. */
  #alone(bulk: Bulk): WriteRequest {
    const { script, keys, args, reply } = bulk
    const send = async (link: Link, deadline: number): Promise<unknown> => {
      const replies = await this.#evaluate(link, script, keys, args(link, deadline))
      return reply((replies as unknown[])[0])
    }
    return { key: keys[0] as string, send, bulk }
  }

  #sendBulk(
    link: Link,
    batch: readonly Sent<WriteRequest>[],
    start: number,
    end: number,
    settle: Settle<unknown>,
  ): void {
    const { script } = (batch[start] as Sent<WriteRequest>).request.bulk as Bulk
    const keys: string[] = []
    const args: Raw[] = []
    for (let at = start; at < end; at++) {
      const { request, deadline } = batch[at] as Sent<WriteRequest>
      const bulk = request.bulk as Bulk
      keys.push(...bulk.keys)
      args.push(...bulk.args(link, deadline))
    }
    this.#evaluate(link, script, keys, args).then(
      (replies) => {
        for (let at = start; at < end; at++) {
          try {
            settle(at, undefined, batch[at]?.request.bulk?.reply((replies as unknown[])[at - start]))
          } catch (error) {
            settle(at, error)
          }
        }
      },
      (error: unknown) => {
        for (let at = start; at < end; at++) settle(at, error)
      },
    )
  }

  #keys(sid: string): [string, string] {
    const key = this.#prefix + sid
    return [key, markerKey(key, this.#onCluster)]
  }

  /** EVALSHA; where Redis does not know the script (restarted, another server), EVAL, which also loads it. */
  #evaluate(link: Link, { sha, source }: Script, keys: readonly string[], args: readonly Raw[]): Promise<unknown> {
    const client = link.client as Redis & EvalBuffer
    const rest = [keys.length, ...keys, ...args] as const
    const reply = this.#binary ? client.evalshaBuffer(sha, ...rest) : client.evalsha(sha, ...rest)
    return reply.catch((error: unknown) => {
      if (!isNoScript(error)) throw error
      return this.#binary ? client.evalBuffer(source, ...rest) : client.eval(source, ...rest)
    })
  }
}

/** Where the run of requests ends that begins there and may leave as one command. */
function endOfBulk(batch: readonly Sent<WriteRequest>[], start: number): number {
  const script = batch[start]?.request.bulk?.script
  const limit = Math.min(batch.length, start + MAX_BULK)
  let end = start + 1
  while (script !== undefined && end < limit && batch[end]?.request.bulk?.script === script) end++
  return end
}

function saveReply(entry: unknown): SaveReply {
  const reply = replied(entry)
  if (Array.isArray(reply)) return { result: 'conflict', stored: reply[1] as Raw }
  return SIMPLE[text(reply)] as SaveReply
}

const SIMPLE: Readonly<Record<string, SaveReply>> = Object.freeze({
  saved: { result: 'saved' },
  unchanged: { result: 'unchanged' },
  revoked: { result: 'revoked' },
  late: { result: 'late' },
  gone: { result: 'gone' },
})

/** An error reply inside of a script's reply is thrown as ioredis would have. */
function replied(entry: unknown): unknown {
  if (!Array.isArray(entry) || text(entry[0]) !== 'error') return entry
  const error = new Error(text(entry[1]))
  error.name = 'ReplyError'
  throw error
}

/** ioredis has a Buffer twin of every command; its types leave out these two. */
interface EvalBuffer {
  evalBuffer(script: string, ...rest: readonly unknown[]): Promise<unknown>
  evalshaBuffer(sha: string, ...rest: readonly unknown[]): Promise<unknown>
}

/** SHA-1 as Redis's `redis.sha1hex` computes it of the stored bytes. */
export function sha1(value: Raw): string {
  return createHash('sha1').update(value).digest('hex')
}

function deliver<Reply>(reply: Promise<Reply>, index: number, settle: Settle<Reply>): void {
  reply.then(
    (value) => settle(index, undefined, value),
    (error: unknown) => settle(index, error),
  )
}

function text(reply: unknown): string {
  return Buffer.isBuffer(reply) ? reply.toString('latin1') : String(reply)
}

/** The same server, each command preceded by ASKING: the slot is on its way there. */
export function asking(link: Link): Link {
  const { client } = link
  const asked = new Proxy(client, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        target.asking().catch(() => {})
        return value.apply(target, args)
      }
    },
  })
  return { client: asked, notAfter: (deadline) => link.notAfter(deadline), measure: () => link.measure() }
}
