import { setTimeout as sleep } from 'node:timers/promises'
import express, { type Express, type Request, type RequestHandler } from 'express'
import { sessionTag } from '../session-tag.js'

declare module 'express-session' {
  interface SessionData {
    /** Who is logged in. */
    visitor: string
    cart: string[]
    /** The session that this data was written under. */
    home: string
  }
}

export interface ShopOptions {
  /** express-session, built on the store to be watched. */
  readonly session: RequestHandler
  /** What must run behind everything that resumes a request from its body's events. */
  readonly follow: readonly RequestHandler[]
  /** Writes the session now; rejects when that did not happen. */
  readonly save: (request: Request) => Promise<void>
  /** One word on where this request's session came from, for stores that know. */
  readonly sourceOf: (request: Request) => string | undefined
  /** Whether the application was told that Redis could not carry out this request's destroy. */
  readonly wasToldOfDestroy: (request: Request) => boolean
}

/**
 * A small shop: log in, look at the cart, add to it, log out, and a page for the staff. It answers a change with 200 only
 * after the store acknowledged it. Errors of the store go to Express's own error handler, as in any application.
 */
export function createShop({ session, follow, save, sourceOf, wasToldOfDestroy }: ShopOptions): Express {
  const shop = express()
  shop.disable('x-powered-by')
  shop.disable('etag')
  shop.use(...follow, session, express.json(), ...follow)

  shop.post('/login', async (request, response) => {
    await new Promise<void>((resolve, reject) => {
      request.session.regenerate((error?: unknown) => (error ? reject(error) : resolve()))
    })
    Object.assign(request.session, {
      visitor: String(request.body.visitor),
      cart: [],
      home: sessionTag(request.sessionID),
    })
    await save(request)
    show(request, response)
  })

  shop.post('/logout', async (request, response) => {
    const source = sourceOf(request)
    if (source !== undefined) response.set('x-session-source', source)
    response.set('x-destroy', 'called')
    await new Promise<void>((resolve, reject) => {
      request.session.destroy((error?: unknown) => (error ? reject(error) : resolve()))
    })
    response.set('x-destroy', wasToldOfDestroy(request) ? 'queued' : 'confirmed')
    response.clearCookie('connect.sid').json({ visitor: null })
  })

  shop.use((request, response, next) => {
    if (request.session.visitor === undefined) show(request, response.status(401))
    else next()
  })

  shop.get('/cart', (request, response) => show(request, response))

  shop.post('/cart', async (request, response) => {
    if (request.body.busyFor !== undefined) await sleep(Number(request.body.busyFor))
    request.session.cart = [...(request.session.cart ?? []), String(request.body.item)]
    await save(request)
    show(request, response)
  })

  shop.get('/admin', (request, response) => show(request, response))

  function show(request: Request, response: express.Response): void {
    const source = sourceOf(request)
    if (source !== undefined) response.set('x-session-source', source)
    const { visitor = null, cart = [], home } = request.session
    response.json({ visitor, cart, home, session: sessionTag(request.sessionID) })
  }

  return shop
}
