/** The stores that people use today, driven as express-session drives them. */
import { RedisStore } from 'connect-redis'
import { RedisStore as RedisStore8 } from 'connect-redis-8'
import { MemoryStore, type SessionData, type Store } from 'express-session'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { createClient } from 'redis'
import {
  type CreateSubject,
  called,
  createSessions,
  fill,
  PREFIX,
  type Subject,
  sidOf,
  TTL_SECONDS,
} from '../subject.js'

/** connect-redis 10 on node-redis, as in its README. */
export const connectRedis: CreateSubject = async ({ url, bytes }) => {
  const client = await createClient({ url }).connect()
  const store = new RedisStore({ client, prefix: PREFIX })
  return await storeSubject(store, bytes, () => client.close())
}

/** connect-redis 8, the last one that takes ioredis. */
export const connectRedis8: CreateSubject = async ({ url, bytes }) => {
  const client = new Redis5(url)
  const store = new RedisStore8({ client, prefix: PREFIX })
  return await storeSubject(store as unknown as Store, bytes, () => client.quit())
}

/** express-session's own: no Redis, sessions of one process. */
export const memoryStore: CreateSubject = ({ bytes }) => storeSubject(new MemoryStore(), bytes, async () => {})

/** The floor: the bare commands, and JSON. */
export const bareIoredis: CreateSubject = async ({ url, bytes }) => {
  const client = new Redis(url)
  const sessions = createSessions(bytes)
  const tasks: Subject['tasks'] = {
    get: async (index) => JSON.parse((await client.get(PREFIX + sidOf(index))) as string),
    set: (index) =>
      client.set(PREFIX + sidOf(index), JSON.stringify(sessions[index % sessions.length]), 'EX', TTL_SECONDS),
    touch: (index) => client.expire(PREFIX + sidOf(index), TTL_SECONDS),
  }
  await fill(tasks.set as (index: number) => Promise<unknown>)
  return { tasks, close: () => client.quit() }
}

/** Any express-session store; the callback of `touch` is awaited. */
export async function storeSubject(
  store: Pick<Store, 'get' | 'set' | 'touch'>,
  bytes: number,
  close: () => Promise<unknown>,
  more: Subject['tasks'] = {},
): Promise<Subject> {
  const sessions = createSessions(bytes)
  const session = (index: number): SessionData => sessions[index % sessions.length] as SessionData
  const set = (index: number): Promise<unknown> =>
    called((callback) => store.set(sidOf(index), session(index), callback))
  const tasks: Subject['tasks'] = {
    get: (index) => called((callback) => store.get(sidOf(index), callback)),
    set,
    touch: (index) => called((callback) => store.touch?.(sidOf(index), session(index), callback as () => void)),
    ...more,
  }
  await fill(set)
  return { tasks, close }
}
