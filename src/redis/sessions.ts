/** Session commands over ioredis: how a batch leaves, what each reply means. */
import { createHash } from 'node:crypto'
import type { Cluster, Redis } from 'ioredis'
import type { Sent, Settle } from '../lanes.js'
import { type Client, type Connection, corked } from './connect.js'
import { isNoScript } from './failures.js'
import { isMarker, markerKey, startsWithPattern } from './keys.js'
import { DELETE_IF, DESTROY, GUARD, SAVE, type Script } from './scripts.js'

/** A value as Redis keeps it: text, or bytes where the serializer is binary. */
export type Raw = string | Buffer

export type ReadRequest = { readonly kind: 'get' | 'pttl'; readonly key: string }
export type ReadReply = Raw | null | number
/** A write is a closure, called when it leaves with the moment at which its caller is told that it failed. */
export type WriteRequest = (deadline: number) => Promise<unknown>

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

/** Probed keys; nothing is ever stored there. */
const PROBE = 'session-store-probe'

export class SessionCommands {
  readonly #connection: Connection
  readonly #prefix: string
  readonly #binary: boolean
  readonly #revokeFor: number

  constructor(connection: Connection, options: { prefix: string; binary: boolean; revokeFor: number }) {
    this.#connection = connection
    this.#prefix = options.prefix
    this.#binary = options.binary
    this.#revokeFor = options.revokeFor
  }

  /** The Redis key of a session. @throws RangeError for a key that cannot be used on Cluster */
  key(sid: string): string {
    const key = this.#prefix + sid
    if (this.#connection.isCluster) markerKey(key, true)
    return key
  }

  /** Sends reads: on one server all GETs as one MGET, on Cluster one by one (the client finds each key's node). */
  readonly sendReads = (batch: readonly Sent<ReadRequest>[], settle: Settle<ReadReply>): void => {
    const { client, isCluster } = this.#connection
    const gets: number[] = []
    corked(client, batch.length > 1, () => {
      batch.forEach(({ request }, index) => {
        if (request.kind === 'get' && !isCluster) gets.push(index)
        else deliver(this.#readOne(client, request), index, settle)
      })
      if (gets.length === 0) return
      const keys = gets.map((index) => batch[index]?.request.key as string)
      const replies: Promise<(Raw | null)[]> = this.#binary ? client.mgetBuffer(keys) : client.mget(keys)
      replies.then(
        (values) => {
          for (let at = 0; at < gets.length; at++) settle(gets[at] as number, undefined, values[at] ?? null)
        },
        (error: unknown) => {
          for (const index of gets) settle(index, error)
        },
      )
    })
  }

  /** Sends writes: one command each, in order, in one write to the socket. */
  readonly sendWrites = (batch: readonly Sent<WriteRequest>[], settle: Settle<unknown>): void => {
    corked(this.#connection.client, batch.length > 1, () => {
      batch.forEach(({ request, deadline }, index) => {
        deliver(request(deadline), index, settle)
      })
    })
  }

  save(command: SaveCommand): WriteRequest {
    const keys = this.#keys(command.sid)
    const { guard } = command
    const digests = guard.kind === 'digest' ? guard.digests : []
    const ttl = command.ttl === undefined ? '' : String(command.ttl)
    return (deadline) => {
      const args = [command.value, ttl, this.#connection.notAfter(deadline), guard.kind, ...digests]
      return this.#evaluate(SAVE, keys, args).then(saveReply)
    }
  }

  /** Deletes a session and leaves a marker, for `revokeFor` ms or what is left of it. */
  destroy(sid: string, revokeFor: number = this.#revokeFor): WriteRequest {
    const keys = this.#keys(sid)
    return () => this.#evaluate(DESTROY, keys, [String(revokeFor)])
  }

  /** Deletes without a marker: the session expired. */
  expireNow(sid: string): WriteRequest {
    const key = this.key(sid)
    return () => this.#connection.client.del(key)
  }

  /** Deletes a session if it still holds this value. */
  deleteIf(sid: string, value: Raw): WriteRequest {
    const key = this.key(sid)
    return () => this.#evaluate(DELETE_IF, [key], [sha1(value)])
  }

  /** Sets a session's expiry, ms from now. The reply is 1, or 0 when there is no such session. */
  touch(sid: string, ttl: number): WriteRequest {
    const key = this.key(sid)
    return () => this.#connection.client.pexpire(key, ttl)
  }

  readonly probes: Readonly<Record<'read' | 'save' | 'lifetime', () => Promise<unknown>>> = {
    read: () => this.#connection.client.get(this.#prefix + PROBE),
    save: () => this.#connection.client.set(this.#prefix + PROBE, '', 'XX'),
    lifetime: () => this.#connection.client.del(this.#prefix + PROBE),
  }

  /** Whether the store's scripts, and the commands that no probe tries, may run here. Writes nothing. */
  async checkRights(): Promise<void> {
    const { client, isCluster } = this.#connection
    const script = this.save({ sid: PROBE, value: '', ttl: 1, guard: { kind: GUARD.present } })
    const key = this.#prefix + PROBE
    await Promise.all([
      script(performance.now() + 60_000),
      isCluster || client.mget(key),
      client.pexpire(key, 1),
      client.pttl(key),
      client.time(),
    ])
  }

  /**
   * Walks over the sessions of every master, a chunk of keys a round trip. A key may come twice.
   *
   * @param bounded puts a deadline on each round trip
   */
  async *scan(count: number, bounded: <T>(reply: Promise<T>) => Promise<T>): AsyncGenerator<string[], void, void> {
    const { client } = this.#connection
    const nodes = client.isCluster ? (client as Cluster).nodes('master') : [client as Redis]
    for (const node of nodes) {
      // SCAN is the one command to which ioredis does not apply its keyPrefix.
      const added = node.options.keyPrefix ?? ''
      const pattern = startsWithPattern(added + this.#prefix)
      let cursor = '0'
      do {
        const [next, keys] = await bounded(node.scan(cursor, 'MATCH', pattern, 'COUNT', count))
        cursor = next
        const sids: string[] = []
        for (const key of keys) {
          const name = key.slice(added.length)
          if (!isMarker(name, this.#prefix)) sids.push(name.slice(this.#prefix.length))
        }
        yield sids
      } while (cursor !== '0')
    }
  }

  /** Values by sid, in order; on Cluster one by one. */
  values(sids: readonly string[]): Promise<(Raw | null)[]> {
    const { client, isCluster } = this.#connection
    const keys = sids.map((sid) => this.key(sid))
    if (!isCluster) return this.#binary ? client.mgetBuffer(keys) : client.mget(keys)
    return Promise.all(keys.map((key) => this.#get(client, key)))
  }

  /** Deletes sessions without markers. */
  async delete(sids: readonly string[]): Promise<void> {
    const { client, isCluster } = this.#connection
    const keys = sids.map((sid) => this.key(sid))
    if (isCluster) await Promise.all(keys.map((key) => client.del(key)))
    else await client.del(...keys)
  }

  #keys(sid: string): [string, string] {
    const key = this.#prefix + sid
    return [key, markerKey(key, this.#connection.isCluster)]
  }

  #readOne(client: Client, request: ReadRequest): Promise<ReadReply> {
    return request.kind === 'pttl' ? client.pttl(request.key) : this.#get(client, request.key)
  }

  #get(client: Client, key: string): Promise<Raw | null> {
    return this.#binary ? client.getBuffer(key) : client.get(key)
  }

  /** EVALSHA; where Redis does not know the script (restarted, another server), EVAL, which also loads it. */
  #evaluate({ sha, source }: Script, keys: string[], args: Raw[]): Promise<unknown> {
    const client = this.#connection.client as Client & EvalBuffer
    const rest = [keys.length, ...keys, ...args] as const
    const reply = this.#binary ? client.evalshaBuffer(sha, ...rest) : client.evalsha(sha, ...rest)
    return reply.catch((error: unknown) => {
      if (!isNoScript(error)) throw error
      return this.#binary ? client.evalBuffer(source, ...rest) : client.eval(source, ...rest)
    })
  }
}

function saveReply(reply: unknown): SaveReply {
  if (Array.isArray(reply)) return { result: 'conflict', stored: reply[1] as Raw }
  return { result: text(reply) as Exclude<SaveReply['result'], 'conflict'> }
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
