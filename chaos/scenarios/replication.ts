/** What happens between masters and replicas. */
import { HIGHLY_AVAILABLE, type Scenario, UNREPLICATED } from './contract.js'

const OUTAGE = { at: 0.28, until: 0.68 } as const

export const REPLICATION: readonly Scenario[] = [
  {
    name: 'failover',
    title: 'A replica is made master in an orderly failover.',
    topologies: HIGHLY_AVAILABLE,
    steps: [{ at: 0.35, fault: { kind: 'failover' } }],
    loses: UNREPLICATED,
    bites: 'nothing',
  },
  {
    name: 'failover-lag',
    title:
      'The replicas stop following; then the master is killed, and one of them takes over without the last writes.',
    topologies: HIGHLY_AVAILABLE,
    steps: [
      { at: 0.2, until: 0.75, fault: { kind: 'lag' } },
      { at: 0.35, until: 0.7, fault: { kind: 'kill' } },
    ],
    loses: UNREPLICATED,
    bites: 'some',
  },
  {
    name: 'partition-master',
    title: 'The master is cut off from everybody; a replica takes over.',
    topologies: HIGHLY_AVAILABLE,
    steps: [{ ...OUTAGE, fault: { kind: 'partition', from: 'all' } }],
    loses: UNREPLICATED,
    bites: 'some',
  },
  {
    name: 'split-brain',
    title: 'The master is cut off from its peers, but applications still reach it; a replica takes over.',
    topologies: HIGHLY_AVAILABLE,
    steps: [{ ...OUTAGE, fault: { kind: 'partition', from: 'peers' } }],
    loses: UNREPLICATED,
    bites: 'some',
  },
  {
    name: 'shard-loss',
    title: 'One shard of the cluster dies, master and replica, and later comes back.',
    topologies: ['cluster'],
    steps: [{ ...OUTAGE, fault: { kind: 'kill', target: 'shard' } }],
    loses: UNREPLICATED,
    bites: 'some',
  },
  {
    name: 'majority-loss',
    title: 'So many Sentinels die that the rest can name no master; then the master dies.',
    topologies: ['sentinel'],
    steps: [
      { at: 0.22, until: 0.7, fault: { kind: 'kill', target: 'majority' } },
      { at: 0.35, until: 0.65, fault: { kind: 'kill' } },
    ],
    loses: UNREPLICATED,
    bites: 'some',
  },
  {
    name: 'masters-loss',
    title: 'Two of three masters die; the rest of the cluster can elect nobody in their place.',
    topologies: ['cluster'],
    steps: [{ ...OUTAGE, fault: { kind: 'kill', target: 'majority' } }],
    loses: UNREPLICATED,
    bites: 'some',
  },
]
