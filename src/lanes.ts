/**
 * A lane is one circuit breaker and the commands behind it. What one event-loop turn asks of a lane leaves as one
 * batch, through one `fire`, under one timer; each command still has its own result. For the breaker a batch failed
 * when Redis failed and nothing in it was answered. The deadline lives in here and not in opossum, so that every
 * action settles; a user's operation never serves as a probe.
 */
import CircuitBreaker from 'opossum'
import { type DownReason, RedisFailure } from './errors.js'
import type { BreakerOptions } from './options.js'
import { classify, isReply, toFailure, withoutCommand } from './redis/failures.js'

/** `read`: GET; `save`: needs memory on a master; `lifetime`: needs a master, but no memory: EXPIRE, DEL. */
export type LaneName = 'read' | 'save' | 'lifetime'

/** Tells a batch how one of its requests ended. The first word counts; later ones are ignored. */
export type Settle<Reply> = (index: number, error: unknown, reply?: Reply) => void

/**
 * Sends a batch, in order.
 *
 * @param alive says that the server answered a request, although with nothing that settles it
 */
export type Send<Request, Reply> = (batch: readonly Sent<Request>[], settle: Settle<Reply>, alive: () => void) => void

/** A request as it leaves. */
export interface Sent<Request> {
  readonly request: Request
  /** When its caller is told that it failed, monotonic ms. */
  readonly deadline: number
}

/** What a lane needs to know of the Redis connection. */
export interface LaneConnection {
  /** Settles when commands can be sent, at once where they can; rejects with a {@link RedisFailure} when the connection is lost. */
  usable(): Promise<void> | undefined
  /** A probe hung although the connection stands: a connection of our own is made anew. */
  stalled(): void
}

/** How a lane talks to Redis, and to the store. */
export interface LaneOptions<Request, Reply> {
  readonly name: LaneName
  /** Whose lane it is, where there are several servers: `host:port`. */
  readonly server?: string | undefined
  /** Milliseconds. */
  readonly timeout: number
  readonly breaker: Readonly<Required<BreakerOptions>>
  readonly maxInFlight: number
  readonly connection: LaneConnection
  readonly send: Send<Request, Reply>
  /** Finds out, without side effects, whether the lane's commands work. */
  readonly probe: () => Promise<unknown>
  readonly onChange: (lane: LaneName, state: LaneState) => void
}

/** A lane as `health()` shows it. */
export interface LaneState {
  readonly state: 'closed' | 'open' | 'half-open'
  /** Why it is not closed. */
  readonly reason?: DownReason
}

/** The part of an opossum breaker that the store shows; it is one, for opossum's own tools. */
export interface LaneBreaker extends NodeJS.EventEmitter {
  readonly name: string
  readonly group: string
  readonly opened: boolean
  readonly closed: boolean
  readonly halfOpen: boolean
  readonly stats: Readonly<Record<string, unknown>>
}

/** A timer that fires at most this late (ms) is on time; beyond it, the loop was blocked. */
const LAG_TOLERANCE = 25

interface Task<Request, Reply> extends Sent<Request> {
  deadline: number
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: unknown) => void
  done: boolean
}

export class Lane<Request, Reply> {
  /** The opossum breaker, for its own tools (events, stats, metrics exporters). */
  readonly breaker: LaneBreaker
  readonly #breaker: CircuitBreaker<[() => Promise<unknown>], unknown>
  readonly #options: LaneOptions<Request, Reply>
  #queue: Task<Request, Reply>[] = []
  /** When the first of the queue came, monotonic ms. */
  #queuedAt = 0
  #inFlight = 0
  #batches = 0
  #consecutive = 0
  /** Counts the transitions: what was sent before the last one says nothing about the state after it. */
  #epoch = 0
  #probing = false
  #probeAgain = false
  #closed = false
  /** Batches of an earlier epoch that ended while the breaker was half-open: they wait for the probe's verdict. */
  #held: (() => void)[] = []
  #openFailure: RedisFailure
  #lastFailure: RedisFailure | undefined

  constructor(options: LaneOptions<Request, Reply>) {
    this.#options = options
    const { consecutiveFailures: _, ...breaker } = options.breaker
    const at = options.server === undefined ? '' : `@${options.server}`
    this.#breaker = new CircuitBreaker((action: () => Promise<unknown>) => action(), {
      ...breaker,
      name: `session-store:${options.name}${at}`,
      group: 'session-store',
      timeout: false,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
    } as CircuitBreaker.Options)
    this.breaker = this.#breaker as unknown as LaneBreaker
    this.#openFailure = this.#refusal()
    this.#breaker.on('open', () => this.#changed())
    this.#breaker.on('close', () => this.#changed())
    this.#breaker.on('halfOpen', () => {
      this.#changed()
      void this.probe()
    })
  }

  get name(): LaneName {
    return this.#options.name
  }

  get state(): LaneState {
    const state = this.#breaker.closed ? 'closed' : this.#breaker.halfOpen ? 'half-open' : 'open'
    const reason = state === 'closed' ? undefined : this.#lastFailure?.reason
    return reason === undefined ? { state } : { state, reason }
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** What `run` rejects with at once now; `undefined` where it would send. */
  get refusal(): RedisFailure | undefined {
    return this.#breaker.closed ? undefined : this.#openFailure
  }

  /**
   * Sends a request with the next batch.
   *
   * @param deadline when to give up, monotonic ms
   * @returns the reply; rejects with a {@link RedisFailure} where Redis failed, and with Redis's own error otherwise
   */
  run(request: Request, deadline: number): Promise<Reply> {
    if (!this.#breaker.closed) return Promise.reject(this.#openFailure)
    if (this.#inFlight >= this.#options.maxInFlight) return Promise.reject(OVERLOADED)
    this.#inFlight++
    if (this.#queue.length === 0) this.#queuedAt = performance.now()
    return new Promise<Reply>((resolve, reject) => {
      this.#queue.push({ request, deadline, resolve, reject, done: false })
      if (this.#queue.length > 1) return
      // With nothing under way only those of this very moment leave together (what one batch's answers set off): waiting
      // for more company would cost time. Otherwise it is the whole turn's.
      if (this.#batches === 0) process.nextTick(this.#flush)
      else setImmediate(this.#flush)
    })
  }

  /** Opens the breaker at once: the connection is gone. */
  open(failure: RedisFailure): void {
    this.#note(failure)
    if (!this.#closed) this.#breaker.open()
  }

  /**
   * Finds out whether Redis is back (or, while the lane is closed, whether it is still there), and sets the breaker
   * accordingly.
   */
  async probe(): Promise<void> {
    if (this.#closed) return
    if (this.#probing) {
      this.#probeAgain = true
      return
    }
    this.#probing = true
    this.#probeAgain = false
    try {
      const action = async (): Promise<void> => {
        try {
          await this.#bounded(this.#options.probe)
        } catch (error) {
          const reason = classify(error)
          // Redis answered, be it that it knows no such command: that is no outage.
          if (reason === undefined && isReply(error)) return
          const failure = toFailure(error, reason ?? 'not-connected')
          // Before opossum opens the breaker: whoever hears of that asks for the reason.
          this.#note(failure)
          throw failure
        }
      }
      await (this.#breaker.halfOpen ? this.#breaker.fire(action) : action())
      if (!this.#closed) this.#breaker.close()
    } catch (error) {
      const failure = toFailure(error, classify(error) ?? 'not-connected')
      if (failure.reason === 'timeout') this.#options.connection.stalled()
      this.open(failure)
    } finally {
      this.#probing = false
      // Asked again meanwhile (the connection is ready now): what this probe found is out of date.
      if (this.#probeAgain && !this.#breaker.closed) void this.probe()
    }
  }

  /** Stops the breaker's timers for good; what is under way still settles. */
  shutdown(): void {
    this.#closed = true
    this.#breaker.shutdown()
    this.#release()
  }

  #changed(): void {
    this.#epoch++
    this.#consecutive = 0
    this.#release()
    this.#options.onChange(this.#options.name, this.state)
  }

  #release(): void {
    for (const resolve of this.#held.splice(0)) resolve()
  }

  #note(failure: RedisFailure): void {
    this.#lastFailure = failure
    this.#openFailure = this.#refusal()
  }

  #refusal(): RedisFailure {
    const refusal = new RedisFailure('circuit-open', 'the circuit breaker is open')
    if (this.#lastFailure !== undefined) refusal.cause = this.#lastFailure
    return refusal
  }

  readonly #flush = (): void => {
    const tasks = this.#queue
    if (tasks.length === 0) return
    this.#queue = []
    if (!this.#breaker.closed) {
      for (const task of tasks) this.#reject(task, this.#openFailure)
      return
    }
    const lag = performance.now() - this.#queuedAt
    if (lag > LAG_TOLERANCE) for (const task of tasks) task.deadline += lag
    this.#breaker
      .fire(() => this.#execute(tasks))
      .catch((error: unknown) => {
        // Only what never ran is left: the breaker was shut down in between.
        for (const task of tasks) this.#reject(task, toFailure(error, 'not-connected'))
      })
  }

  /** Settles every task by its deadline. Rejects where the breaker is to count a failure. */
  #execute(tasks: readonly Task<Request, Reply>[]): Promise<void> {
    const epoch = this.#epoch
    this.#batches++
    return new Promise((resolve, reject) => {
      let pending = tasks.length
      let answered = false
      let extended = false
      let blocked = false
      let failure: RedisFailure | undefined
      let timer: NodeJS.Timeout | undefined

      const ended = (): void => {
        clearTimeout(timer)
        this.#batches--
        const current = epoch === this.#epoch
        // Half-open, opossum takes any success for the probe's.
        if (!current && this.#breaker.halfOpen) {
          this.#held.push(resolve)
          return
        }
        if (answered && current) this.#consecutive = 0
        if (answered || blocked || failure === undefined || !current) {
          resolve()
          return
        }
        this.#note(failure)
        reject(failure)
        if (++this.#consecutive >= this.#options.breaker.consecutiveFailures) this.#breaker.open()
      }
      const settle = (task: Task<Request, Reply> | undefined, error: unknown, reply?: Reply): void => {
        if (task === undefined || task.done) return
        const reason = error == null ? undefined : classify(error)
        if (reason === undefined) {
          answered = true
          if (error == null) this.#resolve(task, reply as Reply)
          else this.#reject(task, withoutCommand(error))
        } else {
          failure = toFailure(error, reason)
          this.#reject(task, failure)
        }
        if (--pending === 0) ended()
      }
      const settleAll = (error: unknown): void => {
        for (const task of tasks) settle(task, error)
      }
      const expire = (firedAt: number, lag: number): void => {
        if (pending === 0) return
        const late = lag > LAG_TOLERANCE
        if (late && !extended) {
          // The loop was blocked, which is not Redis's silence: what it stole is given back, once.
          extended = true
          const stolen = Math.min(lag, this.#options.timeout)
          const now = performance.now()
          for (const task of tasks) task.deadline = Math.max(task.deadline, now) + stolen
        } else {
          blocked ||= late
          for (const task of tasks) {
            if (!task.done && task.deadline <= firedAt) settle(task, TIMEOUT)
          }
        }
        if (pending > 0) arm()
      }
      const arm = (): void => {
        let next = Number.POSITIVE_INFINITY
        for (const task of tasks) if (!task.done && task.deadline < next) next = task.deadline
        const armedAt = performance.now()
        const due = Math.max(next, armedAt)
        timer = setTimeout(() => {
          const now = performance.now()
          // What the loop could not read while it was blocked may lie in the socket: give the poll phase its turn.
          setImmediate(() => setImmediate(() => expire(Math.max(now, next), now - due)))
        }, due - armedAt)
      }
      const send = (): void => {
        const live = tasks.filter((task) => !task.done)
        if (live.length === 0) return
        try {
          this.#options.send(
            live,
            (index, error, reply) => settle(live[index], error, reply),
            () => {
              answered = true
            },
          )
        } catch (error) {
          settleAll(error)
        }
      }

      arm()
      const waiting = this.#options.connection.usable()
      if (waiting === undefined) send()
      else waiting.then(send, settleAll)
    })
  }

  #resolve(task: Task<Request, Reply>, reply: Reply): void {
    task.done = true
    this.#inFlight--
    task.resolve(reply)
  }

  #reject(task: Task<Request, Reply>, error: unknown): void {
    if (task.done) return
    task.done = true
    this.#inFlight--
    task.reject(error)
  }

  /** A probe under the lane's deadline. */
  async #bounded(probe: () => Promise<unknown>): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => setImmediate(() => setImmediate(() => reject(TIMEOUT))), this.#options.timeout)
    })
    try {
      await Promise.race([late, (this.#options.connection.usable() ?? Promise.resolve()).then(probe)])
    } finally {
      clearTimeout(timer)
    }
  }
}

const TIMEOUT = new RedisFailure('timeout', 'no answer within the timeout')
const OVERLOADED = new RedisFailure('overloaded', 'too many operations under way')
