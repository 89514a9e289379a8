/**
 * Each operation once: attempt it, decide when Redis failed, act, publish. Promises only; the face that express-session
 * sees is `store.ts`. Longer than most files because the four operations share what they know of a session.
 */

import type { IncomingMessage } from 'node:http'
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import type { SessionData } from 'express-session'
import type { Clock } from './clock.js'
import type { Codec } from './codec.js'
import {
  isSessionKeyUnknownError,
  RedisDownError,
  RedisFailure,
  SessionConflictError,
  SessionKeyUnknownError,
  SessionRevokedError,
} from './errors.js'
import { type CachedSession, type FallbackCache, lastConfirmed } from './fallback-cache.js'
import type { GuardedSaves } from './guarded-saves.js'
import { applyMerge } from './merge.js'
import type { NearCache } from './near-cache.js'
import type { Lanes, Nodes } from './node.js'
import type { Concurrency } from './options.js'
import { decideDestroy, decideRead, decideSave, type Operation } from './policy.js'
import { NO_ATTEMPTS, noteAttempt, type Provenance, provenanceOf, remember, type SessionSource } from './provenance.js'
import { type Reconciliation, reconcile } from './reconcile.js'
import { GUARD } from './redis/scripts.js'
import { type Guard, owned, type Raw, type ReadRequest, type SessionCommands, sha1 } from './redis/sessions.js'
import { overtakenSave, type Replay, replayedDestroy } from './replay.js'
import type { ResolvedOptions } from './resolve-options.js'
import type { Revocations } from './revocations.js'
import type { StoredSession } from './serializers/contract.js'
import type { OutcomeRecord } from './telemetry.js'
import type { TouchMarks } from './touch-marks.js'
import type { OpenRecord } from './tracing.js'
import type { PendingSave, WriteQueue } from './write-queue.js'

export interface OperationsOptions {
  readonly options: ResolvedOptions
  readonly clock: Clock
  readonly codec: Codec
  readonly commands: SessionCommands
  readonly nodes: Pick<Nodes, 'of'>
  readonly saves: GuardedSaves
  readonly cache: FallbackCache | undefined
  readonly near: NearCache | undefined
  readonly queue: WriteQueue
  readonly replay: Replay
  readonly revocations: Revocations
  readonly touches: TouchMarks
  readonly publish: (record: OutcomeRecord) => void
  /** The application's cookie for a session that has none. */
  readonly freshCookie: (req: IncomingMessage | undefined) => SessionData['cookie']
}

type Request = IncomingMessage | undefined

/** What a save sends; a merge changes it. */
interface Write {
  payload: Raw
  /** The payload before anything was merged in. */
  readonly encoded: Raw
  /** What the payload was made from. Another save of the session may have written, or merged in, something else since. */
  base: Raw | undefined
  readonly ttl: number | undefined
  /** Which of its session's saves it is, see {@link Provenance.begun}. */
  readonly order: number
}

/** Destroyed sessions remembered at most as deleted once more; beyond it all are forgotten, and deleted once more again. */
const MAX_AGAIN = 100_000
/** Times a save is compared again because only a cookie changed meanwhile. */
const MAX_COMPARISONS = 3

export class Operations {
  readonly #on: OperationsOptions
  readonly #retryAfter: number
  /** Destroyed sessions that were deleted once more over this connection. */
  readonly #again = new Set<string>()

  constructor(options: OperationsOptions) {
    this.#on = options
    this.#retryAfter = Math.max(1, Math.ceil(options.options.breaker.resetTimeout / 1000))
  }

  /** The session, or `null` where there is none. Rejects with a {@link RedisDownError} where that cannot be told. */
  async load(sid: string, req: Request, record?: OpenRecord): Promise<StoredSession | null> {
    if (typeof sid !== 'string' || sid === '') return null
    const { options, commands, cache, near, queue, revocations } = this.#on
    if (this.#isDestroyed(sid)) {
      this.#destroyAgain(sid)
      return this.#later(null)
    }
    const lane = this.#lanes(sid).read
    const copy = queue.saves.has(sid) ? undefined : near?.get(sid)
    // While the lane refuses, that is known without a promise.
    if (copy === undefined && lane.refusal !== undefined) {
      return this.#loadWithoutRedis(sid, req, lane.refusal, record)
    }
    const begun = near?.sequence
    const sentAt = performance.now()
    let raw: Raw | null
    try {
      if (copy !== undefined) return await this.#loadNear(sid, req, copy)
      const request: ReadRequest = { kind: 'get', key: commands.key(sid) }
      raw = (await lane.run(request, sentAt + options.timeout)) as Raw | null
    } catch (error) {
      if (!(error instanceof RedisFailure)) throw error
      return this.#loadWithoutRedis(sid, req, error, record)
    }
    // What this process did while Redis answered is newer than the answer.
    if (revocations.has(sid) || queue.destroys.has(sid)) return null
    const pending = this.#pending(sid)
    // A change that waits is newer than what is stored, but not than a logout: where Redis no longer has what the change
    // was made from, the session is gone, and the replay will say so of the change (or restore it on another server).
    const kept =
      pending !== undefined && (raw !== null || pending.base === undefined || this.#wasLost(sid, pending.server))
    if (kept) return this.#loadCopy(sid, req, pending)
    if (raw === null) {
      cache?.delete(sid)
      return null
    }
    let session: StoredSession
    try {
      const decoded = this.#on.codec.decode(sid, raw)
      session = decoded instanceof Promise ? await decoded : decoded
    } catch (error) {
      return await this.#unreadable(sid, raw, error, sentAt + options.timeout)
    }
    // So is what it did while the session was parsed.
    if (this.#isDestroyed(sid)) return null
    this.#keep(sid, raw, session, sentAt, begun)
    this.#present(session, sid, req, 'redis', raw, sentAt, this.#server(sid))
    if (options.resetOnRead) this.touch(sid, session, req).catch(() => {})
    return session
  }

  /**
   * Resolves when the session is saved, or is queued where the policy says so; or is dropped where it says that, unless
   * somebody awaits the acknowledgement.
   */
  async save(sid: string, session: SessionData, req: Request, awaited = false, record?: OpenRecord): Promise<void> {
    requireSid(sid)
    const provenance = provenanceOf(session, sid, req)
    if (provenance?.source === 'blank') {
      return this.#saveWithoutRedis(sid, session, req, awaited, provenance, undefined, BLANK, record)
    }
    const ttl = this.#on.codec.ttl(session)
    if (ttl !== undefined && ttl <= 0) return this.#expire('set', sid, req)
    const known = provenance ?? track(session, sid, req)
    const order = ++known.begun
    const base = known.raw
    const encoding = this.#on.codec.encode(sid, session)
    const encoded = encoding instanceof Promise ? await encoding : encoding
    const write: Write = { payload: encoded, encoded, base, ttl, order }
    if (this.#isDestroyed(sid)) return this.#refuse('revoked')
    if (this.#on.queue.saves.has(sid)) {
      const { refusal } = this.#lanes(sid).save
      if (refusal !== undefined) {
        return this.#saveWithoutRedis(sid, session, req, awaited, known, write, refusal, record)
      }
      // Earlier changes wait: this one goes the same way, or it would overtake them.
      const queued = await this.#enqueue(sid, session, known, write, WAITING)
      if (!queued) throw this.tell('set', QUEUE_FULL, req, sid, record).error
      if (record) record.outcome = 'queued'
      this.#on.replay.kick()
      return
    }
    known.sending ??= { open: 0, latest: 0 }
    const { sending } = known
    sending.open++
    sending.latest = order
    try {
      await this.#write(sid, session, write, known, performance.now())
    } catch (error) {
      if (!(error instanceof RedisFailure)) throw error
      return this.#saveWithoutRedis(sid, session, req, awaited, known, write, error, record)
    } finally {
      sending.open--
      if (this.#on.queue.saves.has(sid)) this.#on.replay.kick()
    }
  }

  /** Resolves when the session's expiry is set, or need not be. */
  async touch(sid: string, session: SessionData, req: Request, record?: OpenRecord): Promise<void> {
    requireSid(sid)
    if (record) record.outcome = 'skipped'
    const { options, codec, commands, cache, queue, touches } = this.#on
    if (options.disableTouch || options.disableTTL) return
    const provenance = provenanceOf(session, sid, req)
    if (provenance?.source === 'blank' || this.#isDestroyed(sid)) return
    const loaded = provenance?.originalMaxAge
    if (loaded !== undefined && !sameAge(loaded, maxAgeOf(session))) {
      if (record) record.outcome = 'ok'
      return this.save(sid, session, req, false, record)
    }
    const ttl = codec.ttl(session)
    if (ttl === undefined) return
    if (ttl <= 0) return this.#expire('touch', sid, req)
    const now = performance.now()
    if (touches.covers(sid, now + ttl, options.touchAfter ?? Math.min(60_000, ttl * 0.05))) return
    queue.extend(sid, this.#on.clock.monotonic() + ttl)
    try {
      const found = await this.#lanes(sid).lifetime.run(commands.touch(sid, ttl), now + options.timeout)
      if (record) record.outcome = found === 1 ? 'ok' : 'none'
      if (found === 1) {
        touches.set(sid, now + ttl)
        cache?.setExpiry(sid, this.#on.clock.monotonic() + ttl)
      } else if (!queue.saves.has(sid)) {
        touches.delete(sid)
        cache?.delete(sid)
      }
    } catch (error) {
      if (!(error instanceof RedisFailure)) throw error
      const { error: down } = this.tell('touch', error, req, sid, record)
      this.#on.publish({ type: 'dropped', operation: 'touch', reason: down.reason })
      throw down
    }
  }

  /** The session is gone for this process when this is called; resolves when Redis knows, or the policy is content. */
  async destroy(sid: string, req: Request, record?: OpenRecord): Promise<void> {
    requireSid(sid)
    const { options, commands, cache, queue, revocations, touches, publish } = this.#on
    const command = commands.destroy(sid)
    revocations.add(sid)
    cache?.delete(sid)
    touches.delete(sid)
    if (queue.removeSave(sid) !== undefined) {
      publish({ type: 'revoked', operation: 'set', reason: 'revoked', queued: true })
    }
    try {
      const deleted = await this.#lanes(sid).lifetime.run(command, performance.now() + options.timeout)
      const waiting = queue.removeDestroy(sid)
      if (waiting !== undefined) publish(replayedDestroy(waiting, deleted))
    } catch (error) {
      if (!(error instanceof RedisFailure)) throw error
      const { error: down, answer } = this.tell('destroy', error, req, sid, record)
      const evicted = queue.addDestroy({ sid, queuedAt: performance.now() })
      if (evicted === undefined) {
        cache?.clear()
        throw new RedisDownError('destroy', 'queue-full', this.#retryAfter, error)
      }
      for (const _ of evicted) publish({ type: 'dropped', operation: 'set', reason: 'overflow' })
      publish({ type: 'queued', operation: 'destroy', reason: down.reason })
      if (this.#lanes(sid).lifetime.breaker.closed) this.#on.replay.kick()
      if (decideDestroy(options.degradation.destroy, answer) === 'fail') throw down
      if (record) record.outcome = 'queued'
    }
  }

  /**
   * Makes the error of a failed operation and tells the application, once.
   *
   * @returns the error, and what `onRedisDown` answered
   */
  tell(
    operation: Operation,
    failure: RedisFailure,
    req: Request,
    sid: string | undefined,
    record?: OpenRecord,
  ): { error: RedisDownError; answer: unknown } {
    const cause = failure.cause instanceof RedisFailure ? failure.cause : failure
    const error = new RedisDownError(operation, failure.reason, this.#retryAfter, cause)
    if (record) record.reason = failure.reason
    let answer: unknown
    try {
      answer = this.#on.options.onRedisDown?.(error, req, sid)
      if (answer instanceof Promise) answer.catch(() => {})
    } catch {
      // The handler's own trouble; the operation goes on by the configured policy.
    }
    return { error, answer }
  }

  async #loadWithoutRedis(
    sid: string,
    req: Request,
    failure: RedisFailure,
    record: OpenRecord | undefined,
  ): Promise<StoredSession | null> {
    if (this.#isDestroyed(sid)) return null
    const { error, answer } = this.tell('get', failure, req, sid, record)
    const copy = this.#copy(sid)
    switch (decideRead(this.#on.options.degradation.read, answer, copy !== undefined)) {
      case 'serve-stale':
        if (copy !== undefined) return this.#loadStale(sid, req, copy, error)
        throw error
      case 'serve-blank':
        return this.#later(this.#blank(sid, req))
      case 'fail':
        throw error
    }
  }

  /** What can be served without Redis: the change that waits, or where none does what Redis confirmed last. */
  #copy(sid: string): PendingSave | CachedSession | undefined {
    const { queue, cache } = this.#on
    if (queue.saturated) return undefined
    // Not the older copy in place of a change too old to be served: saved again, it would replace that change.
    return queue.saves.has(sid) ? this.#pending(sid) : cache?.get(sid)
  }

  /** From memory, Redis being up. What it expires it announces only when it comes to it, so it is asked once how long. */
  async #loadNear(sid: string, req: Request, copy: CachedSession): Promise<StoredSession | null> {
    copy.endsAt ??= await this.#endOf(sid)
    if (copy.endsAt === undefined) {
      this.#on.cache?.delete(sid)
      return null
    }
    // Redis may have gone meanwhile, and a change been queued.
    const latest = this.#pending(sid) ?? copy
    let session: StoredSession | null
    try {
      session = await this.#loadCopy(sid, req, latest, 'near')
    } catch (error) {
      if (latest !== copy) throw error
      return this.#unreadable(sid, copy.raw, error, performance.now() + this.#on.options.timeout)
    }
    if (session !== null && this.#on.options.resetOnRead) this.touch(sid, session, req).catch(() => {})
    return session
  }

  /** A serializer may have a time from which on it no longer reads what it read before. That is no absence either. */
  async #loadStale(
    sid: string,
    req: Request,
    copy: PendingSave | CachedSession,
    down: RedisDownError,
  ): Promise<StoredSession | null> {
    try {
      return await this.#loadCopy(sid, req, copy)
    } catch (error) {
      this.#on.cache?.delete(sid)
      this.unreadable(error, sid)
      throw down
    }
  }

  async #loadCopy(
    sid: string,
    req: Request,
    copy: PendingSave | CachedSession,
    cached: 'near' | 'stale' = 'stale',
  ): Promise<StoredSession | null> {
    const raw = 'payload' in copy ? copy.payload : copy.raw
    const session = await this.#on.codec.decode(sid, raw)
    const source: SessionSource = 'payload' in copy ? 'queued' : cached
    const confirmedAt = 'confirmedAt' in copy ? lastConfirmed(copy) : undefined
    this.#present(session, sid, req, source, raw, confirmedAt, copy.server)
    await nextTurn()
    // A logout while the session was on its way to its reader is newer.
    return this.#isDestroyed(sid) ? null : session
  }

  /** Makes what a walk has read of Redis the session that `load` would have given. */
  scanned(sid: string, session: StoredSession, raw: Raw, sentAt: number): void {
    this.#present(session, sid, undefined, 'redis', raw, sentAt, this.#server(sid))
  }

  #blank(sid: string, req: Request): StoredSession {
    const session = { cookie: this.#on.freshCookie(req) } as StoredSession
    remember(session, req, {
      sid,
      source: 'blank',
      raw: undefined,
      confirmedAt: undefined,
      server: undefined,
      originalMaxAge: undefined,
      attempts: NO_ATTEMPTS,
      begun: 0,
      kept: 0,
    })
    return session
  }

  /** Makes a decoded session what express-session expects, and notes where it came from. */
  #present(
    session: StoredSession,
    sid: string,
    req: Request,
    source: SessionSource,
    raw: Raw,
    confirmedAt: number | undefined,
    server: string | undefined,
  ): void {
    const { cookie } = session as { cookie?: unknown }
    if (typeof cookie !== 'object' || cookie === null) session.cookie = this.#on.freshCookie(req)
    else this.#on.codec.refreshCookie(session)
    remember(session, req, {
      sid,
      source,
      raw,
      confirmedAt,
      server,
      originalMaxAge: maxAgeOf(session),
      attempts: NO_ATTEMPTS,
      begun: 0,
      kept: 0,
    })
  }

  /** Keeps a copy for the time without Redis; where the cookie does not tell the session's end, Redis is asked. */
  #keep(sid: string, raw: Raw, session: StoredSession, sentAt: number, begun: number | undefined): void {
    const { cache, clock, codec, near, options } = this.#on
    if (cache === undefined) return
    const confirmedAt = clock.monotonic() - (performance.now() - sentAt)
    const left = options.disableTTL ? Number.POSITIVE_INFINITY : codec.cookieTtl(session)
    const known = cache.expiryOf(sid)
    const enough = left !== undefined && left > (options.cache?.maxStale ?? 0)
    const expiresAt = enough ? confirmedAt + left : known
    const epoch = begun === undefined ? undefined : near?.proof(sid, begun)
    const entry: CachedSession = { raw, confirmedAt, expiresAt, server: this.#server(sid), epoch }
    cache.put(sid, entry)
    if (expiresAt !== undefined && expiresAt > confirmedAt) return
    this.#endOf(sid).then(
      (end) => {
        if (end === undefined) return
        cache.setExpiry(sid, end)
        entry.endsAt = end
      },
      () => {},
    )
  }

  /** When Redis ends a session, monotonic ms; `undefined` where it has ended. */
  async #endOf(sid: string): Promise<number | undefined> {
    const { clock, commands, options } = this.#on
    const askedAt = clock.monotonic()
    const request: ReadRequest = { kind: 'pttl', key: commands.key(sid) }
    const ttl = (await this.#lanes(sid).read.run(request, performance.now() + options.timeout)) as number
    if (ttl === -1) return Number.POSITIVE_INFINITY
    return ttl > 0 ? askedAt + ttl : undefined
  }

  /** Tells the application of a stored session that cannot be read. */
  unreadable(error: unknown, sid: string): void {
    try {
      const result = this.#on.options.onSessionLoadError?.(error, sid)
      if (result instanceof Promise) result.catch(() => {})
    } catch {
      // The handler's own trouble.
    }
  }

  async #unreadable(sid: string, raw: Raw, error: unknown, deadline: number): Promise<null> {
    const { commands, cache } = this.#on
    cache?.delete(sid)
    if (isSessionKeyUnknownError(error)) this.#keyUnknown(new SessionKeyUnknownError('get', error.keyId), sid)
    this.unreadable(error, sid)
    try {
      await this.#lanes(sid).lifetime.run(commands.deleteIf(sid, raw), deadline)
    } catch {
      // Redis went away in between; the next load finds the value unreadable again.
    }
    return null
  }

  /** Others can read the session: it is left to them. */
  #keyUnknown(error: SessionKeyUnknownError, sid: string): never {
    this.unreadable(error, sid)
    throw error
  }

  /** Saves, and sees to what the script answered. Rejects with a {@link RedisFailure} where Redis failed. */
  async #write(
    sid: string,
    session: SessionData,
    write: Write,
    provenance: Provenance,
    startedAt: number,
  ): Promise<void> {
    const { options, codec, saves, publish } = this.#on
    const { ttl } = write
    const deadline = startedAt + options.timeout
    let guard = guardFor(provenance, write.base, options.concurrency)
    let restoring = false
    for (let comparison = 0; ; comparison++) {
      if (isSuperseded(write, provenance)) return
      const sentAt = performance.now()
      const value = write.payload
      const command = { sid, value, ttl, guard }
      let reply = await saves.send(command, deadline)
      if (reply.result === 'late') reply = await saves.sendLate(command, deadline, sentAt)
      switch (reply.result) {
        case 'saved':
        case 'unchanged':
          provenance.source = 'redis'
          provenance.raw = value
          provenance.own = write.encoded
          provenance.confirmedAt = sentAt
          provenance.server = this.#server(sid)
          provenance.attempts = NO_ATTEMPTS
          provenance.kept = Math.max(provenance.kept, write.order)
          if (restoring) publish({ type: 'restored', operation: 'set', queued: false })
          this.#overtake(sid, provenance, write)
          return this.saved(sid, value, sentAt, ttl)
        case 'late':
          throw LATE
        case 'gone':
          if (!restoring && (await this.#mayRestore(sid, provenance, deadline))) {
            restoring = true
            guard = { kind: 'digest', digests: [GUARD.absent, ...provenance.attempts.map(sha1)] }
            continue
          }
          this.#on.cache?.delete(sid)
          return this.#refuse('gone')
        case 'revoked':
          this.revoked(sid)
          return this.#refuse('revoked')
        case 'conflict': {
          const theirs = reply.stored
          const versions = { base: ancestor(write.base, provenance, theirs), ours: value, theirs }
          const found: Reconciliation =
            comparison < MAX_COMPARISONS
              ? await reconcile(codec, options.concurrency, sid, versions)
              : { kind: 'conflict' }
          if (found.kind === 'conflict' || found.kind === 'key-unknown') {
            this.#on.cache?.delete(sid)
            return found.kind === 'conflict' ? this.#conflict() : this.#keyUnknown(found.error, sid)
          }
          if (found.kind === 'merged') write.payload = this.#merged(session, found)
          write.base = theirs
          rebase(provenance, theirs)
          guard = { kind: 'digest', digests: [sha1(theirs)] }
        }
      }
    }
  }

  /** An earlier change of this session that waits is written with this one. */
  #overtake(sid: string, provenance: Provenance, { order }: Write): void {
    const { queue, publish } = this.#on
    const waiting = queue.saves.get(sid)
    if (waiting?.from?.provenance !== provenance || waiting.from.order > order) return
    queue.removeSave(sid)
    publish(overtakenSave(waiting))
  }

  /** The request goes on with both changes, and its next save keeps them. */
  #merged(session: SessionData, { merge, value }: Extract<Reconciliation, { kind: 'merged' }>): Raw {
    const { clashes } = merge
    applyMerge(session, merge)
    if (clashes > 0) {
      this.#on.publish({ type: 'conflict', operation: 'set', queued: false, resolution: 'merged', clashes })
    }
    return value
  }

  /** Whether what one server confirmed may have been lost by the one that answers now, and is to be written again. */
  #wasLost(sid: string, confirmedBy: string | undefined): boolean {
    const now = this.#server(sid)
    return this.#on.options.restoreLost && confirmedBy !== undefined && now !== undefined && confirmedBy !== now
  }

  /** A lost session is restored once every revocation known here has been sent again: nobody is known to have destroyed it. */
  async #mayRestore(sid: string, { server }: Provenance, deadline: number): Promise<boolean> {
    const { replay } = this.#on
    if (!this.#wasLost(sid, server)) return false
    const revoked = replay.revoked(sid)
    if (revoked === undefined) return true
    replay.kick()
    const late = new AbortController()
    const waiting = delay(Math.max(0, deadline - performance.now()), 'late', { signal: late.signal }).catch(
      () => 'late',
    )
    const first = await Promise.race([revoked, waiting])
    late.abort()
    if (first === 'late') throw LATE
    return true
  }

  /** Redis has this value: what this process remembers of the session follows. */
  saved(sid: string, raw: Raw, sentAt: number, ttl: number | undefined): void {
    const { cache, clock, touches, revocations, queue } = this.#on
    if (revocations.has(sid) || queue.destroys.has(sid)) return
    const confirmedAt = clock.monotonic() - (performance.now() - sentAt)
    const expiresAt = ttl === undefined ? Number.POSITIVE_INFINITY : confirmedAt + ttl
    cache?.put(sid, { raw, confirmedAt, expiresAt, server: this.#server(sid) })
    touches.set(sid, sentAt + (ttl ?? Number.POSITIVE_INFINITY))
  }

  /** Redis knows this session to be destroyed: this process does from here on. */
  revoked(sid: string): void {
    this.#on.revocations.add(sid)
    this.#on.cache?.delete(sid)
  }

  async #saveWithoutRedis(
    sid: string,
    session: SessionData,
    req: Request,
    awaited: boolean,
    provenance: Provenance,
    write: Write | undefined,
    failure: RedisFailure,
    record: OpenRecord | undefined,
  ): Promise<void> {
    const { error, answer } = this.tell('set', failure, req, sid, record)
    const { options, replay, publish } = this.#on
    const maybeApplied = write !== undefined && !NEVER_SENT.has(failure.reason)
    if (maybeApplied) noteAttempt(provenance, write.payload)
    const decision = decideSave(options.degradation.save, answer)
    if (decision === 'drop' && !awaited) {
      publish({ type: 'dropped', operation: 'set', reason: failure.reason })
      if (record) record.outcome = 'dropped'
      return
    }
    if (decision !== 'queue' || write === undefined) throw error
    if (this.#isDestroyed(sid)) return this.#refuse('revoked')
    if (!(await this.#enqueue(sid, session, provenance, write, failure))) {
      throw new RedisDownError('set', 'queue-full', this.#retryAfter, failure)
    }
    if (record) record.outcome = 'queued'
    if (this.#lanes(sid).save.breaker.closed) replay.kick()
  }

  /** Queues a session's latest state; false when there is no room. Rejects where it may not replace what waits already. */
  async #enqueue(
    sid: string,
    session: SessionData,
    from: Provenance,
    write: Write,
    failure: RedisFailure,
  ): Promise<boolean> {
    const { clock, codec, options, queue, publish } = this.#on
    const { ttl } = write
    const now = clock.monotonic()
    let value = write.payload
    // Until it is made from what waits then: others may come, or be replayed, while it is compared. So may other saves of
    // the same session end.
    for (;;) {
      if (isSuperseded(write, from)) return true
      const waiting = queue.saves.get(sid)?.payload
      const latest = waiting === undefined || options.concurrency === 'last-write' ? from.raw : waiting
      if (latest === undefined || sameRaw(latest, write.base)) break
      const versions = { base: ancestor(write.base, from, latest), ours: value, theirs: latest }
      const found = await reconcile(codec, options.concurrency, sid, versions)
      if (this.#isDestroyed(sid)) return this.#refuse('revoked')
      if (found.kind === 'conflict') return this.#conflict()
      if (found.kind === 'key-unknown') this.#keyUnknown(found.error, sid)
      if (found.kind === 'merged') value = this.#merged(session, found)
      write.base = latest
      rebase(from, latest)
    }
    const own = owned(write.encoded)
    value = value === write.encoded ? own : owned(value)
    const added = queue.addSave({
      sid,
      base: from.raw,
      server: from.server,
      attempts: from.attempts.map(sha1),
      payload: value,
      expiresAt: ttl === undefined ? Number.POSITIVE_INFINITY : now + ttl,
      servedUntil: (from.confirmedAt ?? now) + options.queue.maxAge,
      queuedAt: performance.now(),
      from: { provenance: from, order: write.order },
    })
    if (!added) return false
    from.source = 'queued'
    from.raw = value
    from.own = own
    from.kept = write.order
    publish({ type: 'queued', operation: 'set', reason: failure.reason })
    return true
  }

  /** Deletes a session that is over, without a revocation: it was not logged out. */
  async #expire(operation: 'set' | 'touch', sid: string, req: Request): Promise<void> {
    const { options, commands, cache, queue, touches, publish } = this.#on
    cache?.delete(sid)
    touches.delete(sid)
    if (queue.removeSave(sid) !== undefined) publish({ type: 'dropped', operation: 'set', reason: 'expired' })
    try {
      await this.#lanes(sid).lifetime.run(commands.expireNow(sid), performance.now() + options.timeout)
    } catch (error) {
      if (!(error instanceof RedisFailure)) throw error
      throw this.tell(operation, error, req, sid).error
    }
  }

  #refuse(reason: 'revoked' | 'gone'): never {
    this.#on.publish({ type: 'revoked', operation: 'set', reason, queued: false })
    throw new SessionRevokedError('set')
  }

  #conflict(): never {
    this.#on.publish({ type: 'conflict', operation: 'set', queued: false, resolution: 'refused', clashes: 0 })
    throw new SessionConflictError('set')
  }

  /** A visitor came with a destroyed session's id: should Redis have it (a replica that missed the delete was promoted), it goes again. */
  #destroyAgain(sid: string): void {
    const { commands, options, queue, revocations } = this.#on
    const { lifetime } = this.#lanes(sid)
    if (queue.destroys.has(sid) || this.#again.has(sid) || !lifetime.breaker.closed) return
    if (this.#again.size >= MAX_AGAIN) this.#again.clear()
    this.#again.add(sid)
    const command = commands.destroy(sid, revocations.remaining(sid))
    lifetime.run(command, performance.now() + options.timeout).catch(() => this.#again.delete(sid))
  }

  /** Connected anew: perhaps to a server that missed a delete. */
  reconnected(): void {
    this.#again.clear()
  }

  #lanes(sid: string): Lanes {
    return this.#on.nodes.of(sid).lanes
  }

  /** The `run_id` of the server that has this session now, where known. */
  #server(sid: string): string | undefined {
    return this.#on.nodes.of(sid).runId
  }

  #isDestroyed(sid: string): boolean {
    return this.#on.revocations.has(sid) || this.#on.queue.destroys.has(sid)
  }

  /** The change that waits, as long as it may be served. */
  #pending(sid: string): PendingSave | undefined {
    const save = this.#on.queue.saves.get(sid)
    if (save === undefined) return undefined
    const now = this.#on.clock.monotonic()
    return now < save.servedUntil && now < save.expiresAt ? save : undefined
  }

  /** express-session does much of its work in get's callback: on a turn of its own that costs a third less. */
  async #later<T>(value: T): Promise<T> {
    await nextTurn()
    return value
  }
}

/** Where the lane a failure came from never wrote to the socket, the save cannot have been applied. */
const NEVER_SENT: ReadonlySet<string> = new Set(['circuit-open', 'overloaded', 'refused', 'not-connected'])

const BLANK = new RedisFailure('blank', 'a blank session is never saved')
const LATE = new RedisFailure('timeout', 'the save reached Redis after its deadline and was not applied')
const QUEUE_FULL = new RedisFailure('queue-full', 'earlier changes of the session wait, and this one does not fit')
const WAITING = new RedisFailure('circuit-open', 'earlier changes of the session wait')

function guardFor({ source, attempts }: Provenance, raw: Raw | undefined, concurrency: Concurrency): Guard {
  if (source === 'new' || source === 'blank') return { kind: 'none' }
  if ((source === 'redis' || source === 'near') && concurrency === 'last-write') return { kind: 'present' }
  return { kind: 'digest', digests: (raw === undefined ? attempts : [raw, ...attempts]).map(sha1) }
}

/** What a save's payload and what is there instead were both made from. */
function ancestor(base: Raw | undefined, { raw, own }: Provenance, theirs: Raw): Raw | undefined {
  return own !== undefined && sameRaw(theirs, raw) ? own : base
}

/** The session is made from this value now. */
function rebase(provenance: Provenance, raw: Raw): void {
  if (!sameRaw(raw, provenance.raw)) provenance.own = undefined
  provenance.raw = raw
}

/** A later save of the same session object is kept: it has all that this one has. */
function isSuperseded({ order }: Write, { kept }: Provenance): boolean {
  return kept > order
}

function sameRaw(a: Raw, b: Raw | undefined): boolean {
  if (typeof a === 'string' || b === undefined || typeof b === 'string') return a === b
  return a.equals(b)
}

/** Begins to follow a session that was made here. */
function track(session: SessionData, sid: string, req: Request): Provenance {
  const provenance: Provenance = {
    sid,
    source: 'new',
    raw: undefined,
    confirmedAt: undefined,
    server: undefined,
    originalMaxAge: maxAgeOf(session),
    attempts: NO_ATTEMPTS,
    begun: 0,
    kept: 0,
  }
  remember(session, req, provenance)
  return provenance
}

function maxAgeOf(session: SessionData): number | null {
  return session.cookie?.originalMaxAge ?? null
}

/** express-session's own touch reads the clock twice: now and then the age it resets is a millisecond less than it was. */
function sameAge(a: number | null, b: number | null): boolean {
  return a === null || b === null ? a === b : Math.abs(a - b) < 1_000
}

function requireSid(sid: unknown): asserts sid is string {
  if (typeof sid !== 'string' || sid === '') throw new TypeError('a session id must be a non-empty string')
}
