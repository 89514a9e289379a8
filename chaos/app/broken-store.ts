/**
 * A store that is broken on purpose, in one way at a time: what the checkers must find out in real runs. Never used but
 * by their tests.
 */
import type { SessionData } from 'express-session'
import type { Redis } from 'ioredis'
import { ResilientStore, type ResilientStoreOptions } from '../../src/index.js'
import type { Defect } from '../records.js'

type Loaded = (error: unknown, session?: SessionData | null) => void

/**
 * Makes a store without one of the things that hold its promises.
 *
 * - `guard`: saves overwrite whatever is there, or nothing, like SET
 * - `absence`: what cannot be read counts as "no session"
 * - `queue-bound`: the queue takes whatever comes
 * - `deadline`: reads wait for as long as the client does
 *
 * `plain` is a client as ioredis makes it by itself; it is not used for `absence` and `queue-bound`.
 */
export function openBrokenStore(defect: Defect, options: ResilientStoreOptions, plain: Redis): ResilientStore {
  const store = new ResilientStore(defect === 'queue-bound' ? { ...options, queue: {} } : options)
  const key = (sid: string): string => `${options.prefix ?? 'sess:'}${sid}`
  switch (defect) {
    case 'guard':
      store.set = ((sid: string, session: SessionData, callback?: (error?: unknown) => void) => {
        const saving = plain.set(key(sid), JSON.stringify(session), 'PX', session.cookie.originalMaxAge ?? 60_000)
        saving.then(() => callback?.(), callback)
      }) as ResilientStore['set']
      break
    case 'absence': {
      const get = store.get.bind(store)
      store.get = ((sid: string, callback: Loaded) =>
        get(sid, (error, session) => callback(null, error ? null : session))) as ResilientStore['get']
      break
    }
    case 'deadline':
      store.get = ((sid: string, callback: Loaded) => {
        plain.get(key(sid)).then((value) => callback(null, value === null ? null : JSON.parse(value)), callback)
      }) as ResilientStore['get']
      break
    case 'queue-bound':
      break
  }
  return store
}
