// Several real Redis processes that are one to an application: a Sentinel group, a Cluster. Short timeouts, loopback only.
import type { ClusterNode } from 'ioredis'
import type { RedisConfig } from './redis-config.js'
import { type RedisServer, startRedis } from './redis-server.js'
import { until } from './wait.js'

/** Silence of so many ms makes a server count as down. */
const DOWN_AFTER = 1_000
const FORMED_WITHIN = 30_000
const SLOTS = 16_384

/** Servers that are started and stopped together. */
abstract class Group implements AsyncDisposable {
  readonly servers: readonly RedisServer[]

  constructor(servers: readonly RedisServer[]) {
    this.servers = servers
  }

  /** Ends all of them for good, whatever their state. */
  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

/** A master, two replicas, and three Sentinels that watch them as `mymaster`. */
export class SentinelGroup extends Group {
  readonly name = 'mymaster'
  readonly data: readonly RedisServer[]
  readonly sentinels: readonly RedisServer[]

  constructor(data: readonly RedisServer[], sentinels: readonly RedisServer[]) {
    super([...data, ...sentinels])
    this.data = data
    this.sentinels = sentinels
  }

  /** For the option `redis`. */
  get options(): { sentinels: { host: string; port: number }[]; name: string } {
    return { sentinels: this.sentinels.map(({ host, port }) => ({ host, port })), name: this.name }
  }

  /** The one that the Sentinels name. */
  async master(): Promise<RedisServer> {
    const [, port] = await this.sentinels[0]!.cli<string[]>('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.name)
    return this.data.find((server) => server.port === Number(port))!
  }

  /** An orderly one: the old master goes on as a replica. */
  async failover(): Promise<void> {
    await this.sentinels[0]!.cli('SENTINEL', 'FAILOVER', this.name)
  }

  async replicas(): Promise<RedisServer[]> {
    const master = await this.master()
    return this.data.filter((server) => server !== master && server.up)
  }

  /** The servers all run, as one master with two replicas, and every Sentinel sees them so: the next failover may come. */
  async settled(): Promise<void> {
    const pace = (info: number, publish: number) =>
      Promise.all(
        this.sentinels.map((one) => one.cli('SENTINEL', 'DEBUG', 'info-period', info, 'publish-period', publish)),
      )
    // Otherwise they look at a server that came back every ten seconds.
    await pace(500, 200)
    await until(() => this.#isSettled(), { timeoutMs: FORMED_WITHIN, intervalMs: 50, what: 'the Sentinels to agree' })
    await pace(10_000, 2_000)
  }

  async #isSettled(): Promise<boolean> {
    const master = await this.master()
    const info = await master.cli('INFO', 'replication')
    if (!info.includes('role:master') || info.split('state=online').length !== 3) return false
    const seen = await Promise.all(this.sentinels.map((sentinel) => this.#seesAll(sentinel, master)))
    return seen.every(Boolean)
  }

  async #seesAll(sentinel: RedisServer, master: RedisServer): Promise<boolean> {
    const watched = fields(await sentinel.cli<string[]>('SENTINEL', 'MASTER', this.name))
    const replicas = (await sentinel.cli<string[][]>('SENTINEL', 'REPLICAS', this.name)).map(fields)
    const follows = (replica: Record<string, string>): boolean =>
      replica.flags === 'slave' &&
      replica['master-link-status'] === 'ok' &&
      replica['master-port'] === String(master.port)
    return (
      watched.port === String(master.port) &&
      watched.flags === 'master' &&
      watched['role-reported'] === 'master' &&
      watched['num-other-sentinels'] === '2' &&
      replicas.length === 2 &&
      replicas.every(follows)
    )
  }
}

/** Starts a Sentinel group, settled when the promise resolves. */
export async function startSentinel(config: RedisConfig = {}): Promise<SentinelGroup> {
  const master = await startRedis({ config })
  const replica = () => startRedis({ config: { ...config, replicaof: `${master.host} ${master.port}` } })
  const data = [master, ...(await Promise.all([replica(), replica()]))]
  // Sentinels that find complete replication settle much sooner.
  await until(async () => (await master.cli('INFO', 'replication')).split('state=online').length === 3, {
    timeoutMs: FORMED_WITHIN,
    what: 'the replicas to follow',
  })
  const watch = [
    `monitor mymaster ${master.host} ${master.port} 2`,
    `down-after-milliseconds mymaster ${DOWN_AFTER}`,
    'failover-timeout mymaster 5000',
  ]
  const sentinel = () => startRedis({ sentinel: true, config: { sentinel: watch } })
  const group = new SentinelGroup(data, await Promise.all([sentinel(), sentinel(), sentinel()]))
  await group.settled()
  return group
}

/** Masters that share the slots, with a replica each. */
export class RedisCluster extends Group {
  /** For the option `redis`: one node is enough to find the others, but it may be the dead one. */
  get options(): { cluster: ClusterNode[] } {
    return { cluster: this.servers.map(({ host, port }) => ({ host, port })) }
  }

  /** The servers that have slots now, in the order of their slots. */
  async masters(): Promise<RedisServer[]> {
    const slots = await this.#slots()
    return [...new Set(slots.map(({ master }) => master))]
  }

  async masterOf(key: string): Promise<RedisServer> {
    const slot = await this.#someone.cli<number>('CLUSTER', 'KEYSLOT', key)
    const range = (await this.#slots()).find(({ first, last }) => first <= slot && slot <= last)
    if (range === undefined) throw new Error(`nobody has slot ${slot}`)
    return range.master
  }

  /** Servers that follow this one. */
  async replicasOf(master: RedisServer): Promise<RedisServer[]> {
    const id = await this.idOf(master)
    const lines = (await this.#someone.cli('CLUSTER', 'NODES')).split('\n')
    const ports = lines.filter((line) => line.split(' ')[3] === id).map((line) => /:(\d+)@/.exec(line)?.[1])
    return this.servers.filter(({ port }) => ports.includes(String(port)))
  }

  idOf(server: RedisServer): Promise<string> {
    return server.cli('CLUSTER', 'MYID')
  }

  /** A sid whose session this server has, of those with a prefix. */
  async sidAt(server: RedisServer, prefix = 'sess:'): Promise<string> {
    for (let n = 0; ; n++) {
      if ((await this.masterOf(`${prefix}visitor-${n}`)) === server) return `visitor-${n}`
    }
  }

  /** Every server runs and sees all the others, and every slot is served by a master whose replica follows. */
  async settled(): Promise<void> {
    const isSettled = async (server: RedisServer): Promise<boolean> => {
      if (!server.up) throw new Error(`Redis on port ${server.port} does not run`)
      const lines = (await server.cli('CLUSTER', 'NODES')).trim().split('\n')
      const well = lines.filter((line) => / connected( |$)/.test(line) && !/fail|handshake|noaddr/.test(line))
      if (well.length !== this.servers.length) return false
      if (lines.filter((line) => line.includes('slave')).length !== this.servers.length / 2) return false
      if (!(await server.cli('CLUSTER', 'INFO')).includes('cluster_state:ok')) return false
      const info = await server.cli('INFO', 'replication')
      return info.includes('role:master') ? info.includes('state=online') : info.includes('master_link_status:up')
    }
    await until(async () => (await Promise.all(this.servers.map(isSettled))).every(Boolean), {
      timeoutMs: FORMED_WITHIN,
      intervalMs: 50,
      what: 'the cluster to settle',
    })
  }

  /** Deletes everything. */
  async flush(): Promise<void> {
    await Promise.all((await this.masters()).map((master) => master.cli('FLUSHALL')))
  }

  get #someone(): RedisServer {
    return this.servers.find((server) => server.up)!
  }

  async #slots(): Promise<{ first: number; last: number; master: RedisServer }[]> {
    const ranges = await this.#someone.cli<[number, number, [string, number]][]>('CLUSTER', 'SLOTS')
    return ranges
      .map(([first, last, [, port]]) => ({ first, last, master: this.servers.find((one) => one.port === port)! }))
      .sort((a, b) => a.first - b.first)
  }
}

/** Starts a Cluster of three masters with a replica each, settled when the promise resolves. */
export async function startCluster(config: RedisConfig = {}): Promise<RedisCluster> {
  const node = () =>
    startRedis({
      config: {
        'cluster-enabled': 'yes',
        'cluster-announce-ip': '127.0.0.1',
        'cluster-node-timeout': DOWN_AFTER,
        // Otherwise one dead shard takes the others with it.
        'cluster-require-full-coverage': 'no',
        'cluster-replica-validity-factor': 0,
        ...config,
      },
    })
  const servers = await Promise.all([node(), node(), node(), node(), node(), node()])
  const masters = servers.slice(0, 3)
  const share = (part: number): number => Math.floor((SLOTS * part) / masters.length)
  await Promise.all(servers.map((server, index) => server.cli('CLUSTER', 'SET-CONFIG-EPOCH', index + 1)))
  await Promise.all(
    masters.map((server, part) => server.cli('CLUSTER', 'ADDSLOTSRANGE', share(part), share(part + 1) - 1)),
  )
  for (const [index, server] of servers.entries()) {
    for (const { host, port } of servers.slice(index + 1)) await server.cli('CLUSTER', 'MEET', host, port)
  }
  const cluster = new RedisCluster(servers)
  await until(
    async () => {
      const views = await Promise.all(servers.map((server) => server.cli('CLUSTER', 'NODES')))
      return views.every((view) => view.trim().split('\n').length === servers.length && !view.includes('handshake'))
    },
    { timeoutMs: FORMED_WITHIN, what: 'the nodes to know each other' },
  )
  await Promise.all(
    servers.slice(3).map(async (server, part) => {
      await server.cli('CLUSTER', 'REPLICATE', await cluster.idOf(masters[part]!))
    }),
  )
  await cluster.settled()
  return cluster
}

/** "name, value, name, value" as Sentinel answers it. */
function fields(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(Array.from({ length: words.length / 2 }, (_, at) => [words[2 * at], words[2 * at + 1]]))
}
