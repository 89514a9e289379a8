// Logging in gives a new sid, and nothing that was under way brings the old one back: not here and not elsewhere.
import { describe, expect, it } from 'vitest'
import type { ResilientStoreOptions } from '../../../src/index.js'
import { openApp } from '../guard-app.js'
import { cut, expectDead, heal, MODES, place } from '../guard-kit.js'
import { proxyTo, readyStore } from '../store-kit.js'
import { Gate, logIn, sameCookies, sidOf } from '../visitors.js'

const OPTIONS: ResilientStoreOptions = { cache: true, degradation: 'available' }

describe('regenerate', () => {
  it.each(MODES)('outlives saves of the old sid that end after it, here and elsewhere: %s', async (concurrency) => {
    const { redis, store, other } = await place({ ...OPTIONS, concurrency })
    const there = await other({ ...OPTIONS, concurrency })
    const gate = new Gate()
    const [app, elsewhere] = [await openApp(store, { gate }), await openApp(there, { gate })]
    const visitor = await logIn(app)
    const old = sameCookies(app, visitor)
    const slow = [sameCookies(app, old).get('/slow'), sameCookies(elsewhere, old).get('/slow')]
    await gate.reached(2)
    expect((await visitor.post('/login?user=bob')).status).toBe(200)
    expect(sidOf(visitor)).not.toBe(sidOf(old))
    gate.open()
    for (const { status, setCookie } of await Promise.all(slow)) {
      expect(status).toBe(409)
      for (const line of setCookie) expect(line).toContain(`connect.sid=${old.cookies.get('connect.sid')}`)
    }
    await expectDead(redis, sidOf(old), store, there)
    expect((await visitor.get('/status')).json()).toMatchObject({ user: 'bob', source: 'redis' })
  })

  it('with Redis away kills the old sid here at once, and everywhere when Redis is back', async () => {
    const here = await place({ ...OPTIONS, timeout: 1_000 })
    const { redis, store, other } = here
    const there = await other(OPTIONS)
    const gate = new Gate()
    const [app, elsewhere] = [await openApp(store, { gate }), await openApp(there, { gate })]
    const visitor = await logIn(app)
    const old = sameCookies(app, visitor)
    const slow = sameCookies(app, old).get('/slow')
    const slowThere = sameCookies(elsewhere, old).get('/slow')
    await gate.reached(2)
    await cut(here)
    expect((await visitor.post('/login?user=bob')).status).toBe(200)
    expect((await sameCookies(app, old).get('/status')).json()).toMatchObject({ user: null, source: 'new' })
    await heal(here)
    gate.open()
    for (const answer of [await slow, await slowThere]) expect(answer.status).toBe(409)
    await expectDead(redis, sidOf(old), store, there)
    expect((await sameCookies(elsewhere, visitor).get('/status')).json()).toMatchObject({ user: 'bob' })
  })

  it('with Redis away for both: a save of the old sid queued elsewhere does not outlive it either', async () => {
    for (const first of ['destroy', 'save'] as const) {
      const here = await place({ ...OPTIONS, timeout: 1_000 })
      const { redis, store } = here
      const proxy = await proxyTo(redis)
      const there = { proxy, store: await readyStore(proxy, { ...OPTIONS, breaker: { resetTimeout: 50 } }) }
      const [app, elsewhere] = [await openApp(store), await openApp(there.store)]
      const visitor = await logIn(app)
      const old = sameCookies(elsewhere, visitor)
      expect((await old.get('/status')).json()).toMatchObject({ user: 'ada' })
      await Promise.all([cut(here), cut(there)])
      expect((await old.post('/set?n=1')).status).toBe(200)
      expect((await visitor.post('/login?user=bob')).status).toBe(200)
      await heal(first === 'destroy' ? here : there)
      await heal(first === 'destroy' ? there : here)
      await expectDead(redis, sidOf(old), store, there.store)
      expect((await sameCookies(elsewhere, visitor).get('/status')).json()).toMatchObject({ user: 'bob' })
      expect((await old.get('/status')).json()).toMatchObject({ user: null })
    }
  })
})
