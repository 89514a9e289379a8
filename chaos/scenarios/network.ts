/** What happens on the way to Redis. */
import { ANYWHERE, type Scenario } from './contract.js'

const OUTAGE = { at: 0.28, until: 0.68 } as const

export const NETWORK: readonly Scenario[] = [
  {
    name: 'slow',
    title: 'Answers from Redis take 50 to 500 ms, where the store waits for 250.',
    topologies: ANYWHERE,
    steps: [{ ...OUTAGE, fault: { kind: 'latency', ms: 137, jitter: 112 } }],
    bites: 'some',
  },
  {
    name: 'loss',
    title: 'A tenth of all messages is lost and sent again.',
    topologies: ['standalone'],
    steps: [{ ...OUTAGE, fault: { kind: 'loss', share: 0.1 } }],
    bites: 'some',
  },
  {
    name: 'flapping',
    title: 'Redis comes and goes every few hundred milliseconds.',
    topologies: ANYWHERE,
    steps: [{ at: 0.25, until: 0.7, fault: { kind: 'refuse' }, flapping: { on: 300, off: 300 } }],
    bites: 'some',
  },
  {
    name: 'partition-app',
    title: 'One of the two application processes reaches nothing, the other one everything.',
    topologies: ANYWHERE,
    steps: [{ ...OUTAGE, fault: { kind: 'partition-app', app: 'B' } }],
    bites: 'some',
  },
  {
    name: 'resets',
    title: 'All connections are reset, again and again.',
    topologies: ANYWHERE,
    steps: Array.from({ length: 12 }, (_, turn) => ({ at: 0.25 + turn * 0.04, fault: { kind: 'reset' } })),
    bites: 'nothing',
  },
  {
    name: 'cut-mid-reply',
    title: 'Connections break in the middle of a reply.',
    topologies: ['standalone', 'sentinel'],
    steps: [{ ...OUTAGE, fault: { kind: 'cut-mid-reply', nth: 7 } }],
    bites: 'some',
  },
  {
    name: 'lost-replies',
    title: 'Redis carries out everything, and no reply gets through.',
    topologies: ['standalone'],
    steps: [{ ...OUTAGE, fault: { kind: 'lose-replies' } }],
    bites: 'everything',
  },
  {
    name: 'half-open',
    title: "The servers' side of every connection is gone, and nobody told the clients.",
    topologies: ['standalone', 'sentinel'],
    steps: [{ ...OUTAGE, fault: { kind: 'half-open' } }],
    bites: 'some',
  },
]
