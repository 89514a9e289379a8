/** Everything a Redis carries out, in its own order, those inside scripts included: the truth that histories are judged by. */
import { connect, type Socket } from 'node:net'
import type { RedisServer } from '../support/redis-server.js'

/** A command as Redis carried it out. */
export interface Executed {
  /** Redis's clock, ms since the epoch. */
  readonly at: number
  /** In capitals. */
  readonly name: string
  readonly args: readonly string[]
}

/** Commands that change a session's key. EVALSHA is left out: what its script did is told command by command. */
const WANTED = new Set(['SET', 'DEL', 'UNLINK', 'PEXPIRE'])

/** A connection in MONITOR mode. */
export class Monitor {
  /** Resolves when the server is gone and everything it told has been read. */
  readonly ended: Promise<void>
  readonly #socket: Socket
  readonly #sinks: Map<string, (command: Executed) => void>
  readonly #echoes = new Map<string, { resolve: () => void; reject: (error: Error) => void }>()
  #rest = ''

  private constructor(socket: Socket, sinks: Map<string, (command: Executed) => void>) {
    this.#socket = socket
    this.#sinks = sinks
    socket.setEncoding('latin1')
    socket.on('data', (chunk) => this.#read(chunk as unknown as string))
    socket.on('error', () => {})
    this.ended = new Promise((resolve) => {
      socket.on('close', () => {
        for (const { reject } of this.#echoes.values()) reject(new Error('the MONITOR connection was closed'))
        resolve()
      })
    })
    socket.unref()
  }

  /**
   * Resolves when every command from now on will be seen.
   *
   * @param sinks who wants to know, by the key prefix (up to and with its colon)
   */
  static async open(server: RedisServer, sinks: Map<string, (command: Executed) => void>): Promise<Monitor> {
    const socket = connect(server.port === 0 ? { path: server.socketPath } : { port: server.port, host: server.host })
    await new Promise((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    const started = new Promise((resolve, reject) => {
      socket.once('data', resolve)
      socket.once('close', reject)
    })
    const monitor = new Monitor(socket, sinks)
    socket.ref()
    socket.write('MONITOR\r\n')
    await started
    socket.unref()
    return monitor
  }

  /** Resolves once everything that Redis carried out before this call has been seen. */
  async caughtUp(server: RedisServer): Promise<void> {
    const token = `caught-up-${Math.random()}`
    const seen = new Promise<void>((resolve, reject) => this.#echoes.set(token, { resolve, reject }))
    this.#socket.ref()
    try {
      await Promise.all([server.cli('ECHO', token), seen])
    } finally {
      this.#echoes.delete(token)
      if (this.#echoes.size === 0) this.#socket.unref()
    }
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(chunk: string): void {
    const lines = (this.#rest + chunk).split('\r\n')
    this.#rest = lines.pop() as string
    for (const line of lines) this.#see(line)
  }

  /** `+1700000000.123456 [0 lua] "SET" "m1:s1" "…"` */
  #see(line: string): void {
    const from = line.indexOf('] "')
    if (from === -1) return
    const name = line.slice(from + 3, line.indexOf('"', from + 3)).toUpperCase()
    if (name === 'ECHO') this.#echoes.get(words(line, from)[1] as string)?.resolve()
    if (!WANTED.has(name)) return
    const [, ...args] = words(line, from)
    const sink = this.#sinks.get(prefixOf(args[0] ?? ''))
    sink?.({ at: Number(line.slice(1, line.indexOf(' '))) * 1_000, name, args })
  }
}

/** `m1:` of `m1:s1` and of the marker `{m1:s1}:revoked`. */
function prefixOf(key: string): string {
  return key.slice(key.startsWith('{') ? 1 : 0, key.indexOf(':') + 1)
}

function words(line: string, from: number): string[] {
  return [...line.slice(from).matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, word]) => unescaped(word as string))
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', a: '\x07', b: '\b' }

/** As Redis's sdscatrepr wrote it. */
function unescaped(word: string): string {
  if (!word.includes('\\')) return word
  return word.replace(/\\(?:x([0-9a-f]{2})|(.))/g, (_, hex: string | undefined, letter: string) =>
    hex === undefined ? (ESCAPES[letter] ?? letter) : String.fromCharCode(Number.parseInt(hex, 16)),
  )
}
