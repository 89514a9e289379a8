// A rig of Redis processes (chaos/drivers) as these tests speak of it: servers with verbs, all well again before each test.
import type { RedisOptions } from 'ioredis'
import { redisOption } from '../../../chaos/app/redis-option.js'
import type { Address, Connection, Fault, Injected, Rig, Topology } from '../../../chaos/drivers/contract.js'
import { openDriver } from '../../../chaos/drivers/drivers.js'
import type { RedisClusterOptions } from '../../../src/index.js'
import { slotOf } from '../../../src/redis/slots.js'
import type { RespValue } from '../../support/resp.js'

/** One server of a rig. */
export class RigServer {
  /** `redis-1`, `sentinel-1` …, whatever its role. */
  readonly name: string
  /** Where the other servers reach it. */
  readonly announced: Address
  /** Where the store reaches it: `host:port`. */
  readonly address: string
  readonly #rig: TestRig

  constructor(rig: TestRig, name: string, announced: Address, reach: Address) {
    this.#rig = rig
    this.name = name
    this.announced = announced
    this.address = `${reach.host}:${reach.port}`
  }

  /** The type of the reply is the caller's claim. */
  async cli<Reply extends RespValue = string>(...words: (string | number)[]): Promise<Reply> {
    return (await this.#rig.rig.command(this.name, ...words)) as Reply
  }

  kill(): Promise<Injected> {
    return this.#rig.inject({ kind: 'kill', target: { node: this.name } })
  }

  pause(): Promise<Injected> {
    return this.#rig.inject({ kind: 'pause', target: { node: this.name } })
  }
}

export class TestRig {
  readonly rig: Rig
  /** Those with data, the first masters first. */
  readonly data: readonly RigServer[]
  readonly sentinels: readonly RigServer[]
  readonly #faults: Injected[] = []

  /** Starts a topology; nothing is kept on disk, and no master refuses writes for want of replicas. */
  static async open(topology: Exclude<Topology, 'standalone'>): Promise<TestRig> {
    const driver = await openDriver('process')
    const rig = await driver.open(topology, { appendonly: false, minReplicas: false })
    return new TestRig(rig, (await rig.state()).nodes)
  }

  private constructor(rig: Rig, nodes: Awaited<ReturnType<Rig['state']>>['nodes']) {
    this.rig = rig
    const { natMap } = rig.direct() as Exclude<Connection, { topology: 'standalone' }>
    const server = (name: string, { host, port }: Address): RigServer =>
      new RigServer(this, name, { host, port }, natMap[`${host}:${port}`]!)
    const of = (wanted: 'redis' | 'sentinel'): RigServer[] =>
      nodes.filter(({ kind }) => kind === wanted).map(({ name, announced }) => server(name, announced))
    this.data = of('redis')
    this.sentinels = of('sentinel')
  }

  /** For the store's option `redis`. */
  get options(): RedisOptions | RedisClusterOptions {
    return redisOption(this.rig.direct())
  }

  /** The same, through proxies. */
  async optionsOf(app: string): Promise<RedisOptions | RedisClusterOptions> {
    return redisOption(await this.rig.connection(app))
  }

  async inject(fault: Fault): Promise<Injected> {
    const injected = await this.rig.inject(fault)
    this.#faults.push(injected)
    return injected
  }

  /** Ends what tests have done to it, and deletes everything. */
  async renew(): Promise<void> {
    for (const fault of this.#faults.splice(0).reverse()) await fault.heal()
    await this.rig.settled()
    await this.rig.inject({ kind: 'flush' })
  }

  /** The masters, in the order of their slots. */
  async masters(): Promise<RigServer[]> {
    return (await this.rig.shards()).map(({ master }) => this.#named(master))
  }

  /** The only master, or the first. */
  async master(): Promise<RigServer> {
    return (await this.masters())[0]!
  }

  async replicasOf(server: RigServer): Promise<RigServer[]> {
    const shard = (await this.rig.shards()).find(({ master }) => master === server.name)
    return (shard?.replicas ?? []).map((name) => this.#named(name))
  }

  /** Who has a key, on Cluster. */
  async masterOf(key: string): Promise<RigServer> {
    const slot = slotOf(key)
    const shard = (await this.rig.shards()).find(({ slots }) => slots.some(([from, to]) => from <= slot && slot <= to))
    if (shard === undefined) throw new Error(`nobody has slot ${slot}`)
    return this.#named(shard.master)
  }

  /** Sids whose sessions this server has. */
  async sidsAt(server: RigServer, count: number): Promise<string[]> {
    const sids: string[] = []
    for (let n = 0; sids.length < count; n++) {
      if ((await this.masterOf(`sess:visitor-${n}`)) === server) sids.push(`visitor-${n}`)
    }
    return sids
  }

  async sidAt(server: RigServer): Promise<string> {
    return (await this.sidsAt(server, 1))[0]!
  }

  async close(): Promise<void> {
    await this.rig.close()
  }

  #named(name: string): RigServer {
    return [...this.data, ...this.sentinels].find((server) => server.name === name)!
  }
}
