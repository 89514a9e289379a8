/** Faults of the network between the applications and the servers. */
import type { Target } from './contract.js'
import type { Site } from './site.js'
import { type Begun, nothing, type Verbs } from './verbs.js'
import type { Effect, Reach } from './wires.js'

type Kind = 'partition-app' | 'latency' | 'loss' | 'refuse' | 'reset' | 'half-open' | 'cut-mid-reply' | 'lose-replies'

export const connectionFaults: Verbs<Kind> = {
  'partition-app': (site, { app }) => impair(site, { app }, { silent: true }),
  latency: (site, { ms, jitter = 0, ...aim }) => impair(site, aim, { delay: { ms, jitter } }),
  loss: (site, { share, ...aim }) => impair(site, aim, { loss: share }),

  async refuse(site, aim) {
    const begun = await impair(site, aim, { refused: true })
    site.wires.each({ app: aim.app, nodes: begun.nodes }, (proxy) => proxy.resetAll())
    return begun
  },

  async reset(site, aim) {
    const reach = await reachOf(site, aim)
    site.wires.each(reach, (proxy) => proxy.resetAll())
    return { nodes: reach.nodes, undo: nothing }
  },

  async 'half-open'(site, aim) {
    const reach = await reachOf(site, aim)
    site.wires.each(reach, (proxy) => proxy.forsakeAll())
    // What TCP does in the end, when nobody has acknowledged for long.
    return { nodes: reach.nodes, undo: async () => site.wires.each(reach, (proxy) => proxy.resetDeaf()) }
  },

  async 'cut-mid-reply'(site, { command, nth = 1, ...aim }) {
    if (!(nth >= 1)) throw new RangeError(`nth counts from 1, got ${nth}`)
    let passed = 0
    const isNth = ({ name }: { readonly name: string }): boolean =>
      (command === undefined || name === command.toUpperCase()) && ++passed % nth === 0
    return impair(site, aim, { arm: (proxy) => proxy.cutMidReply(isNth, { times: Number.POSITIVE_INFINITY }) })
  },

  'lose-replies': (site, { command, ...aim }) =>
    impair(site, aim, { arm: (proxy) => proxy.swallowReply(command, { times: Number.POSITIVE_INFINITY }) }),
}

interface Aim {
  readonly app?: string
  readonly target?: Target
}

async function impair(site: Site, aim: Aim, what: Omit<Effect, 'app' | 'nodes'>): Promise<Begun> {
  const effect: Effect = { ...(await reachOf(site, aim)), ...what }
  await site.wires.add(effect)
  return { nodes: effect.nodes, undo: () => site.wires.remove(effect) }
}

async function reachOf(site: Site, { app, target }: Aim): Promise<Reach> {
  const nodes = target === undefined ? site.nodes.map(({ name }) => name) : await site.resolve(target)
  return { app, nodes }
}
