/** What it costs to be refused: no Redis is asked. */
import type { Scenario } from '../scenario.js'

export const openBreaker: Scenario = {
  name: 'open-breaker',
  about: 'a read refused by an open breaker, against an error by process.nextTick',
  async run({ start, compare, note }) {
    const workers = await start(['caller alone', 'resilient, open', 'opossum, open'], 512)
    for (const concurrency of [1, 256]) {
      await compare(workers, { title: `refused get, c=${concurrency}`, task: 'get', concurrency })
    }
    const store = workers.find(({ name }) => name === 'resilient, open')
    const micros = (await store?.once('handler')) as number
    note('from the call to onRedisDown', { 'median, us': Number(micros.toFixed(2)) })
  },
}
