import { createServer } from 'node:http'
import express from 'express'
import express4 from 'express4'
import fastify from 'fastify'
import { describe, expect, it } from 'vitest'
import { type HealthHandlerOptions, healthHandler } from '../../../src/index.js'
import { type Application, listen } from '../../support/http.js'
import { afterThis, downError, openStore, readyStore, server, session, untilDown, untilUp } from '../store-kit.js'

type Handler = ReturnType<typeof healthHandler>

async function serve(app: Application): Promise<string> {
  const listening = await listen(app)
  afterThis(() => listening.close())
  return listening.url
}

function inFastify(handler: Handler): Application {
  const app = fastify()
  app.all('/health', handler)
  return app
}

const APPS: readonly [string, (handler: Handler) => Application][] = [
  ['Express 5', (handler) => express().use('/health', handler)],
  ['Express 4', (handler) => express4().use('/health', handler)],
  ['Fastify', inFastify],
  ['node:http', (handler) => createServer(handler)],
]

describe.each(APPS)('in %s', (_, appWith) => {
  it('answers GET with the whole of health, HEAD without a body, and refuses the rest', async () => {
    const store = await readyStore(await server(), { cache: true })
    const url = `${await serve(appWith(healthHandler(store)))}/health`

    const got = await fetch(url)
    expect(got.status).toBe(200)
    expect(got.headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(got.headers.get('cache-control')).toBe('no-store')
    expect(await got.json()).toEqual(store.health())

    const head = await fetch(url, { method: 'HEAD' })
    expect(head.status).toBe(200)
    expect(head.headers.get('content-length')).toBe(String(Buffer.byteLength(JSON.stringify(store.health()))))
    expect(await head.text()).toBe('')

    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const refused = await fetch(url, { method })
      expect(refused.status, method).toBe(405)
      expect(refused.headers.get('allow')).toBe('GET, HEAD')
      expect(refused.headers.get('cache-control')).toBe('no-store')
      expect(await refused.text()).toBe('')
    }
  })
})

describe('the status code', () => {
  it('while Redis is killed and comes back: not ready, but alive; ready where the application says so', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    const at = (options?: HealthHandlerOptions): Promise<string> => serve(createServer(healthHandler(store, options)))
    const ready = await at()
    const live = await at({ probe: 'liveness' })
    const serving = await at({ readyWhileDown: true })
    const codes = async (): Promise<number[]> =>
      Promise.all([ready, live, serving].map(async (url) => (await fetch(url)).status))

    expect(await codes()).toEqual([200, 200, 200])
    await redis.kill()
    await untilDown(store)
    expect(await codes()).toEqual([503, 200, 200])
    expect(await (await fetch(ready)).json()).toMatchObject({
      status: 'down',
      lanes: { read: { state: 'open', reason: expect.any(String), since: expect.stringMatching(/^\d{4}-.*Z$/) } },
    })
    await redis.start()
    await untilUp(store)
    expect(await codes()).toEqual([200, 200, 200])
    await store.close()
    expect(await codes()).toEqual([503, 200, 503])
  })

  it('is 200 while degraded: a full Redis still serves', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    const url = await serve(createServer(healthHandler(store)))
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    while (store.health().lanes.save.state === 'closed') await downError(store.set('a', session()))
    const answer = await fetch(url)
    expect(answer.status).toBe(200)
    expect(await answer.json()).toMatchObject({
      status: 'degraded',
      lanes: { read: { state: 'closed' }, save: { state: 'open', reason: 'out-of-memory' } },
    })
  })
})

it('tells no session and no password; without details not even an address', async () => {
  const redis = await server({ requirepass: 'the-password' })
  const store = await readyStore(redis, { cache: true })
  await store.set('the-session-id', session({ secret: 'the-data' }))
  await store.get('the-session-id')
  const whole = await (await fetch(await serve(createServer(healthHandler(store))))).text()
  expect(whole).not.toMatch(/the-|sess:|127\.0\.0\.1|\d{4,5}"/)
  const brief = await serve(createServer(healthHandler(store, { details: false })))
  expect(await (await fetch(brief)).json()).toEqual({ status: 'up' })
})

describe('options', () => {
  const store = { health: () => openStore({ url: 'redis://127.0.0.1:1' }).health() }

  it.each([
    [{ probe: 'startup' }, "option 'probe' must be 'readiness' or 'liveness', got startup"],
    [{ readyWhileDown: 1 }, "option 'readyWhileDown' must be a boolean, got number"],
    [{ details: 'none' }, "option 'details' must be a boolean, got string"],
    [{ ready: true }, "unknown option 'ready'"],
  ])('%o is refused', (options, message) => {
    expect(() => healthHandler(store, options as HealthHandlerOptions)).toThrow(new TypeError(message))
  })
})
