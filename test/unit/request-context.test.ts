import { AsyncResource } from 'node:async_hooks'
import { channel } from 'node:diagnostics_channel'
import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as later, setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { currentRequest, followRequests, requestContext } from '../../src/request-context.js'

const NONE = { req: undefined, res: undefined }

function exchange(): { req: IncomingMessage; res: ServerResponse } {
  return { req: new EventEmitter() as IncomingMessage, res: new EventEmitter() as ServerResponse }
}

/** What Node does when a request arrives, in an asynchronous context of its own. */
function arrive<T>({ req, res }: ReturnType<typeof exchange>, handler: () => T): T {
  return new AsyncResource('HTTPINCOMINGMESSAGE').runInAsyncScope(() => {
    channel('http.server.request.start').publish({ request: req, response: res, server: {}, socket: {} })
    return handler()
  })
}

describe('currentRequest', () => {
  it('is none outside a request', () => {
    expect(currentRequest()).toEqual(NONE)
  })
})

describe('requestContext', () => {
  it('tells what follows which request is being served', () => {
    const { req, res } = exchange()
    let seen: unknown
    requestContext()(req, res, () => {
      seen = currentRequest()
    })
    expect(seen).toEqual({ req, res })
    expect(currentRequest()).toEqual(NONE)
  })

  it('hands over the very objects it was given', () => {
    const { req, res } = exchange()
    requestContext()(req, res, () => {
      expect(currentRequest().req).toBe(req)
      expect(currentRequest().res).toBe(res)
    })
  })

  it('follows the request through promises, timers and turns of the loop, beside others', async () => {
    const serve = async (): Promise<boolean> => {
      const { req, res } = exchange()
      return new Promise((resolve, reject) => {
        requestContext()(req, res, async () => {
          try {
            await Promise.resolve()
            await nextTurn()
            await later(1)
            await new Promise((done) => process.nextTick(done))
            resolve(currentRequest().req === req && currentRequest().res === res)
          } catch (error) {
            reject(error)
          }
        })
      })
    }
    expect(await Promise.all(Array.from({ length: 16 }, serve))).toEqual(Array.from({ length: 16 }, () => true))
  })

  it('calls next once, without arguments', () => {
    const { req, res } = exchange()
    const calls: unknown[][] = []
    requestContext()(req, res, (...args: unknown[]) => {
      calls.push(args)
    })
    expect(calls).toEqual([[]])
  })

  it('lets go of request and response when the response is closed', async () => {
    const { req, res } = exchange()
    let close!: () => void
    const closed = new Promise<void>((resolve) => {
      close = resolve
    })
    const after = new Promise<unknown>((resolve, reject) => {
      requestContext()(req, res, async () => {
        try {
          await closed
          resolve(currentRequest())
        } catch (error) {
          reject(error)
        }
      })
    })
    res.emit('close')
    close()
    expect(await after).toEqual(NONE)
    expect(res.listenerCount('close')).toBe(0)
  })

  it('what was captured before stays with who captured it', () => {
    const { req, res } = exchange()
    requestContext()(req, res, () => {
      const captured = currentRequest()
      res.emit('close')
      expect(captured).toEqual({ req, res })
      expect(currentRequest()).toEqual(NONE)
    })
  })
})

describe('followRequests', () => {
  it('needs no middleware: Node tells of each request', async () => {
    followRequests()
    const one = exchange()
    const other = exchange()
    const serve = async (): Promise<unknown> => {
      await nextTurn()
      return currentRequest()
    }
    expect(await Promise.all([arrive(one, serve), arrive(other, serve)])).toEqual([one, other])
    expect(currentRequest()).toEqual(NONE)
  })

  it('called again listens once: one store or many make no difference', () => {
    for (let store = 0; store < 5; store++) followRequests()
    const { req, res } = exchange()
    arrive({ req, res }, () => {
      expect(currentRequest()).toEqual({ req, res })
      expect(res.listenerCount('close')).toBe(1)
    })
  })

  it('lets go of request and response when the response is closed', () => {
    followRequests()
    const { req, res } = exchange()
    arrive({ req, res }, () => {
      res.emit('close')
      expect(currentRequest()).toEqual(NONE)
    })
  })

  it('a middleware inside says the same', () => {
    followRequests()
    const { req, res } = exchange()
    arrive({ req, res }, () => {
      requestContext()(req, res, () => expect(currentRequest()).toEqual({ req, res }))
      expect(currentRequest()).toEqual({ req, res })
    })
  })
})
