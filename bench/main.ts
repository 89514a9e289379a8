/** `npm run bench`: every scenario (or those named), ratios of interleaved rounds in one run. Prints, and writes `bench/results/`. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startRedis } from '../test/support/redis-server.js'
import { Worker } from './crew.js'
import { measure, type Ratio, type Result } from './measure.js'
import type { Bench, Scenario } from './scenario.js'
import { encryption } from './scenarios/encryption.js'
import { failingTogether } from './scenarios/failing-together.js'
import { get } from './scenarios/get.js'
import { guardedSave } from './scenarios/guarded-save.js'
import { memory } from './scenarios/memory.js'
import { nearCache } from './scenarios/near-cache.js'
import { openBreaker } from './scenarios/open-breaker.js'
import { set } from './scenarios/set.js'
import { touch } from './scenarios/touch.js'
import { walks } from './scenarios/walks.js'

const SCENARIOS: readonly Scenario[] = [
  get,
  set,
  touch,
  guardedSave,
  nearCache,
  openBreaker,
  failingTogether,
  memory,
  walks,
  encryption,
]
const PACKAGES = ['ioredis', 'ioredis5', 'redis', 'connect-redis', 'connect-redis-8', 'opossum', 'express-session']

const { values: flags, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '11' },
    ms: { type: 'string', default: '120' },
  },
})
const unknown = wanted.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name))
if (unknown.length > 0) {
  console.error(`No such scenario: ${unknown.join(', ')}. There are: ${SCENARIOS.map(({ name }) => name).join(', ')}`)
  process.exit(2)
}

await using redis = await startRedis()
const report: { scenario: string; title: string; results?: Result[]; figures?: unknown }[] = []
const about = {
  date: new Date().toISOString(),
  node: process.version,
  redis: redis.version,
  ...Object.fromEntries(PACKAGES.map((name) => [name, versionOf(name)])),
  cpu: `${cpus().length} x ${cpus()[0]?.model.trim()}`,
  memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
}
console.log(
  Object.entries(about)
    .map(([name, value]) => `${name} ${value}`)
    .join(', '),
)
for (const scenario of SCENARIOS) {
  if (wanted.length > 0 && !wanted.includes(scenario.name)) continue
  console.log(`\n${scenario.name}: ${scenario.about}`)
  const crew: Worker[] = []
  try {
    await scenario.run(bench(scenario.name, crew))
  } finally {
    for (const worker of crew) await worker[Symbol.asyncDispose]()
  }
}
save()

function bench(scenario: string, crew: Worker[]): Bench {
  return {
    redis,
    async start(names, bytes) {
      const workers: Worker[] = []
      for (const name of names) {
        const worker = await Worker.start(name, { url: redis.url, bytes })
        workers.push(worker)
        crew.push(worker)
      }
      return workers
    },
    async compare(workers, { title, task, concurrency }) {
      const variants = workers.map((worker) => ({
        name: worker.name,
        round: (options: { concurrency: number; ms: number }) => worker.round(task, options, redisCpu),
      }))
      const results = await measure(variants, {
        concurrency,
        rounds: Number(flags.rounds),
        ms: Number(flags.ms),
        onRound: (done, of) => progress(`  ${title}: round ${done} of ${of} `),
      })
      progress('')
      report.push({ scenario, title, results })
      console.log(`  ${title}`)
      for (const result of results) console.log(`    ${line(result)}`)
    },
    note(title, figures) {
      report.push({ scenario, title, figures })
      console.log(`  ${title}`)
      for (const [name, figure] of Object.entries(figures)) console.log(`    ${name.padEnd(26)} ${figure}`)
    },
  }
}

function line(result: Result): string {
  const { name, perSecond, cpuMicros, redisMicros, throughput, cpu, redis } = result
  const figures = `${perSecond.toFixed(0).padStart(8)}/s ${cpuMicros.toFixed(1).padStart(7)} us ${redisMicros.toFixed(1).padStart(6)} us in Redis`
  return `${name.padEnd(22)} ${figures}   throughput ${ratio(throughput)}  CPU ${ratio(cpu)}  Redis x${redis.median.toFixed(2)}`
}

function ratio({ median, spread }: Ratio): string {
  return `x${median.toFixed(2)} (${spread.map((value) => value.toFixed(2)).join('-')})`
}

/** Seconds of CPU that Redis has used. */
async function redisCpu(): Promise<number> {
  const info = await redis.cli('INFO', 'cpu')
  const used = (kind: string): number => Number(new RegExp(`^used_cpu_${kind}:([\\d.]+)`, 'm').exec(info)?.[1])
  return used('user') + used('sys')
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`)
}

function versionOf(name: string): string {
  // Not every package exports its package.json.
  const require = createRequire(import.meta.url)
  for (const directory of require.resolve.paths(name) ?? []) {
    try {
      return (JSON.parse(readFileSync(join(directory, name, 'package.json'), 'utf8')) as { version: string }).version
    } catch {
      // Not in this one.
    }
  }
  return 'unknown'
}

function save(): void {
  const directory = new URL('../../../bench/results/', import.meta.url)
  mkdirSync(directory, { recursive: true })
  const major = process.versions.node.split('.')[0]
  const file = new URL(`${wanted.join('+') || 'all'}-node${major}.json`, directory)
  writeFileSync(file, `${JSON.stringify({ about, report }, undefined, 2)}\n`)
}
