import type { DownReason } from '../errors.js'
import { RedisFailure } from '../errors.js'

/** Error replies by their first word (Redis `src/server.c`, createSharedObjects; Valkey has the same). */
const REPLIES: Readonly<Record<string, DownReason>> = {
  READONLY: 'read-only',
  OOM: 'out-of-memory',
  LOADING: 'loading',
  MISCONF: 'misconf',
  NOREPLICAS: 'no-replicas',
  MASTERDOWN: 'master-down',
  CLUSTERDOWN: 'cluster-down',
  TRYAGAIN: 'cluster-down',
  BUSY: 'busy',
  NOAUTH: 'auth',
  WRONGPASS: 'auth',
  NOPERM: 'auth',
  DENIED: 'auth',
}

/** Codes of the operating system, Node's resolver and ioredis's own connect timeout. */
const SYSTEM: Readonly<Record<string, DownReason>> = {
  ECONNREFUSED: 'refused',
  ENOENT: 'refused',
  EACCES: 'refused',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  ECONNABORTED: 'reset',
  ERR_STREAM_DESTROYED: 'reset',
  ERR_STREAM_WRITE_AFTER_END: 'reset',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  EHOSTDOWN: 'unreachable',
  ENETDOWN: 'unreachable',
  ETIMEDOUT: 'unreachable',
  ENOTFOUND: 'unreachable',
  EAI_AGAIN: 'unreachable',
  EADDRNOTAVAIL: 'unreachable',
  EMFILE: 'unreachable',
  ENFILE: 'unreachable',
}

/** Messages that neither start with an error word nor carry a code. */
const MESSAGES: readonly (readonly [RegExp, DownReason])[] = [
  [/max number of clients|max number of cluster connections/i, 'max-clients'],
  [/^invalid password|^ERR invalid password|without any password configured/i, 'auth'],
  // Redis 7.0 does not say NOPERM for what a script may not do.
  [/user executing the script can't|ACL failure in script/i, 'auth'],
  [/Command timed out|Socket timeout/i, 'timeout'],
  [
    /isn't (writeable|ready) and enableOfflineQueue|Connection is (already )?closed|is not connected|Redis is already/i,
    'not-connected',
  ],
  [/aborted due to connection close|Reached the max retries/i, 'reset'],
  // Something else than Redis answers: ioredis 5; 6.
  [/^Protocol error, got|^Unknown RESP type/, 'reset'],
  [
    /All sentinels are unreachable|Failed to refresh slots cache|ClusterAllFailed|None of startup nodes/i,
    'unreachable',
  ],
  [/Cluster is ended|Too many Cluster redirections/i, 'cluster-down'],
]

/**
 * Why Redis could not carry out a command, or `undefined` when it could and the command itself was wrong (WRONGTYPE, a
 * syntax error, a bug): only the former is an outage and moves a breaker. The one place that reads error texts.
 */
export function classify(error: unknown): DownReason | undefined {
  if (error instanceof RedisFailure) return error.reason
  if (!(error instanceof Error)) return undefined
  const code = (error as NodeJS.ErrnoException).code
  if (typeof code === 'string') {
    const reason = own(SYSTEM, code)
    if (reason !== undefined) return reason
    if (/^(ERR_TLS_|ERR_SSL_|EPROTO$|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/.test(code)) return 'tls'
  }
  const { message } = error
  const reply = own(REPLIES, firstWord(message))
  if (reply !== undefined) return reply
  for (const [pattern, reason] of MESSAGES) if (pattern.test(message)) return reason
  // Redis 6.2 wraps what fails inside a script: "ERR Error running script (call to f_…): @user_script: 3: -OOM command …",
  // and where the script caught it "@user_script: 3: -OOM command …".
  const wrapped = /^(?:ERR Error running script|@user_script).*?[ :]-([A-Z]{3,12}) /s.exec(message)
  if (wrapped?.[1] !== undefined) return own(REPLIES, wrapped[1])
  if (error instanceof AggregateError) {
    for (const inner of error.errors) {
      const reason = classify(inner)
      if (reason !== undefined) return reason
    }
  }
  // ioredis: every startup node failed; what failed is in lastNodeError.
  const last = (error as { lastNodeError?: unknown }).lastNodeError
  return last === undefined || last === error ? undefined : classify(last)
}

/** A clean copy of an error for `cause`: reason, message and system code, without the command ioredis hangs on it. */
export function toFailure(error: unknown, reason: DownReason): RedisFailure {
  if (error instanceof RedisFailure) return error
  if (!(error instanceof Error)) return new RedisFailure(reason, reason)
  const code = (error as NodeJS.ErrnoException).code
  const message =
    error.message === '' && error instanceof AggregateError ? String(error.errors[0]?.message) : error.message
  return new RedisFailure(reason, message.slice(0, 200), typeof code === 'string' ? code : undefined)
}

/** Takes off what ioredis hangs on a reply's error: the command with its arguments, that is session ids and data. */
export function withoutCommand(error: unknown): unknown {
  if (error instanceof Error) delete (error as { command?: unknown }).command
  return error
}

/** Whether Redis does not know the script (it was restarted, or another server answers): the source must be sent. */
export function isNoScript(error: unknown): boolean {
  return error instanceof Error && firstWord(error.message) === 'NOSCRIPT'
}

/** Whether an error is one that Redis answered with, by the name ioredis gives those. */
export function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError'
}

/** Any text may be looked up, `constructor` too. */
function own(table: Readonly<Record<string, DownReason>>, name: string): DownReason | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined
}

function firstWord(message: string): string {
  const end = message.indexOf(' ')
  return end === -1 ? message : message.slice(0, end)
}

/** Whether a Cluster node answered that nobody serves the slot of a command: it serves its own all the same. */
export function isUnservedSlot(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('CLUSTERDOWN Hash slot not served')
}

/** A Cluster node's word that a command belongs elsewhere (Redis Cluster specification, "Redirection and resharding"). */
export type Redirection =
  | { readonly kind: 'moved' | 'ask'; readonly address: string }
  /** Its slot is on its way, and only some of the command's keys have arrived. */
  | { readonly kind: 'again' }

/** Where a refused command belongs; `undefined` for every other error. */
export function redirection(error: unknown): Redirection | undefined {
  if (!(error instanceof Error)) return undefined
  const [word, , address] = error.message.split(' ')
  if (word === 'TRYAGAIN') return { kind: 'again' }
  if ((word !== 'MOVED' && word !== 'ASK') || address === undefined) return undefined
  return { kind: word === 'MOVED' ? 'moved' : 'ask', address }
}
