/** What `encrypted()` costs: the serializers alone, in this process, without Redis. */
import type { Serializer, SerializerContext, StoredSession } from '../../src/serializers/contract.js'
import { encrypted } from '../../src/serializers/encrypted.js'
import { json } from '../../src/serializers/json.js'
import { type MeasureOptions, measure, type Variant } from '../measure.js'
import type { Scenario } from '../scenario.js'
import { createSessions, PREFIX, SESSIONS, sidOf } from '../subject.js'

const ROUNDS: MeasureOptions = { rounds: 11, ms: 60, concurrency: 1 }
/** Calls between two looks at the clock. */
const CALLS = 200

export const encryption: Scenario = {
  name: 'encryption',
  about: 'encrypted JSON against plain JSON, without Redis',
  async run({ note }) {
    const sealed = encrypted('json', { keys: [{ id: 'bench', key: Buffer.alloc(32, 7) }] })
    for (const bytes of [512, 4096]) {
      for (const verb of ['stringify', 'parse'] as const) {
        const subjects = Object.entries({ plain: json, encrypted: sealed })
        const results = await measure(
          subjects.map(([name, serializer]) => variant(name, callOf(verb, serializer, bytes))),
          ROUNDS,
        )
        const figures = results.map(({ name, cpuMicros, cpu }) => {
          const spread = cpu.spread.map((ratio) => ratio.toFixed(2)).join('-')
          return [name, `${cpuMicros.toFixed(2)} us CPU   x${cpu.median.toFixed(2)} (${spread})`]
        })
        note(`${verb}, ${bytes} B`, Object.fromEntries(figures))
      }
    }
  },
}

type Call = (index: number) => unknown

function callOf(verb: 'stringify' | 'parse', serializer: Serializer, bytes: number): Call {
  const contexts = Array.from({ length: SESSIONS }, (_, index) => ({ sid: sidOf(index), prefix: PREFIX }))
  const sessions = createSessions(bytes) as StoredSession[]
  const stringify = (index: number) =>
    serializer.stringify(sessions[index % SESSIONS] as StoredSession, contexts[index % SESSIONS] as SerializerContext)
  if (verb === 'stringify') return stringify
  const values = sessions.map((_, index) => stringify(index))
  return (index) => serializer.parse(values[index % SESSIONS], contexts[index % SESSIONS] as SerializerContext)
}

function variant(name: string, call: Call): Variant {
  return {
    name,
    async round({ ms }) {
      const [cpu, start] = [process.cpuUsage(), performance.now()]
      let calls = 0
      while (performance.now() - start < ms) for (let end = calls + CALLS; calls < end; calls++) call(calls)
      const { user, system } = process.cpuUsage(cpu)
      const seconds = (performance.now() - start) / 1_000
      return { perSecond: calls / seconds, cpuMicros: (user + system) / calls, redisMicros: 0 }
    },
  }
}
