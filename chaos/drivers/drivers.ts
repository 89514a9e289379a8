import type { Driver, DriverName } from './contract.js'
import { processShipyard } from './process-fleet.js'
import { createDriver } from './rig.js'

/**
 * The driver of this name.
 * @throws {Error} when it cannot work here, saying why.
 *
 * @example
 * ```ts
 * await using driver = await openDriver('process')
 * await using rig = await driver.open('sentinel')
 * const kill = await rig.inject({ kind: 'kill' })
 * await kill.heal()
 * await rig.settled()
 * ```
 */
export async function openDriver(name: DriverName | 'auto'): Promise<Driver> {
  if (name === 'docker') throw new Error('there is no docker driver yet')
  return createDriver(await processShipyard())
}
