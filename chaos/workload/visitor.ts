import type { Action, Answer, RequestRecord, Stay } from '../history.js'
import { isLost, isWrite } from './classify.js'
import { CookieJar } from './cookie-jar.js'
import type { Reply } from './http.js'

/** The cookie by which the shop knows its visitors (express-session's default name). */
export const COOKIE_NAME = 'connect.sid'

/**
 * One person with a browser: keeps cookies as a browser does, remembers what the shop acknowledged, and knows when
 * "I am logged in" is certain. Never has two changes under way at once; pages may overlap with anything.
 */
export class Visitor {
  readonly name: string
  readonly jar = new CookieJar(COOKIE_NAME)
  /** Cart items the shop acknowledged, with the time of the acknowledgement. */
  readonly acknowledged = new Map<string, number>()
  #status: 'stranger' | 'in' | 'leaving' | Exclude<Stay, 'in'> = 'stranger'
  #writing = false
  #items = 0
  #cookieBefore: string | undefined

  constructor(name: string) {
    this.name = name
  }

  /** Whether the shop said they are logged in and nothing since could have changed that. */
  get loggedIn(): boolean {
    return this.#status === 'in'
  }

  /** How the stay ended, or `in`; `undefined` for somebody who never got in. */
  get stay(): Stay | undefined {
    if (this.#status === 'stranger') return undefined
    return this.#status === 'leaving' ? 'maybe-out' : this.#status
  }

  /** Whether they are done with the shop: somebody else takes their place. */
  get hasLeft(): boolean {
    return this.#status === 'out' || this.#status === 'maybe-out' || this.#status === 'lost'
  }

  /** The cookie of their session: what the browser has, or had when they logged out. */
  get sessionCookie(): string | undefined {
    return this.#cookieBefore ?? this.jar.header
  }

  /** What they do when they would like to do `wish`; `undefined` when they can only wait. */
  choose(wish: Action): Action | undefined {
    if (this.hasLeft) return undefined
    if (this.#status === 'stranger') return this.#writing ? undefined : 'login'
    if (this.#status === 'leaving') return 'view'
    return this.#writing && isWrite({ action: wish }) ? 'view' : wish
  }

  /** A request leaves: returns its record. */
  begin(action: Action, process: string, now: number): RequestRecord {
    if (isWrite({ action })) this.#writing = true
    const loggedIn = this.loggedIn
    if (action === 'logout') {
      this.#status = 'leaving'
      this.#cookieBefore = this.jar.header
    }
    const item = action === 'add' ? { item: `${this.name}-${++this.#items}` } : {}
    return { kind: 'request', visitor: this.name, action, process, start: now, loggedIn, ...item }
  }

  /** The answer is here, or there will be none: completes the record and learns from it. */
  finish(record: RequestRecord, reply: Reply, now: number): void {
    record.end = now
    if ('failure' in reply) record.failure = reply.failure
    else record.answer = this.#read(record, reply)
    // A logout that began meanwhile may be why the shop no longer knows them; the logout itself began when it was certain.
    if (record.action !== 'logout') record.loggedIn &&= this.loggedIn
    if (isWrite(record)) this.#writing = false
    this.#learn(record, now)
  }

  #read(record: RequestRecord, reply: Extract<Reply, { status: number }>): Answer {
    const page = asPage(reply.page)
    const changed = this.jar.take(reply.setCookie)
    const expected = record.action === 'login' || record.action === 'logout'
    return {
      status: reply.status,
      source: reply.headers['x-session-source'],
      retryAfter: reply.headers['retry-after'] !== undefined,
      visitor: page?.visitor,
      cookieChanged: changed && !expected,
      missing: page?.cart === undefined ? 0 : this.missingFrom(page.cart, record.start),
    }
  }

  #learn(record: RequestRecord, now: number): void {
    const succeeded = record.answer?.status === 200
    if (record.action === 'login') {
      if (succeeded) this.#status = 'in'
    } else if (record.action === 'logout') {
      if (this.#status === 'leaving') this.#status = succeeded ? 'out' : 'maybe-out'
    } else if (this.#status === 'in' && isLost(record)) {
      this.#status = 'lost'
    }
    if (record.item !== undefined && succeeded) this.acknowledged.set(record.item, now)
  }

  /** How many of the items acknowledged before `since` a cart does not show. */
  missingFrom(cart: readonly string[], since: number): number {
    let missing = 0
    for (const [item, at] of this.acknowledged) if (at < since && !cart.includes(item)) missing++
    return missing
  }
}

/** A page of the shop: whom it knows, and the cart where the page shows one. */
export function asPage(page: unknown): { visitor: string | null; cart?: readonly string[] } | undefined {
  if (typeof page !== 'object' || page === null || !('visitor' in page)) return undefined
  const { visitor } = page
  if (visitor !== null && typeof visitor !== 'string') return undefined
  const cart = 'cart' in page && Array.isArray(page.cart) ? { cart: page.cart.map(String) } : {}
  return { visitor, ...cart }
}
