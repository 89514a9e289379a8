/** All scenarios, by what they are done to. */
import { APPLICATION } from './application.js'
import type { Scenario } from './contract.js'
import { NETWORK } from './network.js'
import { REPLICATION } from './replication.js'
import { SERVERS } from './servers.js'

export const SCENARIOS: readonly Scenario[] = [...SERVERS, ...REPLICATION, ...NETWORK, ...APPLICATION]

/** A scenario by its name. @throws {RangeError} naming those there are. */
export function scenarioNamed(name: string): Scenario {
  const scenario = SCENARIOS.find((each) => each.name === name)
  if (scenario !== undefined) return scenario
  throw new RangeError(`there is no scenario ${name}; there are ${SCENARIOS.map((each) => each.name).join(', ')}`)
}
