/** Faults that show in who is master, or in what becomes of data. */
import type { Fault, Topology } from '../contract.js'
import { type Bench, KEY } from './bench.js'
import { describeFault, type Row } from './rows.js'

const REPLICATED: readonly Topology[] = ['sentinel', 'cluster']
const READ = ['GET', KEY] as const
const WRITE = ['SET', KEY, 'during'] as const

function electionRow(fault: Fault, topologies: readonly Topology[], bites: (bench: Bench) => Promise<void>): Row {
  return {
    name: `${describeFault(fault)}, in time`,
    topologies,
    fault,
    async bites(bench) {
      await bench.inject(fault)
      await bites(bench)
    },
  }
}

/** Another master takes writes, and keeps what the last one had acknowledged. */
async function succeeded(bench: Bench): Promise<void> {
  await bench.change('another node to be master', async () => {
    const successor = await bench.masterOf(KEY, bench.master)
    await bench.expect('after the election', 'a', READ, 'before', successor)
    await bench.expect('after the election', 'a', WRITE, 'OK', successor)
  })
}

export const ELECTION_ROWS: readonly Row[] = [
  electionRow({ kind: 'kill', back: 'empty' }, ['standalone'], async (bench) => {
    await bench.expect('dead', 'a', READ, 'ECONNREFUSED')
    await bench.heal()
    await bench.expect('back and empty', 'a', READ, '(nil)')
  }),
  electionRow({ kind: 'kill', back: 'same' }, ['standalone'], async (bench) => {
    await bench.expect('dead', 'a', READ, 'ECONNREFUSED')
    await bench.heal()
    await bench.expect('back from disk', 'a', READ, 'before')
  }),
  electionRow({ kind: 'kill' }, REPLICATED, succeeded),
  electionRow({ kind: 'pause' }, REPLICATED, succeeded),
  electionRow({ kind: 'partition', from: 'all' }, REPLICATED, succeeded),
  electionRow({ kind: 'failover' }, REPLICATED, succeeded),
  electionRow({ kind: 'partition', from: 'peers' }, ['sentinel'], async (bench) => {
    await bench.change('the lonely master to refuse writes', () =>
      bench.expect('cut off from its replicas', 'a', WRITE, 'NOREPLICAS'),
    )
    await bench.change('the others to elect another', async () => {
      if ((await bench.masters()).length < 2) throw new Error('there is one master only')
    })
  }),
  electionRow({ kind: 'lag' }, ['sentinel'], async (bench) => {
    await bench.expect('ahead of its replicas', 'a', WRITE, 'OK')
    await bench.inject({ kind: 'kill' })
    await bench.change('a replica that lags to be master', async () => {
      const successor = await bench.masterOf(KEY, bench.master)
      await bench.expect('after the election', 'a', READ, 'before', successor)
    })
  }),
  electionRow({ kind: 'kill', target: 'majority' }, ['sentinel'], async (bench) => {
    await bench.change('the last Sentinel to be alone', async () => {
      const outcome = await bench.rig.command('sentinel-3', 'SENTINEL', 'CKQUORUM', 'mymaster').catch(String)
      if (!String(outcome).includes('NOQUORUM')) throw new Error(`it says ${outcome}`)
    })
  }),
  electionRow({ kind: 'kill', target: 'majority' }, ['cluster'], async (bench) => {
    const rest = (await bench.masters()).at(-1)!
    await bench.change('the rest to give up', () => bench.expect('a minority', 'a', WRITE, 'CLUSTERDOWN', rest))
  }),
  electionRow({ kind: 'kill', target: 'shard' }, ['cluster'], async (bench) => {
    const rest = (await bench.masters()).at(-1)!
    await bench.expect('a dead shard', 'a', READ, 'ECONNREFUSED')
    await bench.change('the shard to be given up', async () => {
      const lines = String(await bench.rig.command(rest, 'CLUSTER', 'NODES')).split('\n')
      if (lines.filter((line) => / \S*fail /.test(line)).length < 2) throw new Error('it is not')
    })
    await bench.expect('another shard', 'a', ['SET', await bench.keyOf(rest), 'here'], 'OK', rest)
  }),
]
