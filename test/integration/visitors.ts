// People at an application under test: they log in, come back with the same cookies, and are made to wait.
import type { ListeningApp } from '../support/http.js'
import type { Visitor } from '../support/visitor.js'
import { until } from '../support/wait.js'

/** A point that handlers reach, and wait at until the test lets them go on. */
export class Gate {
  #waiting = 0
  readonly #opened: Promise<void>
  #open!: () => void

  constructor() {
    this.#opened = new Promise((resolve) => {
      this.#open = resolve
    })
  }

  /** For the handler. */
  pass(): Promise<void> {
    this.#waiting++
    return this.#opened
  }

  /** Resolves when so many have come. */
  async reached(count = 1): Promise<void> {
    await until(() => this.#waiting >= count, { what: `${count} to reach the gate` })
  }

  open(): void {
    this.#open()
  }
}

/** Somebody new who logs in, which must work. */
export async function logIn(app: ListeningApp, user = 'ada'): Promise<Visitor> {
  const visitor = app.visitor()
  const answer = await visitor.post(`/login?user=${user}`)
  if (answer.status !== 200) throw new Error(`logging in was answered with ${answer.status}: ${answer.body}`)
  return visitor
}

/** Somebody with the same cookies in another browser window, or an earlier copy of them. */
export function sameCookies(app: ListeningApp, visitor: Visitor): Visitor {
  const twin = app.visitor()
  const value = visitor.cookies.get('connect.sid')
  if (value !== undefined) twin.cookies.set('connect.sid', value)
  return twin
}

/** The session id in a visitor's cookie. */
export function sidOf(visitor: Visitor): string {
  return sidIn(visitor.cookies.get('connect.sid') ?? '')
}

/** The session id in the value of a cookie: `s:SID.SIGNATURE`. */
export function sidIn(value: string): string {
  return decodeURIComponent(value).slice(2).replace(/\..*$/, '')
}
