// A process with the wrong keys: its visitors are refused for the time being, and nobody is logged out.
import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { encrypted } from '../../../src/index.js'
import { readyStore, server } from '../store-kit.js'
import { logIn, sameCookies, sidOf } from '../visitors.js'
import { openShop, VERSIONS } from './shop.js'

const keyRing = (id: string) => encrypted('json', { keys: [{ id, key: randomBytes(32) }] })

it.each(VERSIONS.flatMap((express) => (['keep', 'destroy'] as const).map((unset) => [express, unset] as const)))(
  'answers 503 and leaves session and cookie alone: Express %s, unset: %s',
  async (express, unset) => {
    const redis = await server()
    const right = await openShop(await readyStore(redis, { serializer: keyRing('right') }), { express })
    const store = await readyStore(redis, { serializer: keyRing('wrong') })
    const wrong = await openShop(store, { express, unset, rolling: true })
    const visitor = await logIn(right)
    const there = sameCookies(wrong, visitor)
    for (const path of ['/me', '/me']) {
      const answer = await there.get(path)
      expect(answer.status).toBe(503)
      expect(answer.headers['retry-after']).toBe('10')
      expect(answer.headers['set-cookie']).toBeUndefined()
      expect(answer.body).not.toContain(sidOf(visitor))
    }
    expect((await there.get('/ping')).status).toBe(200)
    expect((await wrong.visitor().get('/me')).status).toBe(200)
    expect((await visitor.get('/me')).json()).toMatchObject({ user: 'ada' })
  },
)
