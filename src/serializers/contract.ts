import type { SessionData } from 'express-session'

/** Where a value belongs: a serializer may bind it to the place (encryption, signatures). */
export interface SerializerContext {
  /** The session id, without prefix. */
  readonly sid: string
  /** The store's key prefix. */
  readonly prefix: string
}

/** A session as it travels to and from a serializer: the application's data and a `cookie`. */
export type StoredSession = SessionData & Record<string, unknown>

/**
 * Turns sessions into what Redis keeps, and back. `JSON` itself satisfies it. Either function may be asynchronous.
 * A `parse` that throws, or returns anything but an object, makes the session unreadable: `onSessionLoadError` is
 * called, the value is deleted, and the visitor counts as having no session. An error with the code `ESESSIONKEYUNKNOWN`
 * says that others may be able to read it: the value stays, and the visitor gets that error.
 */
export interface Serializer {
  /** What Redis is to keep; a Buffer for binary formats. Throwing fails the save and touches no breaker. */
  stringify(session: StoredSession, context: SerializerContext): string | Buffer | Promise<string | Buffer>
  /** The session. Must return a new object at every call: requests do not share them. */
  // biome-ignore lint/suspicious/noExplicitAny: JSON.parse is the model, and returns any
  parse(value: any, context: SerializerContext): any
  /**
   * Whether `parse` takes a Buffer.
   * @default false: `parse` takes a string, decoded as UTF-8
   */
  readonly binary?: boolean
}
