import type { Lane } from './lanes.js'
import type { Connection } from './redis/connect.js'
import type { SaveCommand, SaveReply, SessionCommands, WriteRequest } from './redis/sessions.js'

/** Guarded saves through their lane, with Redis's clock read again when it turns out to have been set. */
export class GuardedSaves {
  readonly #lane: Lane<WriteRequest, unknown>
  readonly #commands: SessionCommands
  readonly #connection: Connection

  constructor(lane: Lane<WriteRequest, unknown>, commands: SessionCommands, connection: Connection) {
    this.#lane = lane
    this.#commands = commands
    this.#connection = connection
  }

  /** @param deadline monotonic ms. Rejects as {@link Lane.run} does. */
  async run(command: SaveCommand, deadline: number): Promise<SaveReply> {
    const startedAt = performance.now()
    const reply = await this.#send(command, deadline)
    // Late although it came back with time to spare: it is not the save that is late, Redis's clock was set.
    const toSpare = (deadline - startedAt) / 2
    if (reply.result !== 'late') return reply
    const now = performance.now()
    // Otherwise too, for the next one: a clock that was read while the loop was blocked makes every save look late.
    const measured = this.#lane.run(() => this.#connection.measure(), Math.max(deadline, now + toSpare))
    if (now - startedAt > toSpare) {
      measured.catch(() => {})
      return reply
    }
    await measured
    return this.#send(command, deadline)
  }

  #send(command: SaveCommand, deadline: number): Promise<SaveReply> {
    return this.#lane.run(this.#commands.save(command), deadline) as Promise<SaveReply>
  }
}
