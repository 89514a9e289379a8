import { connect, type NetConnectOpts, type Socket } from 'node:net'
import { decodeReply, encodeCommand, RespError, RespFramer, type RespValue } from './resp.js'

/** A command waiting for its reply. */
interface Pending {
  readonly resolve: (value: RespValue) => void
  readonly reject: (error: Error) => void
}

/**
 * One plain connection to a Redis, held open: it gets through when the server takes no new clients, and it shares no
 * code with the client under test.
 */
export class RedisAdmin {
  readonly #socket: Socket
  readonly #framer = new RespFramer()
  readonly #pending: Pending[] = []

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk) => {
      for (const frame of this.#framer.push(chunk)) this.#answer(decodeReply(frame))
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      for (const { reject } of this.#pending.splice(0)) reject(new Error('the admin connection to Redis was closed'))
    })
  }

  /** Connects; rejects as the socket does. */
  static open(target: NetConnectOpts): Promise<RedisAdmin> {
    return new Promise((resolve, reject) => {
      const socket = connect(target)
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new RedisAdmin(socket))
      })
    })
  }

  get closed(): boolean {
    return this.#socket.destroyed
  }

  /**
   * Sends one command. Rejects with {@link RespError} for an error reply, and closes the connection when no reply came
   * in time: a late one would be taken for the answer to the next command.
   */
  async command(words: readonly (string | number | Buffer)[], timeoutMs: number): Promise<RespValue> {
    if (this.closed) throw new Error('the admin connection to Redis was closed')
    this.#socket.ref()
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<RespValue>((resolve, reject) => {
        this.#pending.push({ resolve, reject })
        this.#socket.write(encodeCommand(words))
        timer = setTimeout(() => {
          reject(new Error(`no reply to ${String(words[0])} within ${timeoutMs} ms`))
          this.close()
        }, timeoutMs)
      })
    } finally {
      clearTimeout(timer)
      // A forgotten server must not keep the test process alive.
      if (this.#pending.length === 0) this.#socket.unref()
    }
  }

  close(): void {
    this.#socket.destroy()
  }

  #answer(value: RespValue): void {
    const pending = this.#pending.shift()
    if (value instanceof RespError) pending?.reject(value)
    else pending?.resolve(value)
  }
}

/** A connection for commands that is opened when one is sent, and again after it was lost. */
export class AdminChannel {
  readonly #target: NetConnectOpts
  readonly #credentials: readonly string[]
  #admin: Promise<RedisAdmin> | undefined

  /** `credentials` are the words after AUTH; none for a server that asks for none. */
  constructor(target: NetConnectOpts, credentials: readonly string[]) {
    this.#target = target
    this.#credentials = credentials
  }

  /** As {@link RedisAdmin.command}. */
  async command(words: readonly (string | number | Buffer)[], timeoutMs: number): Promise<RespValue> {
    const admin = await this.#connected(timeoutMs)
    return admin.command(words, timeoutMs)
  }

  /** Gives up the connection; the next command opens another. */
  drop(): void {
    this.#admin?.then((admin) => admin.close()).catch(() => {})
    this.#admin = undefined
  }

  #connected(timeoutMs: number): Promise<RedisAdmin> {
    const open = (): Promise<RedisAdmin> => this.#open(timeoutMs)
    const admin = (this.#admin ?? open()).then((known) => (known.closed ? open() : known))
    this.#admin = admin
    admin.catch(() => {
      if (this.#admin === admin) this.#admin = undefined
    })
    return admin
  }

  async #open(timeoutMs: number): Promise<RedisAdmin> {
    const admin = await RedisAdmin.open(this.#target)
    try {
      if (this.#credentials.length > 0) await admin.command(['AUTH', ...this.#credentials], timeoutMs)
    } catch (error) {
      admin.close()
      throw error
    }
    return admin
  }
}
