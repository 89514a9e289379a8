// What must be there before TypeScript can run against a real Redis: `npm run demo` and `npm run chaos` are one command
// on a bare machine.
import './closed-pipe.mjs'
import { ensureDependencies } from './ensure-dependencies.mjs'
import { ensureRedisServer } from './redis-server.mjs'

/**
 * Sees to dependencies and a redis-server, then runs; TypeScript may be imported by then.
 *
 * @param {() => Promise<number>} run
 * @param {{ redis: boolean }} needs
 * @returns {Promise<number>} an exit code; 1 for an error, which is told
 */
export async function prepare(run, { redis }) {
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
