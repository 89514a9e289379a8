/**
 * The HTTP request that is being served: express-session does not hand it to its store. Node publishes each request on
 * a diagnostics channel before any handler sees it; from there it travels with the asynchronous context.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe } from 'node:diagnostics_channel'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** A request and its response; both are let go of when the response is closed. */
export interface RequestContext {
  req: IncomingMessage | undefined
  res: ServerResponse | undefined
}

const storage = new AsyncLocalStorage<RequestContext>()
let listening = false

/** Begins to follow requests; the first store does it for the process. */
export function followRequests(): void {
  if (listening) return
  listening = true
  subscribe('http.server.request.start', (message) => {
    const { request, response } = message as { request: IncomingMessage; response: ServerResponse }
    storage.enterWith(contextOf(request, response))
  })
}

/** The request being served where this is called, as it is now. */
export function currentRequest(): Readonly<RequestContext> {
  const { req, res } = storage.getStore() ?? NONE
  return { req, res }
}

/**
 * A middleware that tells the store which request is being served. Needed only where Node does not say it itself: on
 * servers without the `http.server.request.start` diagnostics channel (HTTP/2), and after a body parser that resumes
 * handlers from the request's own events.
 *
 * @example
 * ```ts
 * import express from 'express'
 * import { requestContext } from 'resilient-session-store'
 *
 * express().use(express.json(), requestContext())
 * ```
 */
export function requestContext(): (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void {
  return (req, res, next) => {
    storage.run(contextOf(req, res), next)
  }
}

function contextOf(req: IncomingMessage, res: ServerResponse): RequestContext {
  const context: RequestContext = { req, res }
  res.once('close', () => {
    context.req = undefined
    context.res = undefined
  })
  return context
}

const NONE: RequestContext = Object.freeze({ req: undefined, res: undefined })
