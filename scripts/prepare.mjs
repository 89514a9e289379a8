// What must be there before TypeScript can run against a real Redis: `npm run demo` and `npm run chaos` are one command
// on a bare machine.
import './closed-pipe.mjs'
import { ensureDependencies } from './ensure-dependencies.mjs'
import { ensureRedisServer } from './redis-server.mjs'

/**
 * @template Options
 * @typedef {{ kind: 'run', options: Options } | { kind: 'help' } | { kind: 'error', message: string }} Request
 */

/**
 * Carries out what a command line asks for, and sets the exit code: 2 where it was wrong.
 *
 * @template Options
 * @param {string} name as in `npm run`
 * @param {string} help
 * @param {Request<Options>} request
 * @param {(options: Options) => Promise<number>} run may import TypeScript
 * @param {(options: Options) => boolean} needsRedis
 */
export async function carryOut(name, help, request, run, needsRedis = () => true) {
  if (request.kind === 'help') {
    console.log(help)
  } else if (request.kind === 'error') {
    console.error(`${request.message}\nSee npm run ${name} -- --help`)
    process.exitCode = 2
  } else {
    const { options } = request
    process.exitCode = await prepare(() => run(options), { redis: needsRedis(options) })
  }
}

/**
 * Sees to dependencies and a redis-server, then runs; TypeScript may be imported by then.
 *
 * @param {() => Promise<number>} run
 * @param {{ redis: boolean }} needs
 * @returns {Promise<number>} an exit code; 1 for an error, which is told
 */
async function prepare(run, { redis }) {
  const log = (/** @type {string} */ line) => console.log(line)
  try {
    await ensureDependencies({ log })
    // test/support/find-redis.ts looks here before it searches again.
    if (redis) process.env.TEST_REDIS_DESCRIPTOR = JSON.stringify(await ensureRedisServer({ log }))
    const { register } = await import('tsx/esm/api')
    register()
    return await run()
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    return 1
  }
}
