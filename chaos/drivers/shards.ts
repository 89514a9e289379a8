/** Who is master of what at the moment, and which nodes a target means. Pure. */
import type { Shard, Target, Topology } from './contract.js'
import { dataNodes, sentinelNodes } from './layout.js'
import { addressKey, type Observed } from './observation.js'

const ALL_SLOTS: Shard['slots'] = [[0, 16_383]]

/**
 * The shards by the account of those who decide: a majority of the Sentinels that answer, or the first node whose cluster
 * is ok. Empty when nobody knows.
 */
export function shardsOf(topology: Topology, observed: readonly Observed[]): Shard[] {
  if (topology === 'cluster') return clusterShards(observed)
  const data = observed.filter(({ kind }) => kind === 'redis').map(({ name }) => name)
  const master = topology === 'standalone' ? data[0] : watchedMaster(observed)
  if (master === undefined) return []
  return [{ master, replicas: data.filter((name) => name !== master), slots: ALL_SLOTS }]
}

function watchedMaster(observed: readonly Observed[]): string | undefined {
  const votes = observed.flatMap(({ watched }) => (watched ? [`${watched.master.ip}:${watched.master.port}`] : []))
  const count = (address: string): number => votes.filter((vote) => vote === address).length
  const winner = votes.toSorted((one, other) => count(other) - count(one))[0]
  return observed.find(({ kind, announced }) => kind === 'redis' && addressKey(announced) === winner)?.name
}

function clusterShards(observed: readonly Observed[]): Shard[] {
  const views = observed.flatMap(({ cluster }) => (cluster ? [cluster] : []))
  const view = views.find(({ info }) => info.cluster_state === 'ok') ?? views[0]
  if (view === undefined) return []
  const nameOf = (address: string): string =>
    observed.find(({ announced }) => addressKey(announced) === address)?.name ?? address
  return view.nodes
    .filter(({ slots }) => slots.length > 0)
    .toSorted((one, other) => one.slots[0]![0] - other.slots[0]![0])
    .map(({ id, address, slots }) => ({
      master: nameOf(address),
      replicas: view.nodes.filter(({ master }) => master === id).map((line) => nameOf(line.address)),
      slots,
    }))
}

/** The shard that serves a slot. @throws {Error} when none does. */
export function shardOfSlot(shards: readonly Shard[], slot: number): Shard {
  const found = shards.find(({ slots }) => slots.some(([first, last]) => first <= slot && slot <= last))
  if (found === undefined) throw new Error(`no master is known to serve slot ${slot}`)
  return found
}

/** Why a topology has no such nodes; undefined where it has. */
export function targetRefusal(topology: Topology, target: Target = 'master'): string | undefined {
  if (typeof target === 'object') {
    if (!('node' in target) || [...dataNodes(topology), ...sentinelNodes(topology)].includes(target.node))
      return undefined
    return `${topology} has no node ${target.node}`
  }
  if (topology === 'standalone' && !['master', 'masters', 'all'].includes(target)) return `standalone has no ${target}`
  return undefined
}

/** The names of the nodes that a target means; `slotOf` is asked for a key. */
export function resolveTarget(
  topology: Topology,
  shards: readonly Shard[],
  target: Target,
  slotOf: (key: string) => number,
): string[] {
  const refused = targetRefusal(topology, target)
  if (refused !== undefined) throw new RangeError(refused)
  if (typeof target === 'object') {
    if ('node' in target) return [target.node]
    if ('key' in target) return [shardOfSlot(shards, slotOf(target.key)).master]
    const { master, replicas } = shardOfSlot(shards, slotOf(target.shardOf))
    return [master, ...replicas]
  }
  if (target === 'all') return dataNodes(topology)
  if (target === 'masters') return shards.map(({ master }) => master)
  if (target === 'majority' && topology === 'sentinel') return majorityOf(sentinelNodes(topology))
  if (target === 'majority') return majorityOf(shards.map(({ master }) => master))
  const { master, replicas } = shardOfSlot(shards, 0)
  if (target === 'master') return [master]
  if (target === 'shard') return [master, ...replicas]
  return target === 'replica' ? replicas.slice(0, 1) : [...replicas]
}

function majorityOf(names: readonly string[]): string[] {
  return names.slice(0, Math.floor(names.length / 2) + 1)
}
