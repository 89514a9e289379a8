// The demo's command line. Plain Node without dependencies: a wrong argument is answered before anything is installed.
import { parseArgs } from 'node:util'
import { choice, wholeNumber } from './arguments.mjs'

/** @typedef {import('../chaos/demo/narration.js').DemoOptions} DemoOptions */

/** @typedef {{ kind: 'run', options: DemoOptions } | { kind: 'help' } | { kind: 'error', message: string }} DemoRequest */

export const HELP = `Watch an Express application keep its visitors while its Redis is killed.

Usage: npm run demo -- [options]

  --policy NAME        what the store does while Redis is down: read-only (default: pages are
                       shown from memory, changes refused), available (changes are queued too),
                       strict (everything refused at once)
  --store NAME         resilient (default), or connect-redis to see the same with that store
  --front NAME         round-robin (every request goes to the next process) or sticky (a visitor
                       stays with one process; the default with --policy available, because a
                       queued change is known only to the process that holds it)
  --seconds N          length of the traffic, 6 to 50 (default 24)
  --seed N             choose another course of events (default 7)
  --no-color           letters in place of colors
  --help               this text

Two processes of a small shop run on one Redis. Visitors log in, look, add to carts and log out;
then Redis is killed with SIGKILL and later started again with its data. What visitors got is
shown while it happens; a verdict ends it. Exit code 0: the promises were kept. With another
store the verdict is shown likewise, and the exit code is 0 whatever it says.
`

const CHOICES = Object.freeze({
  store: /** @type {const} */ (['resilient', 'connect-redis']),
  policy: /** @type {const} */ (['read-only', 'available', 'strict']),
  front: /** @type {const} */ (['round-robin', 'sticky']),
})

/**
 * Reads the command line.
 *
 * @param {readonly string[]} args
 * @returns {DemoRequest}
 */
export function readDemoOptions(args) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        store: { type: 'string', default: 'resilient' },
        policy: { type: 'string' },
        front: { type: 'string' },
        seconds: { type: 'string', default: '24' },
        seed: { type: 'string', default: '7' },
        'no-color': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) return { kind: 'help' }
    const store = choice(CHOICES.store, '--store', values.store)
    if (store !== 'resilient' && values.policy !== undefined) {
      throw new RangeError(`--policy belongs to --store resilient: ${store} has no policies`)
    }
    const policy = choice(CHOICES.policy, '--policy', values.policy ?? 'read-only')
    const usualFront = policy === 'available' ? 'sticky' : 'round-robin'
    return {
      kind: 'run',
      options: {
        store,
        policy,
        front: choice(CHOICES.front, '--front', values.front ?? usualFront),
        seconds: wholeNumber('--seconds', values.seconds, 6, 50),
        seed: wholeNumber('--seed', values.seed, 0, 4_294_967_295),
        color: !values['no-color'],
      },
    }
  } catch (error) {
    return { kind: 'error', message: error instanceof Error ? error.message : String(error) }
  }
}
