// With the other tests runs what is short, against processes; `npm run chaos:rig` runs all of it against every driver that
// it can have here (CHAOS_RIG), and says which it cannot, and why (CHAOS_RIG_NOT_RUN).
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isListening } from '../../test/support/ports.js'
import type { Driver, DriverName } from './contract.js'
import { openDriver } from './drivers.js'
import { clientSuite } from './suite/client-suite.js'
import { ALL_ROWS, KILL_ROW, rigSuite } from './suite/rig-suite.js'

const TOPOLOGIES = ['standalone', 'sentinel', 'cluster'] as const
const { CHAOS_RIG = 'process', CHAOS_RIG_ROWS = 'short', CHAOS_RIG_NOT_RUN } = process.env
const drivers = CHAOS_RIG.split(',').filter((name) => name !== '') as DriverName[]
const all = CHAOS_RIG_ROWS === 'all'

if (CHAOS_RIG_NOT_RUN !== undefined) it.skip(`not run: ${CHAOS_RIG_NOT_RUN}`)

describe.each(drivers)('the %s driver', (name) => {
  let driver: Driver
  beforeAll(async () => {
    driver = await openDriver(name)
  }, 120_000)
  afterAll(() => driver?.close(), 60_000)

  for (const topology of TOPOLOGIES) {
    rigSuite(() => driver, topology, all || topology === 'standalone' ? ALL_ROWS : KILL_ROW)
  }
  if (all) clientSuite(() => driver)

  it('leaves nothing behind, whatever state its servers are in', { timeout: 90_000 }, async () => {
    const rig = await driver.open('sentinel')
    const connection = await rig.connection('a')
    const direct = rig.direct()
    await rig.inject({ kind: 'pause', target: 'master' })
    await rig.inject({ kind: 'kill', target: { node: 'sentinel-1' } })
    await rig.inject({ kind: 'latency', ms: 1_000 })
    const cut = { kind: 'partition', from: 'peers', target: { node: 'redis-2' } } as const
    if (driver.refusal('sentinel', cut) === undefined) await rig.inject(cut)
    await rig.close()
    const ports = [connection, direct].flatMap((one) => ('natMap' in one ? Object.values(one.natMap) : []))
    expect(ports).toHaveLength(12)
    for (const { port } of ports) expect(await isListening(port)).toBe(false)
  })

  it('names what it cannot do, and does not do it', { timeout: 90_000 }, async () => {
    await using rig = await driver.open('standalone', { appendonly: false, maxmemory: '20mb' })
    const fault = { kind: 'failover' } as const
    expect(driver.refusal('standalone', fault)).toContain('nobody')
    await expect(rig.inject(fault)).rejects.toMatchObject({ code: 'EUNSUPPORTEDFAULT' })
    expect(await rig.command('redis-1', 'CONFIG', 'GET', 'maxmemory')).toEqual(['maxmemory', '20971520'])
    expect(await rig.command('redis-1', 'CONFIG', 'GET', 'appendonly')).toEqual(['appendonly', 'no'])
  })
})
