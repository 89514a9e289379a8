import type { Scenario } from '../scenario.js'
import { compareStores } from './stores.js'

export const get: Scenario = {
  name: 'get',
  about: "reading a session: one GET, or the batch's MGET, and JSON.parse",
  run: (bench) => compareStores(bench, 'get'),
}
