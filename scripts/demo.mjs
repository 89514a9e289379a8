// `npm run demo`: installs what is missing, finds a redis-server, runs the demo (chaos/demo) and hands on its exit code.
import { HELP, readDemoOptions } from './demo-options.mjs'
import { carryOut } from './prepare.mjs'

await carryOut('demo', HELP, readDemoOptions(process.argv.slice(2)), async (options) => {
  const { runDemo } = await import('../chaos/demo/main.js')
  return runDemo(options)
})
