/** The face that express-session and applications see: options, callbacks or promises, life cycle. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { type CookieOptions, type SessionData, Store } from 'express-session'
import { type Clock, systemClock } from './clock.js'
import { ClusterNodes } from './cluster-nodes.js'
import { Codec } from './codec.js'
import {
  isRedisDownError,
  isSessionConflictError,
  isSessionKeyUnknownError,
  isSessionRevokedError,
  RedisDownError,
  RedisFailure,
  StoreClosedError,
} from './errors.js'
import { FallbackCache } from './fallback-cache.js'
import { GuardedSaves } from './guarded-saves.js'
import { type Health, healthOf } from './health.js'
import type { LaneBreaker, LaneName, LaneState } from './lanes.js'
import { Near } from './near.js'
import type { Lanes, Node, NodeEvents, Nodes } from './node.js'
import { Operations } from './operations.js'
import type { ResilientStoreOptions } from './options.js'
import type { Operation } from './policy.js'
import { inherit } from './provenance.js'
import { assertClient } from './redis/connect.js'
import { classify, toFailure } from './redis/failures.js'
import { SessionCommands } from './redis/sessions.js'
import { Replay } from './replay.js'
import { currentRequest, followRequests } from './request-context.js'
import { type ResolvedOptions, resolveOptions } from './resolve-options.js'
import { Revocations } from './revocations.js'
import { isAwaited } from './session-status.js'
import { SingleNode } from './single-node.js'
import { type DroppedRecord, type OutcomeRecord, publish, type StoreEvents } from './telemetry.js'
import { TouchMarks } from './touch-marks.js'
import { type OpenRecord, trace } from './tracing.js'
import { type ScannedSession, Walks } from './walks.js'
import { WriteQueue } from './write-queue.js'

/** What `close()` could not bring to Redis in time, in sessions. Each was also reported by a `dropped` event. */
export interface CloseReport {
  readonly droppedSaves: number
  readonly droppedDestroys: number
}

type Callback<T> = (error: unknown, value?: T) => void

/** How long `ready()` waits by default, ms. */
const READY_TIMEOUT = 10_000
/** How long `close()` tries to send what is queued, ms. */
const CLOSE_TIMEOUT = 5_000
/** setTimeout's own limit. */
const LONGEST_TIMER = 2_147_483_647

/**
 * An express-session store on Redis that fails by choice: no operation waits longer than `timeout`, breakers keep a dead
 * Redis from being asked, and what happens meanwhile is what the application chose.
 *
 * Every method takes a callback or returns a promise. Callbacks are never called synchronously (`touch`'s apart).
 *
 * @example
 * ```ts
 * import express from 'express'
 * import session from 'express-session'
 * import { ResilientStore } from 'resilient-session-store'
 *
 * const store = new ResilientStore({ redis: 'redis://127.0.0.1:6379', cache: true })
 * const app = express()
 * app.use(session({ store, secret: 'change me', resave: false, saveUninitialized: false }))
 * ```
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the interface below only narrows EventEmitter's methods
export class ResilientStore extends Store implements AsyncDisposable {
  /**
   * The lanes' opossum breakers: `read` (GET), `save` (SET) and `lifetime` (EXPIRE, DEL). For listening and measuring;
   * the store itself opens, probes and closes them. On Cluster these are used only while it is not known which master
   * has a session: see {@link masters}.
   */
  readonly lanes: Readonly<Record<LaneName, LaneBreaker>>
  readonly #options: ResolvedOptions
  readonly #nodes: Nodes
  readonly #operations: Operations
  readonly #walks: Walks
  readonly #cache: FallbackCache | undefined
  readonly #near: Near | undefined
  readonly #queue: WriteQueue
  readonly #replay: Replay
  readonly #revocations: Revocations
  readonly #touches = new TouchMarks()
  readonly #openSince = new Map<Lanes[LaneName], number>()
  readonly #waiting = new Set<() => void>()
  /** Requests that got an error in place of their session, and its id. */
  readonly #unread = new WeakMap<IncomingMessage, string>()
  #closing: Promise<CloseReport> | undefined
  /** Operations that have not settled. */
  #underWay = 0
  /** Assigned by express-session: makes a new session on a request, with the application's cookie options. */
  declare generate?: (req: object) => void

  /**
   * @param options see {@link ResilientStoreOptions}
   * @param clock injectable for tests
   * @throws TypeError or RangeError for an option that cannot be used, naming it, its limit and its value
   */
  constructor(options: ResilientStoreOptions = {}, clock: Clock = systemClock) {
    super()
    const resolved = resolveOptions(options)
    if (resolved.client !== undefined) assertClient(resolved.client)
    this.#options = resolved
    followRequests()
    const onCluster = isCluster(resolved)
    const commands = new SessionCommands({
      prefix: resolved.prefix,
      binary: resolved.serializer.binary === true,
      revokeFor: resolved.revokeFor,
      onCluster,
    })
    const events: NodeEvents = {
      onReady: (node, sameServer) => this.#onReady(node, sameServer),
      onLost: (node, failure) => this.#onLost(node, failure),
      onLaneChange: (node, lane, state) => this.#onLaneChange(node, lane, state),
      onMoved: (isMoved) => this.#onMoved(isMoved),
      onRetired: (node) => this.#onRetired(node),
      onRedirected: (sid) => this.#near?.cache.announced([sid]),
    }
    const nodes = new (onCluster ? ClusterNodes : SingleNode)(resolved, commands, events)
    this.#nodes = nodes
    const [{ lanes }] = nodes.all() as [Node]
    this.lanes = breakersOf(lanes)
    const codec = new Codec(resolved, clock)
    const saves = new GuardedSaves(nodes, commands)
    const publishRecord = (record: OutcomeRecord): void => publish(this, record)
    this.#cache = resolved.cache && new FallbackCache(resolved.cache, clock)
    this.#near = this.#openNear(clock)
    this.#queue = new WriteQueue(resolved.queue)
    this.#revocations = new Revocations(resolved.revokeFor, clock)
    this.#replay = new Replay({
      queue: this.#queue,
      commands,
      codec,
      saves,
      nodes,
      concurrency: resolved.concurrency,
      restoreLost: resolved.restoreLost,
      timeout: resolved.timeout,
      clock,
      onWritten: (sid, payload, sentAt, ttl) => this.#operations.saved(sid, payload, sentAt, ttl),
      onRevoked: (sid) => this.#operations.revoked(sid),
      onKeyUnknown: (error, sid) => this.#operations.unreadable(error, sid),
      publish: publishRecord,
    })
    this.#operations = new Operations({
      options: resolved,
      clock,
      codec,
      commands,
      nodes,
      saves,
      cache: this.#cache,
      near: this.#near?.cache,
      queue: this.#queue,
      replay: this.#replay,
      revocations: this.#revocations,
      touches: this.#touches,
      publish: publishRecord,
      freshCookie: (req) => this.#freshCookie(req),
    })
    this.#walks = new Walks({
      nodes,
      commands,
      codec,
      scanCount: resolved.scanCount,
      timeout: resolved.timeout,
      isDestroyed: (sid) => this.#revocations.has(sid) || this.#queue.destroys.has(sid),
      scanned: (sid, session, raw, sentAt) => this.#operations.scanned(sid, session, raw, sentAt),
      onKeyUnknown: (error, sid) => this.#operations.unreadable(error, sid),
    })
    nodes.start()
  }

  /** The session, or `null` where Redis says that there is none. @throws RedisDownError by callback or rejection */
  override get(sid: string): Promise<SessionData | null>
  override get(sid: string, callback: (error: unknown, session?: SessionData | null) => void): void
  override get(sid: string, callback?: Callback<SessionData | null>): Promise<SessionData | null> | undefined {
    const { req } = currentRequest()
    // A request that has a session already only reloads it.
    const isFirst = req !== undefined && (req as SessionRequest).session == null
    const onError = isFirst ? this.#noteUnread(req, sid) : undefined
    return this.#run('get', (record) => this.#operations.load(sid, req, record), callback, onError)
  }

  /** Saves a session. Without error it is in Redis, or queued where the policy says so. */
  override set(sid: string, session: SessionData): Promise<void>
  override set(sid: string, session: SessionData, callback?: (error?: unknown) => void): void
  override set(sid: string, session: SessionData, callback?: Callback<void>): Promise<void> | undefined {
    const { req, res } = requestOf(session)
    const awaited = isAwaited(callback)
    const onError = typeof callback === 'function' && !awaited ? this.#tolerate('set', res) : undefined
    return this.#run('set', (record) => this.#operations.save(sid, session, req, awaited, record), callback, onError)
  }

  /**
   * Starts a session's expiry anew. The callback is called at once: a touch never delays a response. The promise, given
   * where there is no callback, settles when Redis has confirmed it.
   */
  override touch(sid: string, session: SessionData): Promise<void>
  override touch(sid: string, session: SessionData, callback?: () => void): void
  override touch(sid: string, session: SessionData, callback?: () => void): Promise<void> | undefined {
    const { req } = requestOf(session)
    const touching = this.#run('touch', (record) => this.#operations.touch(sid, session, req, record))
    if (typeof callback !== 'function') return touching
    callback()
    return undefined
  }

  /** Destroys a session: for this process at once, for all when Redis has confirmed it. */
  override destroy(sid: string): Promise<void>
  override destroy(sid: string, callback?: (error?: unknown) => void): void
  override destroy(sid: string, callback?: Callback<void>): Promise<void> | undefined {
    const { req, res } = currentRequest()
    if (req !== undefined && this.#unread.get(req) === sid && isUnset(callback)) {
      // Nobody has unset the session: it could not be read. That is no logout.
      process.nextTick(callback)
      return undefined
    }
    const onError = typeof callback === 'function' ? this.#tolerate('destroy', res) : undefined
    return this.#run('destroy', (record) => this.#operations.destroy(sid, req, record), callback, onError)
  }

  /**
   * The sessions one after the other, as many in memory as one round trip brings: for maintenance, not for requests. What
   * is made or destroyed meanwhile may be missing; what cannot be read is left out. Redis is asked for more when more is
   * wanted; `break` ends the walk.
   *
   * Each comes once, but for sessions that move to another master of a Cluster meanwhile, and now and then one where nearly
   * all others are deleted meanwhile.
   *
   * @throws RedisDownError by rejection, also in the middle of the walk
   * @example
   * ```ts
   * import { ResilientStore } from 'resilient-session-store'
   *
   * // Logs somebody out everywhere.
   * export async function logOut(store: ResilientStore, user: string): Promise<void> {
   *   for await (const { sid, session } of store.scan()) {
   *     if ('user' in session && session.user === user) await store.destroy(sid)
   *   }
   * }
   * ```
   */
  async *scan(): AsyncGenerator<ScannedSession, void, void> {
    const { req } = currentRequest()
    try {
      if (this.#closing !== undefined) throw new StoreClosedError('scan')
      yield* this.#walks.scan()
    } catch (error) {
      throw this.#closing === undefined ? this.#failedWalk('scan', error, req) : new StoreClosedError('scan')
    }
  }

  /** All sessions, each with its `id`. Walks over the whole of Redis, and holds everything at once: see {@link scan}. */
  override all(): Promise<(SessionData & { id: string })[]>
  override all(callback: (error: unknown, sessions?: SessionData[] | null) => void): void
  override all(
    callback?: Callback<(SessionData & { id: string })[]>,
  ): Promise<(SessionData & { id: string })[]> | undefined {
    return answer(
      this.#walk('all', () => this.#walks.all()),
      callback,
    )
  }

  /** The ids of all sessions. Walks over the whole of Redis. */
  ids(): Promise<string[]>
  ids(callback: (error: unknown, ids?: string[]) => void): void
  ids(callback?: Callback<string[]>): Promise<string[]> | undefined {
    return answer(
      this.#walk('ids', () => this.#walks.ids()),
      callback,
    )
  }

  /** How many sessions there are. Walks over the whole of Redis. */
  override length(): Promise<number>
  override length(callback: (error: unknown, length?: number) => void): void
  override length(callback?: Callback<number>): Promise<number> | undefined {
    return answer(
      this.#walk('length', () => this.#walks.length()),
      callback,
    )
  }

  /** Deletes all sessions, those that wait in the queue included. Walks over the whole of Redis. */
  override clear(): Promise<void>
  override clear(callback?: (error?: unknown) => void): void
  override clear(callback?: Callback<void>): Promise<void> | undefined {
    const clearing = this.#walk('clear', async () => {
      this.#forget()
      await this.#walks.clear()
      this.#forget()
    })
    return answer(clearing, callback)
  }

  /**
   * Waits until Redis answers, every lane works and the store's scripts may run.
   *
   * @param timeoutMs how long, in ms: 1 to 2_147_483_647
   * @throws RedisDownError (by rejection) with what was in the way when the time was over; missing rights at once
   */
  async ready(timeoutMs: number = READY_TIMEOUT): Promise<void> {
    requireTimeout('ready', timeoutMs)
    const deadline = performance.now() + timeoutMs
    for (;;) {
      if (this.#closing !== undefined) throw new StoreClosedError('ready')
      const failure = await this.#whatIsMissing(deadline)
      if (failure === undefined) return
      if (failure.reason === 'auth' || performance.now() >= deadline) {
        throw new RedisDownError('ready', failure.reason, 1, failure)
      }
      await this.#change(Math.min(deadline - performance.now(), this.#options.breaker.resetTimeout))
    }
  }

  /**
   * Whether a save of this session would be written or queued as things are now; `onRedisDown` may decide otherwise for a
   * request.
   */
  keepsSaves(sid: string): boolean {
    return this.#nodes.of(sid).lanes.save.breaker.closed || this.#options.degradation.save === 'queue'
  }

  /** On Cluster the breakers of each master by its address (`host:port`), as things are now; otherwise empty. */
  get masters(): ReadonlyMap<string, Readonly<Record<LaneName, LaneBreaker>>> {
    const masters = new Map<string, Readonly<Record<LaneName, LaneBreaker>>>()
    for (const { name, lanes } of this.#nodes.all()) if (name !== undefined) masters.set(name, breakersOf(lanes))
    return masters
  }

  /** What works and what does not, now. Cheap; holds no session id, no session data and no credentials. */
  health(): Health {
    return healthOf({
      nodes: this.#nodes.all(),
      cache: this.#cache,
      near: this.#near?.health,
      queue: this.#queue,
      replaying: this.#replay.active,
      revocations: this.#revocations.size,
      closed: this.#closing !== undefined,
    })
  }

  /**
   * Takes no more operations, sends what is queued, and closes the connection if the store opened it. Afterwards nothing
   * of the store keeps the process alive. Calling it again returns the same promise.
   *
   * @param timeoutMs how long to try to send what is queued, in ms: 1 to 2_147_483_647
   */
  close(timeoutMs: number = CLOSE_TIMEOUT): Promise<CloseReport> {
    requireTimeout('close', timeoutMs)
    this.#closing ??= this.#shutDown(performance.now() + timeoutMs)
    return this.#closing
  }

  /** `await using store = new ResilientStore()`: the same as {@link close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Called by express-session: makes a live session of what `get` returned. */
  override createSession(...[req, data]: Parameters<Store['createSession']>): ReturnType<Store['createSession']> {
    const session = super.createSession(req, data)
    inherit(session, data)
    return session
  }

  #openNear(clock: Clock): Near | undefined {
    const { cache, prefix } = this.#options
    if (this.#cache === undefined || cache?.near === undefined) return undefined
    const { maxSilence } = cache.near
    return new Near({ ...{ cache: this.#cache, clock, prefix, maxSilence }, nodes: this.#nodes })
  }

  #onReady(node: Node, sameServer: boolean): void {
    if (!sameServer) this.#revokeAgain((sid) => this.#nodes.of(sid) === node)
    this.#near?.ready(node)
    this.#operations.reconnected()
    node.eachLane((lane) => {
      if (!lane.breaker.closed) void lane.probe()
    })
    this.#changed()
  }

  #onLost(node: Node, failure: RedisFailure): void {
    node.eachLane((lane) => lane.open(failure))
    this.#changed()
  }

  /** Other masters have these sessions, perhaps from a replica that missed a delete. */
  #onMoved(isMoved: (sid: string) => boolean): void {
    this.#revokeAgain(isMoved)
    this.#near?.renew()
    this.#operations.reconnected()
    this.#replay.kick()
    this.#changed()
  }

  #onRetired(node: Node): void {
    node.eachLane((lane) => this.#onClosed(node, lane))
    this.#near?.retire(node)
    this.#changed()
  }

  #revokeAgain(concerns: (sid: string) => boolean): void {
    this.#replay.revokeAgain([...this.#revocations.entries()].filter(([sid]) => concerns(sid)))
  }

  #onLaneChange(node: Node, name: LaneName, { state, reason }: LaneState): void {
    const lane = node.lanes[name]
    if (state === 'closed') {
      this.#onClosed(node, lane)
      // Deletes go out although a full Redis takes no saves.
      if (node.lanes.lifetime.breaker.closed) this.#replay.kick()
    } else if (state === 'open' && !this.#openSince.has(lane)) {
      this.#openSince.set(lane, performance.now())
      publish(this, { type: 'down', lane: name, ...masterOf(node), reason })
      // Silence is rarely one lane's alone: find out before users of the others have to wait for it too.
      if (reason === 'timeout') {
        node.eachLane((other) => {
          if (other.breaker.closed) void other.probe()
        })
      }
    }
    this.#changed()
  }

  #onClosed(node: Node, lane: Lanes[LaneName]): void {
    const since = this.#openSince.get(lane)
    if (since === undefined) return
    this.#openSince.delete(lane)
    publish(this, { type: 'up', lane: lane.name, ...masterOf(node), downFor: performance.now() - since })
  }

  #changed(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  /** Resolves at the next change of a lane or the connection, at the latest after some ms. */
  #change(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, ms)
      this.#waiting.add(wake)
    })
  }

  async #whatIsMissing(deadline: number): Promise<RedisFailure | undefined> {
    try {
      await withDeadline(this.#nodes.known() ?? Promise.resolve(), deadline)
      await Promise.all(this.#nodes.all().map((node) => this.#check(node, deadline)))
    } catch (error) {
      return toFailure(error, classify(error) ?? 'not-connected')
    }
    let failure: RedisFailure | undefined
    for (const node of this.#nodes.all()) {
      if (node.everyLane((lane) => lane.breaker.closed)) continue
      failure = new RedisFailure('circuit-open', 'a circuit breaker is still open')
    }
    return failure
  }

  async #check({ connection, transport }: Node, deadline: number): Promise<void> {
    await withDeadline(connection.usable() ?? Promise.resolve(), deadline)
    const checks = [...LANES.map((lane) => transport.probe(lane)), transport.checkRights()]
    await withDeadline(Promise.all(checks), Math.min(deadline, performance.now() + this.#options.timeout))
  }

  /**
   * Begins an operation, counts it until it settles, and answers by callback or promise. The callback runs on a tick of
   * its own, in its caller's async context: what it throws is not taken for a failure of Redis, and never makes it run
   * twice.
   *
   * @param onError gives what the callback is told of an error; `null` where it need not know
   */
  #run<T>(operation: Operation, begin: (record: OpenRecord | undefined) => Promise<T>): Promise<T>
  #run<T>(
    operation: Operation,
    begin: (record: OpenRecord | undefined) => Promise<T>,
    callback: Callback<T> | undefined,
    onError?: (error: unknown) => unknown,
  ): Promise<T> | undefined
  #run<T>(
    operation: Operation,
    begin: (record: OpenRecord | undefined) => Promise<T>,
    callback?: Callback<T>,
    onError?: (error: unknown) => unknown,
  ): Promise<T> | undefined {
    this.#underWay++
    const called = typeof callback === 'function'
    const promise =
      this.#closing === undefined ? trace(this, operation, begin) : Promise.reject(new StoreClosedError(operation))
    // Where nobody awaits it, a floating promise must not take the process down.
    promise.then(
      (value) => {
        this.#underWay--
        if (called) process.nextTick(callback, null, value)
      },
      (error: unknown) => {
        this.#underWay--
        const told = onError === undefined ? error : onError(error)
        if (called) process.nextTick(callback, told)
      },
    )
    return called ? undefined : promise
  }

  async #walk<T>(operation: Operation, run: () => Promise<T>): Promise<T> {
    const { req } = currentRequest()
    try {
      return await this.#run(operation, run)
    } catch (error) {
      throw this.#failedWalk(operation, error, req)
    }
  }

  #failedWalk(operation: Operation, error: unknown, req: IncomingMessage | undefined): unknown {
    if (!(error instanceof RedisFailure)) return error
    return this.#operations.tell(operation, error, req, undefined).error
  }

  /**
   * Once the response's head is out, an error in the callback would make Express destroy the socket and cut the body
   * short: the callback gets none then. `onRedisDown` was called; what is lost is reported by an event.
   */
  #tolerate(operation: 'set' | 'destroy', res: ServerResponse | undefined): (error: unknown) => unknown {
    return (error) => {
      if (res?.headersSent !== true) return error
      publish(this, { type: 'dropped', operation, reason: lossOf(error) })
      return null
    }
  }

  #noteUnread(req: IncomingMessage, sid: string): (error: unknown) => unknown {
    return (error) => {
      this.#unread.set(req, sid)
      return error
    }
  }

  /** The cookie that the application gives new sessions. */
  #freshCookie(req: IncomingMessage | undefined): SessionData['cookie'] {
    const scratch: { session?: { cookie?: { toJSON?: () => CookieOptions } } } = Object.create(
      req ?? { headers: {}, connection: {} },
    )
    // Own properties, so that the request behind the scratch one keeps its session.
    Object.defineProperties(scratch, {
      session: { value: undefined, writable: true },
      sessionID: { value: undefined, writable: true },
    })
    try {
      this.generate?.(scratch)
    } catch {
      // The application's own `genid` failed without a real request: the defaults will do.
    }
    const cookie = scratch.session?.cookie?.toJSON?.() ?? DEFAULT_COOKIE
    return { ...cookie } as SessionData['cookie']
  }

  #forget(): void {
    for (const _ of this.#queue.clearSaves()) {
      publish(this, { type: 'revoked', operation: 'set', reason: 'revoked', queued: true })
    }
    this.#cache?.clear()
    this.#touches.clear()
  }

  async #shutDown(deadline: number): Promise<CloseReport> {
    // Not only what is in a lane: a save in its serializer, or between two round trips, may still need the queue.
    while (this.#underWay > 0 && performance.now() < deadline) await this.#change(5)
    const report = await this.#replay.finish(deadline)
    this.#near?.close()
    const closed = this.#nodes.close()
    this.#changed()
    await closed
    return report
  }
}

export interface ResilientStore {
  on<Name extends keyof StoreEvents>(name: Name, listener: (...args: StoreEvents[Name]) => void): this
  once<Name extends keyof StoreEvents>(name: Name, listener: (...args: StoreEvents[Name]) => void): this
  off<Name extends keyof StoreEvents>(name: Name, listener: (...args: StoreEvents[Name]) => void): this
}

const LANES: readonly LaneName[] = ['read', 'save', 'lifetime']

const DEFAULT_COOKIE = Object.freeze({ path: '/', httpOnly: true, originalMaxAge: null, expires: null })

/** A request as far as it tells whether express-session has given it a session. */
type SessionRequest = IncomingMessage & { readonly session?: unknown }

/**
 * Whether a destroy is express-session's own under `unset: 'destroy'`, which takes every request that ends without a
 * session for one that has unset it. Told by the name of its callback; where bundling has taken the name, it is a destroy
 * like any other.
 */
function isUnset(callback: Callback<void> | undefined): callback is Callback<void> {
  return callback?.name === 'ondestroy'
}

/** express-session's live sessions carry their request; otherwise it is the one being served. */
function requestOf(session: SessionData): { req: IncomingMessage | undefined; res: ServerResponse | undefined } {
  const context = currentRequest()
  const own = (session as { req?: IncomingMessage & { res?: ServerResponse } } | null)?.req
  return own === undefined ? context : { req: own, res: own.res ?? context.res }
}

/**
 * Callback or promise. The callback runs on a tick of its own, in its caller's async context: what it throws is not
 * taken for a failure of Redis, and never makes it run twice.
 */
function answer<T>(promise: Promise<T>, callback: Callback<T> | undefined): Promise<T> | undefined {
  if (typeof callback !== 'function') {
    // A floating promise must not take the process down; whoever awaits it still gets the error.
    promise.catch(noop)
    return promise
  }
  promise.then(
    (value) => process.nextTick(callback, null, value),
    (error: unknown) => process.nextTick(callback, error),
  )
  return undefined
}

function isCluster({ client, redis }: ResolvedOptions): boolean {
  return client?.isCluster ?? (typeof redis === 'object' && 'cluster' in redis)
}

function breakersOf({ read, save, lifetime }: Lanes): Readonly<Record<LaneName, LaneBreaker>> {
  return Object.freeze({ read: read.breaker, save: save.breaker, lifetime: lifetime.breaker })
}

function masterOf({ name }: Node): { master?: string } {
  return name === undefined ? {} : { master: name }
}

function lossOf(error: unknown): DroppedRecord['reason'] {
  if (isRedisDownError(error)) return error.reason
  if (isSessionRevokedError(error)) return 'revoked'
  if (isSessionKeyUnknownError(error)) return 'key-unknown'
  return isSessionConflictError(error) ? 'conflict' : 'error'
}

async function withDeadline<T>(promise: Promise<T>, deadline: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const failure = new RedisFailure('timeout', 'no answer in time')
    timer = setTimeout(() => reject(failure), deadline - performance.now())
  })
  try {
    return await Promise.race([late, promise])
  } finally {
    clearTimeout(timer)
  }
}

function requireTimeout(method: string, value: unknown): void {
  if (typeof value === 'number' && value >= 1 && value <= LONGEST_TIMER) return
  throw new RangeError(`${method}(timeoutMs) takes a number from 1 to ${LONGEST_TIMER} (ms), got ${String(value)}`)
}

function noop(): void {}
