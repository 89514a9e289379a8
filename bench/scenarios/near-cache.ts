/** What a read costs that Redis is not asked for, and what a write costs that is announced to the process itself. */
import type { Scenario } from '../scenario.js'

export const nearCache: Scenario = {
  name: 'near-cache',
  about: 'reads from the near cache, and saves beside it, against connect-redis and the same store without it',
  async run({ start, compare, redis, note }) {
    for (const bytes of [512, 4096]) {
      const workers = await start(['connect-redis 10', 'resilient', 'resilient, near cache'], bytes)
      for (const concurrency of [1, 16, 256]) {
        for (const task of ['get', 'set']) {
          await compare(workers, { title: `${task}, ${bytes} B, c=${concurrency}`, task, concurrency })
        }
      }
    }
    const near = await start(['resilient, near cache'], 512)
    const get = { task: 'get', concurrency: 16 }
    await compare(near, { title: 'get from memory alone, to get warm', ...get })
    await redis.cli('CONFIG', 'RESETSTAT')
    await compare(near, { title: 'get from memory alone', ...get })
    const stats = await redis.cli('INFO', 'commandstats')
    const commands = [...stats.matchAll(/^cmdstat_(\S+):calls=(\d+)/gm)]
    note(
      'Redis commands while reads are served from memory',
      Object.fromEntries(commands.map(([, name, calls]) => [name, Number(calls)])),
    )
  },
}
