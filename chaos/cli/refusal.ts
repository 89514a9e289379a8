import type { Driver, Topology } from '../drivers/contract.js'
import type { AppFault, Scenario } from '../scenarios/contract.js'

/** Why a scenario cannot be run as asked. */
export function refusalOf(scenario: Scenario, topology: Topology, driver: Driver): string | undefined {
  if (!scenario.topologies.includes(topology)) {
    return `${scenario.name} makes sense on ${scenario.topologies.join(', ')}; got ${topology}`
  }
  for (const { fault } of scenario.steps) {
    if (isAppFault(fault)) continue
    const refusal = driver.refusal(topology, fault)
    if (refusal !== undefined) return `${scenario.name}: ${refusal}`
  }
  return undefined
}

function isAppFault(fault: Scenario['steps'][number]['fault']): fault is AppFault {
  return fault.kind === 'restart-app' || fault.kind === 'clock-jump'
}
