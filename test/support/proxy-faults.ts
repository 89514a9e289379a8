// What a proxy does to single commands and replies. Each fault is armed, bites at the messages it was made for, and
// tells when it has bitten: a test asserts that before it asserts anything about the recovery.
import type { Command } from './resp.js'
import { until } from './wait.js'

/** How a connection ends. */
export type Ending = 'fin' | 'reset'

/** Which commands a fault is for: a name, a pattern for the name, or a question; all of them when left out. */
export type Match = string | RegExp | ((command: Command) => boolean)

/** At which of the matching messages a fault bites. */
export interface FaultOptions {
  /** The first that is bitten, counted from when the fault was armed, 1 being the next. @default 1 */
  readonly nth?: number
  /** How many in a row. @default 1 */
  readonly times?: number
}

/** How a connection is cut. */
export interface CutOptions extends FaultOptions {
  /**
   * What the client sees: `'reset'` is ECONNRESET, `'fin'` an orderly end. A Node client that has not read everything
   * when the reset arrives sees an orderly end, too: libuv does that.
   * @default 'reset'
   */
  readonly ending?: Ending
}

/** What is done with a message. A cut passes on its first bytes, then ends the connection. */
export type Action =
  | { readonly kind: 'hold' }
  | { readonly kind: 'swallow' }
  | { readonly kind: 'cut'; readonly pass: number; readonly ending: Ending }

/** An armed fault. */
export class Fault {
  /** How many messages it has bitten. */
  hits = 0
  readonly action: Action
  readonly #what: string
  readonly #match: Match | undefined
  #before: number
  #left: number

  constructor(what: string, action: Action, match: Match | undefined, { nth = 1, times = 1 }: FaultOptions = {}) {
    if (!(nth >= 1) || !(times >= 1)) throw new RangeError(`nth and times count from 1, got ${nth} and ${times}`)
    this.action = action
    this.#what = what
    this.#match = match
    this.#before = nth - 1
    this.#left = times
  }

  /** Resolves once it has bitten. @throws {WaitTimeoutError} when it does not within `timeoutMs`. */
  async hit(timeoutMs = 5_000): Promise<void> {
    await until(() => this.hits > 0, { timeoutMs, what: `the proxy to ${this.#what}` })
  }

  /** It bites no more. What it has done is not undone. */
  disarm(): void {
    this.#left = 0
  }

  /** Whether it can do nothing more. */
  get spent(): boolean {
    return this.#left === 0
  }

  /** Whether this message is one to bite; counts it. For the proxy. */
  claims(command: Command): boolean {
    if (this.#left === 0 || !matches(this.#match, command)) return false
    if (this.#before > 0) {
      this.#before--
      return false
    }
    this.#left--
    return true
  }
}

/** A fault that stops messages, and everything behind them on the same connection, until it lets them go. */
export class Hold extends Fault {
  #released = false
  readonly #onRelease: () => void

  constructor(what: string, match: Match | undefined, options: FaultOptions | undefined, onRelease: () => void) {
    super(what, { kind: 'hold' }, match, options)
    this.#onRelease = onRelease
  }

  get released(): boolean {
    return this.#released
  }

  override get spent(): boolean {
    return this.#released
  }

  /** Lets go what it holds, and holds nothing more. */
  release(): void {
    this.disarm()
    this.#released = true
    this.#onRelease()
  }
}

function matches(match: Match | undefined, command: Command): boolean {
  if (match === undefined) return true
  if (typeof match === 'string') return command.name === match.toUpperCase()
  return match instanceof RegExp ? match.test(command.name) : match(command)
}
