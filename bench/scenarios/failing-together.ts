/** What 256 calls that fail at once do to the event loop, right after a second of full load. */
import type { Worker } from '../crew.js'
import type { Bench, Scenario } from '../scenario.js'

const TIMES = 3

export const failingTogether: Scenario = {
  name: 'failing-together',
  about: 'the longest block of the event loop while 256 reads time out together (timeout 300 ms), after 1 s at c=256',
  async run(bench) {
    for (const worker of await bench.start(['resilient, failing', 'opossum, failing'], 512)) {
      const blocks: number[] = []
      let perSecond = 0
      for (let time = 0; time < TIMES; time++) {
        await answering(worker)
        const load = await worker.round('get', { concurrency: 256, ms: 1_000 }, async () => 0)
        perSecond = Math.round(load.perSecond)
        blocks.push(await fail(bench, worker))
      }
      const ms = blocks.map((block) => block.toFixed(1)).join(', ')
      bench.note(worker.name, { 'load before, reads/s': perSecond, 'longest blocks, ms': ms })
    }
  },
}

async function fail({ redis }: Bench, worker: Worker): Promise<number> {
  await redis.pause()
  try {
    return (await worker.once('fail')) as number
  } finally {
    await redis.resume()
  }
}

/** The breaker is closed again. */
async function answering(worker: Worker): Promise<void> {
  for (;;) {
    try {
      return void (await worker.once('get'))
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
