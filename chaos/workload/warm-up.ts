import type { Action } from '../records.js'
import { createHttpClient } from './http.js'
import { callFor } from './traffic.js'
import { Visitor } from './visitor.js'

/** Tries until the shop answers a login, at most. */
const ATTEMPTS = 50
const PAUSE = 100

/**
 * Has somebody log in and look around before anybody counts: a process that has just started is still connecting and
 * compiling.
 *
 * @throws {Error} when the shop lets nobody in.
 */
export async function warmUp(port: number): Promise<void> {
  const visitor = new Visitor('v1')
  const http = createHttpClient(2000)
  const act = async (action: Action): Promise<void> => {
    const record = visitor.begin(action, '', 0, 0)
    const { number: _, ...call } = callFor(visitor, record, port)
    visitor.finish(record, await http.send(call), 0)
  }
  try {
    for (let attempt = 0; attempt < ATTEMPTS && !visitor.loggedIn; attempt++) {
      if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, PAUSE))
      await act('login')
    }
    if (!visitor.loggedIn) throw new Error(`The shop on port ${port} lets nobody in although Redis runs`)
    for (const action of ['view', 'add', 'admin', 'logout'] as const) await act(action)
  } finally {
    http.close()
  }
}
