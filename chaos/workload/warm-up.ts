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
  const visitor = new Visitor('nobody')
  const http = createHttpClient(2000)
  try {
    for (let attempt = 0; attempt < ATTEMPTS && !visitor.loggedIn; attempt++) {
      if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, PAUSE))
      const record = visitor.begin('login', '', 0)
      visitor.finish(record, await http.send(callFor(visitor, 'login', port)), 0)
    }
    if (!visitor.loggedIn) throw new Error(`The shop on port ${port} lets nobody in although Redis runs`)
    for (const action of ['view', 'add', 'admin', 'logout'] as const)
      await http.send(callFor(visitor, action, port, 'x'))
  } finally {
    http.close()
  }
}
