/** Which faults make no sense in a topology, whatever the driver. Pure. */
import type { Fault, Topology } from './contract.js'
import { targetRefusal } from './shards.js'

/** A fault that cannot be made: ask {@link Driver.refusal} before. */
export class UnsupportedFaultError extends Error {
  override readonly name = 'UnsupportedFaultError'
  readonly code = 'EUNSUPPORTEDFAULT'
}

/** Why a topology has no such fault; undefined where it has. */
export function topologyRefusal(topology: Topology, fault: Fault): string | undefined {
  if (topology === 'standalone') {
    if (fault.kind === 'failover') return 'standalone has nobody to fail over to'
    if (fault.kind === 'partition' && fault.from === 'peers') return 'standalone has no peers'
  }
  if (fault.kind === 'lag' && topology !== 'sentinel') {
    return topology === 'cluster' ? 'a cluster takes no REPLICAOF' : 'standalone has no replicas'
  }
  if (fault.kind === 'read-only' && fault.how === 'replica' && topology === 'cluster')
    return 'a cluster takes no REPLICAOF'
  return 'target' in fault ? targetRefusal(topology, fault.target) : undefined
}
