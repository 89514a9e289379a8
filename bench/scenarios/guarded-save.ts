/** What the guard of a save costs the client: the same lane, once with a plain SET and once with the script. */
import { GUARD } from '../../src/redis/scripts.js'
import { SessionCommands, type WriteRequest } from '../../src/redis/sessions.js'
import type { Scenario } from '../scenario.js'

export const guardedSave: Scenario = {
  name: 'guarded save',
  about: 'CPU and throughput of a save by the guarding script, against a plain SET through the same lane',
  async run({ openLane, session, compare }) {
    const { connection, lane } = await openLane()
    const commands = new SessionCommands(connection, { prefix: 'bench:', binary: false, revokeFor: 600_000 })
    for (const bytes of [512, 4096]) {
      const value = session(bytes)
      const send = (request: WriteRequest): Promise<unknown> => lane.run(request, performance.now() + 1_000)
      const plain = (index: number): Promise<unknown> =>
        send(() => connection.client.set(`bench:${index % 256}`, value, 'PX', 86_400_000))
      const guarded = (kind: 'none' | 'present') => (index: number) =>
        send(commands.save({ sid: String(index % 256), value, ttl: 86_400_000, guard: { kind: GUARD[kind] } }))
      for (const concurrency of [1, 16, 256]) {
        await compare(`${bytes} B, c=${concurrency}`, concurrency, [
          { name: 'plain SET', run: plain },
          { name: 'guarded, new session', run: guarded('none') },
          { name: 'guarded, loaded session', run: guarded('present') },
        ])
      }
    }
  },
}
