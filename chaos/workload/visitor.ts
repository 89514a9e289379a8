import type { Action, Answer, RequestRecord, Stay } from '../records.js'
import { tagOfCookie } from '../session-tag.js'
import { isLost, isWrite } from './classify.js'
import { CookieJar } from './cookie-jar.js'
import type { Reply } from './http.js'

/** The cookie by which the shop knows its visitors (express-session's default name). */
export const COOKIE_NAME = 'connect.sid'

/** How long a busy tab takes, in ms: about as long as it is until its visitor does the next thing. */
const BUSY_FOR = 500

/**
 * One person with a browser: keeps cookies as a browser does, remembers what the shop acknowledged, and knows when
 * "I am logged in" is certain. Never has two changes under way at once, but for one: some log out while a tab of theirs
 * is busy adding something. Pages may overlap with anything.
 */
export class Visitor {
  readonly name: string
  readonly jar = new CookieJar(COOKIE_NAME)
  /** Numbers of the cart items the shop acknowledged, with the time of the acknowledgement. */
  readonly acknowledged = new Map<number, number>()
  #status: 'stranger' | 'in' | 'leaving' | Exclude<Stay, 'in'> = 'stranger'
  #writing = false
  /** A tab is busy, and when there is a next time they log out. */
  #leavesBusy = false
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

  /** The value of their session's cookie: what the browser has, or had when they logged out. */
  get sessionCookie(): string | undefined {
    return this.#cookieBefore ?? this.jar.value
  }

  /** The name of their session in the history. */
  get session(): string | undefined {
    const cookie = this.sessionCookie
    return cookie === undefined ? undefined : tagOfCookie(cookie)
  }

  /** What they do when they would like to do `wish`; `undefined` when they can only wait. */
  choose(wish: Action): Action | undefined {
    if (this.hasLeft) return undefined
    if (this.#status === 'stranger') return this.#writing ? undefined : 'login'
    if (this.#status === 'leaving') return 'view'
    if (this.#leavesBusy) return 'logout'
    if (this.#writing) return isWrite({ action: wish }) ? 'view' : wish
    return wish
  }

  /**
   * A request leaves: returns its record. Every second visitor who would log out lets a busy tab work first, and logs out
   * with their next request.
   */
  begin(wish: Action, process: string, now: number, id: number): RequestRecord {
    const busy = wish === 'logout' && !this.#leavesBusy && !this.#writing && Number(this.name.slice(1)) % 2 === 0
    const action = busy ? 'add' : wish
    if (isWrite({ action })) this.#writing = true
    this.#leavesBusy = busy
    const { loggedIn, session } = this
    if (action === 'logout') {
      this.#status = 'leaving'
      this.#cookieBefore = this.jar.value
    }
    return {
      kind: 'request',
      id,
      visitor: this.name,
      action,
      process,
      start: now,
      loggedIn,
      ...(session === undefined ? {} : { session }),
      ...(action === 'add' ? { item: ++this.#items } : {}),
      ...(busy ? { busyFor: BUSY_FOR } : {}),
    }
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

  #read(record: RequestRecord, { status, headers, setCookie, page }: Extract<Reply, { status: number }>): Answer {
    const shown = asPage(page)
    const changed = record.action !== 'return' && this.jar.take(setCookie)
    const expected = record.action === 'login' || record.action === 'logout'
    const destroy = headers['x-destroy'] as Answer['destroy']
    return {
      status,
      source: headers['x-session-source'],
      retryAfter: headers['retry-after'] !== undefined,
      visitor: shown?.visitor,
      cookieChanged: changed && !expected,
      missing: shown?.cart === undefined ? 0 : this.missingFrom(shown.cart, record.start).length,
      ...(shown?.cart === undefined ? {} : this.#sort(shown.cart)),
      ...(shown?.session === undefined ? {} : { session: shown.session }),
      ...(shown?.home === undefined ? {} : { home: shown.home }),
      ...(destroy === undefined ? {} : { destroy }),
    }
  }

  #sort(cart: readonly string[]): Pick<Answer, 'cart' | 'foreign'> {
    const own = cart.filter((item) => item.startsWith(`${this.name}-`))
    const foreign = cart.length - own.length
    return { cart: own.map((item) => Number(item.slice(this.name.length + 1))), ...(foreign > 0 ? { foreign } : {}) }
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

  /** Which of the items acknowledged before `since` a cart does not show. */
  missingFrom(cart: readonly string[], since: number): number[] {
    const here = new Set(cart)
    return [...this.acknowledged]
      .filter(([item, at]) => at < since && !here.has(this.nameOf(item)))
      .map(([item]) => item)
  }

  /** What the shop calls an item of theirs. */
  nameOf(item: number): string {
    return `${this.name}-${item}`
  }
}

/** A page of the shop: whom it knows, the cart where it shows one, and which session it has in hand. */
export interface Page {
  readonly visitor: string | null
  readonly cart?: readonly string[]
  readonly session?: string
  readonly home?: string
}

export function asPage(page: unknown): Page | undefined {
  if (typeof page !== 'object' || page === null || !('visitor' in page)) return undefined
  const { visitor, cart, session, home } = page as Record<string, unknown>
  if (visitor !== null && typeof visitor !== 'string') return undefined
  return {
    visitor,
    ...(Array.isArray(cart) ? { cart: cart.map(String) } : {}),
    ...(typeof session === 'string' ? { session } : {}),
    ...(typeof home === 'string' ? { home } : {}),
  }
}
