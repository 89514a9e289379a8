/** Sessions to stored values and back, cookies included: what express-session expects and what Redis is told. */
import type { SessionData } from 'express-session'
import type { Clock } from './clock.js'
import type { Raw } from './redis/sessions.js'
import type { ResolvedOptions } from './resolve-options.js'
import type { StoredSession } from './serializers/contract.js'
import { isThenable } from './thenable.js'

/** A cookie as it is stored, as far as the store looks at it. */
interface StoredCookie {
  originalMaxAge?: number | null
  expires?: Date | string | number | null | boolean
}

export class Codec {
  readonly #options: Pick<ResolvedOptions, 'serializer' | 'prefix' | 'ttl' | 'disableTTL'>
  readonly #clock: Clock

  constructor(options: ResolvedOptions, clock: Clock) {
    this.#options = options
    this.#clock = clock
  }

  /** A promise only where the serializer gives one. @throws what the serializer throws, and TypeError for a result that Redis cannot keep */
  encode(sid: string, session: SessionData): Raw | Promise<Raw> {
    const { serializer, prefix } = this.#options
    const value: unknown = serializer.stringify(session as StoredSession, { sid, prefix })
    return isThenable(value) ? Promise.resolve(value).then(storable) : storable(value)
  }

  /** A fresh object each time, a promise only where the serializer gives one. @throws what the serializer throws, and TypeError for anything but an object */
  decode(sid: string, raw: Raw): StoredSession | Promise<StoredSession> {
    const { serializer, prefix } = this.#options
    const session: unknown = serializer.parse(asParsed(raw, serializer.binary === true), { sid, prefix })
    return isThenable(session) ? Promise.resolve(session).then(checked) : checked(session)
  }

  /**
   * What is left of a session, ms; `undefined` for no expiry, 0 or less for one that is over. A cookie that has run
   * out although its session is in use (a clock was set, or touches moved the expiry in Redis alone) starts anew.
   *
   * @throws TypeError when the application's `ttl` function does not return a number
   */
  ttl(session: SessionData): number | undefined {
    const { ttl, disableTTL } = this.#options
    if (disableTTL) return undefined
    if (typeof ttl === 'function') {
      const seconds: unknown = ttl(session)
      if (typeof seconds !== 'number' || !Number.isFinite(seconds)) {
        throw new TypeError(`option 'ttl' returned ${String(seconds)} instead of a number of seconds`)
      }
      return Math.ceil(seconds) * 1000
    }
    const cookie = session.cookie as StoredCookie | undefined
    const left = this.#left(cookie)
    if (left === undefined) return Math.ceil(ttl * 1000)
    if (left > 0) return wholeSeconds(left)
    return hasMaxAge(cookie) ? wholeSeconds(cookie.originalMaxAge) : 0
  }

  /** How long a loaded session lasts by its own cookie, ms; `undefined` where the cookie does not say. */
  cookieTtl(session: StoredSession): number | undefined {
    const left = this.#left(session.cookie as StoredCookie | undefined)
    return left !== undefined && left > 0 ? left : undefined
  }

  /** Redis says that the session lives, so its cookie does: an expired-looking one is counted from now. */
  refreshCookie(session: StoredSession): void {
    const cookie = session.cookie as StoredCookie
    const left = this.#left(cookie)
    if (left !== undefined && left <= 0 && hasMaxAge(cookie)) {
      cookie.expires = new Date(this.#clock.wall() + cookie.originalMaxAge).toISOString()
    }
  }

  #left(cookie: StoredCookie | undefined): number | undefined {
    const expires = cookie?.expires
    if (expires == null || typeof expires === 'boolean') return undefined
    const at = typeof expires === 'string' ? Date.parse(expires) : new Date(expires).getTime()
    return Number.isNaN(at) ? undefined : at - this.#clock.wall()
  }
}

function storable(value: unknown): Raw {
  if (typeof value === 'string' || Buffer.isBuffer(value)) return value
  throw new TypeError(`the serializer returned ${typeof value} instead of a string or a Buffer`)
}

function checked(session: unknown): StoredSession {
  if (typeof session === 'object' && session !== null && !Array.isArray(session)) return session as StoredSession
  throw new TypeError('the stored value is not a session')
}

/** What this process wrote itself (it waits in the queue or the cache), in the form in which Redis would give it back. */
function asParsed(raw: Raw, binary: boolean): Raw {
  if (binary) return typeof raw === 'string' ? Buffer.from(raw) : raw
  return typeof raw === 'string' ? raw : raw.toString('utf8')
}

/** What connect-redis sets: whole seconds, rounded up. */
function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1000) * 1000
}

function hasMaxAge(cookie: StoredCookie | undefined): cookie is StoredCookie & { originalMaxAge: number } {
  return typeof cookie?.originalMaxAge === 'number' && cookie.originalMaxAge > 0
}
