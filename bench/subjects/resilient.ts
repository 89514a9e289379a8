/** The store of this library with all of its protection on. */
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import type { ResilientStoreOptions } from '../../src/options.js'
import { SessionCommands } from '../../src/redis/sessions.js'
import { ResilientStore } from '../../src/store.js'
import { type CreateSubject, createSessions, PREFIX, type Subject, type SubjectContext, sidOf } from '../subject.js'
import { storeSubject } from './stores.js'

/** Every touch is sent and awaited: skipping them would measure nothing. */
const OPTIONS: ResilientStoreOptions = { prefix: PREFIX, touchAfter: 0, timeout: 1_000 }

/** What the store's own client is set to, for clients made here. */
const CLIENT = Object.freeze({
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
})

export const resilient: CreateSubject = (context) => open(context, { redis: context.url })

/** Reads kept for the time without Redis; each still asks Redis. */
export const resilientCached: CreateSubject = (context) => open(context, { redis: context.url, cache: true })

/** Reads served from memory while Redis announces no change of them. */
export const resilientNear: CreateSubject = (context) => open(context, { redis: context.url, cache: { near: true } })

export const resilientOnIoredis5: CreateSubject = (context) => {
  const client = new Redis5(context.url, CLIENT)
  return open(context, { client: client as unknown as Redis }, () => client.quit())
}

/** The same store, with a plain SET in place of the guarding script. Changes the library in its process. */
export const resilientUnguarded: CreateSubject = (context) => {
  const client = new Redis(context.url, CLIENT)
  SessionCommands.prototype.save = ({ sid, value, ttl }) => {
    const key = PREFIX + sid
    return { key, send: () => client.set(key, value, 'PX', ttl as number).then(() => ({ result: 'saved' })) }
  }
  return open(context, { client }, () => client.quit())
}

async function open(
  context: SubjectContext,
  options: ResilientStoreOptions,
  close: () => Promise<unknown> = async () => {},
): Promise<Subject> {
  const store = new ResilientStore({ ...OPTIONS, ...options })
  await store.ready()
  const sessions = createSessions(context.bytes)
  return storeSubject(store, context.bytes, () => store.close().then(close), {
    touch: (index) => store.touch(sidOf(index), sessions[index % sessions.length] as (typeof sessions)[number]),
  })
}
