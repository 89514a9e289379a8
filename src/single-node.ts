import type { Redis, RedisOptions } from 'ioredis'
import { Node, type NodeEvents, type Nodes } from './node.js'
import { Connection } from './redis/connect.js'
import { classify } from './redis/failures.js'
import type { SessionCommands } from './redis/sessions.js'
import type { ResolvedOptions } from './resolve-options.js'

/** Standalone, or whatever master Sentinel names: one server, one connection. */
export class SingleNode implements Nodes {
  readonly #node: Node
  readonly #all: readonly Node[]

  constructor(options: ResolvedOptions, commands: SessionCommands, events: NodeEvents) {
    const connection = new Connection({
      client: options.client as Redis | undefined,
      redis: options.redis as string | RedisOptions,
      timeout: options.timeout,
      onReady: (sameServer) => events.onReady(this.#node, sameServer),
      onLost: (failure) => events.onLost(this.#node, failure),
    })
    const notice = (error: unknown): void => {
      if (classify(error) === 'read-only') connection.demoted()
    }
    this.#node = new Node(
      undefined,
      {
        connection,
        sendReads: (batch, settle) => commands.sendReads(connection, batch, settle),
        sendWrites: (batch, settle) =>
          commands.sendWrites(connection, batch, (index, error, reply) => {
            if (error != null) notice(error)
            settle(index, error, reply)
          }),
        probe: (lane) =>
          commands.probe(lane, connection).catch((error: unknown) => {
            notice(error)
            throw error
          }),
        checkRights: () => commands.checkRights(connection),
        scan: (count, bounded) => commands.scan(connection, count, bounded),
      },
      options,
      events.onLaneChange,
    )
    this.#all = [this.#node]
  }

  of(): Node {
    return this.#node
  }

  all(): readonly Node[] {
    return this.#all
  }

  known(): Promise<void> | undefined {
    return this.#node.connection.usable()
  }

  start(): void {
    this.#node.connection.start()
  }

  close(): Promise<void> {
    return this.#node.close()
  }
}
