/** Each fault with what a client must see while it lasts. A row that is given a rig whose faults do nothing must fail. */
import type { Fault, Topology } from '../contract.js'
import { type Bench, KEY } from './bench.js'
import type { Seen } from './caller.js'

/** One fault, and the proof that it bites. */
export interface Row {
  readonly name: string
  readonly topologies: readonly Topology[]
  readonly fault: Fault
  /** Injects the fault. @throws {Error} when an application does not see it. */
  bites(bench: Bench): Promise<void>
}

/** What one command sees. */
type Call = readonly [words: readonly (string | number)[], seen: Seen]

const EVERYWHERE: readonly Topology[] = ['standalone', 'sentinel', 'cluster']
const READ = ['GET', KEY] as const
const WRITE = ['SET', KEY, 'during'] as const
const DELETE = ['DEL', `${KEY}:other`] as const

interface Sights {
  /** On the connection that was there before. */
  readonly held?: readonly Call[]
  /** On new connections. */
  readonly fresh?: readonly Call[]
  /** On new connections of the other application; as for the first when left out. */
  readonly other?: readonly Call[]
  readonly topologies?: readonly Topology[]
}

/** A fault that shows in single calls. */
function row(fault: Fault, { held = [], fresh = [], other = fresh, topologies = EVERYWHERE }: Sights): Row {
  return {
    name: describeFault(fault),
    topologies,
    fault,
    async bites(bench) {
      await bench.inject(fault)
      for (const [words, expected] of held) await bench.held.expect(expected, words, 'on the held connection')
      for (const [words, expected] of fresh) await bench.expect('during the fault', 'a', words, expected)
      for (const [words, expected] of other) await bench.expect('during the fault', 'b', words, expected)
    },
  }
}

const SILENT = { held: [[READ, 'silence']], fresh: [[READ, 'silence']] } satisfies Sights
const GONE = { held: [[READ, 'fin']], fresh: [[READ, 'ECONNREFUSED']] } satisfies Sights

function refusesClients(topology: Topology): Row {
  const reached = topology === 'cluster' ? 'clients + cluster connections' : 'clients'
  const fresh: Call = [READ, `ERR max number of ${reached} reached`]
  return row({ kind: 'max-clients' }, { held: [[READ, 'ECONNRESET']], fresh: [fresh], topologies: [topology] })
}

/** Faults that show at once, on whichever master. */
export const CALL_ROWS: readonly Row[] = [
  row({ kind: 'kill' }, GONE),
  row({ kind: 'stop' }, GONE),
  row({ kind: 'pause' }, SILENT),
  row(
    { kind: 'loading', seconds: 8 },
    { held: [[READ, 'fin']], fresh: [[READ, 'LOADING']], topologies: ['standalone'] },
  ),
  row({ kind: 'debug-sleep', seconds: 0.5 }, SILENT),
  row(
    { kind: 'client-pause' },
    {
      held: [[READ, 'before']],
      fresh: [
        [READ, 'before'],
        [WRITE, 'silence'],
      ],
    },
  ),
  row(
    { kind: 'fill-memory' },
    {
      held: [
        [WRITE, 'OOM'],
        [READ, 'before'],
      ],
      fresh: [
        [WRITE, 'OOM'],
        [DELETE, '0'],
      ],
    },
  ),
  row(
    { kind: 'read-only', how: 'replica' },
    {
      held: [
        [WRITE, 'READONLY'],
        [READ, 'before'],
      ],
      fresh: [[DELETE, 'READONLY']],
      topologies: ['standalone', 'sentinel'],
    },
  ),
  row(
    { kind: 'read-only', how: 'min-replicas' },
    {
      held: [
        [WRITE, 'NOREPLICAS'],
        [READ, 'before'],
      ],
      fresh: [[DELETE, 'NOREPLICAS']],
    },
  ),
  row(
    { kind: 'rotate-password' },
    { held: [[READ, 'ECONNRESET']], fresh: [[READ, 'NOAUTH']], topologies: ['standalone'] },
  ),
  row(
    { kind: 'rotate-password' },
    { held: [[READ, 'ECONNRESET']], fresh: [[READ, 'WRONGPASS']], topologies: ['sentinel', 'cluster'] },
  ),
  ...EVERYWHERE.map(refusesClients),
  row({ kind: 'flush' }, { held: [[READ, '(nil)']], fresh: [[READ, '(nil)']] }),
  row({ kind: 'partition', from: 'apps' }, SILENT),
  row({ kind: 'partition', from: 'all' }, SILENT),
  row({ kind: 'partition-app', app: 'a' }, { ...SILENT, other: [[READ, 'before']] }),
  row({ kind: 'latency', ms: 200 }, SILENT),
  row({ kind: 'latency', ms: 200, app: 'a' }, { ...SILENT, other: [[READ, 'before']] }),
  row({ kind: 'loss', share: 0.999 }, SILENT),
  row(
    { kind: 'refuse', app: 'a' },
    { held: [[READ, 'ECONNRESET']], fresh: [[READ, 'ECONNREFUSED']], other: [[READ, 'before']] },
  ),
  row({ kind: 'reset', app: 'a' }, { held: [[READ, 'ECONNRESET']], fresh: [[READ, 'before']] }),
  row({ kind: 'half-open' }, { held: [[READ, 'silence']], fresh: [[READ, 'before']] }),
  row(
    { kind: 'cut-mid-reply', command: 'GET', nth: 2 },
    {
      held: [
        [READ, 'before'],
        [READ, 'cut'],
      ],
      other: [],
    },
  ),
  row(
    { kind: 'lose-replies', command: 'SET' },
    {
      held: [[WRITE, 'silence']],
      fresh: [
        [READ, 'during'],
        [WRITE, 'silence'],
      ],
    },
  ),
]

/** Names a fault in a line: `partition from=apps`. */
export function describeFault({ kind, ...rest }: Fault): string {
  const details = Object.entries(rest).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  return [kind, ...details].join(' ').replaceAll('"', '')
}
