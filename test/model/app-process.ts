/** One application process's worth of state: a store, its clock and its proxy; every operation on it is taken down. */
import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { SessionData } from 'express-session'
import type { Clock } from '../../src/clock.js'
import {
  type OutcomeRecord,
  type RedisDownError,
  type ResilientStore,
  type ResilientStoreOptions,
  requestContext,
  type Serializer,
  sessionStatus,
} from '../../src/index.js'
import type { TcpProxy } from '../support/tcp-proxy.js'
import { sleep } from '../support/wait.js'
import type { Content, Ending, Handle, Operation, OperationName, StoreLife } from './history.js'
import { ModelClock } from './model-clock.js'
import { contentIn, type Recorder } from './recorder.js'
import type { Field, Settings, Word } from './steps.js'

/** Makes the store under test; the checker's own tests put broken ones in its place. */
export type MakeStore = (options: ResilientStoreOptions, clock: Clock) => ResilientStore

/** A request's session, as the application holds it. */
export interface LiveSession {
  readonly handle: Handle
  readonly session: SessionData & { version?: string; parent?: string } & Partial<Record<Field, string>>
  /** Its cookie lasts longer than it was loaded with: from here on every touch is a save. */
  remembered?: boolean
  /** Its cookie is over: the request has ended its session. */
  over?: boolean
}

export interface Asking {
  readonly word?: Word | undefined
}

const MARKS = new Set<OutcomeRecord['type']>(['dropped', 'queued', 'replayed', 'conflict', 'revoked', 'restored'])
/** Cookie lifetimes: Redis counts whole seconds. */
const LIFETIME = { long: 3_600_000, short: 1_000 } as const
const middleware = requestContext()

export class AppProcess {
  readonly life: StoreLife
  readonly proxy: TcpProxy
  readonly clock = new ModelClock()
  readonly store: ResilientStore
  /** Its proxy takes no connections until it is healed. */
  refused = false
  readonly #recorder: Recorder
  readonly #errors = new WeakMap<Operation, unknown>()

  constructor(
    recorder: Recorder,
    { place, proxy, settings, prefix }: { place: number; proxy: TcpProxy; settings: Settings; prefix: string },
    make: MakeStore,
  ) {
    this.#recorder = recorder
    this.proxy = proxy
    this.life = recorder.store(place, this.#stamp())
    const options = { ...optionsOf(settings), redis: proxy.url, prefix, onRedisDown: this.#onRedisDown }
    this.store = make(options, this.clock)
    for (const type of [...MARKS, 'down', 'up'] as const) {
      this.store.on(type, (record: OutcomeRecord) => this.#onOutcome(record))
    }
  }

  get crashed(): boolean {
    return this.life.end?.how === 'crashed'
  }

  /** Loads a session for a request; resolves to nothing where there is none. */
  async get(sid: string, { word }: Asking = {}): Promise<LiveSession | undefined> {
    const operation = this.#begin({ name: 'get', sid, word })
    const found = (await this.#run(operation, (done) => (done ? this.store.get(sid, done) : this.store.get(sid)))) as
      | LiveSession['session']
      | null
      | undefined
    const ended = operation.ended
    if (found == null || ended === undefined) return undefined
    if (ended.kind === 'session') {
      const { version } = ended.content
      const { source } = ended
      const from = { store: this.life.id, sid, source, loadedBy: operation.id }
      return { handle: this.#recorder.handle({ ...from, base: version }), session: found }
    }
    if (ended.kind !== 'blank') return undefined
    const blank = { store: this.life.id, sid, source: 'blank', loadedBy: operation.id } as const
    return { handle: this.#recorder.handle(blank), session: found }
  }

  /** A session that was loaded from nowhere. */
  newSession(sid: string, lifetime: keyof typeof LIFETIME): LiveSession {
    const maxAge = LIFETIME[lifetime]
    const cookie = { originalMaxAge: maxAge, expires: this.#from(maxAge), httpOnly: true, path: '/' }
    const handle = this.#recorder.handle({ store: this.life.id, sid, source: 'new' })
    return { handle, session: { cookie, sid } as unknown as LiveSession['session'] }
  }

  /** Changes one key, as this request's next version. */
  edit({ handle, session }: LiveSession, field: Field): void {
    const version = this.#recorder.newVersion(handle.sid)
    if (session.version !== undefined) session.parent = session.version
    const life = session.cookie.originalMaxAge
    Object.assign(session, { sid: handle.sid, version, life, [field]: version })
  }

  async set(live: LiveSession, { word, over = false }: Asking & { over?: boolean } = {}): Promise<Operation> {
    const { handle, session } = live
    if (over) {
      live.over = true
      Object.assign(session.cookie, { originalMaxAge: -1_000, expires: this.#from(-1_000) })
    }
    const given = { name: 'set', sid: handle.sid, word, handle: handle.id, content: contentIn(session) } as const
    const operation = this.#begin({ ...given, ...(over && { over }) })
    await this.#run(
      operation,
      (done) => (done ? this.store.set(handle.sid, session, done) : this.store.set(handle.sid, session)),
      () => this.#whereIs(live),
    )
    return operation
  }

  /** As at the end of a request that changed nothing; with `remember`, one that made its cookie last longer. */
  async touch(live: LiveSession, { word, remember }: Asking & { remember: boolean }): Promise<void> {
    const { handle, session } = live
    const { cookie } = session
    if (remember && cookie.originalMaxAge !== null) {
      live.remembered = true
      cookie.originalMaxAge += 60_000
    }
    if (cookie.originalMaxAge !== null) cookie.expires = this.#from(cookie.originalMaxAge) as unknown as Date
    const given = { name: 'touch', sid: handle.sid, word, handle: handle.id } as const
    // The store makes it a save; what it saves is then this request's next version.
    if (live.remembered) this.edit(live, 'a')
    const operation = this.#begin({ ...given, ...(live.remembered && { remember: true, content: contentIn(session) }) })
    await this.#run(
      operation,
      () => this.store.touch(handle.sid, session),
      () => this.#whereIs(live),
    )
  }

  async destroy(sid: string, { word }: Asking = {}): Promise<void> {
    const operation = this.#begin({ name: 'destroy', sid, word })
    await this.#run(operation, (done) => (done ? this.store.destroy(sid, done) : this.store.destroy(sid)))
  }

  /** The machine's power fails: nothing of it reaches Redis any more, and nobody hears of it. */
  crash(): void {
    this.life.end = { how: 'crashed', stamp: this.#stamp() }
    this.proxy.refuse()
    this.proxy.resetAll()
  }

  /** An orderly end. */
  async close(timeoutMs: number): Promise<void> {
    const end: NonNullable<StoreLife['end']> = { how: 'closed', stamp: this.#stamp() }
    this.life.end = end
    end.report = await this.store.close(timeoutMs)
  }

  /** For the clean-up after the history; nothing of it is taken down. */
  async dispose(): Promise<{ droppedSaves: number; droppedDestroys: number }> {
    return this.store.close(this.crashed ? 1 : 1_000)
  }

  advance(ms: number): void {
    this.clock.advance(ms)
    ;(this.life.advances as { at: number; by: number }[]).push({ at: this.#recorder.now(), by: ms })
  }

  #begin(given: {
    name: OperationName
    sid: string
    word: Word | undefined
    handle?: number
    content?: Content
    over?: boolean
    remember?: boolean
  }): Operation {
    return this.#recorder.operation({ ...given, store: this.life.id, called: this.#stamp() })
  }

  /** Runs it in a request of its own, every other one with a callback, and takes down how it ended. */
  async #run(
    operation: Operation,
    call: (done?: (error: unknown, value?: unknown) => void) => Promise<unknown> | undefined | void,
    describe = (value: unknown): Ending => this.#answerOf(operation, value),
  ): Promise<unknown> {
    const req = { operation } as unknown as IncomingMessage
    const res = Object.assign(new EventEmitter(), { headersSent: false }) as unknown as ServerResponse
    const answered = new Promise<unknown>((resolve, reject) => {
      middleware(req, res, () => {
        if (operation.id % 2 === 0 || operation.name === 'touch')
          return void Promise.resolve(call()).then(resolve, reject)
        call((error, value) => (error == null ? resolve(value) : reject(error)))
      })
    })
    try {
      const value = await answered
      this.#end(operation, describe(value))
      return value
    } catch (error) {
      const { code, reason } = error as RedisDownError
      operation.sameError = this.#errors.get(operation) === error
      this.#end(operation, { kind: 'failed', code: code ?? String(error), ...(reason !== undefined && { reason }) })
      return undefined
    } finally {
      res.emit('close')
    }
  }

  #answerOf({ name, sid }: Operation, value: unknown): Ending {
    if (name !== 'get') return { kind: 'done' }
    if (value == null) return { kind: 'none' }
    const { source } = sessionStatus(this.#request(sid, value as SessionData))
    if (source === 'blank') return { kind: 'blank' }
    const { cookie } = value as SessionData
    return { kind: 'session', source, content: contentIn(value as object), maxAge: cookie.originalMaxAge }
  }

  #whereIs({ handle, session }: LiveSession): Ending {
    return { kind: 'done', source: sessionStatus(this.#request(handle.sid, session)).source }
  }

  #request(sid: string, session: SessionData): IncomingMessage {
    return { session, sessionID: sid, sessionStore: this.store } as unknown as IncomingMessage
  }

  #end(operation: Operation, ended: Ending): void {
    if (this.crashed) return
    operation.settled = this.#stamp()
    operation.ended = ended
    this.#look()
  }

  readonly #onRedisDown = (error: RedisDownError, req: IncomingMessage | undefined, sid: string | undefined): never => {
    const operation = (req as { operation?: Operation } | undefined)?.operation
    if (!this.crashed) {
      const told = { operation: error.operation, reason: error.reason, sid, stamp: this.#stamp() }
      ;(operation?.told ?? this.life.strayTold).push(told)
      if (operation) this.#errors.set(operation, error)
    }
    if (operation?.word === 'throws') throw new Error('a handler that throws')
    if (operation?.word === 'rejects') return Promise.reject(new Error('a handler that rejects')) as never
    return operation?.word as never
  }

  #onOutcome(record: OutcomeRecord): void {
    if (this.crashed) return
    if (MARKS.has(record.type)) {
      this.life.outcomes.push({ stamp: this.#stamp(), record, queued: this.store.health().queue.saves })
    }
    this.#look(record.type === 'queued' && record.operation === 'set')
  }

  #look(taking = false): void {
    const { cache, queue, inFlight } = this.store.health()
    this.life.holdings.push({
      stamp: this.#stamp(),
      cached: cache?.sessions ?? 0,
      cachedBytes: cache?.bytes ?? 0,
      queuedSaves: queue.saves,
      queuedBytes: queue.bytes,
      inFlight,
      ...(taking && { taking }),
    })
  }

  #stamp() {
    return this.#recorder.stamp(this.clock.monotonic())
  }

  #from(ms: number): string {
    return new Date(this.clock.wall() + ms).toISOString()
  }
}

function optionsOf(settings: Settings): ResilientStoreOptions {
  const { cache, restoreLost, everyTouch, serializerMs } = settings
  const { degradation, concurrency, timeout, queue, resetOnRead } = settings
  return {
    ...{ degradation, concurrency, timeout, queue, resetOnRead },
    ...(cache && { cache }),
    ...(restoreLost !== undefined && { restoreLost }),
    ...(everyTouch && { touchAfter: 0 }),
    ...(serializerMs > 0 && { serializer: slowJson(serializerMs) }),
    breaker: { resetTimeout: 40, consecutiveFailures: 2 },
  }
}

function slowJson(ms: number): Serializer {
  return {
    async stringify(session) {
      const text = JSON.stringify(session)
      await sleep(ms)
      return text
    },
    async parse(value) {
      await sleep(ms)
      return JSON.parse(value)
    },
  }
}
