import type { Scenario } from '../scenario.js'
import { compareStores } from './stores.js'

export const set: Scenario = {
  name: 'set',
  about: "saving a session; the resilient store's saves are guarded",
  run: (bench) => compareStores(bench, 'set'),
}
