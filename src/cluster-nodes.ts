/**
 * Redis Cluster: a node, with lanes of its own, for each master. One that is away leaves the sessions of the others
 * alone. Follows the map of slots, and MOVED and ASK before the map is read again.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Cluster } from 'ioredis'
import { RedisFailure } from './errors.js'
import type { Send, Sent, Settle } from './lanes.js'
import { Node, type NodeEvents, type Nodes, type Transport } from './node.js'
import type { RedisClusterOptions } from './options.js'
import { ClusterMap } from './redis/cluster-map.js'
import { Connection, type Link } from './redis/connect.js'
import { isUnservedSlot, type Redirection, redirection } from './redis/failures.js'
import { hashTag } from './redis/keys.js'
import { asking, PROBE, type ReadRequest, type SessionCommands, type WriteRequest } from './redis/sessions.js'
import { SLOTS, slotOf } from './redis/slots.js'
import type { ResolvedOptions } from './resolve-options.js'

/** Before a command is sent again whose slot is on its way to another master, or of which the masters disagree, ms. */
const TRY_AGAIN = 20
/** Times a command is sent on at once; from then on with a pause before each. */
const AT_ONCE = 3

/** How one request is sent by itself. */
type SendOne<Request> = (link: Link, sent: Sent<Request>) => Promise<unknown>

/** A master, and what only the Cluster's own code needs of it. */
interface Master {
  readonly node: Node
  readonly connection: Connection
  /** A sid in one of its slots, that nobody has; found when it is needed. */
  probe: string | undefined
}

export class ClusterNodes implements Nodes {
  readonly #options: ResolvedOptions
  readonly #commands: SessionCommands
  readonly #events: NodeEvents
  readonly #map: ClusterMap
  /** For what no known master has: before the map is known, and slots that nobody serves. */
  readonly #nowhere: Node
  /** By address: `host:port`. */
  readonly #masters = new Map<string, Master>()
  readonly #bySlot: (Master | undefined)[] = Array.from({ length: SLOTS }, () => undefined)
  /** The one slot of all sessions, where the prefix has a hash tag. */
  readonly #onlySlot: number | undefined
  #all: readonly Node[]
  /** Masters no more; they are given time to end what is under way. */
  readonly #retired = new Set<Node>()
  #closed = false

  constructor(options: ResolvedOptions, commands: SessionCommands, events: NodeEvents) {
    this.#options = options
    this.#commands = commands
    this.#events = events
    this.#onlySlot = hashTag(options.prefix) === undefined ? undefined : slotOf(options.prefix)
    this.#map = new ClusterMap({
      client: options.client as Cluster | undefined,
      redis: options.redis as RedisClusterOptions,
      timeout: options.timeout,
      onMap: (owners) => this.#follow(owners),
      onLost: (failure) => events.onLost(this.#nowhere, failure),
      isWell: () => this.#all.every((node) => node.isWell),
    })
    this.#nowhere = this.#createNowhere()
    this.#all = [this.#nowhere]
  }

  of(sid: string): Node {
    return this.#at(this.#options.prefix + sid)?.node ?? this.#nowhere
  }

  all(): readonly Node[] {
    return this.#all
  }

  known(): Promise<void> | undefined {
    return this.#map.usable()
  }

  start(): void {
    this.#map.start()
  }

  async close(): Promise<void> {
    this.#closed = true
    const masters = Array.from(this.#masters.values(), ({ node }) => node)
    await Promise.all([this.#nowhere, ...masters, ...this.#retired].map((node) => node.close()))
  }

  #at(key: string): Master | undefined {
    return this.#bySlot[this.#onlySlot ?? slotOf(key)]
  }

  /** Takes over a map of slots. */
  #follow(owners: readonly (string | undefined)[]): void {
    const before = this.#all
    const moved = new Set<number>()
    const used = new Set<Master>()
    let unserved = false
    for (let slot = 0; slot < SLOTS; slot++) {
      if (this.#onlySlot !== undefined && slot !== this.#onlySlot) continue
      const address = owners[slot]
      const master = address === undefined ? undefined : this.#master(address)
      if (master === undefined) unserved = true
      else used.add(master)
      this.#assign(slot, master, moved)
    }
    for (const [address, master] of this.#masters) if (!used.has(master)) this.#retire(address, master)
    const masters = Array.from(used, ({ node }) => node)
    this.#all = unserved || masters.length === 0 ? [...masters, this.#nowhere] : masters
    if (before.includes(this.#nowhere)) this.#events.onReady(this.#nowhere, true)
    this.#tell(moved)
  }

  #assign(slot: number, master: Master | undefined, moved: Set<number>): void {
    const before = this.#bySlot[slot]
    this.#bySlot[slot] = master
    if (before !== undefined && master !== undefined && before !== master) moved.add(slot)
  }

  #tell(moved: ReadonlySet<number>): void {
    if (moved.size === 0) return
    const { prefix } = this.#options
    this.#events.onMoved((sid) => moved.has(slotOf(prefix + sid)))
  }

  #master(address: string): Master {
    const known = this.#masters.get(address)
    if (known !== undefined) return known
    const events = this.#events
    // A master no more is no news: its sessions are elsewhere.
    const isMaster = (): boolean => this.#masters.get(address) === master
    const connection = new Connection({
      client: undefined,
      redis: this.#map.nodeOptions(address),
      timeout: this.#options.timeout,
      onReady: (sameServer) => {
        if (isMaster()) events.onReady(master.node, sameServer)
      },
      onLost: (failure) => {
        if (!isMaster()) return
        this.#map.refresh()
        events.onLost(master.node, failure)
      },
    })
    const transport = this.#transport(connection, () => master)
    const node = new Node(address, transport, this.#options, (changed, lane, state) => {
      if (!isMaster()) return
      if (state.state !== 'closed') this.#map.refresh()
      events.onLaneChange(changed, lane, state)
    })
    const master: Master = { node, connection, probe: undefined }
    this.#masters.set(address, master)
    connection.start()
    return master
  }

  /** Its sessions are elsewhere. What is under way there may still end. */
  #retire(address: string, { node }: Master): void {
    this.#masters.delete(address)
    this.#retired.add(node)
    this.#events.onRetired(node)
    const close = (): void => {
      this.#retired.delete(node)
      void node.close()
    }
    setTimeout(close, 2 * this.#options.timeout).unref()
  }

  #transport(connection: Connection, self: () => Master): Transport {
    const commands = this.#commands
    const probeSid = (): string => {
      const master = self()
      if (master.probe === undefined || !this.#has(master, master.probe)) master.probe = this.#sidAt(master)
      return master.probe
    }
    return {
      connection,
      sendReads: (batch, settle, alive) =>
        commands.sendReads(connection, batch, this.#redirecting(batch, settle, alive, self, this.#sendRead)),
      sendWrites: (batch, settle, alive) =>
        commands.sendWrites(connection, batch, this.#redirecting(batch, settle, alive, self, this.#sendWrite)),
      probe: (lane) =>
        commands.probe(lane, connection, probeSid()).catch((error: unknown) => {
          // The server is well, the map is not.
          if (redirection(error) === undefined && !isUnservedSlot(error)) throw error
          this.#map.refresh()
        }),
      checkRights: () => commands.checkRights(connection, probeSid()),
      scan: (count, bounded) => commands.scan(connection, count, bounded),
    }
  }

  readonly #sendRead: SendOne<ReadRequest> = (link, { request }) => this.#commands.read(link, request)
  readonly #sendWrite: SendOne<WriteRequest> = (link, { request, deadline }) => request.send(link, deadline)

  /** A sid that hashes to a slot of this master, and is nobody's. */
  #sidAt(master: Master): string {
    // Enough to find even a single slot.
    for (let n = 0; n < 16 * SLOTS; n++) if (this.#has(master, `${PROBE}-${n}`)) return `${PROBE}-${n}`
    return PROBE
  }

  #has(master: Master, sid: string): boolean {
    return this.#at(this.#options.prefix + sid) === master
  }

  /** Follows a master's word that the session is elsewhere; everything else settles the request. */
  #redirecting<Request extends { readonly key: string }, Reply>(
    batch: readonly Sent<Request>[],
    settle: Settle<Reply>,
    alive: () => void,
    from: () => Master,
    send: SendOne<Request>,
  ): Settle<Reply> {
    return (index, error, reply) => {
      const sent = batch[index] as Sent<Request>
      const elsewhere = error == null ? undefined : redirection(error)
      if (elsewhere === undefined) {
        // ioredis never forgets the last owner of a slot. That one is well, and has other sessions.
        if (isUnservedSlot(error)) alive()
        settle(index, error, reply)
        return
      }
      alive()
      this.#events.onRedirected(sent.request.key.slice(this.#options.prefix.length))
      this.#sendOn(sent, from(), elsewhere, send).then(
        (found) => settle(index, undefined, found as Reply),
        (failure: unknown) => settle(index, failure),
      )
    }
  }

  async #sendOn<Request extends { readonly key: string }>(
    sent: Sent<Request>,
    from: Master,
    first: Redirection,
    send: SendOne<Request>,
  ): Promise<unknown> {
    let to = from
    let elsewhere: Redirection | undefined = first
    for (let hop = 0; elsewhere !== undefined && !this.#closed && performance.now() < sent.deadline; hop++) {
      this.#map.refresh()
      if (elsewhere.kind === 'again' || hop >= AT_ONCE) await delay(TRY_AGAIN, undefined, { ref: false })
      let link: Link | undefined
      if (elsewhere.kind === 'again') {
        to = this.#at(sent.request.key) ?? to
      } else {
        // No host: the one it came from.
        const [host] = to.node.name?.split(/:(?=\d+$)/) ?? []
        const { address } = elsewhere
        to = this.#master(this.#map.translate(address.startsWith(':') ? `${host}${address}` : address))
        if (elsewhere.kind === 'ask') link = asking(to.connection)
        else this.#move(slotOf(sent.request.key), to)
      }
      await to.connection.usable()
      try {
        return await send(link ?? to.connection, sent)
      } catch (error) {
        elsewhere = redirection(error)
        if (elsewhere === undefined) throw error
      }
    }
    throw new RedisFailure('cluster-down', 'the masters of the Cluster disagree about who has the session')
  }

  /** A master said so; the map will. */
  #move(slot: number, to: Master): void {
    const moved = new Set<number>()
    this.#assign(slot, to, moved)
    this.#tell(moved)
    if (!this.#all.includes(to.node)) this.#all = [...this.#all, to.node]
  }

  #createNowhere(): Node {
    const map = this.#map
    const connection = {
      get state() {
        return map.state
      },
      get failure() {
        return map.failure
      },
      runId: undefined,
      usable: () => map.usable(),
      stalled: () => map.stalled(),
      start: () => map.start(),
      close: () => map.close(),
    }
    const route =
      <Request extends { readonly key: string }, Reply>(send: SendOne<Request>): Send<Request, Reply> =>
      (batch, settle, alive) => {
        batch.forEach((sent, index) => {
          const master = this.#at(sent.request.key)
          if (master === undefined) {
            settle(index, new RedisFailure('cluster-down', 'no master of the Cluster has the session’s slot'))
            return
          }
          const settleThis = this.#redirecting(
            [sent],
            (_, error, reply) => settle(index, error, reply as Reply),
            alive,
            () => master,
            send,
          )
          ;(master.connection.usable() ?? Promise.resolve())
            .then(() => send(master.connection, sent))
            .then(
              (reply) => settleThis(0, undefined, reply as Reply),
              (error: unknown) => settleThis(0, error),
            )
        })
      }
    const transport: Transport = {
      connection,
      sendReads: route(this.#sendRead),
      sendWrites: route(this.#sendWrite),
      probe: async () => map.usable(),
      checkRights: async () => map.usable(),
      // biome-ignore lint/correctness/useYield: there is nothing here
      scan: async function* () {
        throw new RedisFailure('cluster-down', 'some slots of the Cluster have no master')
      },
    }
    return new Node(undefined, transport, this.#options, this.#events.onLaneChange)
  }
}
