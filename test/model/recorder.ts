/** Takes down what happens while a history is played. */
import { performance } from 'node:perf_hooks'
import type {
  Content,
  FoundKey,
  Handle,
  History,
  Operation,
  OperationName,
  Stamp,
  StoreLife,
  Write,
} from './history.js'
import { lagsSince } from './lag.js'
import type { Executed } from './monitor.js'
import { contentOf } from './redis.js'
import type { Settings, Word } from './steps.js'

export class Recorder {
  readonly #settings: Settings
  readonly #prefix: string
  readonly #startedAt = performance.now()
  readonly #versions = new Map<string, number>()
  readonly operations: Operation[] = []
  readonly handles: Handle[] = []
  readonly stores: StoreLife[] = []
  readonly writes: Write[] = []
  readonly #faults: { at: number; what: string }[] = []
  #seq = 0
  #offset = 0
  #clockError = 0

  constructor(settings: Settings, prefix: string) {
    this.#settings = settings
    this.#prefix = prefix
  }

  /** Since the history began, ms. */
  readonly now = (): number => performance.now() - this.#startedAt

  /** Redis's clock minus ours. */
  setOffset({ offset, error }: { offset: number; error: number }): void {
    this.#offset = offset
    this.#clockError = error
  }

  /** @param clock a monotonic clock that began where performance.now() did */
  stamp(clock: number): Stamp {
    return { seq: ++this.#seq, at: this.now(), clock: clock - this.#startedAt }
  }

  /** All session ids so far. */
  get sids(): string[] {
    return [...this.#versions.keys()]
  }

  newSid(): string {
    const sid = `s${this.#versions.size + 1}`
    this.#versions.set(sid, 0)
    return sid
  }

  newVersion(sid: string): string {
    const number = (this.#versions.get(sid) ?? 0) + 1
    this.#versions.set(sid, number)
    return `${sid}.v${number}`
  }

  operation(
    given: { name: OperationName; store: number; sid: string; called: Stamp } & {
      word?: Word | undefined
      handle?: number
      content?: Content
      over?: boolean
      remember?: boolean
    },
  ): Operation {
    const { word, ...rest } = given
    const operation: Operation = { id: this.operations.length + 1, ...rest, ...(word && { word }), told: [] }
    this.operations.push(operation)
    return operation
  }

  handle(given: Omit<Handle, 'id'>): Handle {
    const handle = { id: this.handles.length + 1, ...given }
    this.handles.push(handle)
    return handle
  }

  store(place: number, born: Stamp): StoreLife {
    const id = this.stores.length + 1
    const life = { id, place, born, outcomes: [], holdings: [], strayTold: [], advances: [] }
    this.stores.push(life)
    return life
  }

  fault(what: string): void {
    this.#faults.push({ at: this.now(), what })
  }

  /** What Redis tells that it carried out. */
  readonly executed = ({ at: redisTime, name, args }: Executed): void => {
    const at = redisTime - this.#offset
    const key = args[0] as string
    if (key.endsWith(PROBE)) return
    if (key.startsWith('{')) {
      const sid = key.slice(this.#prefix.length + 1, key.lastIndexOf('}'))
      if (name === 'SET') this.writes.push({ kind: 'revoke', at, sid, ttl: Number(args[3]) })
      return
    }
    const sid = key.slice(this.#prefix.length)
    if (name === 'SET') {
      const options = args.slice(2).map((word) => word.toUpperCase())
      const ttl = options.indexOf('PX') + 1
      this.writes.push({
        ...{ kind: 'set', at, sid, content: contentOf(args[1] as string) },
        ...(ttl > 0 && { ttl: Number(options[ttl]) }),
        ...(options.includes('XX') && { ifPresent: true }),
      })
    } else if (name === 'PEXPIRE') this.writes.push({ kind: 'expire', at, sid, ttl: Number(args[1]) })
    else for (const each of args) this.writes.push({ kind: 'delete', at, sid: each.slice(this.#prefix.length) })
  }

  newServer(diedAt: number, found: Readonly<Record<string, FoundKey>>): void {
    this.writes.push({ kind: 'server', at: this.now(), diedAt, found })
  }

  finish(end: History['end']): History {
    const { operations, handles, stores, writes } = this
    const lags = lagsSince(this.#startedAt).map(({ at, ms }) => ({ at: at - this.#startedAt, ms }))
    const settings = this.#settings
    const clockError = this.#clockError
    return { settings, operations, handles, stores, writes, faults: this.#faults, lags, clockError, end }
  }
}

/** The store's own probe: nothing is ever stored there. */
const PROBE = 'session-store-probe'

/** What the model needs of a session that is to be saved or was loaded. */
export function contentIn(session: object): Content {
  const { cookie: _, ...content } = session as Content & { cookie: unknown }
  return structuredClone({ ...content })
}
