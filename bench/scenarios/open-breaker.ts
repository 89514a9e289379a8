/** What it costs to be refused: no Redis is asked. */
import type { Scenario } from '../scenario.js'

export const openBreaker: Scenario = {
  name: 'open-breaker',
  about: 'a read refused by an open breaker, against an error by process.nextTick',
  async run({ start, compare }) {
    const workers = await start(['caller alone', 'resilient, open', 'opossum, open'], 512)
    for (const concurrency of [1, 256]) {
      await compare(workers, { title: `refused get, c=${concurrency}`, task: 'get', concurrency })
    }
  },
}
