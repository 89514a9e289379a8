// What the tests of the store alone share: everything they start is ended after each test, the last one first.
import type { SessionData } from 'express-session'
import { type RedisOptions as ClientOptions, Redis } from 'ioredis'
import { afterEach, expect } from 'vitest'
import {
  isRedisDownError,
  type OutcomeRecord,
  type RedisDownError,
  type RedisFailure,
  ResilientStore,
  type ResilientStoreOptions,
} from '../../src/index.js'
import { type RedisOptions, type RedisServer, startRedis } from '../support/redis-server.js'
import { startProxy, type TcpProxy } from '../support/tcp-proxy.js'
import { settled, until } from '../support/wait.js'

/** A session as the tests make and read them. */
export type TestSession = SessionData & Record<string, unknown>

/** How late a busy machine may be, ms. */
export const SLACK = 400

const cleanUps: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

/** Has something ended after the test. */
export function afterThis(cleanUp: () => unknown): void {
  cleanUps.push(cleanUp)
}

export async function server(options?: RedisOptions): Promise<RedisServer> {
  const redis = await startRedis(options)
  afterThis(() => redis.stop())
  return redis
}

export async function proxyTo(redis: RedisServer): Promise<TcpProxy> {
  const proxy = await startProxy({ target: redis })
  afterThis(() => proxy.close())
  return proxy
}

/** A store of its own connection to `where`; `redis` and `client` in the options win. */
export function openStore(where: { readonly url: string }, options: ResilientStoreOptions = {}): ResilientStore {
  const target = options.client === undefined ? { redis: where.url } : {}
  const store = new ResilientStore({ ...target, ...options })
  afterThis(() => store.close(1))
  return store
}

/** The same, waited for. */
export async function readyStore(
  where: { readonly url: string },
  options: ResilientStoreOptions = {},
): Promise<ResilientStore> {
  const store = openStore(where, options)
  await store.ready()
  return store
}

/** Another application's client, or one to hand to the store: set to fail fast, as the store wants it. */
export function openClient(where: { readonly url: string }, options: ClientOptions = {}): Redis {
  const client = new Redis(where.url, {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: 1_000,
    retryStrategy: () => 50,
    ...(options as object),
  })
  client.on('error', () => {})
  afterThis(() => client.disconnect())
  return client
}

/** A connected client. */
export async function readyClient(where: { readonly url: string }, options: ClientOptions = {}): Promise<Redis> {
  const client = openClient(where, options)
  await until(() => client.status === 'ready', { what: 'the client to connect' })
  return client
}

/** A session with a cookie that lives for so many ms, or as long as the browser. */
export function session(data: Record<string, unknown> = {}, maxAge: number | null = null): TestSession {
  const expires = maxAge === null ? null : new Date(Date.now() + maxAge)
  return { cookie: { path: '/', httpOnly: true, originalMaxAge: maxAge, expires }, ...data } as unknown as TestSession
}

/** The session, which must be there: to be changed and saved again. */
export async function load(store: ResilientStore, sid: string): Promise<TestSession> {
  const found = await store.get(sid)
  expect(found, `session ${sid}`).not.toBeNull()
  return found as TestSession
}

/** The error of a call that must fail because of Redis. */
export async function downError(call: Promise<unknown>, timeoutMs = 5_000): Promise<RedisDownError> {
  const outcome = await settled(call, { timeoutMs })
  if (outcome.status === 'fulfilled') throw new Error(`it went well: ${JSON.stringify(outcome.value)}`)
  if (!isRedisDownError(outcome.reason)) throw outcome.reason
  return outcome.reason
}

/** Why Redis could not do it, whether the breaker was open by then or not. */
export function rootReason(error: RedisDownError): string {
  return error.reason === 'circuit-open' ? ((error.cause as RedisFailure | undefined)?.reason ?? 'none') : error.reason
}

/** Everything the store tells, in order. */
export function outcomes(store: ResilientStore): OutcomeRecord[] {
  const records: OutcomeRecord[] = []
  for (const type of ['down', 'up', 'dropped', 'queued', 'replayed', 'conflict', 'revoked', 'restored'] as const) {
    store.on(type, (record: OutcomeRecord) => records.push(record))
  }
  return records
}

/** How a promise ended and after how many ms. */
export async function timed<T>(
  call: () => Promise<T>,
  timeoutMs = 5_000,
): Promise<{ readonly ms: number; readonly outcome: PromiseSettledResult<T> }> {
  const start = performance.now()
  const outcome = await settled(call(), { timeoutMs })
  return { ms: performance.now() - start, outcome }
}

/** Resolves once the store says that all is well. */
export async function untilUp(store: ResilientStore, timeoutMs = 5_000): Promise<void> {
  await until(() => store.health().status === 'up', { timeoutMs, what: 'the store to be up' })
}

/** Resolves once no lane lets an operation through. */
export async function untilDown(store: ResilientStore, timeoutMs = 5_000): Promise<void> {
  const open = (): boolean => Object.values(store.health().lanes).every(({ state }) => state !== 'closed')
  await until(open, { timeoutMs, what: 'all breakers to open' })
}

export function keyOf(sid: string): string {
  return `sess:${sid}`
}

export function markerOf(sid: string): string {
  return `{sess:${sid}}:revoked`
}
