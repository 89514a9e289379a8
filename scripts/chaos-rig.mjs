// `npm run chaos:rig`: the suite of the chaos drivers, against processes and against containers. `-- --driver docker` or
// `-- --driver process` for one of them, `-- --driver auto` for docker or, failing that, process; `-- --short` without most
// of the elections; other arguments go to vitest. Where no Docker engine answers or can be started, that driver is reported
// as not run, with the reason.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { values, positionals } = parseArgs({
  options: { driver: { type: 'string', default: 'process,docker' }, short: { type: 'boolean', default: false } },
  allowPositionals: true,
})
const drivers = new Set((values.driver === 'auto' ? 'docker' : values.driver).split(','))
const unknown = [...drivers].filter((name) => name !== 'process' && name !== 'docker')
if (unknown.length > 0) {
  console.error(`--driver is process, docker, both or auto, got ${unknown}`)
  process.exit(2)
}

/** @type {Record<string, string>} */
const env = { CHAOS_RIG_ROWS: values.short ? 'short' : 'all' }
const refusal = drivers.has('docker') ? await whyNoDocker() : undefined
if (refusal !== undefined) {
  drivers.delete('docker')
  if (values.driver === 'auto') drivers.add('process')
  env.CHAOS_RIG_NOT_RUN = `docker: ${refusal}`
}
console.log(
  `chaos rig: ${[...drivers].join(' and ') || 'no driver'}${refusal ? `; NOT RUN: ${env.CHAOS_RIG_NOT_RUN}` : ''}`,
)
const { status } = spawnSync(
  process.execPath,
  [join(root, 'scripts', 'test.mjs'), join('chaos', 'drivers', 'rig.test.ts'), ...positionals],
  { cwd: root, stdio: 'inherit', env: { ...process.env, ...env, CHAOS_RIG: [...drivers].join(',') } },
)
engine('stop')
process.exitCode = status ?? 1

/** Why no container can run here; what was started for the answer is kept for the tests. */
async function whyNoDocker() {
  const { status: code, stderr } = engine('start')
  return code === 0 ? undefined : stderr.trim().split('\n').at(-1) || `the engine's script ended with ${code}`
}

/** @param {'start' | 'stop'} verb */
function engine(verb) {
  const words = [verb, String(process.pid)]
  return spawnSync(join(root, 'scripts', 'docker-engine.sh'), words, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}
