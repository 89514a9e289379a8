import type { Driver, DriverName } from './contract.js'
import { dockerShipyard } from './docker-fleet.js'
import { processShipyard } from './process-fleet.js'
import { createDriver } from './rig.js'

/** How to choose. */
export interface DriverOptions {
  /** Told which driver was taken, and why. @default nobody */
  readonly log?: (line: string) => void
}

/**
 * The driver of this name; `auto` takes docker where an engine answers or can be started, else processes.
 * @throws {Error} when it cannot work here, saying why.
 *
 * @example
 * ```ts
 * await using driver = await openDriver('auto', { log: console.error })
 * await using rig = await driver.open('sentinel')
 * const kill = await rig.inject({ kind: 'kill' })
 * await kill.heal()
 * await rig.settled()
 * ```
 */
export async function openDriver(name: DriverName | 'auto', { log = () => {} }: DriverOptions = {}): Promise<Driver> {
  const tell = (driver: Driver): Driver => {
    log(`chaos driver: ${driver.name} (${driver.description})`)
    return driver
  }
  if (name !== 'process') {
    try {
      return tell(createDriver(await dockerShipyard()))
    } catch (error) {
      if (name === 'docker') throw error
      log(`chaos driver: not docker: ${error instanceof Error ? error.message : error}`)
    }
  }
  return tell(createDriver(await processShipyard()))
}
