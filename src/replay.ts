/**
 * Sends what waits in memory when Redis is back: revocations that another server may not know, then deletes, then saves.
 * A save is written only over what it was made from (or over an earlier attempt of its own): whatever else is stored
 * came from somebody else, and stays.
 */
import type { Clock } from './clock.js'
import type { Codec } from './codec.js'
import { RedisFailure } from './errors.js'
import type { GuardedSaves } from './guarded-saves.js'
import type { Lane } from './lanes.js'
import type { Concurrency } from './options.js'
import { reconcile } from './reconcile.js'
import { GUARD } from './redis/scripts.js'
import { type Raw, type SaveReply, type SessionCommands, sha1, type WriteRequest } from './redis/sessions.js'
import type { OutcomeRecord, ReplayedRecord } from './telemetry.js'
import { noteAttempt, type PendingDestroy, type PendingSave, type WriteQueue } from './write-queue.js'

export interface ReplayOptions {
  readonly queue: WriteQueue
  readonly commands: SessionCommands
  readonly codec: Codec
  readonly saves: GuardedSaves
  readonly lifetime: Lane<WriteRequest, unknown>
  readonly concurrency: Concurrency
  readonly restoreLost: boolean
  /** The store's deadline, ms. */
  readonly timeout: number
  readonly clock: Clock
  /** The `run_id` of the server that answers now. */
  readonly server: () => string | undefined
  /** Redis has this value now; `ttl` in ms, `undefined` for none. */
  readonly onWritten: (sid: string, payload: Raw, sentAt: number, ttl: number | undefined) => void
  readonly publish: (record: OutcomeRecord) => void
}

/** Under way at once. */
const CONCURRENCY = 32
/** Before the next try after a failure while the breaker stays closed, ms: doubles, with jitter. */
const BACKOFF = Object.freeze({ first: 100, last: 5_000 })
/** Times a save is tried again because the stored session changed in a way that can be reconciled. */
const MAX_REBASES = 5

export class Replay {
  readonly #options: ReplayOptions
  /** Revocations to send again, each with the moment (monotonic ms) when it is over. */
  readonly #revocations = new Map<string, number>()
  #running: Promise<void> | undefined
  #again = false
  #failures = 0
  #timer: NodeJS.Timeout | undefined
  #whenRevoked: { promise: Promise<void>; resolve: () => void } | undefined

  constructor(options: ReplayOptions) {
    this.#options = options
  }

  get active(): boolean {
    return this.#running !== undefined
  }

  /** Another server answers: what this process knows to be destroyed is sent again, before anything else. */
  revokeAgain(revocations: Iterable<readonly [sid: string, remaining: number]>): void {
    const now = this.#options.clock.monotonic()
    for (const [sid, remaining] of revocations) this.#revocations.set(sid, now + remaining)
  }

  /** Settles when no revocation waits to be sent again; `undefined` when none does. */
  revoked(): Promise<void> | undefined {
    if (this.#revocations.size === 0) return undefined
    if (this.#whenRevoked === undefined) {
      let resolve!: () => void
      const promise = new Promise<void>((onResolve) => {
        resolve = onResolve
      })
      this.#whenRevoked = { promise, resolve }
    }
    return this.#whenRevoked.promise
  }

  /** Starts sending, or makes sure that it goes on: Redis is back, or something was queued. */
  kick(): void {
    clearTimeout(this.#timer)
    if (this.#running !== undefined) {
      this.#again = true
      return
    }
    if (this.#isEmpty()) return
    this.#running = this.#drain().finally(() => {
      this.#running = undefined
      if (this.#again) {
        this.#again = false
        this.kick()
      }
    })
  }

  /** Sends what it can until the deadline (monotonic ms), then gives the rest up, reports each and counts them. */
  async finish(deadline: number): Promise<{ droppedSaves: number; droppedDestroys: number }> {
    const { queue, publish } = this.#options
    while (!this.#isEmpty() && performance.now() < deadline) {
      this.kick()
      await sleep(Math.max(0, Math.min(20, deadline - performance.now())))
    }
    clearTimeout(this.#timer)
    queue.close()
    // Otherwise a replay that fails from here on would try again for ever.
    this.#revocations.clear()
    const destroys = [...queue.destroys.keys()]
    for (const sid of destroys) {
      queue.removeDestroy(sid)
      publish({ type: 'dropped', operation: 'destroy', reason: 'shutdown' })
    }
    const saves = queue.clearSaves()
    for (const _ of saves) publish({ type: 'dropped', operation: 'set', reason: 'shutdown' })
    return { droppedSaves: saves.length, droppedDestroys: destroys.length }
  }

  #isEmpty(): boolean {
    const { queue } = this.#options
    return this.#revocations.size === 0 && queue.destroys.size === 0 && queue.saves.size === 0
  }

  async #drain(): Promise<void> {
    const { queue } = this.#options
    const sent =
      (await inParallel([...this.#revocations], (revocation) => this.#sendRevocation(...revocation))) &&
      (await inParallel([...queue.destroys.values()], (destroy) => this.#sendDestroy(destroy))) &&
      (await inParallel([...queue.saves.values()], (save) => this.#sendSave(save)))
    if (sent) {
      this.#failures = 0
      return
    }
    // With the breaker open its closing is the signal; otherwise (Redis busy, a lane full) a timer is.
    const wait = Math.min(BACKOFF.first * 2 ** this.#failures++, BACKOFF.last)
    this.#timer = setTimeout(() => this.kick(), wait * (0.5 + Math.random() / 2)).unref()
  }

  /** This and the next two resolve to false when Redis failed: the rest can wait. */
  async #sendRevocation(sid: string, until: number): Promise<false | void> {
    const { commands, lifetime, timeout, clock } = this.#options
    const remaining = Math.ceil(until - clock.monotonic())
    try {
      if (remaining > 0) await lifetime.run(commands.destroy(sid, remaining), performance.now() + timeout)
    } catch (error) {
      if (error instanceof RedisFailure) return false
    }
    this.#revocations.delete(sid)
    if (this.#revocations.size === 0) {
      this.#whenRevoked?.resolve()
      this.#whenRevoked = undefined
    }
  }

  async #sendDestroy(destroy: PendingDestroy): Promise<false | void> {
    const { queue, commands, lifetime, timeout, publish } = this.#options
    const { sid } = destroy
    // Confirmed by another destroy, or given up at shutdown: told already.
    const settled = (): boolean => queue.destroys.get(sid) !== destroy
    if (settled()) return
    let end: OutcomeRecord
    try {
      end = replayedDestroy(destroy, await lifetime.run(commands.destroy(sid), performance.now() + timeout))
    } catch (error) {
      if (error instanceof RedisFailure) return false
      end = { type: 'dropped', operation: 'destroy', reason: 'error' }
    }
    if (settled()) return
    queue.removeDestroy(sid)
    publish(end)
  }

  async #sendSave(save: PendingSave): Promise<false | void> {
    const { queue, publish } = this.#options
    const { sid } = save
    let rebases = 0
    let restoring = false
    while (queue.saves.get(sid) === save) {
      const sentAt = performance.now()
      const { version, payload } = save
      const left = save.expiresAt - this.#options.clock.monotonic()
      if (left <= 0) return this.#lose(save, 'expired')
      const ttl = left === Number.POSITIVE_INFINITY ? undefined : Math.ceil(left)
      let reply: SaveReply
      try {
        reply = await this.#write(save, sentAt, ttl, restoring)
      } catch (error) {
        if (error instanceof RedisFailure) return false
        if (queue.saves.get(sid) !== save) return
        return this.#lose(save, 'error')
      }
      if (queue.saves.get(sid) !== save) return
      switch (reply.result) {
        case 'saved':
        case 'unchanged': {
          if (save.version !== version) {
            queue.rebase(save, payload)
            continue
          }
          queue.removeSave(sid)
          this.#options.onWritten(sid, payload, sentAt, ttl)
          const outcome = reply.result === 'saved' ? 'written' : 'already-there'
          publish({ type: 'replayed', operation: 'set', outcome, waited: performance.now() - save.queuedAt })
          if (restoring) publish({ type: 'restored', operation: 'set', queued: true })
          return
        }
        case 'conflict':
          if (rebases++ < MAX_REBASES && (await this.#reconcile(save, reply.stored))) continue
          if (queue.saves.get(sid) !== save) return
          queue.removeSave(sid)
          publish({ type: 'conflict', operation: 'set', queued: true, resolution: 'refused', clashes: 0 })
          return
        case 'gone':
          if (!restoring && this.#mayRestore(save)) {
            restoring = true
            continue
          }
          return this.#revoke(save, 'gone')
        case 'revoked':
          return this.#revoke(save, 'revoked')
        case 'late':
          return false
      }
    }
  }

  #write(save: PendingSave, sentAt: number, ttl: number | undefined, restoring: boolean): Promise<SaveReply> {
    // Noted before it is sent: from here on Redis may have it.
    noteAttempt(save, sha1(save.payload))
    const base = save.base === undefined || restoring ? [GUARD.absent] : []
    const digests = [...base, ...(save.base === undefined ? [] : [sha1(save.base)]), ...save.attempts]
    return this.#options.saves.run(
      { sid: save.sid, value: save.payload, ttl, guard: { kind: 'digest', digests } },
      sentAt + this.#options.timeout,
    )
  }

  /** Takes what is stored for the new base, where that loses nothing. */
  async #reconcile(save: PendingSave, stored: Raw): Promise<boolean> {
    const { queue, codec, concurrency, publish } = this.#options
    const { sid, base, payload } = save
    const found = await reconcile(codec, concurrency, sid, { base, ours: payload, theirs: stored })
    if (found.kind === 'conflict') return false
    // Changed again while it was compared: the next round compares that.
    if (save.payload !== payload || queue.saves.get(sid) !== save) return true
    if (found.kind === 'same') {
      queue.rebase(save, stored)
      return true
    }
    queue.rebase(save, stored, found.value)
    const { clashes } = found.merge
    if (clashes > 0) publish({ type: 'conflict', operation: 'set', queued: true, resolution: 'merged', clashes })
    return true
  }

  /** Redis came back as another server, without this session, and nobody here knows of a logout. */
  #mayRestore(save: PendingSave): boolean {
    const { restoreLost, server } = this.#options
    return restoreLost && save.server !== undefined && server() !== undefined && save.server !== server()
  }

  #revoke(save: PendingSave, reason: 'revoked' | 'gone'): void {
    this.#options.queue.removeSave(save.sid)
    this.#options.publish({ type: 'revoked', operation: 'set', reason, queued: true })
  }

  #lose(save: PendingSave, reason: 'expired' | 'error'): void {
    const { queue, publish } = this.#options
    queue.removeSave(save.sid)
    publish({ type: 'dropped', operation: 'set', reason })
  }
}

/** How a queued delete ended; `deleted` is what the script answered. */
export function replayedDestroy({ queuedAt }: PendingDestroy, deleted: unknown): ReplayedRecord {
  const outcome = deleted === 0 ? 'already-there' : 'written'
  return { type: 'replayed', operation: 'destroy', outcome, waited: performance.now() - queuedAt }
}

/** Runs the jobs, some at a time, in order; stops beginning new ones once one resolves to false, and says so. */
async function inParallel<Job>(jobs: readonly Job[], run: (job: Job) => Promise<false | void>): Promise<boolean> {
  let next = 0
  let going = true
  const worker = async (): Promise<void> => {
    while (going && next < jobs.length) {
      const job = jobs[next++] as Job
      if ((await run(job)) === false) going = false
    }
  }
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, jobs.length) }, worker))
  return going
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
