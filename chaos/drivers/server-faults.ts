/** Faults of servers: ended, frozen, busy, or so configured that they refuse. */
import { randomBytes } from 'node:crypto'
import { slowLoading } from '../../test/support/redis-config.js'
import { until } from '../../test/support/wait.js'
import { MASTER_NAME, minReplicasConfig } from './layout.js'
import { infoFields } from './observation.js'
import { shardOfSlot } from './shards.js'
import type { Site } from './site.js'
import { type Begun, nothing, type Verbs } from './verbs.js'

/** Longer than any run. */
const FOREVER_MS = 3_600_000
/** Enough for a smooth progress of loading. */
const FILLER_KEYS = 2_000
const FILLER = '{TAG}rig-filler:'
/** The server's own connection gives up after 10 s. */
const LONGEST_SLEEP = 8

type Kind =
  | 'kill'
  | 'stop'
  | 'pause'
  | 'loading'
  | 'debug-sleep'
  | 'client-pause'
  | 'fill-memory'
  | 'read-only'
  | 'rotate-password'
  | 'max-clients'
  | 'flush'

export const serverFaults: Verbs<Kind> = {
  kill: (site, { target = 'master', back = 'same' }) => halt(site, target, 'kill', back),
  stop: (site, { target = 'master' }) => halt(site, target, 'stop', 'same'),

  async pause(site, { target = 'master' }) {
    const nodes = await site.resolve(target)
    await Promise.all(site.named(nodes).map((node) => node.pause()))
    site.halt(nodes)
    return {
      nodes,
      async undo() {
        await Promise.all(site.named(nodes).map((node) => node.resume()))
        site.unhalt(nodes)
      },
    }
  },

  async loading(site, { target = 'master', seconds }) {
    const nodes = await site.resolve(target)
    const slots = new Map<string, number>()
    for (const name of nodes) slots.set(name, await fill(site, name))
    const slow = slowLoading(Math.ceil((seconds * 1_000_000) / FILLER_KEYS))
    for (const node of site.named(nodes)) {
      await site.setConfig(node, slow)
      await node.cli('CONFIG', 'REWRITE')
    }
    await Promise.all(site.named(nodes).map((node) => node.kill()))
    await Promise.all(site.named(nodes).map((node) => node.start('answering')))
    return {
      nodes,
      async undo() {
        await Promise.all(
          site.named(nodes).map(async (node) => {
            await site.setConfig(node, { 'key-load-delay': 0, 'loading-process-events-interval-bytes': 2_097_152 })
            const loaded = async (): Promise<boolean> =>
              infoFields(await node.cli('INFO', 'persistence')).loading === '0'
            await until(loaded, { timeoutMs: 30_000, intervalMs: 20, what: `${node.name} to be loaded` })
            await node.cli('CONFIG', 'REWRITE')
          }),
        )
        for (const slot of slots.values()) await empty(site, slot)
      },
    }
  },

  async 'debug-sleep'(site, { target = 'master', seconds }) {
    if (!(seconds > 0 && seconds <= LONGEST_SLEEP))
      throw new RangeError(`it sleeps up to ${LONGEST_SLEEP} s, got ${seconds}`)
    const nodes = await site.resolve(target)
    const woken = Promise.all(site.named(nodes).map((node) => node.cli('DEBUG', 'SLEEP', seconds)))
    // Whoever asks for the end learns of a failure.
    woken.catch(() => {})
    return { nodes, undo: async () => void (await woken) }
  },

  async 'client-pause'(site, { target = 'master' }) {
    const nodes = await site.resolve(target)
    // ALL would pause the command that ends it as well.
    await site.all(site.named(nodes), 'CLIENT', 'PAUSE', FOREVER_MS, 'WRITE')
    return { nodes, undo: () => site.all(site.running(site.named(nodes)), 'CLIENT', 'UNPAUSE') }
  },

  'fill-memory': (site, { target = 'master' }) =>
    // Below what an empty server uses, so that no delete makes room.
    reconfigure(site, target, { 'maxmemory-policy': 'noeviction', maxmemory: 1 }),

  async 'read-only'(site, { target = 'master', how }) {
    if (how === 'min-replicas') {
      return reconfigure(site, target, { ...minReplicasConfig(true), 'min-replicas-to-write': 9 })
    }
    const nodes = await site.resolve(target)
    // Of a master that is not there: nothing is copied, so nothing is lost.
    await Promise.all(site.named(nodes).map((node) => node.cli('REPLICAOF', node.announced.host, 1)))
    return { nodes, undo: () => site.all(site.named(nodes), 'REPLICAOF', 'NO', 'ONE') }
  },

  async 'rotate-password'(site) {
    const nodes = site.data.map(({ name }) => name)
    await setPassword(site, randomBytes(12).toString('hex'))
    // Those that are connected already would not notice.
    site.wires.each({ nodes }, (proxy) => proxy.resetAll())
    return { nodes, undo: () => setPassword(site, site.settings.password ?? '') }
  },

  async 'max-clients'(site, { target = 'master' }) {
    const begun = await reconfigure(site, target, { maxclients: 1 })
    site.wires.each(begun, (proxy) => proxy.resetAll())
    return begun
  },

  async flush(site) {
    const nodes = await site.resolve('masters')
    await site.all(site.named(nodes), 'FLUSHALL')
    return { nodes, undo: nothing }
  },
}

async function halt(
  site: Site,
  target: Parameters<Site['resolve']>[0],
  how: 'kill' | 'stop',
  back: 'same' | 'empty',
): Promise<Begun> {
  const nodes = await site.resolve(target)
  site.halt(nodes)
  await Promise.all(site.named(nodes).map((node) => node[how]()))
  await site.wires.mark(nodes, 'down')
  return {
    nodes,
    async undo() {
      await Promise.all(
        site.named(nodes).map(async (node) => {
          if (back === 'empty') await node.wipe()
          await node.start()
        }),
      )
      site.unhalt(nodes)
      await site.wires.mark(nodes, 'up')
    },
  }
}

/** Changes the configuration of nodes; undone where they still run (one that was started anew has its own again). */
async function reconfigure(
  site: Site,
  target: Parameters<Site['resolve']>[0],
  config: Readonly<Record<string, unknown>>,
): Promise<Begun> {
  const nodes = await site.resolve(target)
  const before = new Map<string, Record<string, string>>()
  for (const node of site.named(nodes)) {
    const old = await Promise.all(Object.keys(config).map(async (name) => [name, await site.getConfig(node, name)]))
    before.set(node.name, Object.fromEntries(old))
    await site.setConfig(node, config)
  }
  return {
    nodes,
    async undo() {
      for (const node of site.running(site.named(nodes))) await site.setConfig(node, before.get(node.name) ?? {})
    },
  }
}

async function setPassword(site: Site, password: string): Promise<void> {
  await Promise.all(
    site.running(site.data).map((node) => site.setConfig(node, { masterauth: password, requirepass: password })),
  )
  await site.all(site.running(site.sentinels), 'SENTINEL', 'SET', MASTER_NAME, 'auth-pass', password)
}

/** Gives a master enough keys to load, on disk; resolves with their slot. */
async function fill(site: Site, name: string): Promise<number> {
  const node = site.node(name)
  const shard = (await site.shards()).find(({ master, replicas }) => master === name || replicas.includes(name))
  if (shard === undefined) throw new Error(`${name} belongs to no shard`)
  const [slot, key] = await fillerKey(site, shard.slots)
  const script = `for i = 1, ${FILLER_KEYS} do redis.call('SET', KEYS[1] .. i, i) end`
  await site.node(shard.master).cli('EVAL', script, 1, key)
  // A dump is loaded with looks at the connections in between; a long log of commands is not.
  const append = (await site.getConfig(node, 'appendonly')) === 'yes'
  await node.cli(append ? 'BGREWRITEAOF' : 'SAVE')
  const written = async (): Promise<boolean> => {
    const info = infoFields(await node.cli('INFO', 'persistence'))
    return info.aof_rewrite_in_progress === '0' && info.aof_rewrite_scheduled === '0'
  }
  await until(written, { timeoutMs: 20_000, intervalMs: 20, what: `${name} to have its data on disk` })
  return slot
}

/** Deletes what {@link fill} wrote, wherever it is by now. */
async function empty(site: Site, slot: number): Promise<void> {
  const shard = shardOfSlot(await site.shards(), slot)
  const [, key] = await fillerKey(site, [[slot, slot]])
  const script = `for i = 1, ${FILLER_KEYS} do redis.call('UNLINK', KEYS[1] .. i) end`
  await site.node(shard.master).cli('EVAL', script, 1, key)
}

/** A name for filler that is served by one of these slots. */
async function fillerKey(
  site: Site,
  slots: readonly (readonly [number, number])[],
): Promise<readonly [number, string]> {
  for (let tag = 0; ; tag++) {
    const key = FILLER.replace('TAG', String(tag))
    if (site.topology !== 'cluster') return [0, key]
    const slot = await site.slotOf(key)
    if (slots.some(([first, last]) => first <= slot && slot <= last)) return [slot, key]
  }
}
