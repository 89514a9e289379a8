import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Health } from './health.js'

/** Options of {@link healthHandler}. */
export interface HealthHandlerOptions {
  /**
   * What is asked. `'readiness'`: whether the process should get requests; 503 when the store is `down` or closed.
   * `'liveness'`: whether it should be left running; always 200, since a restart mends no Redis and loses what waits in
   * memory. @default 'readiness'
   */
  probe?: 'readiness' | 'liveness'
  /**
   * Whether a store that is `down` is ready all the same, because its policy serves visitors without Redis, or because all
   * processes share that Redis and none would be left in the balancer. A closed store never is. @default false
   */
  readyWhileDown?: boolean
  /**
   * Whether the body is all of `health()`: states, reasons, counts, on Cluster the masters' addresses. `false` leaves
   * `{ "status": … }`, for addresses that strangers can reach. @default true
   */
  details?: boolean
}

/** Node's objects, or Fastify's around them. */
type Request = IncomingMessage | { readonly raw: IncomingMessage }
type Response = ServerResponse | { readonly raw: ServerResponse; hijack(): unknown }

/**
 * A handler for health checks: for Express, Fastify and `node:http`. Answers GET and HEAD with `store.health()` as JSON,
 * never from a cache, and any other method with 405. 200 means well, `degraded` included; 503 that the process is not
 * ready. Asks Redis nothing, so it answers at once whatever Redis does; mount it before the session middleware.
 *
 * @throws TypeError for an option that cannot be used
 * @example
 * ```ts
 * import express from 'express'
 * import { healthHandler, ResilientStore } from 'resilient-session-store'
 *
 * const store = new ResilientStore()
 * const app = express()
 * app.use('/readyz', healthHandler(store))
 * app.use('/livez', healthHandler(store, { probe: 'liveness' }))
 * ```
 */
export function healthHandler(
  store: { health(): Health },
  options: HealthHandlerOptions = {},
): (req: Request, res: Response) => void {
  const { probe, readyWhileDown, details } = resolve(options)
  return (request, reply) => {
    const req = 'raw' in request ? request.raw : request
    const res = 'raw' in reply ? reply.raw : reply
    if ('hijack' in reply) reply.hijack()
    res.setHeader('Cache-Control', 'no-store')
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      res.writeHead(405, { Allow: 'GET, HEAD', 'Content-Length': 0 }).end()
      return
    }
    const health = store.health()
    const isReady = health.status !== 'down' || (readyWhileDown && !health.closed)
    const body = JSON.stringify(details ? health : { status: health.status })
    res.writeHead(probe === 'liveness' || isReady ? 200 : 503, {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': Buffer.byteLength(body),
    })
    res.end(req.method === 'HEAD' ? undefined : body)
  }
}

function resolve(options: HealthHandlerOptions): Required<HealthHandlerOptions> {
  const { probe = 'readiness', readyWhileDown = false, details = true, ...unknown } = options
  const [name] = Object.keys(unknown)
  if (name !== undefined) throw new TypeError(`unknown option '${name}'`)
  if (probe !== 'readiness' && probe !== 'liveness') {
    throw new TypeError(`option 'probe' must be 'readiness' or 'liveness', got ${String(probe)}`)
  }
  for (const [flag, value] of Object.entries({ readyWhileDown, details })) {
    if (typeof value !== 'boolean') throw new TypeError(`option '${flag}' must be a boolean, got ${typeof value}`)
  }
  return { probe, readyWhileDown, details }
}
