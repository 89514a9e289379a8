/** What the servers of a rig say about themselves and about each other, asked all at once. */
import { settled } from '../../test/support/wait.js'
import type { Address, NodeState } from './contract.js'
import type { FleetNode } from './fleet.js'
import { MASTER_NAME } from './layout.js'

/** How long a server may take to answer before it counts as silent, in ms. */
const ANSWERS_WITHIN = 1_000

/** Fields of a reply, by name. */
export type Fields = Readonly<Record<string, string>>

/** One server's account. */
export interface Observed {
  readonly name: string
  readonly kind: 'redis' | 'sentinel'
  readonly announced: Address
  readonly role: NodeState['role']
  /** Its INFO; empty without an answer. */
  readonly info: Fields
  /** What a Sentinel holds to be true. */
  readonly watched?: {
    readonly master: Fields
    readonly replicas: readonly Fields[]
    readonly sentinels: readonly Fields[]
  }
  /** What a cluster node holds to be true. */
  readonly cluster?: { readonly info: Fields; readonly nodes: readonly ClusterLine[] }
}

/** A line of CLUSTER NODES. */
export interface ClusterLine {
  readonly id: string
  readonly address: string
  readonly flags: readonly string[]
  /** The id of its master, for a replica. */
  readonly master: string
  readonly linked: boolean
  /** First and last slot of each range. */
  readonly slots: readonly (readonly [number, number])[]
}

/** Asks one server. One that does not run is not asked. */
export async function observe(node: FleetNode, running: boolean): Promise<Observed> {
  const { name, kind, announced } = node
  const without = (role: NodeState['role']): Observed => ({ name, kind, announced, role, info: {} })
  if (!running) return without('down')
  try {
    const answer = await settled(ask(node), { timeoutMs: ANSWERS_WITHIN })
    return answer.status === 'fulfilled' ? answer.value : without('silent')
  } catch {
    return without('silent')
  }
}

async function ask(node: FleetNode): Promise<Observed> {
  const { name, kind, announced } = node
  const info = infoFields(await node.cli('INFO'))
  const known = { name, kind, announced, info }
  if (info.loading === '1') return { ...known, role: 'loading' }
  if (kind === 'sentinel') {
    const [master, replicas, sentinels] = await Promise.all(
      ['MASTER', 'REPLICAS', 'SENTINELS'].map((what) => node.cli('SENTINEL', what, MASTER_NAME)),
    )
    const watched = {
      master: flatFields(master),
      replicas: (replicas as unknown[]).map(flatFields),
      sentinels: (sentinels as unknown[]).map(flatFields),
    }
    return { ...known, role: 'sentinel', watched }
  }
  const role = info.role === 'master' ? 'master' : 'replica'
  if (info.cluster_enabled !== '1') return { ...known, role }
  const [clusterInfo, nodes] = await Promise.all([node.cli('CLUSTER', 'INFO'), node.cli('CLUSTER', 'NODES')])
  return { ...known, role, cluster: { info: infoFields(clusterInfo), nodes: clusterLines(String(nodes)) } }
}

/** `field:value` lines. */
export function infoFields(text: unknown): Fields {
  const pairs = String(text)
    .split('\r\n')
    .filter((line) => line.includes(':'))
    .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)])
  return Object.fromEntries(pairs)
}

/** A list of names and values in turn. */
export function flatFields(reply: unknown): Fields {
  const words = reply as string[]
  return Object.fromEntries(words.flatMap((word, index) => (index % 2 === 0 ? [[word, words[index + 1] ?? '']] : [])))
}

/** The reply to CLUSTER NODES: `ID IP:PORT@BUS[,HOST] FLAGS MASTER PING PONG EPOCH LINK [SLOTS…]`. */
export function clusterLines(text: string): ClusterLine[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [id = '', address = '', flags = '', master = '', , , , link = '', ...slots] = line.split(' ')
      return {
        id,
        address: address.replace(/@.*$/, ''),
        flags: flags.split(','),
        master,
        linked: link === 'connected',
        // `[…]` is a slot on the move.
        slots: slots.filter((range) => !range.startsWith('[')).map(slotRange),
      }
    })
}

function slotRange(range: string): readonly [number, number] {
  const [first, last = first] = range.split('-').map(Number)
  return [first!, last!]
}

/** `host:port`, as ioredis's `natMap` and Redis write it. */
export function addressKey({ host, port }: Address): string {
  return `${host}:${port}`
}
