/** What a client sees, in one word: the suite's own client, which tells apart all ways in which a call can fail. */
import { connect, type Socket } from 'node:net'
import { decodeReply, encodeCommand, RespError, RespFramer, type RespValue } from '../../../test/support/resp.js'
import type { Address } from '../contract.js'

/**
 * A reply (`OK`, `(nil)`, a value), an error reply's code (`READONLY`; the whole text of an `ERR`), a socket's error code
 * (`ECONNREFUSED`), `fin` for an orderly end, `silence` when there was nothing. Expected, `cut` is `fin` or `ECONNRESET`.
 */
export type Seen = string

/** After so many ms without a reply it is silence, where silence is expected, and where it is not. */
const SILENCE = 150
const PATIENCE = 5_000

/** One connection. */
export class Caller {
  readonly #socket: Socket
  readonly #framer = new RespFramer()
  readonly #frames: Buffer[] = []
  #login: readonly string[] | undefined
  #end: Seen | undefined
  #wake: () => void = () => {}

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk) => this.#note(() => this.#frames.push(...this.#framer.push(chunk))))
    socket.on('error', (error: NodeJS.ErrnoException) => this.#note(() => this.#over(error.code ?? 'error')))
    socket.on('end', () => this.#note(() => this.#over('fin')))
    socket.on('close', () => this.#note(() => this.#over('fin')))
  }

  /** Connects, and logs in with the first command. */
  static open({ host, port }: Address, password: string | undefined): Caller {
    const caller = new Caller(connect({ host, port }))
    caller.#login = password === undefined ? undefined : ['AUTH', password]
    return caller
  }

  /** @throws {Error} when it sees something else. */
  async expect(expected: Seen, words: readonly (string | number)[], when: string): Promise<void> {
    const patience = expected === 'silence' ? SILENCE : PATIENCE
    const login = this.#login
    this.#login = undefined
    let seen = login === undefined ? 'OK' : await this.#call(login, patience)
    if (seen === 'OK') seen = await this.#call(words, patience)
    const held = expected === 'cut' ? ['fin', 'ECONNRESET'].includes(seen) : seen === expected
    if (!held) throw new Error(`${when}: ${words.join(' ')} saw ${seen}, not ${expected}`)
  }

  async #call(words: readonly (string | number)[], patience: number): Promise<Seen> {
    if (this.#end === undefined) this.#socket.write(encodeCommand(words))
    const frame = await this.#next(patience)
    if (frame === undefined) return this.#end ?? 'silence'
    return inOneWord(decodeReply(frame))
  }

  close(): void {
    this.#socket.destroy()
  }

  #note(change: () => void): void {
    change()
    this.#wake()
  }

  #over(seen: Seen): void {
    this.#end ??= seen
  }

  async #next(patience: number): Promise<Buffer | undefined> {
    if (this.#frames.length === 0 && this.#end === undefined) {
      let timer: NodeJS.Timeout | undefined
      await new Promise<void>((resolve) => {
        this.#wake = () => {
          if (this.#frames.length > 0 || this.#end !== undefined) resolve()
        }
        timer = setTimeout(resolve, patience)
      })
      clearTimeout(timer)
    }
    return this.#frames.shift()
  }
}

function inOneWord(reply: RespValue): Seen {
  if (reply instanceof RespError) return reply.code === 'ERR' ? reply.message : reply.code
  return reply === null ? '(nil)' : String(reply)
}
