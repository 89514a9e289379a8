// `npm run chaos`, `chaos:all`, `chaos:ci`: installs what is missing, finds a redis-server, runs (chaos/cli) and hands on
// the exit code.
import { HELP, readChaosOptions } from './chaos-options.mjs'
import { prepare } from './prepare.mjs'

const request = readChaosOptions(process.argv.slice(2))
if (request.kind === 'help') {
  console.log(HELP)
} else if (request.kind === 'error') {
  console.error(`${request.message}\nSee npm run chaos -- --help`)
  process.exitCode = 2
} else {
  const { options } = request
  process.exitCode = await prepare(
    async () => {
      const { runChaos } = await import('../chaos/cli/main.js')
      return runChaos(options)
    },
    { redis: !options.list && options.judge === undefined },
  )
}
