/** Makes one topology out of servers. */
import { until } from '../../test/support/wait.js'
import type { Site } from './site.js'

const FORMED_WITHIN = 30_000
const SLOTS = 16_384

/** Starts the servers and brings them together. */
export async function assemble(site: Site): Promise<void> {
  await Promise.all(site.data.map((node) => node.start()))
  if (site.topology === 'cluster') await formCluster(site)
  if (site.topology === 'sentinel') {
    // Sentinels that find complete replication settle in 4 s; otherwise they take 13 s.
    await untilAll(
      site,
      'the replicas to follow',
      ({ role, info }) => role === 'master' || info.master_link_status === 'up',
    )
    await Promise.all(site.sentinels.map((node) => node.start()))
  }
}

/** As `redis-cli --cluster create` does, which need not be installed. */
async function formCluster(site: Site): Promise<void> {
  const masters = site.data.slice(0, site.data.length / 2)
  const replicas = site.data.slice(masters.length)
  const share = (part: number): number => Math.floor((SLOTS * part) / masters.length)
  const ids = await Promise.all(
    masters.map(async (node, part) => {
      const slots = Array.from({ length: share(part + 1) - share(part) }, (_, index) => share(part) + index)
      await node.cli('CLUSTER', 'ADDSLOTS', ...slots)
      return String(await node.cli('CLUSTER', 'MYID'))
    }),
  )
  await Promise.all(site.data.map((node, index) => node.cli('CLUSTER', 'SET-CONFIG-EPOCH', index + 1)))
  const { host, port } = masters[0]!.announced
  await Promise.all(site.data.slice(1).map((node) => node.cli('CLUSTER', 'MEET', host, port)))
  await untilAll(site, 'the nodes to know each other', ({ cluster }) => {
    const known = cluster?.nodes.filter(({ flags, linked }) => linked && !flags.includes('handshake'))
    return known?.length === site.data.length
  })
  await Promise.all(replicas.map((node, part) => node.cli('CLUSTER', 'REPLICATE', ids[part]!)))
}

async function untilAll(
  site: Site,
  what: string,
  holds: (one: Awaited<ReturnType<Site['observe']>>[number]) => boolean,
): Promise<void> {
  const check = async (): Promise<boolean> => {
    const data = new Set(site.data.map(({ name }) => name))
    return (await site.observe()).filter(({ name }) => data.has(name)).every(holds)
  }
  await until(check, { timeoutMs: FORMED_WITHIN, intervalMs: 50, what })
}
