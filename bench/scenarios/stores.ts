import type { Bench } from '../scenario.js'
import type { SubjectName } from '../subjects/index.js'

const STORES: readonly SubjectName[] = [
  'connect-redis 10',
  'connect-redis 8',
  'bare ioredis',
  'MemoryStore',
  'resilient',
  'resilient, ioredis 5',
  'resilient, cache',
]

/** One operation of every store, at each concurrency and size. */
export async function compareStores({ start, compare }: Bench, task: 'get' | 'set' | 'touch'): Promise<void> {
  // A touch carries no session.
  for (const bytes of task === 'touch' ? [512] : [512, 4096]) {
    const workers = await start(STORES, bytes)
    for (const concurrency of [1, 16, 256]) {
      await compare(workers, { title: `${task}, ${bytes} B, c=${concurrency}`, task, concurrency })
    }
  }
}
