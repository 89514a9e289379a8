/** Stores that break one promise each: the model test must notice every one of them. */
import type { SessionData } from 'express-session'
import { Redis } from 'ioredis'
import type { Clock } from '../../src/clock.js'
import { isRedisDownError, ResilientStore, type ResilientStoreOptions } from '../../src/index.js'
import type { MakeStore } from './app-process.js'
import type { Violation } from './check/index.js'

export interface Mutant {
  readonly name: string
  /** Any of these may be the first that is seen broken. */
  readonly breaks: readonly Violation['promise'][]
  readonly make: MakeStore
}

type Callback = (error: unknown, value?: unknown) => void

/** A store whose operations can be replaced by asynchronous functions. */
class Mutated extends ResilientStore {
  readonly mine: { get?: Get; set?: Set; destroy?: Destroy } = {}

  override get(sid: string, callback?: (error: unknown, session?: SessionData | null) => void): never {
    const original = (): Promise<SessionData | null> => super.get(sid)
    return deliver(this.mine.get?.(original, sid) ?? original(), callback as Callback)
  }

  override set(sid: string, session: SessionData, callback?: (error?: unknown) => void): never {
    const original = (): Promise<void> => super.set(sid, session)
    return deliver(this.mine.set?.(original, sid, session) ?? original(), callback as Callback)
  }

  override destroy(sid: string, callback?: (error?: unknown) => void): never {
    const original = (): Promise<void> => super.destroy(sid)
    return deliver(this.mine.destroy?.(original, sid) ?? original(), callback as Callback)
  }
}

type Get = (original: () => Promise<SessionData | null>, sid: string) => Promise<SessionData | null>
type Set = (original: () => Promise<void>, sid: string, session: SessionData) => Promise<void>
type Destroy = (original: () => Promise<void>, sid: string) => Promise<void>

function deliver(promise: Promise<unknown>, callback: Callback | undefined): never {
  if (callback === undefined) {
    promise.catch(() => {})
    return promise as never
  }
  promise.then(
    (value) => process.nextTick(callback, null, value),
    (error) => process.nextTick(callback, error),
  )
  return undefined as never
}

/** A store with some operations replaced, anew for each history. */
function mutant(mine: () => Mutated['mine']): MakeStore {
  return (options, clock) => Object.assign(new Mutated(options, clock), { mine: mine() })
}

/** A store with other options than it was asked to have. */
function misconfigured(change: (options: ResilientStoreOptions) => ResilientStoreOptions): MakeStore {
  return (options: ResilientStoreOptions, clock: Clock) => new ResilientStore(change(options), clock)
}

/** What an application must never do: write behind the store's back. */
async function writeDirectly(options: ResilientStoreOptions, sid: string, session: SessionData): Promise<void> {
  const client = new Redis(options.redis as string, { lazyConnect: true, retryStrategy: null })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.set(`${options.prefix}${sid}`, JSON.stringify(session), 'PX', 3_600_000)
  } catch {
    // No luck this time.
  } finally {
    client.disconnect()
  }
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'answers "no session" during an outage',
    breaks: ['P2'],
    make: mutant(() => ({
      get: (original) =>
        original().catch((error) => {
          if (isRedisDownError(error)) return null
          throw error
        }),
    })),
  },
  {
    name: 'says that a session is destroyed and leaves it',
    breaks: ['P3', 'P4'],
    make: mutant(() => ({ destroy: async () => {} })),
  },
  {
    name: 'brings a destroyed session back',
    breaks: ['P4'],
    make: (options, clock) => {
      const last = new Map<string, SessionData>()
      return Object.assign(new Mutated(options, clock), {
        mine: {
          async set(original: () => Promise<void>, sid: string, session: SessionData) {
            last.set(sid, structuredClone({ ...session }))
            await original()
          },
          async destroy(original: () => Promise<void>, sid: string) {
            await original()
            const session = last.get(sid)
            if (session !== undefined) await writeDirectly(options, sid, session)
          },
        },
      })
    },
  },
  {
    name: 'tries a failed save again behind the back of its caller',
    breaks: ['P4', 'P9'],
    make: (options, clock) =>
      Object.assign(new Mutated(options, clock), {
        mine: {
          async set(original: () => Promise<void>, sid: string, session: SessionData) {
            const copy = structuredClone({ ...session })
            await original().catch(async (error) => {
              if (isRedisDownError(error)) setTimeout(() => void writeDirectly(options, sid, copy), 120).unref()
              throw error
            })
          },
        },
      }),
  },
  {
    name: 'answers with the session that was read before',
    breaks: ['P5'],
    make: mutant(() => {
      let before: SessionData | null = null
      return {
        async get(original) {
          const found = await original()
          const answer = before !== null && found !== null ? before : found
          before = found
          return answer
        },
      }
    }),
  },
  {
    name: 'serves copies that are too old',
    breaks: ['P6'],
    make: misconfigured((options) => ({
      ...options,
      ...(typeof options.cache === 'object' && { cache: { ...options.cache, maxStale: 3_600_000 } }),
    })),
  },
  {
    name: 'keeps more than it may',
    breaks: ['P7'],
    make: misconfigured((options) => ({
      ...options,
      ...(typeof options.cache === 'object' && { cache: { ...options.cache, max: 1_000 } }),
      queue: { max: 1_000 },
    })),
  },
  {
    name: 'acknowledges every fourth save without making it',
    breaks: ['P8'],
    make: mutant(() => {
      let saves = 0
      return { set: (original) => (++saves % 4 === 0 ? Promise.resolve() : original()) }
    }),
  },
  {
    name: 'tells twice',
    breaks: ['P9'],
    make: misconfigured((options) => ({
      ...options,
      onRedisDown: (error, req, sid) => {
        const answer = options.onRedisDown?.(error, req, sid)
        if (answer instanceof Promise) answer.catch(() => {})
        return options.onRedisDown?.(error, req, sid)
      },
    })),
  },
  {
    name: 'takes its time',
    breaks: ['P1'],
    make: misconfigured((options) => ({ ...options, timeout: 400 })),
  },
]
