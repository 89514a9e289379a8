/** What happens in the application. */
import { ANYWHERE, type Scenario } from './contract.js'

export const APPLICATION: readonly Scenario[] = [
  {
    name: 'rolling-restart',
    title: 'Redis is killed; while it is away, the application is restarted, one process after the other.',
    topologies: ['standalone'],
    steps: [
      { at: 0.25, until: 0.75, fault: { kind: 'kill' } },
      { at: 0.38, fault: { kind: 'restart-app', app: 'A' } },
      { at: 0.55, fault: { kind: 'restart-app', app: 'B' } },
    ],
    bites: 'everything',
  },
  {
    name: 'clock-jump',
    title: "One application process's clock jumps ahead by two hours, and later back.",
    topologies: ['standalone'],
    steps: [{ at: 0.28, until: 0.68, fault: { kind: 'clock-jump', app: 'A', by: 7_200_000 } }],
    bites: 'nothing',
  },
  {
    name: 'calm',
    title: 'Nothing happens: what a run costs, and what the checkers say of it.',
    topologies: ANYWHERE,
    steps: [],
    bites: 'nothing',
  },
]
