import { AsyncLocalStorage } from 'node:async_hooks'
import type { IncomingMessage } from 'node:http'
import type { NextFunction, Request, Response } from 'express'
import type { SessionData, Store } from 'express-session'
import { monotonic } from '../monotonic.js'
import type { OperationRecord } from '../records.js'
import { REQUEST_HEADER } from '../request-header.js'
import { sessionTag } from '../session-tag.js'
import type { ShopRecord } from './messages.js'

type Operation = OperationRecord['operation']
interface Ending {
  readonly outcome: NonNullable<OperationRecord['outcome']>
  readonly code?: string
  readonly reason?: string
}
type Open = { -readonly [Key in keyof Omit<OperationRecord, 'process'>]: Omit<OperationRecord, 'process'>[Key] }

/** Writes down what a store does for whom, and what it says; knows nothing of how a store works. */
export class Recorder {
  readonly #write: (record: ShopRecord) => void
  readonly #request = new AsyncLocalStorage<number | undefined>()
  readonly #open = new Set<Open>()
  readonly #toldOfDestroy = new WeakSet<IncomingMessage>()
  #isSaving = false

  constructor(write: (record: ShopRecord) => void) {
    this.#write = write
  }

  /** A middleware: what runs behind it belongs to its request. Also needed behind whatever resumes from body events. */
  readonly follow = (request: Request, _response: Response, next: NextFunction): void => {
    this.#request.run(numberOf(request), next)
  }

  /** `onRedisDown` was called. */
  told(operation: string, reason: string, request: IncomingMessage | undefined, sid: string | undefined): void {
    const number = numberOf(request)
    // Of a request that is not part of the history.
    if (request !== undefined && number === undefined) return
    if (operation === 'destroy' && request !== undefined) this.#toldOfDestroy.add(request)
    this.#write({
      kind: 'told',
      at: monotonic(),
      operation,
      reason,
      ...(number === undefined ? {} : { request: number }),
      ...(sid === undefined ? {} : { session: sessionTag(sid) }),
    })
  }

  /** Whether `onRedisDown` was called for this request's destroy. */
  wasToldOfDestroy(request: IncomingMessage): boolean {
    return this.#toldOfDestroy.has(request)
  }

  event(name: string, detail: Readonly<Record<string, string | number | boolean | undefined>>): void {
    this.#write({ kind: 'event', at: monotonic(), name, detail })
  }

  /**
   * Watches what express-session asks of a store. Saves that the shop awaits are watched by {@link saving}: a store may
   * know their callbacks.
   * `sourceOf` says where a session that `get` answered with came from.
   */
  watch(store: Store, sourceOf: (session: SessionData, sid: string) => Ending['outcome']): void {
    const get = store.get.bind(store)
    store.get = (sid, callback) => {
      const ended = this.#begin('get', sid)
      get(sid, (error, session) => {
        ended(error ? failed(error) : { outcome: session == null ? 'none' : sourceOf(session, sid) })
        callback(error, session)
      })
    }
    const destroy = store.destroy.bind(store)
    store.destroy = (sid, callback) => {
      const ended = this.#begin('destroy', sid)
      const settled = (error?: unknown): void => {
        ended(error ? failed(error) : { outcome: 'done' })
        callback?.(error)
      }
      // A store may tell express-session's own callbacks by their names.
      if (callback !== undefined) Object.defineProperty(settled, 'name', { value: callback.name })
      destroy(sid, settled)
    }
    const set = store.set.bind(store)
    store.set = (sid, session, callback) => {
      if (this.#isSaving) return set(sid, session, callback)
      const ended = this.#begin('set', sid)
      set(sid, session, (error?: unknown) => {
        ended(error ? failed(error) : { outcome: FORTHRIGHT.has(store) ? 'answered' : 'done' })
        callback?.(error)
      })
    }
    const touch = store.touch?.bind(store) as ((...args: unknown[]) => unknown) | undefined
    if (touch === undefined) return
    store.touch = (sid, session, callback) => {
      const ended = this.#begin('touch', sid)
      const settled = (error?: unknown): void => {
        ended(error ? failed(error) : { outcome: 'done' })
      }
      const touching = touch(sid, session, FORTHRIGHT.has(store) ? undefined : () => {})
      if (touching instanceof Promise) touching.then(() => settled(), settled)
      else settled()
      callback?.()
    }
  }

  /** Runs a save. */
  async saving<T>(sid: string, save: () => Promise<T>, outcome: () => Ending['outcome']): Promise<T> {
    const ended = this.#begin('set', sid)
    try {
      // express-session calls the store before it returns.
      this.#isSaving = true
      const saving = save()
      this.#isSaving = false
      const saved = await saving
      ended({ outcome: outcome() })
      return saved
    } catch (error) {
      ended(failed(error))
      throw error
    } finally {
      this.#isSaving = false
    }
  }

  /** Writes down what has begun and not ended. */
  close(): void {
    for (const record of this.#open) this.#write(record)
    this.#open.clear()
  }

  #begin(operation: Operation, sid: string): (ending: Ending) => void {
    const request = this.#request.getStore()
    if (request === undefined) return () => {}
    const record: Open = { kind: 'operation', request, session: sessionTag(sid), operation, start: monotonic() }
    this.#open.add(record)
    return (ending) => {
      this.#open.delete(record)
      this.#write({ ...record, ...ending, end: monotonic() })
    }
  }
}

/**
 * Stores that tell what became of a touch by its promise, since its callback does not wait for Redis, and of a save only
 * to whom awaits it by `saveSession`.
 */
export const FORTHRIGHT: WeakSet<Store> = new WeakSet()

function failed(error: unknown): Ending {
  const { code, reason, message } = error as { code?: unknown; reason?: unknown; message?: unknown }
  return { outcome: 'failed', code: String(code ?? message ?? error), ...(reason ? { reason: String(reason) } : {}) }
}

function numberOf(request: IncomingMessage | undefined): number | undefined {
  const header = request?.headers[REQUEST_HEADER]
  return header === undefined ? undefined : Number(header)
}
