import type { Socket } from 'node:net'
import type { Ending, Fault } from './proxy-faults.js'
import { type Direction, Flow, reset, type Weather } from './proxy-flow.js'
import { type Command, decodeCommand, isPush, RespFramer } from './resp.js'

/** The proxy as its links see it. */
export interface LinkOwner extends Weather {
  /** Whether bytes are passed on as they come, not as messages. */
  readonly opaque: boolean
  /** Counts a command, or the reply to one, and says which armed faults are for it. */
  arrived(direction: Direction, command: Command): readonly Fault[]
  ended(link: ProxyLink): void
}

/** One client's connection through the proxy, and the connection to the server that was made for it. */
export class ProxyLink {
  readonly #client: Socket
  readonly #server: Socket
  readonly #owner: LinkOwner
  readonly #up: Flow
  readonly #down: Flow
  /** Commands whose replies are to come: Redis answers in order. */
  readonly #unanswered: Command[] = []
  #halfOpen = false

  constructor(client: Socket, server: Socket, owner: LinkOwner) {
    this.#client = client
    this.#server = server
    this.#owner = owner
    this.#up = new Flow('up', server, owner, (ending) => this.cut(ending))
    this.#down = new Flow('down', client, owner, (ending) => this.cut(ending))
    this.#attach(client, this.#up, (message) => this.#faultsForCommand(message))
    this.#attach(server, this.#down, (message) => this.#faultsForReply(message))
  }

  /** Whether something was swallowed, after which the connection can never be right again. */
  get deaf(): boolean {
    return this.#down.deaf
  }

  /** Sends what may be sent now. To be called whenever the weather changes. */
  drain(): void {
    this.#up.drain()
    this.#down.drain()
  }

  /** Ends the server's half without a word to the client, as a host does that loses its power. */
  forsake(): void {
    this.#halfOpen = true
    this.#up.deafen()
    this.#down.deafen()
    this.#server.destroy()
  }

  /** Ends the connection at once; what was on its way is lost. */
  cut(ending: Ending): void {
    this.#up.discard()
    this.#down.discard()
    if (ending === 'reset') reset(this.#client)
    else this.#client.destroySoon()
    // Towards the server the end is orderly, so that it carries out what was already passed on to it.
    this.#server.destroySoon()
  }

  /** Gives up both sockets, whatever they are waiting for. */
  destroy(): void {
    this.cut('reset')
    this.#server.destroy()
  }

  #attach(from: Socket, flow: Flow, faultsFor: (message: Buffer) => readonly Fault[]): void {
    const framer = new RespFramer()
    from.setNoDelay(true)
    from.on('data', (chunk) => {
      const messages = this.#owner.opaque ? [chunk] : framer.push(chunk)
      for (const message of messages) flow.push(message, this.#owner.opaque ? [] : faultsFor(message))
      flow.drain()
    })
    // What a client has sent before it went away is still on its way to the server, as it would be in a network.
    const end = (ending: Ending): void => {
      if (this.#halfOpen && from === this.#server) return
      const rest = framer.takeRest()
      if (rest.length > 0) flow.push(rest, [])
      flow.end(ending)
      flow.drain()
    }
    from.on('end', () => end('fin'))
    from.on('error', () => end(from === this.#client ? 'fin' : 'reset'))
    from.on('close', () => {
      end('fin')
      if (this.#client.destroyed && this.#server.destroyed) this.#owner.ended(this)
    })
  }

  #faultsForCommand(message: Buffer): readonly Fault[] {
    const command = decodeCommand(message)
    this.#unanswered.push(command)
    return this.#owner.arrived('up', command)
  }

  #faultsForReply(message: Buffer): readonly Fault[] {
    const command = isPush(message) ? undefined : this.#unanswered.shift()
    return command === undefined ? [] : this.#owner.arrived('down', command)
  }
}
