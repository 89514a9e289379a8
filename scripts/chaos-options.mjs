// The command line of the chaos runs. Plain Node without dependencies: a wrong argument is answered before anything is
// installed.
import { parseArgs } from 'node:util'
import { choice, wholeNumber } from './arguments.mjs'

/** @typedef {import('../chaos/cli/options.js').ChaosOptions} ChaosOptions */

/** @typedef {{ kind: 'run', options: ChaosOptions } | { kind: 'help' } | { kind: 'error', message: string }} ChaosRequest */

export const HELP = `Break a real Redis under an Express application and judge what its visitors got.

Usage: npm run chaos -- [options]

  --scenario NAME      what happens (default kill); --list shows all
  --topology NAME      standalone (default), sentinel, cluster
  --driver NAME        process (default: redis-server processes of this machine), docker (containers
                       of docker-compose.yml), auto (docker where an engine answers)
  --policy NAME        read-only (default), available, strict
  --store NAME         resilient (default), connect-redis, connect-redis-8 (with ioredis), memory
  --compare NAMES      the same again with other stores: connect-redis,connect-redis-8,memory
  --front NAME         round-robin or sticky (the default with --policy available)
  --seconds N          length of the traffic, 5 to 600 (default 20)
  --seed N             chooses the course of events (default 7)
  --out DIRECTORY      where histories and reports go (default chaos/results)
  --judge FILE         judges a saved history again and writes its report again, runs nothing; with --compare
                       the report shows the saved runs of those stores beside it
  --list               lists the scenarios
  --no-color           letters in place of colors
  --help               this text

Usage: npm run chaos:all -- [options]   every scenario on every topology under every policy
Usage: npm run chaos:ci -- [options]    a few of them, in about two minutes

  --only TEXT          only runs whose name contains it (kill-sentinel, -strict-, ...); may be repeated
  --fresh              runs again what has a verdict already; otherwise a stopped matrix goes on
  --driver, --seconds (default 15), --seed, --out as above

Exit code 0: every promise held. 1: one did not, or the run proves nothing. 2: wrong arguments.
`

const CHOICES = Object.freeze({
  topology: /** @type {const} */ (['standalone', 'sentinel', 'cluster']),
  driver: /** @type {const} */ (['process', 'docker', 'auto']),
  policy: /** @type {const} */ (['read-only', 'available', 'strict']),
  store: /** @type {const} */ (['resilient', 'connect-redis', 'connect-redis-8', 'memory']),
  front: /** @type {const} */ (['round-robin', 'sticky']),
})

/**
 * Reads the command line.
 *
 * @param {readonly string[]} args
 * @returns {ChaosRequest}
 */
export function readChaosOptions(args) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        matrix: { type: 'string' },
        scenario: { type: 'string', default: 'kill' },
        topology: { type: 'string', default: 'standalone' },
        driver: { type: 'string', default: 'process' },
        policy: { type: 'string', default: 'read-only' },
        store: { type: 'string', default: 'resilient' },
        compare: { type: 'string' },
        front: { type: 'string' },
        seconds: { type: 'string' },
        seed: { type: 'string' },
        out: { type: 'string', default: 'chaos/results' },
        judge: { type: 'string' },
        list: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true, default: [] },
        fresh: { type: 'boolean', default: false },
        'no-color': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) return { kind: 'help' }
    const policy = choice(CHOICES.policy, '--policy', values.policy)
    const usualFront = policy === 'available' ? 'sticky' : 'round-robin'
    const matrix = values.matrix === undefined ? undefined : choice(['all', 'ci'], '--matrix', values.matrix)
    const compare = values.compare?.split(',') ?? []
    return {
      kind: 'run',
      options: {
        ...(matrix === undefined ? {} : { matrix }),
        scenario: values.scenario,
        topology: choice(CHOICES.topology, '--topology', values.topology),
        driver: choice(CHOICES.driver, '--driver', values.driver),
        policy,
        store: choice(CHOICES.store, '--store', values.store),
        compare: compare.map((name) => choice(CHOICES.store, '--compare', name)),
        front: choice(CHOICES.front, '--front', values.front ?? usualFront),
        seconds: wholeNumber('--seconds', values.seconds ?? (matrix === undefined ? '20' : '15'), 5, 600),
        ...(values.seed === undefined ? {} : { seed: wholeNumber('--seed', values.seed, 0, 4_294_967_295) }),
        out: values.out,
        ...(values.judge === undefined ? {} : { judge: values.judge }),
        list: values.list,
        only: values.only,
        fresh: values.fresh,
        color: !values['no-color'],
      },
    }
  } catch (error) {
    return { kind: 'error', message: error instanceof Error ? error.message : String(error) }
  }
}
