/**
 * Sends what waits in memory when Redis is back: revocations that another server may not know, then deletes, then saves.
 * A save is written only over what it was made from (or over an earlier attempt of its own): whatever else is stored
 * came from somebody else, and stays.
 */
import type { Clock } from './clock.js'
import type { Codec } from './codec.js'
import { RedisFailure, type SessionKeyUnknownError } from './errors.js'
import type { GuardedSaves } from './guarded-saves.js'
import type { Node, Nodes } from './node.js'
import type { Concurrency } from './options.js'
import { isOvertaking } from './provenance.js'
import { reconcile } from './reconcile.js'
import { GUARD } from './redis/scripts.js'
import { type Raw, type SaveReply, type SessionCommands, sha1 } from './redis/sessions.js'
import type { OutcomeRecord, ReplayedRecord } from './telemetry.js'
import { noteAttempt, type PendingDestroy, type PendingSave, type WriteQueue } from './write-queue.js'

export interface ReplayOptions {
  readonly queue: WriteQueue
  readonly commands: SessionCommands
  readonly codec: Codec
  readonly saves: GuardedSaves
  readonly nodes: Pick<Nodes, 'of'>
  readonly concurrency: Concurrency
  readonly restoreLost: boolean
  /** The store's deadline, ms. */
  readonly timeout: number
  readonly clock: Clock
  /** Redis has this value now; `ttl` in ms, `undefined` for none. */
  readonly onWritten: (sid: string, payload: Raw, sentAt: number, ttl: number | undefined) => void
  /** Redis knows this session to be destroyed. */
  readonly onRevoked: (sid: string) => void
  /** What is stored in the place of a save cannot be compared with it: its key is not known here. */
  readonly onKeyUnknown: (error: SessionKeyUnknownError, sid: string) => void
  readonly publish: (record: OutcomeRecord) => void
}

/** Under way at once on one server. */
const CONCURRENCY = 32
/** Before the next try after a failure while the breaker stays closed, ms: doubles, with jitter. */
const BACKOFF = Object.freeze({ first: 100, last: 5_000 })
/** Times a save is tried again because the stored session changed in a way that can be reconciled. */
const MAX_REBASES = 5

/** What waits for one server. */
interface Waiting {
  readonly revocations: (readonly [sid: string, until: number])[]
  readonly destroys: PendingDestroy[]
  readonly saves: PendingSave[]
}

export class Replay {
  readonly #options: ReplayOptions
  /** Revocations to send again, each with the moment (monotonic ms) when it is over. */
  readonly #revocations = new Map<string, number>()
  #running: Promise<void> | undefined
  #again = false
  #failures = 0
  #timer: NodeJS.Timeout | undefined
  /** Who waits for the revocations of a server to be sent. */
  readonly #whenRevoked = new Map<Node, { promise: Promise<void>; resolve: () => void }>()

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

  /** Settles when no revocation waits to be sent again to the server that has this session; `undefined` when none does. */
  revoked(sid: string): Promise<void> | undefined {
    const node = this.#options.nodes.of(sid)
    if (!this.#isRevoking(node)) return undefined
    let waiting = this.#whenRevoked.get(node)
    if (waiting === undefined) {
      let resolve!: () => void
      const promise = new Promise<void>((onResolve) => {
        resolve = onResolve
      })
      waiting = { promise, resolve }
      this.#whenRevoked.set(node, waiting)
    }
    return waiting.promise
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

  #isRevoking(node: Node): boolean {
    for (const sid of this.#revocations.keys()) if (this.#options.nodes.of(sid) === node) return true
    return false
  }

  async #drain(): Promise<void> {
    const { queue, nodes } = this.#options
    // Each server by itself: one that is away holds back nothing of the others'.
    const waiting = new Map<Node, Waiting>()
    const at = (sid: string): Waiting => {
      const node = nodes.of(sid)
      // Stryker disable next-line ArrayDeclaration: what the mutants put there is nobody's, and is passed over
      const known = waiting.get(node) ?? { revocations: [], destroys: [], saves: [] }
      waiting.set(node, known)
      return known
    }
    for (const revocation of this.#revocations) at(revocation[0]).revocations.push(revocation)
    for (const destroy of queue.destroys.values()) at(destroy.sid).destroys.push(destroy)
    for (const save of queue.saves.values()) at(save.sid).saves.push(save)
    const ends = await Promise.all(Array.from(waiting, (entry) => this.#drainNode(...entry)))
    const sent = ends.every(Boolean)
    if (sent) {
      this.#failures = 0
      return
    }
    // With the breaker open its closing is the signal; otherwise (Redis busy, a lane full) a timer is.
    const wait = Math.min(BACKOFF.first * 2 ** this.#failures++, BACKOFF.last)
    this.#timer = setTimeout(() => this.kick(), wait * (0.5 + Math.random() / 2)).unref()
  }

  async #drainNode(node: Node, { revocations, destroys, saves }: Waiting): Promise<boolean> {
    if (!(await inParallel(revocations, (revocation) => this.#sendRevocation(...revocation)))) return false
    if (!this.#isRevoking(node)) {
      this.#whenRevoked.get(node)?.resolve()
      this.#whenRevoked.delete(node)
    }
    return (
      (await inParallel(destroys, (destroy) => this.#sendDestroy(destroy))) &&
      (await inParallel(saves, (save) => this.#sendSave(save)))
    )
  }

  /** This and the next two resolve to false when Redis failed: the rest can wait. */
  async #sendRevocation(sid: string, until: number): Promise<false | void> {
    const { commands, nodes, timeout, clock } = this.#options
    const { lifetime } = nodes.of(sid).lanes
    const remaining = Math.ceil(until - clock.monotonic())
    try {
      if (remaining > 0) await lifetime.run(commands.destroy(sid, remaining), performance.now() + timeout)
    } catch (error) {
      if (error instanceof RedisFailure) return false
    }
    this.#revocations.delete(sid)
  }

  async #sendDestroy(destroy: PendingDestroy): Promise<false | void> {
    const { queue, commands, nodes, timeout, publish } = this.#options
    const { sid } = destroy
    const { lifetime } = nodes.of(sid).lanes
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
      // A later change of the same request is on its way past the queue: this one would undo it.
      if (save.from !== undefined && isOvertaking(save.from.provenance, save.from.order)) return false
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
        case 'conflict': {
          const found = rebases++ < MAX_REBASES && (await this.#reconcile(save, reply.stored))
          if (found === true) continue
          if (queue.saves.get(sid) !== save) return
          if (found === 'key-unknown') return this.#lose(save, found)
          queue.removeSave(sid)
          publish({ type: 'conflict', operation: 'set', queued: true, resolution: 'refused', clashes: 0 })
          return
        }
        case 'gone':
          if (!restoring && this.#mayRestore(save)) {
            restoring = true
            continue
          }
          return this.#revoke(save, 'gone')
        case 'revoked':
          this.#options.onRevoked(sid)
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
  async #reconcile(save: PendingSave, stored: Raw): Promise<boolean | 'key-unknown'> {
    const { queue, codec, concurrency, onKeyUnknown, publish } = this.#options
    const { sid, base, payload } = save
    const found = await reconcile(codec, concurrency, sid, { base, ours: payload, theirs: stored })
    if (found.kind === 'conflict') return false
    if (found.kind === 'key-unknown') {
      onKeyUnknown(found.error, sid)
      return found.kind
    }
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
    const { restoreLost, nodes } = this.#options
    const { runId } = nodes.of(save.sid)
    return restoreLost && save.server !== undefined && runId !== undefined && save.server !== runId
  }

  #revoke(save: PendingSave, reason: 'revoked' | 'gone'): void {
    this.#options.queue.removeSave(save.sid)
    this.#options.publish({ type: 'revoked', operation: 'set', reason, queued: true })
  }

  #lose(save: PendingSave, reason: 'expired' | 'key-unknown' | 'error'): void {
    const { queue, publish } = this.#options
    queue.removeSave(save.sid)
    publish({ type: 'dropped', operation: 'set', reason })
  }
}

/** How a queued save ended whose change was written by a later save of its session. */
export function overtakenSave({ queuedAt }: PendingSave): ReplayedRecord {
  return { type: 'replayed', operation: 'set', outcome: 'already-there', waited: performance.now() - queuedAt }
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
