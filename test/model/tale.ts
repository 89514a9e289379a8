/** Histories made by hand, for the checker's own tests: what did not happen can still be judged. */
import type { OutcomeRecord } from '../../src/index.js'
import type {
  Content,
  Ending,
  FoundKey,
  Handle,
  History,
  Operation,
  OperationName,
  Stamp,
  StoreLife,
  Write,
} from './history.js'
import type { Settings, Word } from './steps.js'

const HOUR = 3_600_000

const SETTINGS: Settings = {
  stores: 2,
  degradation: { read: 'stale', save: 'queue', destroy: 'queue' },
  concurrency: 'last-write',
  timeout: 50,
  cache: { max: 50, maxStale: 1_000 },
  queue: { max: 50, maxBytes: 1_000_000, maxAge: 4_000 },
  everyTouch: false,
  resetOnRead: false,
  serializerMs: 0,
}

/** How an operation went, where it is not the usual way. */
interface Course {
  /** How long it took, ms. @default 2 */
  readonly took?: number
  /** Reasons of the calls of `onRedisDown`. */
  readonly told?: readonly string[]
  readonly word?: Word
  /** It ends only later: {@link Tale.end}. */
  readonly open?: boolean
  /** Whether Redis carries it out, right in the middle. @default true for what is done without being told of */
  readonly applied?: boolean
}

/** A history in the making: time goes on with every call. */
export class Tale {
  readonly #settings: Settings
  readonly #life: number
  readonly operations: Operation[] = []
  readonly handles: Handle[] = []
  readonly stores: StoreLife[] = []
  readonly writes: Write[] = []
  now = 0
  #seq = 0

  /** @param life of every session, ms */
  constructor(settings: Partial<Settings> = {}, life = HOUR) {
    this.#life = life
    this.#settings = { ...SETTINGS, ...settings }
    for (let place = 0; place < 2; place++) this.newStore(place)
  }

  newStore(place: number): StoreLife {
    const id = this.stores.length + 1
    const life = { id, place, born: this.#stamp(), outcomes: [], holdings: [], strayTold: [], advances: [] }
    this.stores.push(life)
    return life
  }

  pass(ms: number): this {
    this.now += ms
    return this
  }

  /** A new session, written. */
  create(store: number, sid: string): Operation {
    return this.set(store, sid, 'v1', this.request(store, sid))
  }

  /** A request's session, loaded as a version (by the last `get` of it) or new. */
  request(store: number, sid: string, base?: string, source: Handle['source'] = base ? 'redis' : 'new'): number {
    const id = this.handles.length + 1
    const load = this.operations.findLast((each) => each.name === 'get' && each.store === store && each.sid === sid)
    const loaded = base === undefined ? {} : { base: `${sid}.${base}`, ...(load && { loadedBy: load.id }) }
    this.handles.push({ id, store, sid, source, ...loaded })
    return id
  }

  get(store: number, sid: string, ended: Ending | string, course: Course = {}): Operation {
    const ending = typeof ended === 'string' ? session(sid, ended, 'redis', this.#life) : ended
    return this.#operation('get', store, sid, ending, course, {})
  }

  set(
    store: number,
    sid: string,
    version: string,
    handle: number,
    course: Course & { ended?: Ending } = {},
  ): Operation {
    const ended = course.ended ?? { kind: 'done', source: 'redis' }
    const content = contentOf(sid, version, this.#life)
    const applied = course.applied ?? (ended.kind === 'done' && ended.source === 'redis')
    const write = (): void => this.write({ kind: 'set', sid, content, ttl: this.#life })
    return this.#operation('set', store, sid, ended, { ...course, applied }, { handle, content }, write)
  }

  destroy(store: number, sid: string, course: Course & { ended?: Ending } = {}): Operation {
    const ended = course.ended ?? { kind: 'done' }
    const applied = course.applied ?? (ended.kind === 'done' && course.told === undefined)
    return this.#operation('destroy', store, sid, ended, { ...course, applied }, {}, () => this.revoke(sid))
  }

  touch(store: number, sid: string, handle: number, ended: Ending, course: Course = {}): Operation {
    return this.#operation('touch', store, sid, ended, course, { handle })
  }

  /** Ends what was left open. */
  end(operation: Operation, ended: Ending): void {
    operation.settled = this.#stamp()
    operation.ended = ended
  }

  revoke(sid: string): void {
    this.write({ kind: 'delete', sid })
    this.write({ kind: 'revoke', sid, ttl: 600_000 })
  }

  /** Redis carries something out. */
  write(write: DistributiveOmit<Write, 'at'>): void {
    this.writes.push({ ...write, at: this.now } as Write)
  }

  store(sid: string, version: string): void {
    this.write({ kind: 'set', sid, content: contentOf(sid, version, this.#life), ttl: this.#life })
  }

  outcome(store: number, record: OutcomeRecord, queued: number): void {
    this.stores[store - 1]!.outcomes.push({ stamp: this.#stamp(), record, queued })
  }

  /** What a store held now. */
  holds(store: number, held: Partial<StoreLife['holdings'][number]>): void {
    const nothing = { cached: 0, cachedBytes: 0, queuedSaves: 0, queuedBytes: 0, inFlight: 0 }
    this.stores[store - 1]!.holdings.push({ ...nothing, ...held, stamp: this.#stamp() })
  }

  /** By default Redis holds in the end what was written. */
  history(end: Partial<History['end']> = {}): History {
    const keys: Record<string, FoundKey> = {}
    for (const write of this.writes) {
      if (write.kind === 'server') Object.assign(keys, write.found)
      else if (write.kind === 'set') keys[write.sid] = { ...keys[write.sid], content: write.content, revoked: false }
      else if (write.kind === 'delete') keys[write.sid] = { revoked: false }
      else if (write.kind === 'revoke') keys[write.sid] = { ...keys[write.sid], revoked: true }
    }
    const { operations, handles, stores, writes, now } = this
    const whole = { healedAt: now, recovered: true, recoveredAt: now + 10, health: [], keys, ...end }
    const settings = this.#settings
    return { settings, operations, handles, stores, writes, faults: [], lags: [], clockError: 0, end: whole }
  }

  #operation(
    name: OperationName,
    store: number,
    sid: string,
    ended: Ending,
    { took = 2, told = [], word, open, applied }: Course,
    more: { handle?: number; content?: Content },
    apply?: () => void,
  ): Operation {
    this.pass(10)
    const id = this.operations.length + 1
    const operation: Operation = {
      id,
      name,
      store,
      sid,
      called: this.#stamp(),
      ...(word && { word }),
      ...more,
      told: [],
    }
    this.operations.push(operation)
    this.pass(took / 2)
    if (applied) apply?.()
    for (const reason of told) operation.told.push({ operation: name, reason, sid, stamp: this.#stamp() })
    this.pass(took / 2)
    operation.sameError = true
    if (!open) this.end(operation, ended)
    return operation
  }

  #stamp(): Stamp {
    return { seq: ++this.#seq, at: this.now, clock: this.now }
  }
}

type DistributiveOmit<T, Key extends PropertyKey> = T extends unknown ? Omit<T, Key> : never

/** How a `get` ends that answers a version. */
export function session(sid: string, version: string, source: Handle['source'] = 'redis', life = HOUR) {
  return { kind: 'session', source, content: contentOf(sid, version, life), maxAge: life } as const
}

export const DOWN: Ending = { kind: 'failed', code: 'EREDISDOWN', reason: 'timeout' }
export const QUEUED: Ending = { kind: 'done', source: 'queued' }

function contentOf(sid: string, version: string, life: number): Content {
  return { sid, version: `${sid}.${version}`, a: `${sid}.${version}`, life }
}
