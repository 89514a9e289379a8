import type { Request, RequestHandler } from 'express'
import type session from 'express-session'
import type { OperationRecord, StoreSample } from '../records.js'

/** A session store as the shop uses it, with what each store has of its own behind one face. */
export interface ShopStore {
  readonly store: session.Store
  /** Middlewares that the store needs behind whatever resumes a request from its body's events. */
  readonly follow: readonly RequestHandler[]
  save(request: Request): Promise<void>
  /** Where a session is that was saved just now. */
  savedTo(request: Request): NonNullable<OperationRecord['outcome']>
  sourceOf(request: Request): string | undefined
  sample(): StoreSample
  close(): Promise<void>
}
