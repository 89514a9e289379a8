// `npm run chaos`, `chaos:all`, `chaos:ci`: installs what is missing, finds a redis-server, runs (chaos/cli) and hands on
// the exit code.
import { HELP, readChaosOptions } from './chaos-options.mjs'
import { carryOut } from './prepare.mjs'

await carryOut(
  'chaos',
  HELP,
  readChaosOptions(process.argv.slice(2)),
  async (options) => {
    const { runChaos } = await import('../chaos/cli/main.js')
    return runChaos(options)
  },
  (options) => !options.list && options.judge === undefined,
)
