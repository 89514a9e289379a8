/**
 * What to do when Redis cannot carry out an operation. Pure: decides, does nothing.
 */

/** An operation of the store, by the name that errors, events and handlers use; the first four are express-session's. */
export type Operation = 'get' | 'set' | 'touch' | 'destroy' | 'scan' | 'all' | 'ids' | 'length' | 'clear' | 'ready'

/**
 * What `get` answers while Redis is down: an error (503), the copy this process has, an empty session under the
 * visitor's own sid that is never saved, or the copy and failing that the empty session.
 */
export type ReadPolicy = 'fail' | 'stale' | 'blank' | 'stale-or-blank'

/**
 * What `set` does while Redis is down: answer an error, forget the change (told by an event), or keep it in memory and
 * write it when Redis is back.
 */
export type SavePolicy = 'fail' | 'drop' | 'queue'

/**
 * What `destroy` answers while Redis is down. Either way the session is gone for this process at once and the delete is
 * sent when Redis is back: `'fail'` tells the caller that other processes may still serve it, `'queue'` answers well.
 */
export type DestroyPolicy = 'fail' | 'queue'

/** One word for each operation that has a choice. A touch has none: it is dropped, and told. */
export interface Degradation {
  readonly read: ReadPolicy
  readonly save: SavePolicy
  readonly destroy: DestroyPolicy
}

/** A named {@link Degradation}. */
export type DegradationPreset = 'strict' | 'read-only' | 'available'

/** What each preset means. */
export const PRESETS: Readonly<Record<DegradationPreset, Degradation>> = Object.freeze({
  strict: Object.freeze({ read: 'fail', save: 'fail', destroy: 'fail' }),
  'read-only': Object.freeze({ read: 'stale', save: 'fail', destroy: 'fail' }),
  available: Object.freeze({ read: 'stale', save: 'queue', destroy: 'queue' }),
} as const)

/** The words an application may choose from, by operation; also what `onRedisDown` may return. */
export const WORDS: {
  readonly read: readonly ReadPolicy[]
  readonly save: readonly SavePolicy[]
  readonly destroy: readonly DestroyPolicy[]
} = Object.freeze({
  read: Object.freeze(['fail', 'stale', 'blank', 'stale-or-blank'] as const),
  save: Object.freeze(['fail', 'drop', 'queue'] as const),
  destroy: Object.freeze(['fail', 'queue'] as const),
})

/** Any word `onRedisDown` may return. */
export type DegradationWord = ReadPolicy | SavePolicy | DestroyPolicy

/** What the store does instead. */
export type ReadDecision = 'fail' | 'serve-stale' | 'serve-blank'

/**
 * Decides a failed read.
 *
 * @param configured the application's policy
 * @param answer what `onRedisDown` returned; anything but a word for reads means the configured policy
 * @param hasStale whether a copy can be served
 */
export function decideRead(configured: ReadPolicy, answer: unknown, hasStale: boolean): ReadDecision {
  switch (chosen(WORDS.read, configured, answer)) {
    case 'fail':
      return 'fail'
    case 'stale':
      return hasStale ? 'serve-stale' : 'fail'
    case 'blank':
      return 'serve-blank'
    case 'stale-or-blank':
      return hasStale ? 'serve-stale' : 'serve-blank'
  }
}

/** Decides a failed save. */
export function decideSave(configured: SavePolicy, answer: unknown): SavePolicy {
  return chosen(WORDS.save, configured, answer)
}

/** Decides a failed destroy. */
export function decideDestroy(configured: DestroyPolicy, answer: unknown): DestroyPolicy {
  return chosen(WORDS.destroy, configured, answer)
}

function chosen<Word extends string>(words: readonly Word[], configured: Word, answer: unknown): Word {
  return words.find((word) => word === answer) ?? configured
}
