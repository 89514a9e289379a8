/** What is to be run, and the header that says so. */
import { createRequire } from 'node:module'
import { availableParallelism, totalmem } from 'node:os'
import type { DriverName, Topology } from '../drivers/contract.js'
import { FORMAT, type Header, type Losses, type Settings } from '../records.js'
import type { Scenario } from '../scenarios/contract.js'

export interface Plan extends Pick<Header, 'topology' | 'store' | 'defect' | 'policy' | 'front' | 'seed' | 'seconds'> {
  readonly scenario: Scenario
  /** Arrivals a second. @default 120 */
  readonly rate?: number
}

const RATE = 120
const VISITORS = 50
/** Application processes. */
const PROCESSES = ['A', 'B'] as const

/** The library's own defaults, but for the cookie. */
const SETTINGS: Settings = {
  timeout: 250,
  maxStale: 30_000,
  queueMaxAge: 600_000,
  cacheMax: 10_000,
  cacheMaxBytes: 67_108_864,
  queueMax: 10_000,
  queueMaxBytes: 67_108_864,
  revokeFor: 600_000,
  maxInFlight: 10_000,
  cookieMaxAge: 3_600_000,
}

/** How long recovery may take once Redis answers, in ms: reconnecting after a failover takes longer. */
const RECOVER_WITHIN: Readonly<Record<Topology, number>> = { standalone: 1500, sentinel: 3000, cluster: 3000 }

const NOTHING: Losses = { kind: 'nothing' }

export function headerFor(plan: Plan, driver: DriverName, redis: string): Header {
  const { scenario, topology, store, policy, front, seed, seconds, rate = RATE, defect } = plan
  return {
    kind: 'header',
    format: FORMAT,
    scenario: scenario.name,
    title: scenario.title,
    topology,
    driver,
    store,
    ...(defect === undefined ? {} : { defect }),
    policy,
    front,
    seed,
    seconds,
    rate,
    visitors: VISITORS,
    processes: PROCESSES,
    settings: { ...SETTINGS, ...scenario.settings },
    loses: scenario.loses?.[topology] ?? NOTHING,
    bites: typeof scenario.bites === 'string' ? scenario.bites : scenario.bites[topology],
    recoverWithin: RECOVER_WITHIN[topology],
    versions: { node: process.versions.node, redis, ...libraryVersions() },
    machine: `${availableParallelism()} processors, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    started: new Date().toISOString(),
  }
}

const LIBRARIES = [
  'ioredis',
  'opossum',
  'express',
  'express-session',
  'connect-redis',
  'redis',
  'connect-redis-8',
  'ioredis5',
]

function libraryVersions(): Record<string, string> {
  const require = createRequire(import.meta.url)
  const versions = LIBRARIES.map((name) => [name === 'redis' ? 'node-redis' : name, versionOf(require, name)])
  return Object.fromEntries(versions)
}

function versionOf(require: NodeJS.Require, name: string): string {
  const paths = require.resolve.paths(name) ?? []
  for (const path of paths) {
    try {
      return String((require(`${path}/${name}/package.json`) as { version: string }).version)
    } catch {
      // Not there, or a file that the package does not let anybody read: the next place.
    }
  }
  return 'none'
}
