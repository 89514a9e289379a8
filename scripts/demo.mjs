// `npm run demo`: installs what is missing, finds a redis-server, runs the demo (chaos/demo) and hands on its exit code.
import { HELP, readDemoOptions } from './demo-options.mjs'
import { prepare } from './prepare.mjs'

const request = readDemoOptions(process.argv.slice(2))
if (request.kind === 'help') {
  console.log(HELP)
} else if (request.kind === 'error') {
  console.error(`${request.message}\nSee npm run demo -- --help`)
  process.exitCode = 2
} else {
  const { options } = request
  process.exitCode = await prepare(
    async () => {
      const { runDemo } = await import('../chaos/demo/main.js')
      return runDemo(options)
    },
    { redis: true },
  )
}
