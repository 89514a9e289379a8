import express, { type Express, type Request, type RequestHandler } from 'express'

declare module 'express-session' {
  interface SessionData {
    /** Who is logged in. */
    visitor: string
    cart: string[]
  }
}

export interface ShopOptions {
  /** express-session, built on the store to be watched. */
  readonly session: RequestHandler
  /** Writes the session now; rejects when that did not happen. */
  readonly save: (request: Request) => Promise<void>
  /** One word on where this request's session came from, for stores that know. */
  readonly sourceOf: (request: Request) => string | undefined
}

/**
 * A small shop: log in, look at the cart, add to it, log out, and a page for the staff. It answers a change with 200 only
 * after the store acknowledged it. Errors of the store go to Express's own error handler, as in any application.
 */
export function createShop({ session, save, sourceOf }: ShopOptions): Express {
  const shop = express()
  shop.disable('x-powered-by')
  shop.disable('etag')
  shop.use(session)
  shop.use(express.json())

  shop.post('/login', async (request, response) => {
    await new Promise<void>((resolve, reject) => {
      request.session.regenerate((error?: unknown) => (error ? reject(error) : resolve()))
    })
    request.session.visitor = String(request.body.visitor)
    request.session.cart = []
    await save(request)
    show(request, response)
  })

  shop.post('/logout', async (request, response) => {
    const source = sourceOf(request)
    await new Promise<void>((resolve, reject) => {
      request.session.destroy((error?: unknown) => (error ? reject(error) : resolve()))
    })
    if (source !== undefined) response.set('x-session-source', source)
    response.clearCookie('connect.sid').json({ visitor: null })
  })

  shop.use((request, response, next) => {
    if (request.session.visitor === undefined) show(request, response.status(401))
    else next()
  })

  shop.get('/cart', (request, response) => show(request, response))

  shop.post('/cart', async (request, response) => {
    request.session.cart = [...(request.session.cart ?? []), String(request.body.item)]
    await save(request)
    show(request, response)
  })

  shop.get('/admin', (request, response) => show(request, response))

  function show(request: Request, response: express.Response): void {
    const source = sourceOf(request)
    if (source !== undefined) response.set('x-session-source', source)
    const { visitor = null, cart = [] } = request.session
    response.json({ visitor, cart })
  }

  return shop
}
