/**
 * Sends what waits in the queue when Redis is back: deletes first, then saves. A save is written only over what it was
 * made from (or over an earlier attempt of its own): whatever else is stored came from somebody else, and stays.
 */
import type { Clock } from './clock.js'
import type { Codec } from './codec.js'
import { RedisFailure } from './errors.js'
import type { GuardedSaves } from './guarded-saves.js'
import type { Lane } from './lanes.js'
import { GUARD } from './redis/scripts.js'
import { type Raw, type SaveReply, type SessionCommands, sha1, type WriteRequest } from './redis/sessions.js'
import type { OutcomeRecord } from './telemetry.js'
import { noteAttempt, type PendingDestroy, type PendingSave, type WriteQueue } from './write-queue.js'

export interface ReplayOptions {
  readonly queue: WriteQueue
  readonly commands: SessionCommands
  readonly codec: Codec
  readonly saves: GuardedSaves
  readonly lifetime: Lane<WriteRequest, unknown>
  /** The store's deadline, ms. */
  readonly timeout: number
  readonly clock: Clock
  /** Redis has this value now; `ttl` in ms, `undefined` for none. */
  readonly onWritten: (sid: string, payload: Raw, sentAt: number, ttl: number | undefined) => void
  readonly publish: (record: OutcomeRecord) => void
}

/** Under way at once. */
const CONCURRENCY = 32
/** Before the next try after a failure while the breaker stays closed, ms: doubles, with jitter. */
const BACKOFF = Object.freeze({ first: 100, last: 5_000 })
/** Times a save is compared again because only a cookie changed meanwhile. */
const MAX_REBASES = 3

export class Replay {
  readonly #options: ReplayOptions
  #running: Promise<void> | undefined
  #again = false
  #failures = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: ReplayOptions) {
    this.#options = options
  }

  get active(): boolean {
    return this.#running !== undefined
  }

  /** Starts sending, or makes sure that it goes on: Redis is back, or something was queued. */
  kick(): void {
    clearTimeout(this.#timer)
    if (this.#running !== undefined) {
      this.#again = true
      return
    }
    const { queue } = this.#options
    if (queue.destroys.size === 0 && queue.saves.size === 0) return
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
    const empty = (): boolean => queue.destroys.size === 0 && queue.saves.size === 0
    while (!empty() && performance.now() < deadline) {
      this.kick()
      await Promise.race([this.#running, sleep(Math.min(20, deadline - performance.now()))])
      if (!this.active) await sleep(Math.max(0, Math.min(20, deadline - performance.now())))
    }
    clearTimeout(this.#timer)
    this.#again = false
    const destroys = [...queue.destroys.keys()]
    for (const sid of destroys) {
      queue.removeDestroy(sid)
      publish({ type: 'dropped', operation: 'destroy', reason: 'shutdown' })
    }
    const saves = queue.clearSaves()
    for (const _ of saves) publish({ type: 'dropped', operation: 'set', reason: 'shutdown' })
    return { droppedSaves: saves.length, droppedDestroys: destroys.length }
  }

  async #drain(): Promise<void> {
    const { queue } = this.#options
    const sent =
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

  /** Resolves to false when Redis failed: the rest can wait. */
  async #sendDestroy(destroy: PendingDestroy): Promise<boolean> {
    const { queue, commands, lifetime, timeout, publish } = this.#options
    const { sid, queuedAt } = destroy
    // Confirmed by another destroy, or given up at shutdown: either was told of.
    const settled = (): boolean => queue.destroys.get(sid) !== destroy
    if (settled()) return true
    let sent = true
    try {
      await lifetime.run(commands.destroy(sid), performance.now() + timeout)
    } catch (error) {
      if (error instanceof RedisFailure) return false
      sent = false
    }
    if (settled()) return true
    queue.removeDestroy(sid)
    if (sent) publish({ type: 'replayed', operation: 'destroy', waited: performance.now() - queuedAt })
    else publish({ type: 'dropped', operation: 'destroy', reason: 'error' })
    return true
  }

  async #sendSave(save: PendingSave): Promise<boolean> {
    const { queue, codec, publish } = this.#options
    const { sid } = save
    let rebases = 0
    while (queue.saves.get(sid) === save) {
      const sentAt = performance.now()
      const { version, payload } = save
      const left = save.expiresAt - this.#options.clock.monotonic()
      if (left <= 0) return this.#lose(save, 'expired')
      const ttl = left === Number.POSITIVE_INFINITY ? undefined : Math.ceil(left)
      let reply: SaveReply
      try {
        reply = await this.#write(save, sentAt, ttl)
      } catch (error) {
        if (error instanceof RedisFailure) return false
        if (queue.saves.get(sid) !== save) return true
        return this.#lose(save, 'error')
      }
      if (queue.saves.get(sid) !== save) return true
      switch (reply.result) {
        case 'saved':
          if (save.version !== version) {
            queue.rebase(save, payload)
            continue
          }
          queue.removeSave(sid)
          this.#options.onWritten(sid, payload, sentAt, ttl)
          publish({ type: 'replayed', operation: 'set', waited: performance.now() - save.queuedAt })
          return true
        case 'conflict': {
          const unchanged =
            save.base !== undefined &&
            rebases++ < MAX_REBASES &&
            (await codec.sameContent(sid, save.base, reply.stored))
          if (queue.saves.get(sid) !== save) return true
          if (unchanged) {
            queue.rebase(save, reply.stored)
            continue
          }
          queue.removeSave(sid)
          publish({ type: 'conflict', operation: 'set', queued: true })
          return true
        }
        case 'revoked':
          queue.removeSave(sid)
          publish({ type: 'revoked', operation: 'set', queued: true })
          return true
        case 'gone':
          return this.#lose(save, 'gone')
        case 'late':
          return false
      }
    }
    return true
  }

  #write(save: PendingSave, sentAt: number, ttl: number | undefined): Promise<SaveReply> {
    // Noted before it is sent: from here on Redis may have it.
    noteAttempt(save, sha1(save.payload))
    const digests = [save.base === undefined ? GUARD.absent : sha1(save.base), ...save.attempts]
    return this.#options.saves.run(
      { sid: save.sid, value: save.payload, ttl, guard: { kind: 'digest', digests } },
      sentAt + this.#options.timeout,
    )
  }

  #lose(save: PendingSave, reason: 'expired' | 'gone' | 'error'): true {
    const { queue, publish } = this.#options
    queue.removeSave(save.sid)
    publish({ type: 'dropped', operation: 'set', reason })
    return true
  }
}

/** Runs the jobs, some at a time, in order; stops beginning new ones once one resolves to false, and says so. */
async function inParallel<Job>(jobs: readonly Job[], run: (job: Job) => Promise<boolean>): Promise<boolean> {
  let next = 0
  let going = true
  const worker = async (): Promise<void> => {
    while (going && next < jobs.length) {
      const job = jobs[next++] as Job
      if (!(await run(job))) going = false
    }
  }
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, jobs.length) }, worker))
  return going
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
