// Two requests change one session: what each mode makes of it, in the session, in Redis and in what is told.
import { describe, expect, it } from 'vitest'
import type { ResilientStore } from '../../../src/index.js'
import type { RedisServer } from '../../support/redis-server.js'
import { settled } from '../../support/wait.js'
import { openApp } from '../guard-app.js'
import { CONFLICT, change, cut, heal, MODES, type Place, place, saveOf, stored, told } from '../guard-kit.js'
import { keyOf, load, session, type TestSession } from '../store-kit.js'
import { Gate, logIn, sameCookies, sidOf } from '../visitors.js'

const REFUSED = { type: 'conflict', operation: 'set', queued: false, resolution: 'refused', clashes: 0 } as const

function merged(clashes: number, queued = false) {
  return { type: 'conflict', operation: 'set', queued, resolution: 'merged', clashes } as const
}

/** Both have loaded what is stored: ours in the store, theirs in another process. */
async function both(
  { store, other }: Place,
  data: Record<string, unknown>,
): Promise<{ ours: TestSession; theirs: TestSession; there: ResilientStore }> {
  const there = await other()
  await there.set('sid', session(data, 3_600_000))
  return { ours: await load(store, 'sid'), theirs: await load(there, 'sid'), there }
}

/** As `stored`, without the cookie. */
async function content(redis: RedisServer): Promise<Record<string, unknown>> {
  const { cookie: _, ...rest } = (await stored(redis, 'sid')) ?? {}
  return rest
}

describe('two saves with different keys', () => {
  it('under last-write the last one stands, and nothing is told', async () => {
    const here = await place()
    const { ours, theirs, there } = await both(here, { a: 0, b: 0 })
    await there.set('sid', change(theirs, { a: 1 }))
    await here.store.set('sid', change(ours, { b: 1 }))
    expect(await content(here.redis)).toEqual({ a: 0, b: 1 })
    expect(here.events).toEqual([])
  })

  it('under reject the second is refused, and a request that loads again is not', async () => {
    const here = await place({ concurrency: 'reject', cache: true })
    const { ours, theirs, there } = await both(here, { a: 0, b: 0 })
    await there.set('sid', change(theirs, { a: 1 }))
    await expect(here.store.set('sid', change(ours, { b: 1 }))).rejects.toMatchObject(CONFLICT)
    // It stays refused, however often the same request tries.
    await expect(here.store.set('sid', change(ours, { b: 2 }))).rejects.toMatchObject(CONFLICT)
    expect(here.events).toEqual([REFUSED, REFUSED])
    expect(await content(here.redis)).toEqual({ a: 1, b: 0 })
    // The copy that turned out to be old is not kept for an outage.
    expect(here.store.health().cache).toMatchObject({ sessions: 0 })
    await here.store.set('sid', change(await load(here.store, 'sid'), { b: 3 }))
    expect(await content(here.redis)).toEqual({ a: 1, b: 3 })
  })

  it('under merge both are kept, in Redis, in the cache and in the live session', async () => {
    const here = await place({ concurrency: 'merge', cache: true })
    const { ours, theirs, there } = await both(here, { a: 0, b: 0 })
    await there.set('sid', change(theirs, { a: 1, c: { deep: [1] } }))
    await here.store.set('sid', change(ours, { b: 1 }))
    expect(await content(here.redis)).toEqual({ a: 1, b: 1, c: { deep: [1] } })
    expect(ours).toMatchObject({ a: 1, b: 1, c: { deep: [1] } })
    // No key was changed by both: nothing is told.
    expect(here.events).toEqual([])
    // The next save of the same request goes on from there, without a round trip more.
    here.proxy.forget()
    await here.store.set('sid', change(ours, { b: 2 }))
    expect(here.proxy.commandCount('EVALSHA')).toBe(1)
    expect(await content(here.redis)).toEqual({ a: 1, b: 2, c: { deep: [1] } })
    await cut(here)
    expect(await load(here.store, 'sid')).toMatchObject({ a: 1, b: 2, c: { deep: [1] } })
  })

  it.each(['reject', 'merge'] as const)('under %s one after the other is no conflict', async (concurrency) => {
    const here = await place({ concurrency })
    const { ours } = await both(here, { a: 0 })
    here.proxy.forget()
    for (let n = 1; n <= 3; n++) await here.store.set('sid', change(ours, { a: n }))
    for (let n = 4; n <= 6; n++) await here.store.set('sid', change(await load(here.store, 'sid'), { a: n }))
    expect(here.proxy.commandCount('EVALSHA')).toBe(6)
    expect(await content(here.redis)).toEqual({ a: 6 })
    expect(here.events).toEqual([])
  })

  it('of one process are treated alike', async () => {
    const here = await place({ concurrency: 'merge' })
    await here.store.set('sid', session({ a: 0, b: 0 }))
    const [one, two] = [await load(here.store, 'sid'), await load(here.store, 'sid')]
    await Promise.all([here.store.set('sid', change(one, { a: 1 })), here.store.set('sid', change(two, { b: 1 }))])
    expect(await content(here.redis)).toEqual({ a: 1, b: 1 })
    expect(here.events).toEqual([])
  })
})

describe('over HTTP, two tabs of one visitor', () => {
  it.each([
    ['last-write', 200, { slow: true }],
    ['reject', 409, { tab: '1' }],
    ['merge', 200, { slow: true, tab: '1' }],
  ] as const)('under %s the second is answered %i', async (concurrency, status, expected) => {
    const here = await place({ concurrency, cache: true })
    const gate = new Gate()
    const [app, elsewhere] = [await openApp(here.store, { gate }), await openApp(await here.other())]
    const visitor = await logIn(app)
    const slow = sameCookies(app, visitor).get('/slow')
    await gate.reached()
    expect((await sameCookies(elsewhere, visitor).post('/set?tab=1')).status).toBe(200)
    gate.open()
    expect(await slow).toMatchObject({ status, complete: true })
    const { cookie: _, user, ...rest } = (await stored(here.redis, sidOf(visitor))) ?? {}
    expect(user).toBe('ada')
    expect(rest).toEqual(expected)
    // The live session has taken over the other's key: express-session's own save at the end has kept it, as this does.
    expect((await sameCookies(app, visitor).post('/set?more=1')).status).toBe(200)
    expect(await stored(here.redis, sidOf(visitor))).toMatchObject({ ...expected, more: '1' })
  })
})

describe('a key that both changed', () => {
  it('has this request’s value, and is told with the number of such keys', async () => {
    const here = await place({ concurrency: 'merge' })
    const { ours, theirs, there } = await both(here, { a: 0, b: 0, c: 0, d: 0 })
    await there.set('sid', change(theirs, { a: 1, b: 1, c: 1 }))
    await here.store.set('sid', change(ours, { a: 2, b: 2, d: 2 }))
    expect(await content(here.redis)).toEqual({ a: 2, b: 2, c: 1, d: 2 })
    expect(here.events).toEqual([merged(2)])
  })

  it('in the same way is no clash', async () => {
    const here = await place({ concurrency: 'merge' })
    const { ours, theirs, there } = await both(here, { a: { n: 0 } })
    await there.set('sid', change(theirs, { a: { n: 1 }, b: 1 }))
    await here.store.set('sid', change(ours, { a: { n: 1 } }))
    expect(await content(here.redis)).toEqual({ a: { n: 1 }, b: 1 })
    expect(here.events).toEqual([])
  })

  it('under reject is refused like any other', async () => {
    const here = await place({ concurrency: 'reject' })
    const { ours, theirs, there } = await both(here, { a: 0 })
    await there.set('sid', change(theirs, { a: 1 }))
    await expect(here.store.set('sid', change(ours, { a: 2 }))).rejects.toMatchObject(CONFLICT)
    expect(await content(here.redis)).toEqual({ a: 1 })
  })
})

describe('a key removed', () => {
  it('by the other side goes from the live session too, and stays away', async () => {
    const here = await place({ concurrency: 'merge' })
    const { ours, theirs, there } = await both(here, { a: 0, flash: 'hello' })
    delete theirs.flash
    await there.set('sid', theirs)
    await here.store.set('sid', change(ours, { a: 1 }))
    expect(await content(here.redis)).toEqual({ a: 1 })
    expect(ours).not.toHaveProperty('flash')
    await here.store.set('sid', change(ours, { a: 2 }))
    expect(await content(here.redis)).toEqual({ a: 2 })
    expect(here.events).toEqual([])
  })

  it('here, while the other side changes another, stays away', async () => {
    const here = await place({ concurrency: 'merge' })
    const { ours, theirs, there } = await both(here, { a: 0, flash: 'hello' })
    await there.set('sid', change(theirs, { a: 1 }))
    delete ours.flash
    await here.store.set('sid', ours)
    expect(await content(here.redis)).toEqual({ a: 1 })
    expect(here.events).toEqual([])
  })

  it.each([
    ['here and changed there: it is gone', 'ours', {}],
    ['there and changed here: it stays', 'theirs', { key: 'changed' }],
  ] as const)('%s, and that is a clash', async (_, by, left) => {
    const here = await place({ concurrency: 'merge' })
    const { ours, theirs, there } = await both(here, { key: 'old' })
    const [remover, changer] = by === 'ours' ? [ours, theirs] : [theirs, ours]
    delete remover.key
    changer.key = 'changed'
    await there.set('sid', theirs)
    await here.store.set('sid', ours)
    expect(await content(here.redis)).toEqual(left)
    expect(here.events).toEqual([merged(1)])
  })

  it('by both is no clash', async () => {
    const here = await place({ concurrency: 'merge' })
    const { ours, theirs, there } = await both(here, { key: 'old', a: 0 })
    delete ours.key
    delete theirs.key
    await there.set('sid', change(theirs, { b: 1 }))
    await here.store.set('sid', change(ours, { a: 1 }))
    expect(await content(here.redis)).toEqual({ a: 1, b: 1 })
    expect(here.events).toEqual([])
  })
})

describe('keys with the names of Object’s own', () => {
  it('stay keys: nothing gets a new prototype', async () => {
    const here = await place({ concurrency: 'merge' })
    const { ours } = await both(here, { a: 0 })
    const theirs = `{"cookie":${JSON.stringify(ours.cookie)},"a":0,"__proto__":{"admin":true},"constructor":1,"toString":2}`
    await here.redis.cli('SET', keyOf('sid'), theirs)
    await here.store.set('sid', change(ours, { a: 1 }))
    expect(Object.getPrototypeOf(ours)).toBe(Object.prototype)
    expect((ours as { admin?: unknown }).admin).toBeUndefined()
    expect(({} as { admin?: unknown }).admin).toBeUndefined()
    expect(Object.keys(ours).sort()).toEqual(['__proto__', 'a', 'constructor', 'cookie', 'toString'])
    const text = await here.redis.cli('GET', keyOf('sid'))
    expect(text).toContain('"__proto__":{"admin":true}')
    expect(JSON.parse(text)).toMatchObject({ a: 1, constructor: 1, toString: 2 })
    // And away again, removed by the other side.
    await here.redis.cli('SET', keyOf('sid'), `{"cookie":${JSON.stringify(ours.cookie)},"a":1}`)
    await here.store.set('sid', change(ours, { a: 2 }))
    expect(await here.redis.cli('GET', keyOf('sid'))).not.toContain('__proto__')
    expect(Object.getPrototypeOf(ours)).toBe(Object.prototype)
    expect(here.events).toEqual([])
  })
})

describe('a change of nothing but the cookie', () => {
  it.each(MODES)('is no conflict, %s', async (concurrency) => {
    const here = await place({ concurrency })
    const { ours, theirs, there } = await both(here, { a: 0 })
    theirs.cookie.originalMaxAge = 60_000
    theirs.cookie.expires = new Date(Date.now() + 60_000)
    await there.set('sid', theirs)
    await here.store.set('sid', change(ours, { a: 1 }))
    expect(await content(here.redis)).toEqual({ a: 1 })
    expect(here.events).toEqual([])
    await here.store.set('sid', change(ours, { a: 2 }))
    expect(await content(here.redis)).toEqual({ a: 2 })
  })

  it.each(['reject', 'merge'] as const)('ours against a change of theirs counts as none, %s', async (concurrency) => {
    const here = await place({ concurrency })
    const { ours, theirs, there } = await both(here, { a: 0 })
    await there.set('sid', change(theirs, { a: 1 }))
    ours.cookie.originalMaxAge = 60_000
    const outcome = await settled(here.store.set('sid', ours))
    // Rejecting is the mode's word even for this; merging takes the other side's key.
    expect(outcome.status).toBe(concurrency === 'reject' ? 'rejected' : 'fulfilled')
    expect(await content(here.redis)).toEqual({ a: 1 })
  })
})

describe('a session that changes again while it is compared', () => {
  const steps = async (here: Place, there: ResilientStore, times: number, theirs: TestSession, ours: TestSession) => {
    let held = here.proxy.holdCommand(saveOf('sid'))
    const saving = settled(here.store.set('sid', change(ours, { ours: 1 })))
    for (let n = 1; n <= times; n++) {
      await held.hit()
      await there.set('sid', change(theirs, { [`theirs${n}`]: n }))
      const next = here.proxy.holdCommand(saveOf('sid'))
      held.release()
      held = next
    }
    held.release()
    return saving
  }

  it('is merged again, and keeps every change', async () => {
    const here = await place({ concurrency: 'merge' })
    const { ours, theirs, there } = await both(here, {})
    expect(await steps(here, there, 3, theirs, ours)).toMatchObject({ status: 'fulfilled' })
    expect(await content(here.redis)).toEqual({ ours: 1, theirs1: 1, theirs2: 2, theirs3: 3 })
    expect(here.events).toEqual([])
  })

  it('but not for ever: then the save is refused, the store goes on, and so may the request', async () => {
    const here = await place({ concurrency: 'merge' })
    const { ours, theirs, there } = await both(here, {})
    expect(await steps(here, there, 4, theirs, ours)).toMatchObject({ status: 'rejected', reason: CONFLICT })
    expect(await content(here.redis)).toEqual({ theirs1: 1, theirs2: 2, theirs3: 3, theirs4: 4 })
    expect(here.events).toEqual([REFUSED])
    await here.store.set('sid', ours)
    expect(await content(here.redis)).toMatchObject({ ours: 1, theirs1: 1, theirs4: 4 })
  })
})

describe('a merge that loses Redis before it is written', () => {
  it('is queued with both changes', async () => {
    const here = await place({ concurrency: 'merge', degradation: 'available', cache: true })
    const { ours, theirs, there } = await both(here, { a: 0, b: 0 })
    await there.set('sid', change(theirs, { a: 1 }))
    const broken = here.proxy.cutBeforeCommand(saveOf('sid'), { nth: 2 })
    await here.store.set('sid', change(ours, { b: 1 }))
    expect(broken.hits).toBe(1)
    await heal(here)
    expect(await content(here.redis)).toEqual({ a: 1, b: 1 })
    expect(await load(here.store, 'sid')).toMatchObject({ a: 1, b: 1 })
  })

  it('is saved by the next try with both changes, whether it was applied or not', async () => {
    for (const fault of ['cutBeforeCommand', 'cutBeforeReply'] as const) {
      const here = await place({ concurrency: 'merge' })
      const { ours, theirs, there } = await both(here, { a: 0, b: 0 })
      await there.set('sid', change(theirs, { a: 1 }))
      const broken = here.proxy[fault](saveOf('sid'), { nth: 2 })
      await expect(here.store.set('sid', change(ours, { b: 1 }))).rejects.toMatchObject({ code: 'EREDISDOWN' })
      expect(broken.hits).toBe(1)
      await heal(here)
      await here.store.set('sid', ours)
      expect(await content(here.redis)).toEqual({ a: 1, b: 1 })
      expect(here.events).toEqual([])
    }
  })
})

describe('while Redis is away', () => {
  it.each(MODES)('two requests of one process that queue different keys, %s', async (concurrency) => {
    const here = await place({ concurrency, degradation: 'available', cache: true })
    const { store, redis, events } = here
    await store.set('sid', session({ a: 0, b: 0 }))
    const [one, two] = [await load(store, 'sid'), await load(store, 'sid')]
    await cut(here)
    await store.set('sid', change(one, { a: 1 }))
    const second = await settled(store.set('sid', change(two, { b: 1 })))
    if (concurrency === 'reject') expect(second).toMatchObject({ reason: CONFLICT })
    else expect(second.status).toBe('fulfilled')
    const expected = { 'last-write': { a: 0, b: 1 }, reject: { a: 1, b: 0 }, merge: { a: 1, b: 1 } }[concurrency]
    expect(await load(store, 'sid')).toMatchObject(expected)
    expect(store.health().queue.saves).toBe(1)
    await heal(here)
    expect(await content(redis)).toEqual(expected)
    expect(events.filter(({ type }) => type === 'conflict')).toEqual(concurrency === 'reject' ? [REFUSED] : [])
  })

  it('requests that queue at once keep each other’s keys under merge', async () => {
    const here = await place({ concurrency: 'merge', degradation: 'available', cache: true })
    const { store, redis } = here
    await store.set('sid', session({}))
    const requests = await Promise.all(Array.from({ length: 8 }, () => load(store, 'sid')))
    await cut(here)
    await Promise.all(requests.map((request, n) => store.set('sid', change(request, { [`key${n}`]: n }))))
    await heal(here)
    expect(await content(redis)).toEqual(Object.fromEntries(requests.map((_, n) => [`key${n}`, n])))
  })

  it('a request that queues twice keeps what another queued in between', async () => {
    const here = await place({ concurrency: 'merge', degradation: 'available', cache: true })
    const { store, redis, events } = here
    await store.set('sid', session({ a: 0, b: 0 }))
    const [one, two] = [await load(store, 'sid'), await load(store, 'sid')]
    await cut(here)
    await store.set('sid', change(one, { a: 1 }))
    await store.set('sid', change(two, { b: 1 }))
    await store.set('sid', change(one, { a: 2 }))
    expect(one).toMatchObject({ a: 2, b: 1 })
    await heal(here)
    expect(await content(redis)).toEqual({ a: 2, b: 1 })
    expect(events.filter(({ type }) => type === 'conflict')).toEqual([])
  })

  it.each(['reject', 'merge'] as const)(
    'a change elsewhere meets the queued one at its replay, %s',
    async (concurrency) => {
      const here = await place({ concurrency, degradation: 'available', cache: true })
      const { ours, theirs, there } = await both(here, { a: 0, b: 0, c: 0 })
      await cut(here)
      await here.store.set('sid', change(ours, { a: 1, c: 1 }))
      await there.set('sid', change(theirs, { b: 2, c: 2 }))
      await heal(here)
      if (concurrency === 'reject') {
        expect(await content(here.redis)).toEqual({ a: 0, b: 2, c: 2 })
        expect(here.events.slice(1)).toEqual([{ ...REFUSED, queued: true }])
      } else {
        expect(await content(here.redis)).toEqual({ a: 1, b: 2, c: 1 })
        expect(here.events.slice(1)).toMatchObject([merged(1, true), { type: 'replayed', outcome: 'written' }])
      }
    },
  )

  it.each(MODES)('a session served stale is compared whatever the mode: %s', async (concurrency) => {
    const here = await place({ concurrency, degradation: 'available', cache: true })
    const { theirs, there } = await both(here, { a: 0, b: 0 })
    await cut(here)
    const stale = await load(here.store, 'sid')
    await there.set('sid', change(theirs, { a: 1 }))
    await heal(here)
    const outcome = await settled(here.store.set('sid', change(stale, { b: 1 })))
    if (concurrency === 'merge') {
      expect(outcome.status).toBe('fulfilled')
      expect(await content(here.redis)).toEqual({ a: 1, b: 1 })
    } else {
      expect(outcome).toMatchObject({ reason: CONFLICT })
      expect(await content(here.redis)).toEqual({ a: 1, b: 0 })
      expect(here.events).toEqual([REFUSED])
    }
  })

  it.each(MODES)('a change queued during the replay of the one before is written too: %s', async (concurrency) => {
    const here = await place({ concurrency, degradation: 'available', cache: true })
    const { store, proxy, redis, events } = here
    await store.set('sid', session({ a: 0 }))
    const running = await load(store, 'sid')
    await cut(here)
    await store.set('sid', change(running, { a: 1 }))
    const held = proxy.holdReply(saveOf('sid'))
    await proxy.accept()
    await held.hit()
    await store.set('sid', change(running, { a: 2 }))
    held.release()
    await heal(here)
    expect(await content(redis)).toEqual({ a: 2 })
    expect(events.map(({ type }) => type)).toEqual(['queued', 'queued', 'replayed'])
  })
})

describe('a value that cannot be parsed', () => {
  it.each(['reject', 'merge'] as const)(
    'in the place of what was loaded is never overwritten, %s',
    async (concurrency) => {
      const here = await place({ concurrency })
      const { ours, there } = await both(here, { a: 0 })
      const there2 = told(there)
      await here.redis.cli('SET', keyOf('sid'), 'not JSON')
      await expect(here.store.set('sid', change(ours, { a: 1 }))).rejects.toMatchObject(CONFLICT)
      expect(await here.redis.cli('GET', keyOf('sid'))).toBe('not JSON')
      expect(here.events).toEqual([REFUSED])
      expect(there2).toEqual([])
    },
  )
})
