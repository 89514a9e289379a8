import { describe, expect, it, vi } from 'vitest'
import { eventually, settled, until } from '../support/wait.js'
import {
  downError,
  keyOf,
  load,
  markerOf,
  openClient,
  openStore,
  outcomes,
  readyStore,
  rootReason,
  SLACK,
  server,
  session,
  timed,
  untilDown,
  untilUp,
} from './store-kit.js'

const persistent = { appendonly: true }

describe('while Redis is killed', () => {
  it('serves the sessions it knows, refuses the others at once', async () => {
    const redis = await server(persistent)
    const store = await readyStore(redis, { cache: true })
    await store.set('known', session({ user: 'ada' }))
    await openStore(redis).set('unknown', session({ user: 'eve' }))
    await redis.kill()
    await untilDown(store)

    expect(await load(store, 'known')).toMatchObject({ user: 'ada' })
    const { ms, outcome } = await timed(() => store.get('unknown'))
    expect(outcome).toMatchObject({ reason: { code: 'EREDISDOWN', reason: 'circuit-open', status: 503 } })
    expect(ms).toBeLessThan(250)
    expect(store.health()).toMatchObject({ status: 'down', connection: { state: 'lost' } })
  })

  it('serves a session it has read, as well as one it has saved', async () => {
    const redis = await server()
    const other = await readyStore(redis)
    await other.set('read', session({ user: 'ada' }, 60_000))
    await other.set('of-browser', session({ user: 'ada' }))
    const store = await readyStore(redis, { cache: true })
    await load(store, 'read')
    // Its cookie does not tell its end: it is asked for, behind the answer.
    await load(store, 'of-browser')
    await until(() => store.health().inFlight === 0)
    await redis.kill()
    await untilDown(store)
    expect(await load(store, 'read')).toMatchObject({ user: 'ada' })
    expect(await load(store, 'of-browser')).toMatchObject({ user: 'ada' })
  })

  it('serves nothing older than maxStale, and serving it makes it no younger', async () => {
    const redis = await server()
    const store = await readyStore(redis, { cache: { maxStale: 600 } })
    const before = performance.now()
    await store.set('known', session())
    const confirmed = performance.now()
    await redis.kill()
    await untilDown(store)
    let served = 0
    const refusedAt = await until(async () => {
      const asked = performance.now()
      const { status } = await settled(store.get('known'))
      if (status === 'rejected') return performance.now()
      served++
      expect(asked - confirmed).toBeLessThanOrEqual(600)
      return undefined
    })
    expect(served).toBeGreaterThan(0)
    expect(refusedAt - before).toBeGreaterThan(600)
    expect((await downError(store.get('known'))).reason).toBe('circuit-open')
  })

  it('serves nothing past its own expiry', async () => {
    const redis = await server()
    const store = await readyStore(redis, { cache: true })
    await store.set('short', session({}, 1_000))
    const saved = performance.now()
    await redis.kill()
    await untilDown(store)
    await load(store, 'short')
    await until(async () => (await settled(store.get('short'))).status === 'rejected')
    expect(performance.now() - saved).toBeLessThan(1_000 + SLACK)
  })

  it('lets nothing wait that was under way', async () => {
    const redis = await server()
    const store = await readyStore(redis, { timeout: 2_000 })
    await redis.pause()
    const gets = Array.from({ length: 50 }, (_, n) => settled(store.get(`${n}`)))
    const sets = Array.from({ length: 50 }, (_, n) => settled(store.set(`${n}`, session())))
    await redis.kill()
    const killed = performance.now()
    const ended = await Promise.all([...gets, ...sets])
    expect(performance.now() - killed).toBeLessThan(SLACK)
    expect(new Set(ended.map(({ status }) => status))).toEqual(new Set(['rejected']))
  })

  it('never answers "no session"', async () => {
    const redis = await server(persistent)
    const store = await readyStore(redis)
    await store.set('sid', session())
    let asked = 0
    let nothing = 0
    let refused = 0
    let stop = false
    const asking = (async () => {
      while (!stop) {
        asked++
        const outcome = await settled(store.get('sid'))
        if (outcome.status === 'rejected') refused++
        else if (outcome.value === null) nothing++
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    for (let round = 0; round < 3; round++) {
      const before = refused
      await redis.kill()
      await until(() => refused > before)
      await redis.start()
      await untilUp(store)
    }
    stop = true
    await asking
    expect({ nothing, refused: refused > 0, most: asked > refused }).toEqual({ nothing: 0, refused: true, most: true })
  })
})

describe('when it is started again', () => {
  it('recovers within a second, without a request that fails first', async () => {
    const redis = await server(persistent)
    const onRedisDown = vi.fn()
    const store = await readyStore(redis, { cache: true, onRedisDown })
    await store.set('sid', session({ user: 'ada' }))
    const told = outcomes(store)
    await redis.kill()
    await untilDown(store)
    await redis.start()
    await untilUp(store, 1_000)

    expect(await load(store, 'sid')).toMatchObject({ user: 'ada' })
    await store.set('sid', await load(store, 'sid'))
    await store.destroy('sid')
    expect(told.map(({ type }) => type).sort()).toEqual(['down', 'down', 'down', 'up', 'up', 'up'])
    expect(onRedisDown).not.toHaveBeenCalled()
  })

  it('has everybody logged in still, after several deaths', async () => {
    const redis = await server(persistent)
    const store = await readyStore(redis, { cache: true })
    const sids = Array.from({ length: 50 }, (_, n) => `visitor-${n}`)
    await Promise.all(sids.map((sid) => store.set(sid, session({ sid }))))
    for (let round = 0; round < 3; round++) {
      await redis.kill()
      await untilDown(store)
      await redis.start()
      await untilUp(store, 1_000)
    }
    for (const sid of sids) expect(await load(store, sid)).toMatchObject({ sid })
  })

  it('sends the logouts that waited', async () => {
    const redis = await server(persistent)
    const store = await readyStore(redis, { cache: true })
    const told = outcomes(store)
    await store.set('sid', session())
    await redis.kill()
    await untilDown(store)
    expect(await downError(store.destroy('sid'))).toMatchObject({ operation: 'destroy', reason: 'circuit-open' })
    expect(store.health().queue).toMatchObject({ destroys: 1, saves: 0 })
    await redis.start()
    await untilUp(store)

    expect(await redis.cli('GET', keyOf('sid'))).toBeNull()
    expect(await redis.cli('EXISTS', markerOf('sid'))).toBe(1)
    expect(told.filter(({ type }) => type === 'replayed')).toMatchObject([{ operation: 'destroy' }])
  })

  it('does not create again what was lost with the data', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    const told = outcomes(store)
    await store.set('sid', session())
    const loaded = await load(store, 'sid')
    await redis.kill()
    await untilDown(store)
    await redis.start()
    await untilUp(store)
    await expect(store.set('sid', loaded)).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
    expect(await store.get('sid')).toBeNull()
    expect(told).toContainEqual({ type: 'revoked', operation: 'set', reason: 'gone', queued: false })
  })

  it('creates it again where `restoreLost` is on, from a request that still has it: but for what was destroyed', async () => {
    const redis = await server()
    const [store, elsewhere] = await Promise.all([readyStore(redis, { restoreLost: true }), readyStore(redis)])
    const told = outcomes(store)
    for (const sid of ['lost', 'left']) await store.set(sid, session({ step: 1 }))
    const [lost, left] = [await load(store, 'lost'), await load(store, 'left')]
    await elsewhere.destroy('left')
    await redis.kill()
    await untilDown(store)
    await redis.start()
    await Promise.all([untilUp(store), untilUp(elsewhere)])
    // Who destroyed it has told the new server of it by then.
    await until(async () => (await redis.cli<number>('EXISTS', markerOf('left'))) === 1, {
      what: 'the logout to be sent again',
    })
    await store.set('lost', Object.assign(lost, { step: 2 }))
    await expect(store.set('left', left)).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
    expect(await load(elsewhere, 'lost')).toMatchObject({ step: 2 })
    expect(await redis.cli('EXISTS', keyOf('left'))).toBe(0)
    expect(told.filter(({ type }) => type === 'restored')).toEqual([
      { type: 'restored', operation: 'set', queued: false },
    ])
    // Restored once: what is deleted from here on is gone.
    await redis.cli('DEL', keyOf('lost'))
    await expect(store.set('lost', lost)).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
  })
})

describe('a session logged out while Redis is killed', () => {
  it('is served never again, though the cache had it', async () => {
    const redis = await server(persistent)
    const store = await readyStore(redis, { cache: true })
    await store.set('sid', session())
    await load(store, 'sid')
    await redis.kill()
    await untilDown(store)
    await load(store, 'sid')
    await downError(store.destroy('sid'))

    expect(await store.get('sid')).toBeNull()
    let answers = 0
    let stop = false
    const asking = (async () => {
      while (!stop) {
        const outcome = await settled(store.get('sid'))
        if (outcome.status === 'fulfilled') {
          answers++
          expect(outcome.value).toBeNull()
        }
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    await redis.start()
    await untilUp(store)
    stop = true
    await asking
    expect(answers).toBeGreaterThan(0)
    expect(await store.get('sid')).toBeNull()
    expect(await (await readyStore(redis)).get('sid')).toBeNull()
  })

  it('cannot be saved again, here or elsewhere', async () => {
    const redis = await server(persistent)
    const [store, elsewhere] = await Promise.all([readyStore(redis, { cache: true }), readyStore(redis)])
    await store.set('sid', session())
    const loadedThere = await load(elsewhere, 'sid')
    const loadedHere = await load(store, 'sid')
    await redis.kill()
    await untilDown(store)
    await downError(store.destroy('sid'))
    await expect(store.set('sid', loadedHere)).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
    await redis.start()
    await Promise.all([untilUp(store), untilUp(elsewhere)])

    await expect(elsewhere.set('sid', loadedThere)).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
    await expect(elsewhere.set('sid', session())).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
    expect(await redis.cli('GET', keyOf('sid'))).toBeNull()
  })
})

describe('a supplied client', () => {
  it('is followed through death and return', async () => {
    const redis = await server(persistent)
    const store = openStore(redis, { client: openClient(redis), cache: true })
    await store.ready()
    await store.set('known', session())
    await redis.kill()
    await untilDown(store)
    await load(store, 'known')
    expect(rootReason(await downError(store.get('unknown')))).toMatch(/^(reset|refused)$/)
    await redis.start()
    await untilUp(store, 1_000)
    expect(await eventually(() => store.get('unknown'))).toBeNull()
  })
})
