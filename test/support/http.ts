// Applications on real sockets, and the visitors who use them.
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Visitor, type VisitorOptions } from './visitor.js'

/** What can be listened to: an Express application or any `(req, res)` handler, a server, a Fastify instance. */
export type Application = RequestListener | Server | FastifyLike

/** As much of a Fastify instance as is used here. */
export interface FastifyLike {
  readonly server: unknown
  listen(options: { port: number; host: string }): Promise<string>
  close(): Promise<unknown> | PromiseLike<unknown>
}

/** An application that listens. */
export interface ListeningApp extends AsyncDisposable {
  readonly port: number
  /** Without a slash at the end. */
  readonly url: string
  /** Somebody with an own, empty cookie jar. */
  visitor(options?: VisitorOptions): Visitor
  /** Ends it, its connections and its visitors. */
  close(): Promise<void>
}

const HOST = '127.0.0.1'
const listening = new Set<ListeningApp>()

/** Starts an application on a free port of 127.0.0.1. */
export async function listen(app: Application): Promise<ListeningApp> {
  const { server, close } = await start(app)
  // A kept connection that the server ends just when it is used again would look like a fault.
  server.keepAliveTimeout = 0
  const { port } = server.address() as AddressInfo
  const url = `http://${HOST}:${port}`
  const visitors: Visitor[] = []
  const listeningApp: ListeningApp = {
    port,
    url,
    visitor(options) {
      const visitor = new Visitor(url, options)
      visitors.push(visitor)
      return visitor
    },
    async close() {
      if (!listening.delete(listeningApp)) return
      for (const visitor of visitors) visitor.close()
      server.closeAllConnections()
      await close()
    },
    async [Symbol.asyncDispose]() {
      await listeningApp.close()
    },
  }
  listening.add(listeningApp)
  return listeningApp
}

/** Ends everything that {@link listen} has started in this process: for `afterEach`. */
export async function closeAll(): Promise<void> {
  await Promise.all([...listening].map((app) => app.close()))
}

async function start(app: Application): Promise<{ readonly server: Server; readonly close: () => Promise<void> }> {
  if (typeof app !== 'function' && !isServer(app)) {
    await app.listen({ port: 0, host: HOST })
    return { server: app.server as Server, close: async () => void (await app.close()) }
  }
  const server = typeof app === 'function' ? createServer(app) : app
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, HOST, resolve)
  })
  return { server, close: () => new Promise((resolve) => server.close(() => resolve())) }
}

function isServer(app: Server | FastifyLike): app is Server {
  return 'closeAllConnections' in app
}
