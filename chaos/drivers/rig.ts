/** A rig out of any fleet: what the drivers have in common, which is all but how a server is run. */
import { until, WaitTimeoutError } from '../../test/support/wait.js'
import { assemble } from './assembly.js'
import { connectionFaults } from './connection-faults.js'
import type {
  Address,
  Connection,
  Driver,
  Fault,
  Injected,
  NodeState,
  Rig,
  RigSettings,
  RigState,
  Shard,
  Topology,
} from './contract.js'
import type { Fleet, Shipyard } from './fleet.js'
import { layOut, MASTER_NAME } from './layout.js'
import { addressKey, type Observed } from './observation.js'
import { topologyRefusal, UnsupportedFaultError } from './refusals.js'
import { replicationFaults } from './replication-faults.js'
import { serverFaults } from './server-faults.js'
import { unsettled } from './settledness.js'
import { Site } from './site.js'
import type { Begun, Verbs } from './verbs.js'

const SETTLED_WITHIN = 60_000

const VERBS: Verbs<Fault['kind']> = { ...serverFaults, ...replicationFaults, ...connectionFaults }

/** A driver from what it builds fleets with. */
export function createDriver(shipyard: Shipyard): Driver {
  const refusal: Driver['refusal'] = (topology, fault) =>
    topologyRefusal(topology, fault) ??
    // The only node of a rig has no peers to be cut off from.
    (topology === 'standalone' ? undefined : shipyard.refusal(topology, fault))
  return {
    name: shipyard.name,
    description: shipyard.description,
    refusal,
    open: (topology, settings = {}) => openRig(shipyard, refusal, topology, settings),
    close: () => shipyard.close(),
    [Symbol.asyncDispose]: () => shipyard.close(),
  }
}

async function openRig(
  shipyard: Shipyard,
  refusal: Driver['refusal'],
  topology: Topology,
  settings: RigSettings,
): Promise<Rig> {
  const fleet = await shipyard.raise(topology, layOut(topology, settings), settings)
  const rig = new FleetRig(shipyard, refusal, fleet, new Site(topology, settings, fleet))
  try {
    await rig.assemble()
    return rig
  } catch (error) {
    await rig.close()
    throw error
  }
}

class FleetRig implements Rig {
  readonly driver: Rig['driver']
  readonly topology: Topology
  readonly version: string
  readonly #refusal: Driver['refusal']
  readonly #fleet: Fleet
  readonly #site: Site
  #closed: Promise<void> | undefined

  constructor({ name }: Shipyard, refusal: Driver['refusal'], fleet: Fleet, site: Site) {
    this.driver = name
    this.topology = site.topology
    this.version = fleet.version
    this.#refusal = refusal
    this.#fleet = fleet
    this.#site = site
  }

  async assemble(): Promise<void> {
    await assemble(this.#site)
    await this.settled()
  }

  async connection(app: string): Promise<Connection> {
    return this.#connection(await this.#site.wires.addresses(app))
  }

  direct(): Connection {
    return this.#connection(new Map(this.#site.nodes.map(({ name, reach }) => [name, reach])))
  }

  async inject(fault: Fault): Promise<Injected> {
    const refused = this.#refusal(this.topology, fault)
    if (refused !== undefined) throw new UnsupportedFaultError(`${fault.kind} cannot be done: ${refused}`)
    const verb = VERBS[fault.kind] as (site: Site, fault: Fault) => Promise<Begun>
    const { nodes, undo } = await verb(this.#site, fault)
    let healed: Promise<void> | undefined
    return {
      fault,
      nodes,
      heal() {
        healed ??= undo()
        return healed
      },
    }
  }

  announced(node: string): Address {
    return this.#site.node(node).announced
  }

  shards(): Promise<readonly Shard[]> {
    return this.#site.shards()
  }

  async state(): Promise<RigState> {
    const observed = await this.#site.observe()
    return { nodes: observed.map(nodeState), unsettled: unsettled(this.topology, observed) }
  }

  async settled(timeoutMs = SETTLED_WITHIN): Promise<void> {
    let missing: readonly string[] = []
    const whole = async (): Promise<boolean> => {
      missing = unsettled(this.topology, await this.#site.observe())
      return missing.length === 0
    }
    await this.#site.hurrySentinels(true)
    try {
      await until(whole, { timeoutMs, intervalMs: 50, what: 'the rig to settle' })
    } catch (error) {
      throw error instanceof WaitTimeoutError
        ? new WaitTimeoutError('the rig to settle', timeoutMs, missing.join('; '))
        : error
    } finally {
      await this.#site.hurrySentinels(false)
    }
  }

  command(node: string, ...words: readonly (string | number)[]): Promise<unknown> {
    return this.#site.node(node).cli(...words)
  }

  close(): Promise<void> {
    this.#closed ??= this.#site.wires.close().finally(() => this.#fleet.close())
    return this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #connection(addresses: ReadonlyMap<string, Address>): Connection {
    const { nodes, data, sentinels, settings } = this.#site
    const at = (names: typeof nodes): Address[] => names.map(({ name }) => addresses.get(name)!)
    const password = settings.password === undefined ? {} : { password: settings.password }
    if (this.topology === 'standalone') {
      const [address] = at(data)
      const { host, port } = address!
      const credentials = settings.password === undefined ? '' : `:${encodeURIComponent(settings.password)}@`
      return { topology: 'standalone', host, port, url: `redis://${credentials}${host}:${port}`, ...password }
    }
    const natMap = Object.fromEntries(nodes.map(({ name, announced }) => [addressKey(announced), addresses.get(name)!]))
    return this.topology === 'sentinel'
      ? { topology: 'sentinel', name: MASTER_NAME, sentinels: at(sentinels), natMap, ...password }
      : { topology: 'cluster', nodes: at(data), natMap, ...password }
  }
}

function nodeState({ name, kind, announced, role, info }: Observed): NodeState {
  return {
    ...{ name, kind, announced, role },
    ...(info.run_id !== undefined && { runId: info.run_id }),
    ...(info.used_memory !== undefined && { usedMemory: Number(info.used_memory) }),
  }
}
