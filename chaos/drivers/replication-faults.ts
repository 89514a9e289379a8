/** Faults of replication: who is master, who follows, and who reaches whom. */
import { until } from '../../test/support/wait.js'
import { MASTER_NAME, minReplicasConfig } from './layout.js'
import { addressKey, infoFields } from './observation.js'
import type { Site } from './site.js'
import { nothing, type Verbs } from './verbs.js'
import type { Effect } from './wires.js'

const PROMOTED_WITHIN = 20_000

export const replicationFaults: Verbs<'failover' | 'lag' | 'partition'> = {
  async failover(site, { target = 'master' }) {
    const nodes = await site.resolve(target)
    for (const name of nodes) {
      if (site.topology === 'cluster') await failOverShard(site, name)
      else await failOverMaster(site, name)
    }
    return { nodes, undo: nothing }
  },

  async lag(site) {
    const nodes = await site.resolve('replicas')
    const [master] = await site.resolve('master')
    await site.setConfig(site.node(master!), minReplicasConfig(false))
    // Of a master that is not there: they keep what they have, and can be elected for some seconds.
    await Promise.all(site.named(nodes).map((node) => node.cli('REPLICAOF', node.announced.host, 1)))
    return { nodes, undo: () => follow(site) }
  },

  async partition(site, { target = 'master', from }) {
    const nodes = await site.resolve(target)
    const effect: Effect = { nodes, silent: true }
    // The only node of a rig has no peers.
    const peers = from !== 'apps' && site.topology !== 'standalone'
    if (from !== 'peers') await site.wires.add(effect)
    if (peers) await Promise.all(site.named(nodes).map((node) => node.cut()))
    return {
      nodes,
      async undo() {
        if (peers) await Promise.all(site.named(nodes).map((node) => node.rejoin()))
        await site.wires.remove(effect)
      },
    }
  },
}

/** Everyone who runs follows whoever is master now. */
async function follow(site: Site): Promise<void> {
  const at = (await site.masterAddress()).join(':')
  for (const node of site.running(site.data)) {
    await site.setConfig(node, minReplicasConfig(site.settings.minReplicas ?? true))
    if (addressKey(node.announced) !== at) await node.cli('REPLICAOF', ...at.split(':'))
  }
}

async function failOverMaster(site: Site, name: string): Promise<void> {
  const [sentinel] = site.running(site.sentinels)
  if (sentinel === undefined) throw new Error('no Sentinel runs')
  await sentinel.cli('SENTINEL', 'FAILOVER', MASTER_NAME)
  await untilPromoted(site, async () => {
    const at = (await site.masterAddress()).join(':')
    return site.data.find((node) => addressKey(node.announced) === at && node.name !== name)?.name
  })
}

async function failOverShard(site: Site, name: string): Promise<void> {
  const shard = (await site.shards()).find(({ master }) => master === name)
  const [replica] = shard?.replicas ?? []
  if (replica === undefined) throw new Error(`${name} is no master with a replica`)
  await site.node(replica).cli('CLUSTER', 'FAILOVER')
  await untilPromoted(site, async () => replica)
}

async function untilPromoted(site: Site, successor: () => Promise<string | undefined>): Promise<void> {
  const promoted = async (): Promise<boolean> => {
    const name = await successor()
    return name !== undefined && infoFields(await site.node(name).cli('INFO', 'replication')).role === 'master'
  }
  await until(promoted, { timeoutMs: PROMOTED_WITHIN, intervalMs: 50, what: 'another node to be master' })
}
