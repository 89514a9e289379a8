// `npm run demo`: installs what is missing, finds a redis-server, runs the demo (chaos/demo) and hands on its exit code.

import { HELP, readDemoOptions } from './demo-options.mjs'
import { ensureDependencies } from './ensure-dependencies.mjs'
import { ensureRedisServer } from './redis-server.mjs'

const request = readDemoOptions(process.argv.slice(2))
if (request.kind === 'help') {
  console.log(HELP)
} else if (request.kind === 'error') {
  console.error(`${request.message}\nSee npm run demo -- --help`)
  process.exitCode = 2
} else {
  process.exitCode = await run(request.options)
}

/** @param {import('./demo-options.mjs').DemoOptions} options */
async function run(options) {
  const log = (/** @type {string} */ line) => console.log(line)
  try {
    await ensureDependencies({ log })
    const server = await ensureRedisServer({ log })
    const { register } = await import('tsx/esm/api')
    register()
    const { runDemo } = await import('../chaos/demo/main.js')
    return await runDemo(options, server)
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    return 1
  }
}
