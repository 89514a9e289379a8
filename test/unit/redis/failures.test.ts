import { inspect } from 'node:util'
import { ReplyError } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { type DownReason, RedisFailure } from '../../../src/errors.js'
import { classify, isNoScript, toFailure, withoutCommand } from '../../../src/redis/failures.js'

const SHA = '8426c8df41c64d8177dce3ecbbe9146ef3759cd2'

/** An error as Node's net, dns and tls modules make it. */
function systemError(code: string, message = `connect ${code} 127.0.0.1:6379`): Error {
  return Object.assign(new Error(message), { code })
}

/** Redis's error reply as ioredis hands it over: with the command and all that it sent. */
function replyError(text: string): Error {
  return Object.assign(new ReplyError(text), {
    command: { name: 'set', args: ['sess:the-secret-sid', '{"card":"4111"}'] },
  })
}

describe("Redis's own words", () => {
  it.each<[text: string, reason: DownReason]>([
    ["READONLY You can't write against a read only replica.", 'read-only'],
    ["OOM command not allowed when used memory > 'maxmemory'.", 'out-of-memory'],
    ['LOADING Redis is loading the dataset in memory', 'loading'],
    ['LOADING Valkey is loading the dataset in memory', 'loading'],
    [
      'MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk. Commands that may modify the data set are disabled.',
      'misconf',
    ],
    ['MISCONF Errors writing to the AOF file: No space left on device', 'misconf'],
    ['NOREPLICAS Not enough good replicas to write.', 'no-replicas'],
    ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", 'master-down'],
    ['CLUSTERDOWN The cluster is down', 'cluster-down'],
    ['CLUSTERDOWN Hash slot not served', 'cluster-down'],
    ['CLUSTERDOWN The cluster is down and only accepts read commands', 'cluster-down'],
    ['TRYAGAIN Multiple keys request during rehashing of slot', 'cluster-down'],
    ['BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.', 'busy'],
    ['BUSY Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.', 'busy'],
    ['NOAUTH Authentication required.', 'auth'],
    [
      'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time',
      'auth',
    ],
    ['WRONGPASS invalid username-password pair or user is disabled.', 'auth'],
    ["NOPERM this user has no permissions to run the 'set' command", 'auth'],
    ["NOPERM this user has no permissions to run the 'get' command or its subcommand", 'auth'],
    ["NOPERM User app has no permissions to run the 'evalsha' command", 'auth'],
    ['NOPERM this user has no permissions to access one of the keys used as arguments', 'auth'],
    ['NOPERM No permissions to access a key', 'auth'],
    ['ERR invalid password', 'auth'],
    [
      'ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?',
      'auth',
    ],
    ['ERR max number of clients reached', 'max-clients'],
    ['ERR max number of clients + cluster connections reached', 'max-clients'],
    ['ERR max number of cluster connections reached', 'max-clients'],
  ])('%s', (text, reason) => {
    expect(classify(replyError(text))).toBe(reason)
  })
})

describe('what fails inside a script', () => {
  it.each<[where: string, text: string, reason: DownReason]>([
    [
      'Redis 6',
      `ERR Error running script (call to f_${SHA}): @user_script:6: @user_script: 6: -OOM command not allowed when used memory > 'maxmemory'.   `,
      'out-of-memory',
    ],
    [
      'Redis 6',
      `ERR Error running script (call to f_${SHA}): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica.   `,
      'read-only',
    ],
    [
      'Redis 6',
      `ERR Error running script (call to f_${SHA}): @user_script:1: @user_script: 1: -NOREPLICAS Not enough good replicas to write.   `,
      'no-replicas',
    ],
    [
      'Redis 6',
      `ERR Error running script (call to f_${SHA}): @user_script:1: @user_script: 1: -MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk.   `,
      'misconf',
    ],
    ['Redis 6, pcall', "@user_script: 23: -OOM command not allowed when used memory > 'maxmemory'.", 'out-of-memory'],
    ['Redis 6, pcall', "@user_script: 23: -READONLY You can't write against a read only replica.", 'read-only'],
    [
      'Redis 6',
      `ERR Error running script (call to f_${SHA}): @user_script:1: @user_script: 1: The user executing the script can't run this command or subcommand   `,
      'auth',
    ],
    [
      'Redis 7',
      `OOM command not allowed when used memory > 'maxmemory'. script: ${SHA}, on @user_script:3.`,
      'out-of-memory',
    ],
    [
      'Redis 7',
      `READONLY You can't write against a read only replica. script: ${SHA}, on @user_script:1.`,
      'read-only',
    ],
    ['Redis 7.0', "ERR The user executing the script can't run this command or subcommand", 'auth'],
    [
      'Redis 7.0',
      `ERR The user executing the script can't run this command or subcommand script: ${SHA}, on @user_script:1.`,
      'auth',
    ],
    [
      'Redis 7.0',
      `ERR The user executing the script can't access at least one of the keys mentioned in the command arguments script: ${SHA}, on @user_script:1.`,
      'auth',
    ],
    [
      'Redis 7.2, Valkey',
      `ERR ACL failure in script: User app has no permissions to run the 'time' command script: ${SHA}, on @user_script:4.`,
      'auth',
    ],
  ])('%s: %s', (_, text, reason) => {
    expect(classify(replyError(text))).toBe(reason)
  })
})

describe('what the system and its libraries say', () => {
  it.each<[code: string, reason: DownReason]>([
    ['ECONNREFUSED', 'refused'],
    ['ENOENT', 'refused'],
    ['EACCES', 'refused'],
    ['ECONNRESET', 'reset'],
    ['EPIPE', 'reset'],
    ['ECONNABORTED', 'reset'],
    ['ERR_STREAM_DESTROYED', 'reset'],
    ['ERR_STREAM_WRITE_AFTER_END', 'reset'],
    ['EHOSTUNREACH', 'unreachable'],
    ['ENETUNREACH', 'unreachable'],
    ['EHOSTDOWN', 'unreachable'],
    ['ENETDOWN', 'unreachable'],
    ['ETIMEDOUT', 'unreachable'],
    ['ENOTFOUND', 'unreachable'],
    ['EAI_AGAIN', 'unreachable'],
    ['EMFILE', 'unreachable'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'tls'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'tls'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'tls'],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'tls'],
    ['CERT_HAS_EXPIRED', 'tls'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'tls'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'tls'],
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'tls'],
    ['EPROTO', 'tls'],
  ])('%s is %s', (code, reason) => {
    expect(classify(systemError(code))).toBe(reason)
  })

  it('an AggregateError of a host with several addresses is what its parts are', () => {
    const refused = [systemError('ECONNREFUSED', 'connect ECONNREFUSED ::1:6379'), systemError('ECONNREFUSED')]
    expect(classify(Object.assign(new AggregateError(refused), { code: 'ECONNREFUSED' }))).toBe('refused')
    expect(classify(new AggregateError(refused))).toBe('refused')
    expect(classify(new AggregateError([new Error('a bug'), systemError('EHOSTUNREACH')]))).toBe('unreachable')
    expect(classify(new AggregateError([]))).toBeUndefined()
    expect(classify(new AggregateError([new TypeError('a bug')]))).toBeUndefined()
  })
})

describe("ioredis's own errors", () => {
  it.each<[message: string, reason: DownReason]>([
    ["Stream isn't writeable and enableOfflineQueue options is false", 'not-connected'],
    ["Cluster isn't ready and enableOfflineQueue options is false", 'not-connected'],
    ['Connection is closed.', 'not-connected'],
    ['Redis is already connecting/connected', 'not-connected'],
    ['Command timed out', 'timeout'],
    ["Socket timeout. Expecting data, but didn't receive any in 10000ms.", 'timeout'],
    ['Command aborted due to connection close', 'reset'],
    [
      'Reached the max retries per request limit (which is 0). Refer to "maxRetriesPerRequest" option for details.',
      'reset',
    ],
    ['Protocol error, got "H" as reply type byte. Please report this.', 'reset'],
    ['Unknown RESP type 72 "H". Please report this.', 'reset'],
    ['All sentinels are unreachable. Retrying from scratch after 250ms.', 'unreachable'],
    [
      'All sentinels are unreachable and retry is disabled. Last error: connect ECONNREFUSED 127.0.0.1:26379',
      'unreachable',
    ],
    ['Failed to refresh slots cache.', 'unreachable'],
    ['None of startup nodes is available', 'unreachable'],
    ['Cluster is ended.', 'cluster-down'],
    ['Too many Cluster redirections. Last error: ReplyError: MOVED 1 127.0.0.1:7001', 'cluster-down'],
  ])('%s', (message, reason) => {
    expect(classify(new Error(message))).toBe(reason)
  })

  it('a connect timeout carries the system code', () => {
    expect(classify(Object.assign(new Error('connect ETIMEDOUT'), { code: 'ETIMEDOUT', syscall: 'connect' }))).toBe(
      'unreachable',
    )
  })

  it('where every node of a cluster failed, the last node says why', () => {
    const failed = Object.assign(new Error('all failed'), {
      lastNodeError: replyError('NOAUTH Authentication required.'),
    })
    expect(classify(failed)).toBe('auth')
    const circular: Error & { lastNodeError?: unknown } = new Error('all failed')
    circular.lastNodeError = circular
    expect(classify(circular)).toBeUndefined()
  })
})

describe('what is no outage', () => {
  it.each([
    'WRONGTYPE Operation against a key holding the wrong kind of value',
    `WRONGTYPE Operation against a key holding the wrong kind of value script: ${SHA}, on @user_script:1.`,
    `ERR Error running script (call to f_${SHA}): @user_script:1: WRONGTYPE Operation against a key holding the wrong kind of value`,
    `ERR Error running script (call to f_${SHA}): @user_script:1: @user_script: 1: -WRONGTYPE Operation against a key holding the wrong kind of value`,
    'NOSCRIPT No matching script. Please use EVAL.',
    "ERR unknown command 'foo', with args beginning with: 'bar' ",
    "ERR wrong number of arguments for 'get' command",
    "ERR invalid expire time in 'set' command",
    'ERR syntax error',
    'ERR value is not an integer or out of range',
    "ERR Error compiling script (new function): user_script:1: '=' expected near 'x'",
    `ERR user_script:1: Script attempted to access nonexistent global variable 'x' script: ${SHA}, on @user_script:1.`,
    'ERR Protocol error: invalid multibulk length',
    "CROSSSLOT Keys in request don't hash to the same slot",
    'BUSYKEY Target key name already exists.',
    'EXECABORT Transaction discarded because of previous errors.',
  ])('%s', (text) => {
    expect(classify(replyError(text))).toBeUndefined()
  })

  it.each([
    new TypeError("Cannot read properties of undefined (reading 'x')"),
    new SyntaxError('Unexpected token'),
    new RangeError('LOADINGS is not what Redis says'),
    new TypeError('constructor is not callable'),
    new Error('toString'),
    new Error(''),
    systemError('constructor'),
    systemError('ERR_INVALID_ARG_TYPE', 'The "data" argument must be of type string'),
    Object.assign(new Error('numeric'), { code: 404 }),
  ])('a bug: %s', (error) => {
    expect(classify(error)).toBeUndefined()
  })

  it.each([undefined, null, 'READONLY', 5, { message: 'READONLY', code: 'ECONNREFUSED' }])('no error: %o', (value) => {
    expect(classify(value)).toBeUndefined()
  })
})

it('a failure that was classified stays what it is', () => {
  const failure = new RedisFailure('busy', 'whatever it says')
  expect(classify(failure)).toBe('busy')
  expect(toFailure(failure, 'timeout')).toBe(failure)
})

describe('toFailure', () => {
  it('keeps what went wrong, without the command that ioredis hangs on it', () => {
    const failure = toFailure(replyError("OOM command not allowed when used memory > 'maxmemory'."), 'out-of-memory')
    expect(failure).toMatchObject({
      reason: 'out-of-memory',
      message: "OOM command not allowed when used memory > 'maxmemory'.",
      systemCode: undefined,
    })
    for (const shown of [inspect(failure, { depth: 10, showHidden: true }), JSON.stringify(failure), failure.stack]) {
      expect(shown).not.toContain('the-secret-sid')
      expect(shown).not.toContain('4111')
    }
    expect(failure.cause).toBeUndefined()
  })

  it("keeps the system's code under another name", () => {
    const failure = toFailure(systemError('ENOENT', 'connect ENOENT /run/redis.sock'), 'refused')
    expect(failure.systemCode).toBe('ENOENT')
    expect(failure).not.toHaveProperty('code')
  })

  it('tells of an AggregateError, whose own message is empty, what its first part says', () => {
    const error = new AggregateError([systemError('ECONNREFUSED', 'connect ECONNREFUSED ::1:6379')])
    expect(toFailure(error, 'refused').message).toBe('connect ECONNREFUSED ::1:6379')
  })

  it('bounds the text: some replies quote what they were sent', () => {
    expect(toFailure(new Error('x'.repeat(10_000)), 'busy').message.length).toBeLessThanOrEqual(200)
  })

  it('makes something of what is no error', () => {
    expect(toFailure('gone', 'reset')).toMatchObject({ reason: 'reset' })
    expect(toFailure(undefined, 'not-connected')).toBeInstanceOf(RedisFailure)
  })
})

describe('withoutCommand', () => {
  it('leaves an error as it is, but for the command with all its arguments', () => {
    const error = replyError('WRONGTYPE Operation against a key holding the wrong kind of value')
    const clean = withoutCommand(error) as Error
    expect(clean.message).toBe('WRONGTYPE Operation against a key holding the wrong kind of value')
    expect(clean).toBeInstanceOf(Error)
    for (const shown of [inspect(clean, { depth: 10, showHidden: true }), JSON.stringify(clean), clean.stack]) {
      expect(shown).not.toContain('the-secret-sid')
      expect(shown).not.toContain('4111')
    }
  })

  it('leaves an error without one, and what is no error, alone', () => {
    const bug = new TypeError('a bug')
    for (const other of [bug, undefined, null, 'text', 5]) expect(withoutCommand(other)).toBe(other)
  })
})

it('isNoScript knows the one reply after which the source must be sent', () => {
  expect(isNoScript(replyError('NOSCRIPT No matching script. Please use EVAL.'))).toBe(true)
  expect(isNoScript(replyError('ERR NOSCRIPT'))).toBe(false)
  expect(isNoScript('NOSCRIPT No matching script.')).toBe(false)
})
