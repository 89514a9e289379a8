// A Cluster of two masters that speak TLS alone, to clients and to each other.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createCertificate, hasOpenssl } from '../../support/certificates.js'
import { until } from '../../support/wait.js'
import { afterThis, downError, load, openStore, server, session, untilUp } from '../store-kit.js'

const HALF = 8_192

describe.skipIf(!(await hasOpenssl()))('over TLS', () => {
  it('a store that was told of one master trusts, finds and uses both', { timeout: 60_000 }, async () => {
    const directory = await mkdtemp(join(tmpdir(), 'rss-tls-'))
    afterThis(() => rm(directory, { recursive: true, force: true }))
    const tls = await createCertificate(directory)
    const config = { 'cluster-enabled': 'yes', 'cluster-announce-ip': '127.0.0.1', 'tls-cluster': 'yes' }
    const [one, two] = [await server({ tls, config }), await server({ tls, config })]
    await one.cli('CLUSTER', 'ADDSLOTSRANGE', 0, HALF - 1)
    await two.cli('CLUSTER', 'ADDSLOTSRANGE', HALF, 2 * HALF - 1)
    await two.cli('CLUSTER', 'SET-CONFIG-EPOCH', 2)
    await one.cli('CLUSTER', 'MEET', two.host, two.port)
    for (const node of [one, two]) {
      await until(async () => (await node.cli('CLUSTER', 'INFO')).includes('cluster_state:ok'), {
        timeoutMs: 30_000,
        what: 'the cluster',
      })
    }
    const cluster = [{ host: one.host, port: one.port }]
    const store = openStore({ url: '' }, { redis: { cluster, redisOptions: { tls: { ca: tls.ca } } }, timeout: 2_000 })
    await store.ready()
    const sids = Array.from({ length: 8 }, (_, n) => `visitor-${n}`)
    for (const sid of sids) await store.set(sid, session({ sid }))
    for (const sid of sids) expect(await load(store, sid)).toMatchObject({ sid })
    for (const node of [one, two]) expect(await node.cli<number>('DBSIZE')).toBeGreaterThan(0)
    await two.restart()
    await untilUp(store, 30_000)

    const distrustful = openStore({ url: '' }, { redis: { cluster, redisOptions: { tls: {} } } })
    await downError(distrustful.ready(2_000))
  })
})
