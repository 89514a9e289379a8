import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { History } from '../history.js'
import type { ShopConfig, ShopMessage, ShopReport, StoreReport } from './messages.js'

/** How long a shop may take to begin to listen, in ms. */
const START_WITHIN = 20_000
/** How long after a crash a shop is started again, in ms. */
const RESTART_AFTER = 500
/** How many characters of a shop's last words are kept. */
const LAST_WORDS = 4000

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))

/** One application process, started again whenever it ends by itself. */
export class ShopProcess {
  readonly name: string
  readonly #config: ShopConfig
  readonly #history: History
  readonly #now: () => number
  #child: ChildProcess | undefined
  #port = 0
  #report: ShopReport | undefined
  #stall = 0
  #crashes = 0
  #stopping = false
  #restart: NodeJS.Timeout | undefined
  #lastWords = ''

  constructor(config: ShopConfig, history: History, now: () => number) {
    this.name = config.name
    this.#config = config
    this.#history = history
    this.#now = now
  }

  /** Where it listens, or listened last: a request to a dead process fails as it would for a visitor. */
  get port(): number {
    return this.#port
  }

  get running(): boolean {
    return this.#child !== undefined
  }

  /** How its store is, by its own account; `undefined` while it does not run. */
  get report(): StoreReport | undefined {
    return this.#child === undefined ? undefined : this.#report?.store
  }

  /** The longest time it stood still, in ms. */
  get stall(): number {
    return this.#stall
  }

  /** How often it ended by itself. */
  get crashes(): number {
    return this.#crashes
  }

  /** Resolves when it listens. */
  async start(): Promise<void> {
    const child = fork(MAIN, [JSON.stringify(this.#config)], {
      cwd: ROOT,
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.#child = child
    this.#report = undefined
    child.stderr?.setEncoding('utf8').on('data', (words: string) => {
      this.#lastWords = (this.#lastWords + words).slice(-LAST_WORDS)
    })
    child.on('message', (message: ShopMessage) => this.#hear(message))
    child.on('exit', () => this.#ended())
    await this.#listening(child)
  }

  #listening(child: ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (why: string) => {
        clearTimeout(timer)
        reject(new Error(`Shop ${this.name} ${why}\n${this.#lastWords}`.trim()))
      }
      const timer = setTimeout(() => fail(`did not listen within ${START_WITHIN / 1000} s`), START_WITHIN)
      child.once('exit', (code, signal) => fail(`ended before it listened (${signal ?? code})`))
      child.on('message', (message: ShopMessage) => {
        if (message.kind !== 'listening') return
        clearTimeout(timer)
        resolve()
      })
    })
  }

  #hear(message: ShopMessage): void {
    switch (message.kind) {
      case 'listening':
        this.#port = message.port
        this.#history.add({ kind: 'process', process: this.name, event: 'listening', at: this.#now() })
        break
      case 'report':
        this.#report = message.report
        this.#stall = Math.max(this.#stall, message.report.stall)
        break
      case 'note': {
        const { name, detail } = message
        this.#history.add({ kind: 'note', process: this.name, at: this.#now(), name, detail })
        break
      }
    }
  }

  #ended(): void {
    this.#child = undefined
    if (this.#stopping) return
    this.#crashes++
    this.#history.add({ kind: 'process', process: this.name, event: 'exited', at: this.#now() })
    this.#restart = setTimeout(() => this.start().catch(() => {}), RESTART_AFTER)
  }

  /** Ends it for good. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#restart)
    const child = this.#child
    if (child === undefined) return
    const exited = once(child, 'exit')
    if (child.connected) child.disconnect()
    const impatience = setTimeout(() => child.kill('SIGKILL'), 3000)
    await exited
    clearTimeout(impatience)
  }
}
