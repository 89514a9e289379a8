/** `npm run bench`: every scenario (or those named), ratios of interleaved rounds in one run. Prints, and writes `bench/results/`. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { Lane } from '../src/lanes.js'
import { Connection } from '../src/redis/connect.js'
import { SessionCommands, type WriteRequest } from '../src/redis/sessions.js'
import { resolveOptions } from '../src/resolve-options.js'
import { startRedis } from '../test/support/redis-server.js'
import { until } from '../test/support/wait.js'
import { measure, type Result } from './measure.js'
import type { Bench, Scenario } from './scenario.js'
import { guardedSave } from './scenarios/guarded-save.js'

const SCENARIOS: readonly Scenario[] = [guardedSave]

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name))
if (unknown.length > 0) {
  console.error(`No such scenario: ${unknown.join(', ')}. There are: ${SCENARIOS.map(({ name }) => name).join(', ')}`)
  process.exit(2)
}

await using redis = await startRedis()
const opened: (() => Promise<void> | void)[] = []
const report: { scenario: string; title: string; results: Result[] }[] = []
const about = {
  date: new Date().toISOString(),
  node: process.version,
  redis: /redis_version:(\S+)/.exec(String(await redis.cli('INFO', 'server')))?.[1],
  cpu: `${cpus().length} x ${cpus()[0]?.model.trim()}`,
  memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
}
console.log(
  Object.entries(about)
    .map(([name, value]) => `${name} ${value}`)
    .join(', '),
)

try {
  for (const scenario of SCENARIOS) {
    if (wanted.length > 0 && !wanted.includes(scenario.name)) continue
    console.log(`\n${scenario.name}: ${scenario.about}`)
    await scenario.run(bench(scenario.name))
  }
} finally {
  for (const close of opened) await close()
}
const directory = new URL('results/', import.meta.url)
mkdirSync(directory, { recursive: true })
const file = new URL(
  `${wanted.join('+').replaceAll(' ', '-') || 'all'}-node${process.versions.node.split('.')[0]}.json`,
  directory,
)
writeFileSync(file, `${JSON.stringify({ about, report }, undefined, 2)}\n`)

function bench(scenario: string): Bench {
  return {
    async openLane() {
      const connection = new Connection({
        client: undefined,
        redis: redis.url,
        timeout: 1_000,
        onReady: () => {},
        onLost: () => {},
      })
      connection.start()
      opened.push(() => connection.close())
      await connection.usable()
      const { breaker, maxInFlight } = resolveOptions()
      const commands = new SessionCommands(connection, { prefix: 'bench:', binary: false, revokeFor: 600_000 })
      const lane = new Lane<WriteRequest, unknown>({
        name: 'save',
        timeout: 1_000,
        breaker,
        maxInFlight,
        connection,
        send: commands.sendWrites,
        probe: commands.probes.save,
        onChange: () => {},
      })
      opened.unshift(() => lane.shutdown())
      await until(() => connection.state === 'ready', { what: 'the connection' })
      return { connection, lane }
    },
    session: (bytes) => {
      const cookie = { originalMaxAge: 86_400_000, expires: '2030-01-01T00:00:00.000Z', httpOnly: true, path: '/' }
      const empty = JSON.stringify({ cookie, user: 'someone', cart: '' })
      return JSON.stringify({ cookie, user: 'someone', cart: 'x'.repeat(Math.max(0, bytes - empty.length)) })
    },
    async compare(title, concurrency, variants) {
      const onRound = (done: number, of: number): void => {
        if (process.stderr.isTTY) process.stderr.write(`\r  ${title}: round ${done} of ${of} `)
      }
      const results = await measure(variants, { concurrency, rounds: 11, roundMs: 120, onRound })
      if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
      report.push({ scenario, title, results })
      console.log(`  ${title}`)
      for (const { name, perSecond, cpuMicros, throughputRatio, cpuRatio, cpuSpread } of results) {
        const ratios = `throughput x${throughputRatio.toFixed(2)}, CPU x${cpuRatio.toFixed(2)} (${cpuSpread.map((ratio) => ratio.toFixed(2)).join(' to ')})`
        console.log(
          `    ${name.padEnd(26)} ${perSecond.toFixed(0).padStart(8)}/s ${cpuMicros.toFixed(1).padStart(7)} us  ${ratios}`,
        )
      }
    },
  }
}
