import type { Scenario } from '../scenario.js'
import { compareStores } from './stores.js'

export const touch: Scenario = {
  name: 'touch',
  about: "setting a session's expiry, every touch sent and awaited",
  run: (bench) => compareStores(bench, 'touch'),
}
