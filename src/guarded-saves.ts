import type { Nodes } from './node.js'
import type { SaveCommand, SaveReply, SessionCommands } from './redis/sessions.js'

/** Guarded saves through their session's lane, with Redis's clock read again when it turns out to have been set. */
export class GuardedSaves {
  readonly #nodes: Pick<Nodes, 'of'>
  readonly #commands: SessionCommands

  constructor(nodes: Pick<Nodes, 'of'>, commands: SessionCommands) {
    this.#nodes = nodes
    this.#commands = commands
  }

  /** @param deadline monotonic ms. Rejects as {@link Lane.run} does. */
  async run(command: SaveCommand, deadline: number): Promise<SaveReply> {
    const startedAt = performance.now()
    const reply = await this.send(command, deadline)
    return reply.result === 'late' ? this.sendLate(command, deadline, startedAt) : reply
  }

  /** The first attempt; `late` is for {@link sendLate}. */
  send(command: SaveCommand, deadline: number): Promise<SaveReply> {
    const { lanes } = this.#nodes.of(command.sid)
    return lanes.save.run(this.#commands.save(command), deadline) as Promise<SaveReply>
  }

  /** After a reply `late`, to what was sent at `startedAt` (monotonic ms). */
  async sendLate(command: SaveCommand, deadline: number, startedAt: number): Promise<SaveReply> {
    // Late although it came back with time to spare: it is not the save that is late, Redis's clock was set.
    const toSpare = (deadline - startedAt) / 2
    const now = performance.now()
    // Otherwise too, for the next one: a clock that was read while the loop was blocked makes every save look late.
    const { lanes } = this.#nodes.of(command.sid)
    const measured = lanes.save.run(this.#commands.measure(command.sid), Math.max(deadline, now + toSpare))
    if (now - startedAt > toSpare) {
      measured.catch(() => {})
      return { result: 'late' }
    }
    await measured
    return this.send(command, deadline)
  }
}
