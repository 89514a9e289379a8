/**
 * Whether a rig is whole again, and what it lacks. Weaker checks let the next fault start too early: a Sentinel that still
 * sees the last failover demotes the node that was just promoted, and two servers follow each other for 20 s. Pure.
 */
import type { Topology } from './contract.js'
import { SENTINELS } from './layout.js'
import { addressKey, type ClusterLine, type Fields, type Observed } from './observation.js'

/** What keeps a rig from being settled, one line each. */
export function unsettled(topology: Topology, observed: readonly Observed[]): string[] {
  const absent = observed.filter(({ role }) => role === 'down' || role === 'silent' || role === 'loading')
  if (absent.length > 0) return absent.map(({ name, role }) => `${name} is ${role}`)
  if (topology === 'sentinel') return unsettledSentinel(observed)
  if (topology === 'cluster') return unsettledCluster(observed)
  return observed.flatMap(({ name, role }) => (role === 'master' ? [] : [`${name} is a ${role}`]))
}

function unsettledSentinel(observed: readonly Observed[]): string[] {
  const data = observed.filter(({ kind }) => kind === 'redis')
  const masters = data.filter(({ role }) => role === 'master')
  const [master] = masters
  if (master === undefined || masters.length > 1)
    return [`masters: ${masters.map(({ name }) => name).join() || 'none'}`]
  const replicas = data.length - 1
  const online = Object.values(master.info).filter((value) => value.includes('state=online')).length
  const problems = online === replicas ? [] : [`${master.name} has ${online} replicas online`]
  const at = addressKey(master.announced)
  for (const { name, watched } of observed) {
    if (watched === undefined) continue
    const wrong = (what: string, held: boolean): string[] => (held ? [] : [`${name}: ${what}`])
    const { master: seen } = watched
    problems.push(
      ...wrong(`thinks ${seen.ip}:${seen.port} is master`, `${seen.ip}:${seen.port}` === at),
      ...wrong(`master is ${seen.flags}`, seen.flags === 'master' && seen['role-reported'] === 'master'),
      ...wrong(`knows ${watched.replicas.length} replicas`, watched.replicas.length === replicas),
      ...wrong(`knows ${watched.sentinels.length} Sentinels`, watched.sentinels.length === SENTINELS - 1),
      ...watched.replicas.flatMap((replica) => wrong(describeReplica(replica), follows(replica, at))),
      ...watched.sentinels.flatMap((other) => wrong(`a Sentinel is ${other.flags}`, other.flags === 'sentinel')),
    )
  }
  return problems
}

function follows(replica: Fields, master: string): boolean {
  return (
    replica.flags === 'slave' &&
    replica['role-reported'] === 'slave' &&
    replica['master-link-status'] === 'ok' &&
    `${replica['master-host']}:${replica['master-port']}` === master
  )
}

function describeReplica(replica: Fields): string {
  return `${replica.name} is ${replica.flags}, link ${replica['master-link-status']}, of ${replica['master-port']}`
}

function unsettledCluster(observed: readonly Observed[]): string[] {
  const views = new Set<string>()
  const problems: string[] = []
  for (const { name, info, cluster } of observed) {
    if (cluster === undefined) continue
    const wrong = (what: string, held: boolean): string[] => (held ? [] : [`${name}: ${what}`])
    const { info: state, nodes } = cluster
    const masters = nodes.filter(({ slots }) => slots.length > 0)
    const bereft = masters.filter(({ id }) => !nodes.some(({ master }) => master === id))
    views.add(describeView(nodes))
    problems.push(
      ...wrong(`cluster_state ${state.cluster_state}`, state.cluster_state === 'ok'),
      ...wrong(`${state.cluster_slots_ok} slots are served`, state.cluster_slots_ok === '16384'),
      ...wrong(`knows ${nodes.length} nodes`, nodes.length === observed.length),
      ...nodes.flatMap((line) => wrong(`${line.address} is ${line.flags}, linked: ${line.linked}`, isWell(line))),
      ...bereft.flatMap((line) => wrong(`${line.address} has no replica`, false)),
      ...wrong('does not follow its master', info.role === 'master' || info.master_link_status === 'up'),
    )
  }
  return views.size > 1 ? [...problems, 'the nodes do not agree on who is master of what'] : problems
}

function isWell({ flags, linked }: ClusterLine): boolean {
  return linked && !flags.some((flag) => ['fail', 'fail?', 'handshake', 'noaddr'].includes(flag))
}

function describeView(nodes: readonly ClusterLine[]): string {
  return nodes
    .map(({ id, master, slots }) => `${id} ${master} ${slots}`)
    .toSorted()
    .join('\n')
}
