// `npm run test:matrix`: the test suite on each supported Node version, with alternating library versions, so that
// every version and every pair of library versions is met once. Node versions come from npm's `node` package.
// Arguments choose Node versions: `npm run test:matrix -- 22 26`.
import { spawn, spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureDependencies } from './ensure-dependencies.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** opossum 10 needs Node 22; the plain combination, 20 with ioredis 6 and opossum 9, is what `npm test` runs. */
const combinations = [
  { node: 20, ioredis: 5, opossum: 9 },
  { node: 22, ioredis: 6, opossum: 9 },
  { node: 24, ioredis: 5, opossum: 10 },
  { node: 26, ioredis: 6, opossum: 10 },
]

const asked = process.argv.slice(2).map(Number)
const unknown = asked.filter((node) => !combinations.some((combination) => combination.node === node))
if (unknown.length > 0) {
  console.error(`Node must be one of ${combinations.map(({ node }) => node).join(', ')}, not ${unknown.join(', ')}`)
  process.exit(1)
}

await ensureDependencies().catch((error) => {
  console.error(error.message)
  console.log('\n0 passed, 1 failed')
  process.exit(1)
})
const summary = []
for (const combination of combinations.filter(({ node }) => asked.length === 0 || asked.includes(node))) {
  const { node, ioredis, opossum } = combination
  const title = `Node ${node}, ioredis ${ioredis}, opossum ${opossum}`
  console.log(`\n=== ${title}`)
  const executable = findNode(node)
  const counts = executable === undefined ? undefined : await test(executable, { ioredis, opossum })
  summary.push({ title, ...(counts ?? { passed: 0, failed: 1, skipped: 0 }) })
}

console.log('\n=== Summary')
const total = { passed: 0, failed: 0, skipped: 0 }
for (const { title, passed, failed, skipped } of summary) {
  console.log(`${title}: ${line({ passed, failed, skipped })}`)
  total.passed += passed
  total.failed += failed
  total.skipped += skipped
}
console.log(`\n${line(total)}`)
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0

/**
 * @param {number} major
 * @returns {string | undefined} path of a node executable of that version
 */
function findNode(major) {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath
  // Outside the project, where npm would look at the project's own dependencies first.
  const npx = spawnSync('npx', ['--yes', '--package', `node@${major}`, 'node', '--print', 'process.execPath'], {
    cwd: tmpdir(),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    shell: process.platform === 'win32',
  })
  const executable = npx.stdout?.trim().split('\n').at(-1)
  const version = executable && spawnSync(executable, ['--version'], { encoding: 'utf8' }).stdout?.trim()
  if (version?.startsWith(`v${major}.`)) return executable
  console.error(`Node ${major} cannot be had through \`npx --package node@${major}\``)
  return undefined
}

/**
 * @typedef {{ passed: number, failed: number, skipped: number }} Counts
 *
 * @param {string} executable
 * @param {{ ioredis: number, opossum: number }} libraries
 * @returns {Promise<Counts | undefined>} nothing when the run ended without its line of numbers
 */
function test(executable, { ioredis, opossum }) {
  const env = {
    // The random histories in small: `npm test` plays them at length, and what differs here is known by the other tests.
    MODEL_RUNS: '200',
    ...process.env,
    PATH: `${dirname(executable)}${delimiter}${process.env.PATH}`,
    IOREDIS: String(ioredis),
    OPOSSUM: String(opossum),
  }
  return new Promise((resolve, reject) => {
    const child = spawn(executable, [join(root, 'scripts', 'test.mjs')], {
      cwd: root,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      output += chunk
      process.stdout.write(chunk)
    })
    child.on('error', reject)
    child.on('close', (code) => {
      const numbers = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/.exec(output.trim().split('\n').at(-1) ?? '')
      if (numbers === null) return resolve(undefined)
      const [passed = 0, failed = 0, skipped = 0] = numbers.slice(1).map((number) => Number(number ?? 0))
      resolve({ passed, failed: code === 0 ? failed : Math.max(failed, 1), skipped })
    })
  })
}

/** @param {Counts} counts */
function line({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}
