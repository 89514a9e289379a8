import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import {
  type DownReason,
  isRedisDownError,
  isSessionConflictError,
  isSessionKeyUnknownError,
  isSessionRevokedError,
  RedisDownError,
  RedisFailure,
  SessionConflictError,
  SessionKeyUnknownError,
  SessionRevokedError,
  SessionStoreError,
  StoreClosedError,
} from '../../src/errors.js'

describe('RedisDownError', () => {
  const cause = new RedisFailure('refused', 'connect ECONNREFUSED 127.0.0.1:6379', 'ECONNREFUSED')
  const error = new RedisDownError('get', 'refused', 2, cause)

  it('says what failed and why, in one word each', () => {
    expect(error).toMatchObject({ code: 'EREDISDOWN', operation: 'get', reason: 'refused', name: 'RedisDownError' })
    expect(error.message).toBe("Redis could not carry out 'get': refused")
    expect(error.cause).toBe(cause)
  })

  it('is one that error handlers answer with 503 and Retry-After', () => {
    expect(error).toMatchObject({ status: 503, statusCode: 503, headers: { 'Retry-After': '2' } })
  })

  it('is an Error of this library', () => {
    expect(error).toBeInstanceOf(Error)
    expect(error).toBeInstanceOf(SessionStoreError)
    expect(error).not.toBeInstanceOf(RedisFailure)
  })

  it('has no stack frames, and costs others none of theirs', () => {
    const limit = Error.stackTraceLimit
    const made = new RedisDownError('set', 'circuit-open', 1)
    expect(made.stack).not.toMatch(/\n\s+at /)
    expect(Error.stackTraceLimit).toBe(limit)
    expect(new Error('another').stack).toMatch(/\n\s+at /)
  })

  it('has no cause where there is none', () => {
    expect(Object.hasOwn(new RedisDownError('set', 'blank', 1), 'cause')).toBe(false)
  })

  it("never carries the system's code: express-session takes ENOENT for 'no session'", () => {
    const socketMissing = new RedisFailure('refused', 'connect ENOENT /run/redis.sock', 'ENOENT')
    expect(new RedisDownError('get', 'refused', 1, socketMissing).code).toBe('EREDISDOWN')
    expect((socketMissing as { code?: unknown }).code).toBeUndefined()
  })
})

describe('RedisFailure', () => {
  it('says why, and keeps the system code apart', () => {
    const failure = new RedisFailure('reset', 'read ECONNRESET', 'ECONNRESET')
    expect(failure).toMatchObject({ reason: 'reset', message: 'read ECONNRESET', systemCode: 'ECONNRESET' })
    expect(failure.name).toBe('RedisFailure')
    expect(new RedisFailure('timeout', 'no answer').systemCode).toBeUndefined()
  })

  it('has no stack frames, and costs others none of theirs', () => {
    const limit = Error.stackTraceLimit
    expect(new RedisFailure('timeout', 'no answer').stack).not.toMatch(/\n\s+at /)
    expect(Error.stackTraceLimit).toBe(limit)
  })
})

describe('the other errors', () => {
  it('a refused save is a 409 with a code of its own', () => {
    expect(new SessionRevokedError('set')).toMatchObject({
      code: 'ESESSIONREVOKED',
      name: 'SessionRevokedError',
      operation: 'set',
      status: 409,
      statusCode: 409,
    })
    expect(new SessionConflictError('set')).toMatchObject({
      code: 'ESESSIONCONFLICT',
      name: 'SessionConflictError',
      operation: 'set',
      status: 409,
      statusCode: 409,
    })
  })

  it('an unknown key is a 503 that says when to come again, and which key', () => {
    const error = new SessionKeyUnknownError('get', 'next')
    expect(error).toMatchObject({ code: 'ESESSIONKEYUNKNOWN', name: 'SessionKeyUnknownError', operation: 'get' })
    expect(error).toMatchObject({ status: 503, statusCode: 503, headers: { 'Retry-After': '10' }, keyId: 'next' })
    expect(error.message).toBe("The stored session is encrypted with the unknown key 'next'")
    expect(new SessionKeyUnknownError('all', undefined).message).toContain('by a later version of this library')
  })

  it('a closed store says so', () => {
    expect(new StoreClosedError('get')).toMatchObject({ code: 'ESTORECLOSED', operation: 'get' })
    expect(new StoreClosedError().operation).toBeUndefined()
  })

  it('keep their stacks: where they come from matters', () => {
    for (const error of [new SessionRevokedError('set'), new SessionConflictError('set'), new StoreClosedError()]) {
      expect(error.stack).toMatch(/\n\s+at /)
    }
  })
})

describe('guards', () => {
  const guards = { isRedisDownError, isSessionRevokedError, isSessionConflictError, isSessionKeyUnknownError }
  const samples = [
    ['isRedisDownError', new RedisDownError('get', 'timeout', 1)],
    ['isSessionRevokedError', new SessionRevokedError('set')],
    ['isSessionConflictError', new SessionConflictError('set')],
    ['isSessionKeyUnknownError', new SessionKeyUnknownError('get', 'next')],
  ] as const

  it.each(samples)('%s knows its own and no other', (own, error) => {
    for (const [name, guard] of Object.entries(guards)) expect(guard(error)).toBe(name === own)
  })

  it.each(samples)('%s knows an error of another copy of this library', (own, { code, message }) => {
    const foreign = Object.assign(new Error(message), { code })
    expect(guards[own](foreign)).toBe(true)
  })

  it('refuse whatever else may be thrown', () => {
    const others = [
      undefined,
      null,
      'EREDISDOWN',
      { code: 'EREDISDOWN' },
      new Error('EREDISDOWN'),
      new StoreClosedError(),
    ]
    for (const guard of Object.values(guards)) for (const other of others) expect(guard(other)).toBe(false)
  })
})

it('no error shows more than it says, however it is printed', () => {
  const reasons: DownReason[] = ['timeout', 'auth', 'blank']
  for (const reason of reasons) {
    const error = new RedisDownError('get', reason, 1, new RedisFailure(reason, 'no answer'))
    expect(Object.keys(error).sort()).toEqual([
      'code',
      'headers',
      'name',
      'operation',
      'reason',
      'status',
      'statusCode',
    ])
    expect(inspect(error)).not.toContain('args')
  }
})
