import { describe, expect, it } from 'vitest'
import { clusterLines, type Fields, type Observed } from './observation.js'
import { CLUSTER_NODES, clusterRig, sentinelRig } from './observed-fixtures.js'
import { unsettled } from './settledness.js'

/** The same rig, one server's account changed. */
function but(rig: Observed[], name: string, change: (one: Observed) => Partial<Observed>): Observed[] {
  return rig.map((one) => (one.name === name ? { ...one, ...change(one) } : one))
}

type Watched = NonNullable<Observed['watched']>

/** What sentinel-2 holds to be true, changed. */
function sentinel2(change: (watched: Watched) => Partial<Watched>): Observed[] {
  return but(sentinelRig(), 'sentinel-2', ({ watched }) => ({ watched: { ...watched!, ...change(watched!) } }))
}

function firstReplica(change: Fields): Observed[] {
  return sentinel2(({ replicas }) => ({ replicas: [{ ...replicas[0], ...change }, replicas[1]!] }))
}

/** How redis-5 sees the cluster, changed. */
function seenBy5(change: { readonly info?: Fields; readonly lines?: string }): Observed[] {
  return but(clusterRig(), 'redis-5', ({ cluster }) => ({
    cluster: { info: { ...cluster!.info, ...change.info }, nodes: clusterLines(change.lines ?? CLUSTER_NODES) },
  }))
}

describe('a rig', () => {
  it('is settled when nothing is amiss', () => {
    expect(unsettled('sentinel', sentinelRig())).toEqual([])
    expect(unsettled('cluster', clusterRig())).toEqual([])
    expect(unsettled('standalone', sentinelRig().slice(0, 1))).toEqual([])
  })

  it.each(['down', 'silent', 'loading'] as const)('is not while a server is %s', (role) => {
    expect(
      unsettled(
        'cluster',
        but(clusterRig(), 'redis-4', () => ({ role })),
      ),
    ).toEqual([`redis-4 is ${role}`])
  })

  it('is not while its only server follows another', () => {
    expect(unsettled('standalone', [{ ...sentinelRig()[1]! }])).toEqual(['redis-2 is a replica'])
  })
})

describe('Sentinels', () => {
  it.each([
    ['another master', sentinel2(({ master }) => ({ master: { ...master, ip: '10.0.0.2' } }))],
    ['a master that is down', sentinel2(({ master }) => ({ master: { ...master, flags: 'master,s_down' } }))],
    ['a master that says otherwise', sentinel2(({ master }) => ({ master: { ...master, 'role-reported': 'slave' } }))],
    ['one replica', sentinel2(({ replicas }) => ({ replicas: replicas.slice(1) }))],
    ['one other Sentinel', sentinel2(({ sentinels }) => ({ sentinels: sentinels.slice(1) }))],
    ['a dead Sentinel', sentinel2(({ sentinels }) => ({ sentinels: [sentinels[0]!, { flags: 'sentinel,s_down' }] }))],
    ['a replica that is down', firstReplica({ flags: 'slave,s_down' })],
    ['a replica that says otherwise', firstReplica({ 'role-reported': 'master' })],
    ['a replica without its link', firstReplica({ 'master-link-status': 'err' })],
    ['a replica of another', firstReplica({ 'master-host': '10.0.0.3' })],
  ])('are not settled when one of them sees %s', (_what, rig) => {
    expect(unsettled('sentinel', rig)).toEqual([expect.stringContaining('sentinel-2')])
  })

  it('are not with two masters, none, or a replica that the master does not know', () => {
    const two = but(sentinelRig(), 'redis-2', () => ({ role: 'master' }))
    const none = but(sentinelRig(), 'redis-1', () => ({ role: 'replica' }))
    const one = but(sentinelRig(), 'redis-1', ({ info }) => ({ info: { ...info, slave1: 'state=wait_bgsave' } }))
    expect(unsettled('sentinel', two)).toEqual(['masters: redis-1,redis-2'])
    expect(unsettled('sentinel', none)).toEqual(['masters: none'])
    expect(unsettled('sentinel', one)).toEqual(['redis-1 has 1 replicas online'])
  })
})

describe('a cluster', () => {
  it.each([
    ['is not ok', seenBy5({ info: { cluster_state: 'fail' } })],
    ['serves fewer slots', seenBy5({ info: { cluster_slots_ok: '10922' } })],
    ['has a node that failed', seenBy5({ lines: CLUSTER_NODES.replace('slave id3', 'slave,fail id3') })],
    ['has a node that may have failed', seenBy5({ lines: CLUSTER_NODES.replace('slave id3', 'slave,fail? id3') })],
    ['has a node without a link', seenBy5({ lines: CLUSTER_NODES.replace('1 connected\n', '1 disconnected\n') })],
  ])('is not settled when one of its nodes thinks that it %s', (_what, rig) => {
    expect(unsettled('cluster', rig)).toEqual([expect.stringContaining('redis-5')])
  })

  it('is not when a node is unknown, a master has no replica, or views differ', () => {
    const fewer = seenBy5({ lines: CLUSTER_NODES.replace(/id6.*\n/, '') })
    expect(unsettled('cluster', fewer).join()).toMatch(/knows 5 nodes.*10\.0\.0\.3:6379 has no replica.*do not agree/)
    const moved = seenBy5({ lines: CLUSTER_NODES.replace('slave id1', 'slave id2') })
    expect(unsettled('cluster', moved).join()).toMatch(/has no replica.*do not agree/)
  })

  it('is not when a replica has lost its master', () => {
    const rig = but(clusterRig(), 'redis-6', ({ info }) => ({ info: { ...info, master_link_status: 'down' } }))
    expect(unsettled('cluster', rig)).toEqual(['redis-6: does not follow its master'])
  })
})
