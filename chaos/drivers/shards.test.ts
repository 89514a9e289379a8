import { describe, expect, it } from 'vitest'
import type { Target } from './contract.js'
import { clusterRig, sentinelRig } from './observed-fixtures.js'
import { resolveTarget, shardsOf, targetRefusal } from './shards.js'

const cluster = shardsOf('cluster', clusterRig())
const sentinel = shardsOf('sentinel', sentinelRig())
const standalone = shardsOf('standalone', sentinelRig().slice(0, 1))

/** Every key is in slot 6000 here. */
const slotOf = (): number => 6_000

describe('shards', () => {
  it('are in the order of their slots', () => {
    expect(cluster.map(({ master, replicas }) => [master, ...replicas])).toEqual([
      ['redis-2', 'redis-5'],
      ['redis-1', 'redis-4'],
      ['redis-3', 'redis-6'],
    ])
  })

  it('go by most of the Sentinels, not by what a server says of itself', () => {
    const rig = sentinelRig().map((one) => {
      const changed = one.watched && one.name !== 'sentinel-3'
      return changed
        ? { ...one, watched: { ...one.watched!, master: { ...one.watched!.master, ip: '10.0.0.2' } } }
        : one
    })
    expect(shardsOf('sentinel', rig)).toMatchObject([{ master: 'redis-2', replicas: ['redis-1', 'redis-3'] }])
  })

  it('are unknown when nobody answers', () => {
    expect(shardsOf('sentinel', sentinelRig().slice(0, 3))).toEqual([])
    expect(shardsOf('cluster', sentinelRig().slice(0, 3))).toEqual([])
  })
})

describe('a target', () => {
  it.each<[Target, string[], string[]]>([
    ['master', ['redis-1'], ['redis-2']],
    ['replica', ['redis-2'], ['redis-5']],
    ['replicas', ['redis-2', 'redis-3'], ['redis-5']],
    ['masters', ['redis-1'], ['redis-2', 'redis-1', 'redis-3']],
    ['shard', ['redis-1', 'redis-2', 'redis-3'], ['redis-2', 'redis-5']],
    ['majority', ['sentinel-1', 'sentinel-2'], ['redis-2', 'redis-1']],
    [{ key: 'any' }, ['redis-1'], ['redis-1']],
    [{ shardOf: 'any' }, ['redis-1', 'redis-2', 'redis-3'], ['redis-1', 'redis-4']],
    [{ node: 'redis-3' }, ['redis-3'], ['redis-3']],
  ])('%j is looked up', (target, inSentinel, inCluster) => {
    expect(resolveTarget('sentinel', sentinel, target, slotOf)).toEqual(inSentinel)
    expect(resolveTarget('cluster', cluster, target, slotOf)).toEqual(inCluster)
  })

  it('can be all data nodes', () => {
    expect(resolveTarget('standalone', standalone, 'all', slotOf)).toEqual(['redis-1'])
    expect(resolveTarget('cluster', cluster, 'all', slotOf)).toHaveLength(6)
  })

  it('is refused where there is none', () => {
    expect(targetRefusal('standalone', 'replica')).toBe('standalone has no replica')
    expect(targetRefusal('cluster', { node: 'sentinel-1' })).toBe('cluster has no node sentinel-1')
    expect(() => resolveTarget('standalone', standalone, 'majority', slotOf)).toThrow('standalone has no majority')
    expect(() => resolveTarget('cluster', cluster.slice(0, 1), { key: 'any' }, slotOf)).toThrow('slot 6000')
  })
})
