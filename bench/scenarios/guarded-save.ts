/** What the guard of a save costs the client: the same store with a plain SET in place of the script. */
import type { Scenario } from '../scenario.js'

export const guardedSave: Scenario = {
  name: 'guarded-save',
  about: 'a save by the guarding script, against the same store with a plain SET … PX in its place',
  async run({ start, compare }) {
    for (const bytes of [512, 4096]) {
      const workers = await start(['resilient, plain SET', 'resilient'], bytes)
      for (const concurrency of [1, 16, 256]) {
        await compare(workers, { title: `set, ${bytes} B, c=${concurrency}`, task: 'set', concurrency })
      }
    }
  },
}
