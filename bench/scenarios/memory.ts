/** Bytes of this process that the store takes for each session it remembers. */
import type { Scenario } from '../scenario.js'

const KINDS = ['cached', 'cached, binary', 'queued save']
const SIZELESS = ['queued delete', 'destroyed session', 'touch mark']

export const memory: Scenario = {
  name: 'memory',
  about: 'bytes of heap and buffers for each cached, queued, destroyed and touched session',
  async run({ start, note }) {
    for (const bytes of [512, 4096]) {
      const [worker] = await start(['resilient, holding'], bytes)
      const kinds = bytes === 512 ? [...KINDS, ...SIZELESS] : KINDS
      const figures: [string, number][] = []
      for (const kind of kinds) figures.push([kind, Math.round((await worker?.once(kind)) as number)])
      note(`sessions of ${bytes} bytes: bytes each`, Object.fromEntries(figures))
    }
  },
}
