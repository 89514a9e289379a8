// What the tests of races, lost replies and guards share: faults aimed at one script of one session, and everything a
// store tells.
import { afterAll, expect } from 'vitest'
import type { OutcomeRecord, ResilientStore, ResilientStoreOptions } from '../../src/index.js'
import { DESTROY, SAVE, type Script } from '../../src/redis/scripts.js'
import { type RedisServer, startRedis } from '../support/redis-server.js'
import type { Command } from '../support/resp.js'
import type { TcpProxy } from '../support/tcp-proxy.js'
import { settled, until } from '../support/wait.js'
import { afterThis, keyOf, markerOf, proxyTo, readyStore, type TestSession, untilDown, untilUp } from './store-kit.js'

export const MODES = ['last-write', 'reject', 'merge'] as const

/** A breaker that stays closed whatever times out: commands go to the socket, and nothing makes a new connection. */
export const PATIENT = Object.freeze({ consecutiveFailures: 1_000_000, volumeThreshold: 1_000_000 })

/** Matches a command of one script, by its digest or its source; of one session, where a sid is given. */
function commandOf(script: Script, sid: string | undefined): (command: Command) => boolean {
  return ({ name, args }) => {
    const [what, , key] = args.map(String)
    const is = (name === 'EVALSHA' && what === script.sha) || (name === 'EVAL' && what === script.source)
    return is && (sid === undefined || key === keyOf(sid))
  }
}

export function saveOf(sid?: string): (command: Command) => boolean {
  return commandOf(SAVE, sid)
}

export function destroyOf(sid?: string): (command: Command) => boolean {
  return commandOf(DESTROY, sid)
}

/** A read of this session, in company or alone. */
export function readOf(sid: string): (command: Command) => boolean {
  return ({ name, args }) => name === 'MGET' && args.some((key) => String(key) === keyOf(sid))
}

const OUTCOMES = ['dropped', 'queued', 'replayed', 'conflict', 'revoked', 'restored'] as const

/** What a store tells of its operations, in order; without the breakers' ups and downs. */
export function told(store: ResilientStore): OutcomeRecord[] {
  const records: OutcomeRecord[] = []
  for (const type of OUTCOMES) store.on(type, (record: OutcomeRecord) => records.push(record))
  return records
}

/** A store behind a proxy, and others that reach the same Redis by themselves. */
export interface Place {
  readonly redis: RedisServer
  readonly proxy: TcpProxy
  readonly store: ResilientStore
  readonly events: OutcomeRecord[]
  /** Another process on the same Redis, untouched by the proxy's faults. */
  other(options?: ResilientStoreOptions): Promise<ResilientStore>
}

/** A server that the test before has left as good as new: starting one takes longer than most of these tests. */
let spare: RedisServer | undefined

afterAll(() => spare?.stop())

async function cleanServer(): Promise<RedisServer> {
  const redis = spare ?? (await startRedis())
  spare = undefined
  afterThis(async () => {
    if (!redis.up) return redis.stop()
    // What a client has sent, and is not read yet, goes with it.
    await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await redis.cli('FLUSHALL')
    await redis.cli('SCRIPT', 'FLUSH')
    await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
    spare = redis
  })
  return redis
}

export async function place(options: ResilientStoreOptions = {}): Promise<Place> {
  const redis = await cleanServer()
  const proxy = await proxyTo(redis)
  const store = await readyStore(proxy, { timeout: 5_000, breaker: { resetTimeout: 50 }, touchAfter: 0, ...options })
  return {
    ...{ redis, proxy, store, events: told(store) },
    other: (more = {}) => readyStore(redis, { timeout: 5_000, touchAfter: 0, ...more }),
  }
}

/** The store loses Redis; others keep it. */
export async function cut({ proxy, store }: Pick<Place, 'proxy' | 'store'>): Promise<void> {
  proxy.refuse()
  proxy.resetAll()
  await untilDown(store)
}

/** The store has Redis again, and nothing waits any more. */
export async function heal({ proxy, store }: Pick<Place, 'proxy' | 'store'>): Promise<void> {
  await proxy.heal()
  await untilUp(store)
}

/** After a fault that may or may not have broken the connection: ends it, and waits until Redis answers again. */
export async function recover({ proxy, store }: Pick<Place, 'proxy' | 'store'>): Promise<void> {
  await proxy.heal()
  await until(async () => (await settled(store.get('nobody'))).status === 'fulfilled', { what: 'Redis to answer' })
  await untilUp(store)
}

/** What Redis has under a sid, read around the store. */
export async function stored(redis: Pick<RedisServer, 'cli'>, sid: string): Promise<Record<string, unknown> | null> {
  const value = await redis.cli<string | null>('GET', keyOf(sid))
  return value === null ? null : JSON.parse(value)
}

/** Redis has no such session, marked as destroyed, and none of the processes serves it. */
export async function expectDead(
  redis: Pick<RedisServer, 'cli'>,
  sid: string,
  ...stores: ResilientStore[]
): Promise<void> {
  expect(await redis.cli('EXISTS', keyOf(sid))).toBe(0)
  expect(await redis.cli('EXISTS', markerOf(sid))).toBe(1)
  for (const store of stores) expect(await store.get(sid)).toBeNull()
}

/** Changes what was loaded, in place, as a request does. */
export function change(session: TestSession, changes: Record<string, unknown>): TestSession {
  return Object.assign(session, changes)
}

/** What a refused save rejects with. */
export const REVOKED = Object.freeze({ code: 'ESESSIONREVOKED', operation: 'set', status: 409 })
export const CONFLICT = Object.freeze({ code: 'ESESSIONCONFLICT', operation: 'set', status: 409 })

/** Serializes as JSON, and stops where a test wants to step in. */
export class GatedJson {
  #gates: { readonly what: 'parse' | 'stringify'; readonly reached: () => void; readonly opened: Promise<void> }[] = []

  /** Stops the next parse or stringify. */
  stop(what: 'parse' | 'stringify'): { readonly hit: Promise<void>; readonly release: () => void } {
    let reached!: () => void
    let release!: () => void
    const hit = new Promise<void>((resolve) => {
      reached = resolve
    })
    const opened = new Promise<void>((resolve) => {
      release = resolve
    })
    this.#gates.push({ what, reached, opened })
    return { hit, release }
  }

  readonly parse = async (value: string | Buffer): Promise<Record<string, unknown>> => {
    await this.#pass('parse')
    return JSON.parse(String(value))
  }

  readonly stringify = async (session: unknown): Promise<string> => {
    const value = JSON.stringify(session)
    await this.#pass('stringify')
    return value
  }

  async #pass(what: 'parse' | 'stringify'): Promise<void> {
    const at = this.#gates.findIndex((gate) => gate.what === what)
    const [gate] = at === -1 ? [] : this.#gates.splice(at, 1)
    if (gate === undefined) return
    gate.reached()
    await gate.opened
  }
}
