import type { Operation } from './policy.js'

/**
 * Why Redis could not carry out an operation.
 *
 * - `timeout`: no answer within the store's `timeout`
 * - `refused`: nobody listens, or the unix socket is missing
 * - `unreachable`: no route, no such host, connect timeout
 * - `reset`: the connection broke while the operation was under way
 * - `not-connected`: the client is not connected (any more)
 * - `circuit-open`: not tried, because the lane's breaker is open; `cause` says what opened it
 * - `read-only`, `out-of-memory`, `loading`, `misconf`, `no-replicas`, `master-down`, `cluster-down`, `busy`,
 *   `max-clients`: Redis answered with that error
 * - `auth`: NOAUTH, WRONGPASS, NOPERM, or DENIED by protected mode
 * - `tls`: the TLS handshake failed
 * - `overloaded`: the store's own bound on operations in flight was reached
 * - `queue-full`: the queue that the policy would have used is full
 * - `blank`: a blank session cannot be saved
 * - `unconfirmed`: the session is not confirmed as `requireLiveSession` demands
 */
export type DownReason =
  | 'timeout'
  | 'refused'
  | 'unreachable'
  | 'reset'
  | 'not-connected'
  | 'circuit-open'
  | 'read-only'
  | 'out-of-memory'
  | 'loading'
  | 'misconf'
  | 'no-replicas'
  | 'master-down'
  | 'cluster-down'
  | 'busy'
  | 'max-clients'
  | 'auth'
  | 'tls'
  | 'overloaded'
  | 'queue-full'
  | 'blank'
  | 'unconfirmed'

/** Literal codes of the errors this library makes; stable across versions. */
export type SessionStoreErrorCode =
  | 'EREDISDOWN'
  | 'ESESSIONREVOKED'
  | 'ESESSIONCONFLICT'
  | 'ESESSIONKEYUNKNOWN'
  | 'ESTORECLOSED'

/** What every error of this library has: a literal `code` and the operation that failed. Tell them apart by `code`. */
export class SessionStoreError extends Error {
  /** Stable code, for example `'EREDISDOWN'`. */
  readonly code: SessionStoreErrorCode
  /** The operation that failed; none for the store's own life cycle. */
  readonly operation: Operation | undefined

  constructor(code: SessionStoreErrorCode, message: string, operation: Operation | undefined, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.code = code
    this.operation = operation
  }
}

/**
 * Redis could not carry out an operation. Express's own error handler answers it with 503 and `Retry-After`.
 * Holds no session id, no session data and no credentials. Made without a stack: it is made once per refused
 * operation, and where it was made says nothing.
 */
export class RedisDownError extends SessionStoreError {
  declare readonly code: 'EREDISDOWN'
  declare readonly operation: Operation
  /** Why, in one word. */
  readonly reason: DownReason
  /** HTTP status for error handlers: 503 (RFC 9110 §15.6.4). */
  readonly status = 503
  /** The same as `status`, for handlers that read this name. */
  readonly statusCode = 503
  /** Response headers for error handlers: `Retry-After` in seconds (RFC 9110 §10.2.3). */
  readonly headers: Readonly<Record<string, string>>

  constructor(operation: Operation, reason: DownReason, retryAfter: number, cause?: RedisFailure) {
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 0
    super(
      'EREDISDOWN',
      `Redis could not carry out '${operation}': ${reason}`,
      operation,
      cause === undefined ? undefined : { cause },
    )
    Error.stackTraceLimit = limit
    this.reason = reason
    this.headers = { 'Retry-After': String(retryAfter) }
  }
}

/**
 * The session was destroyed, or is no longer in Redis although it was loaded from there, so the save was refused:
 * a late save does not bring a logged-out session back. Passed to an explicit `req.session.save()`.
 */
export class SessionRevokedError extends SessionStoreError {
  declare readonly code: 'ESESSIONREVOKED'
  /** 409 Conflict (RFC 9110 §15.5.10). */
  readonly status = 409
  /** The same as `status`. */
  readonly statusCode = 409

  constructor(operation: Operation) {
    super('ESESSIONREVOKED', 'The session was destroyed meanwhile: the save was refused', operation)
  }
}

/** The stored session changed since this one was loaded, and the save was refused rather than overwrite it. */
export class SessionConflictError extends SessionStoreError {
  declare readonly code: 'ESESSIONCONFLICT'
  /** 409 Conflict (RFC 9110 §15.5.10). */
  readonly status = 409
  /** The same as `status`. */
  readonly statusCode = 409

  constructor(operation: Operation) {
    super('ESESSIONCONFLICT', 'The stored session was changed meanwhile: the save was refused', operation)
  }
}

/**
 * The stored session is encrypted with a key that this process does not have, or by a later version of this library: a
 * deploy has not arrived here yet, or with the wrong keys. The session stays as it is, and another process may be able to
 * read it. Thrown by the serializer that `encrypted()` makes.
 */
export class SessionKeyUnknownError extends SessionStoreError {
  declare readonly code: 'ESESSIONKEYUNKNOWN'
  declare readonly operation: Operation
  /** Id of the key that is missing, as the stored value names it; none where a later version wrote it. */
  readonly keyId: string | undefined
  /** 503 Service Unavailable (RFC 9110 §15.6.4). */
  readonly status = 503
  /** The same as `status`. */
  readonly statusCode = 503
  /** Response headers for error handlers: `Retry-After` in seconds (RFC 9110 §10.2.3). */
  readonly headers: Readonly<Record<string, string>> = RETRY_AFTER_DEPLOY

  constructor(operation: Operation, keyId: string | undefined) {
    const what = keyId === undefined ? 'by a later version of this library' : `with the unknown key '${keyId}'`
    super('ESESSIONKEYUNKNOWN', `The stored session is encrypted ${what}`, operation)
    this.keyId = keyId
  }
}

/** Keys come by deploys: those take longer than a breaker. */
const RETRY_AFTER_DEPLOY = Object.freeze({ 'Retry-After': '10' })

/** The store was closed: it takes no more operations. */
export class StoreClosedError extends SessionStoreError {
  declare readonly code: 'ESTORECLOSED'
  /** 503 Service Unavailable: another process of the application may take the request. */
  readonly status = 503
  /** The same as `status`. */
  readonly statusCode = 503

  constructor(operation?: Operation) {
    super('ESTORECLOSED', 'The session store was closed', operation)
  }
}

/** Whether an error is a {@link RedisDownError}, also one of another copy of this library. */
export function isRedisDownError(error: unknown): error is RedisDownError {
  return hasCode(error, 'EREDISDOWN')
}

/** Whether an error is a {@link SessionRevokedError}, also one of another copy of this library. */
export function isSessionRevokedError(error: unknown): error is SessionRevokedError {
  return hasCode(error, 'ESESSIONREVOKED')
}

/** Whether an error is a {@link SessionConflictError}, also one of another copy of this library. */
export function isSessionConflictError(error: unknown): error is SessionConflictError {
  return hasCode(error, 'ESESSIONCONFLICT')
}

/** Whether an error is a {@link SessionKeyUnknownError}, also one of another copy of this library. */
export function isSessionKeyUnknownError(error: unknown): error is SessionKeyUnknownError {
  return hasCode(error, 'ESESSIONKEYUNKNOWN')
}

function hasCode(error: unknown, code: SessionStoreErrorCode): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === code
}

/**
 * What went wrong underneath, stripped of everything a client library hangs on its errors (ioredis keeps the command
 * with all its arguments there, that is: session ids and data). Found as `cause` of a {@link RedisDownError}.
 */
export class RedisFailure extends Error {
  /** Why, in one word. */
  readonly reason: DownReason
  /** The system's or TLS's error code, such as `ECONNREFUSED`, where there was one. */
  readonly systemCode: string | undefined

  constructor(reason: DownReason, message: string, systemCode?: string) {
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 0
    super(message)
    Error.stackTraceLimit = limit
    this.name = 'RedisFailure'
    this.reason = reason
    this.systemCode = systemCode
  }
}
