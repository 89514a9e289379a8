/** A million sessions: what the walks over them do to the event loop, and to Redis. */
import { freemem } from 'node:os'
import type { Scenario } from '../scenario.js'
import { createSessions, PREFIX, TTL_SECONDS } from '../subject.js'
import type { Walk } from '../subjects/walking.js'

const COUNT = 1_000_000
const AT_ONCE = 20_000
/** What Redis takes for them, and the worker. */
const NEEDED = 2 * 2 ** 30
const FILL = `for i = ARGV[1], ARGV[2] do
  redis.call('SET', string.format('%s%032d', ARGV[3], i), ARGV[4], 'EX', ARGV[5])
end`

export const walks: Scenario = {
  name: 'walks',
  about: `length, ids, scan and clear of ${COUNT} sessions of 0.5 KiB: longest turn of the event loop (CPU from Node 24 on, wall time before), time in Redis`,
  async run({ redis, start, note }) {
    if (freemem() < NEEDED) return note('skipped', { reason: 'less than 2 GiB of memory are free' })
    const value = JSON.stringify(createSessions(512)[0])
    for (let from = 0; from < COUNT; from += AT_ONCE) {
      await redis.cli('EVAL', FILL, 0, from, from + AT_ONCE - 1, PREFIX, value, TTL_SECONDS)
    }
    const [worker] = await start(['resilient, walking'], 512)
    if (worker === undefined) return
    for (const task of ['length', 'ids', 'scan', 'clear']) {
      await redis.cli('CONFIG', 'RESETSTAT')
      const { sessions, seconds, longestTurn } = (await worker.once(task)) as Walk
      const stats = await redis.cli('INFO', 'commandstats')
      note(task, {
        ...(sessions === undefined ? {} : { sessions }),
        seconds: seconds.toFixed(1),
        'longest turn, ms': longestTurn.toFixed(1),
        ...Object.fromEntries(
          [...stats.matchAll(/^cmdstat_(scan|mget|del):calls=(\d+),.*?usec_per_call=([\d.]+)/gm)].map(
            ([, name, calls, micros]) => [`${name}, us in Redis`, `${micros} (${calls} calls)`],
          ),
        ),
      })
    }
  },
}
