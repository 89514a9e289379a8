import type { Codec } from './codec.js'
import { isSessionKeyUnknownError, SessionKeyUnknownError } from './errors.js'
import { applyMerge, type Merge, mergeSessions, sameContent } from './merge.js'
import type { Concurrency } from './options.js'
import type { Raw } from './redis/sessions.js'

/** Three serialized states of one session. */
export interface Versions {
  /** What both others were made from; `undefined` where nothing was stored. */
  readonly base: Raw | undefined
  /** What is to be saved. */
  readonly ours: Raw
  /** What is stored instead of the base. */
  readonly theirs: Raw
}

/**
 * - `same`: the other side rewrote nothing but the cookie; ours may replace it
 * - `merged`: ours with the other side's change taken over
 * - `key-unknown`: it cannot be told, because the other side used a key that is not known here
 * - `conflict`: none of these
 */
export type Reconciliation =
  | { readonly kind: 'same' }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'key-unknown'; readonly error: SessionKeyUnknownError }
  | { readonly kind: 'merged'; readonly merge: Merge; readonly value: Raw }

/** What becomes of a save when the stored session is not the one it was made from. */
export async function reconcile(
  codec: Codec,
  concurrency: Concurrency,
  sid: string,
  { base, ours, theirs }: Versions,
): Promise<Reconciliation> {
  if (base === undefined) return CONFLICT
  try {
    const from = await codec.decode(sid, base)
    const other = await codec.decode(sid, theirs)
    if (sameContent(from, other)) return { kind: 'same' }
    if (concurrency !== 'merge') return CONFLICT
    const session = await codec.decode(sid, ours)
    const merge = mergeSessions(from, session, other)
    applyMerge(session, merge)
    return { kind: 'merged', merge, value: await codec.encode(sid, session) }
  } catch (error) {
    if (isSessionKeyUnknownError(error)) {
      return { kind: 'key-unknown', error: new SessionKeyUnknownError('set', error.keyId) }
    }
    // What cannot be read cannot be compared.
    return CONFLICT
  }
}

const CONFLICT: Reconciliation = Object.freeze({ kind: 'conflict' })
