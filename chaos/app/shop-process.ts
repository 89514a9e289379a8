import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { ProcessRecord, SampleRecord } from '../records.js'
import type { DriverMessage, ShopConfig, ShopMessage, ShopRecord } from './messages.js'

/** How long a shop may take to begin to listen, in ms. */
const START_WITHIN = 20_000
/** How long after a crash a shop is started again, in ms. */
const RESTART_AFTER = 500
/** How many characters of a shop's last words are kept. */
const LAST_WORDS = 4000
/** How long it may take to end by itself, in ms. */
const END_WITHIN = 3000

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))

/** Takes what a shop process writes down, and what becomes of the process itself. */
export type ShopLog = (record: (ShopRecord & { readonly process: string }) | Omit<ProcessRecord, 'at'>) => void

/** One application process, started again whenever it ends by itself. */
export class ShopProcess {
  readonly name: string
  readonly #config: ShopConfig
  readonly #log: ShopLog
  #child: ChildProcess | undefined
  #port = 0
  #sample: Omit<SampleRecord, 'process'> | undefined
  #stall = 0
  #crashes = 0
  #listens = false
  #stopping = false
  #restart: NodeJS.Timeout | undefined
  #lastWords = ''

  constructor(config: ShopConfig, log: ShopLog) {
    this.name = config.name
    this.#config = config
    this.#log = log
  }

  /** Where it listens, or listened last: a request to a dead process fails as it would for a visitor. */
  get port(): number {
    return this.#port
  }

  get running(): boolean {
    return this.#child !== undefined
  }

  /** Whether it takes requests: a front does not send any to one that is about to end, or has just begun. */
  get open(): boolean {
    return this.#listens && !this.#stopping
  }

  /** How it is, by its own account; `undefined` while it does not run. */
  get sample(): Omit<SampleRecord, 'process'> | undefined {
    return this.#child === undefined ? undefined : this.#sample
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
    this.#stopping = false
    this.#child = child
    this.#sample = undefined
    child.stderr?.setEncoding('utf8').on('data', (words: string) => {
      this.#lastWords = (this.#lastWords + words).slice(-LAST_WORDS)
    })
    child.on('message', (message: ShopMessage) => this.#hear(message))
    child.on('exit', (code, signal) => this.#ended(String(signal ?? code)))
    await this.#listening(child)
  }

  /** Says something to it. */
  send(message: DriverMessage): void {
    this.#child?.send(message)
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
    if (message.kind === 'listening') {
      this.#port = message.port
      this.#listens = true
      this.#log({ kind: 'process', process: this.name, event: 'listening' })
      return
    }
    for (const record of message.records) {
      if (record.kind === 'sample') {
        this.#sample = record
        this.#stall = Math.max(this.#stall, record.stall)
      }
      this.#log({ ...record, process: this.name })
    }
  }

  #ended(how: string): void {
    this.#child = undefined
    this.#listens = false
    this.#log({ kind: 'process', process: this.name, event: this.#stopping ? 'stopped' : 'exited', how })
    if (this.#stopping) return
    this.#crashes++
    this.#restart = setTimeout(() => this.start().catch(() => {}), RESTART_AFTER)
  }

  /** Ends it as a deployment does: it answers what it has begun and sends what waits. {@link start} starts it again. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#restart)
    const child = this.#child
    if (child === undefined) return
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    const impatience = setTimeout(() => child.kill('SIGKILL'), END_WITHIN)
    await exited
    clearTimeout(impatience)
  }
}
