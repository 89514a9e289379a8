// `npm test`: installs what is missing, finds a redis-server, runs the tests and ends with one line of numbers.
// Arguments go to vitest (`npm test -- test/unit -t queue`); IOREDIS and OPOSSUM choose library versions.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureDependencies } from './ensure-dependencies.mjs'
import { ensureRedisServer } from './redis-server.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const log = (/** @type {string} */ line) => console.log(line)

try {
  await ensureDependencies({ log })
  // test/support/find-redis.ts looks here before it searches again.
  process.env.TEST_REDIS_DESCRIPTOR = JSON.stringify(await ensureRedisServer({ log }))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  end({ passed: 0, failed: 0, skipped: 0 }, 1)
}

const scratch = mkdtempSync(join(tmpdir(), 'resilient-session-store-'))
const resultFile = join(scratch, 'vitest.json')
const exitCode = await runVitest(process.argv.slice(2))
const result = existsSync(resultFile) ? JSON.parse(readFileSync(resultFile, 'utf8')) : undefined
rmSync(scratch, { recursive: true, force: true })
end(count(result), exitCode)

/**
 * @param {string[]} args
 * @returns {Promise<number>}
 */
function runVitest(args) {
  const command = [
    join(root, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${resultFile}`,
    ...args,
  ]
  return new Promise((resolve, reject) => {
    const vitest = spawn(process.execPath, command, { cwd: root, stdio: 'inherit' })
    for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.on(signal, () => vitest.kill(signal))
    vitest.on('error', reject)
    vitest.on('close', (code) => resolve(code ?? 1))
  })
}

/**
 * A file that cannot even be loaded has no tests to count; it counts as one failed test.
 *
 * @param {{ numPassedTests: number, numFailedTests: number, numPendingTests: number, numTodoTests: number,
 *   testResults: { status: string, assertionResults: { status: string }[] }[] } | undefined} result
 */
function count(result) {
  if (result === undefined) return { passed: 0, failed: 0, skipped: 0 }
  const broken = result.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed'),
  )
  return {
    passed: result.numPassedTests,
    failed: result.numFailedTests + broken.length,
    skipped: result.numPendingTests + result.numTodoTests,
  }
}

/**
 * @param {{ passed: number, failed: number, skipped: number }} counts
 * @param {number} exitCode of what ran; an unhandled error fails a run in which every test passed
 * @returns {never}
 */
function end({ passed, failed, skipped }, exitCode) {
  if (exitCode === 0 && passed === 0) console.error('No test ran.')
  if (exitCode !== 0 && failed === 0) failed = 1
  console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
  process.exit(failed > 0 || passed === 0 ? 1 : 0)
}
