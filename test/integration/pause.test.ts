import { createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { reservePort } from '../support/ports.js'
import { eventually, isPending, settled, sleep, until } from '../support/wait.js'
import {
  afterThis,
  downError,
  keyOf,
  load,
  openStore,
  outcomes,
  proxyTo,
  readyStore,
  rootReason,
  SLACK,
  server,
  session,
  timed,
  untilDown,
  untilUp,
} from './store-kit.js'

const TIMEOUT = 100

describe('while Redis is paused', () => {
  it('each operation ends by its timeout, and at once when the breaker is open', async () => {
    const redis = await server()
    const store = await readyStore(redis, { timeout: TIMEOUT, breaker: { resetTimeout: 10_000 } })
    await store.set('sid', session())
    const loaded = await load(store, 'sid')
    const operations: Record<string, () => Promise<unknown>> = {
      get: () => store.get('sid'),
      set: () => store.set('sid', loaded),
      touch: () => store.touch('other', session({}, 60_000)),
      destroy: () => store.destroy('left'),
    }
    await redis.pause()
    const first = await Promise.all(Object.values(operations).map((call) => timed(call)))
    for (const { ms, outcome } of first) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'EREDISDOWN', reason: 'timeout' } })
      expect(ms).toBeGreaterThan(TIMEOUT - 2)
      expect(ms).toBeLessThan(TIMEOUT + SLACK)
    }
    while (Object.values(store.health().lanes).some(({ state }) => state === 'closed')) {
      await Promise.all(Object.values(operations).map((call) => settled(call())))
    }
    for (const call of Object.values(operations)) {
      const { ms, outcome } = await timed(call)
      expect(outcome).toMatchObject({ reason: { reason: 'circuit-open' } })
      expect((outcome as PromiseRejectedResult).reason.cause).toMatchObject({ reason: 'timeout' })
      expect(ms).toBeLessThan(TIMEOUT)
    }
  })

  it('opens the other lanes too once one has found out', async () => {
    const redis = await server()
    const store = await readyStore(redis, { timeout: TIMEOUT, breaker: { resetTimeout: 10_000 } })
    await redis.pause()
    for (let failed = 0; failed < 3; failed++) await downError(store.get('sid'))
    expect(store.health().lanes.read).toMatchObject({ state: 'open', reason: 'timeout' })
    await untilDown(store, TIMEOUT + SLACK)
  })

  it('the walks end too, a timeout a round trip', async () => {
    const redis = await server()
    const store = await readyStore(redis, { timeout: TIMEOUT })
    await redis.pause()
    for (const walk of ['ids', 'all', 'length', 'clear'] as const) {
      const { ms, outcome } = await timed(() => store[walk]() as Promise<unknown>)
      expect(outcome).toMatchObject({ reason: { code: 'EREDISDOWN', operation: walk, reason: 'timeout' } })
      expect(ms).toBeLessThan(TIMEOUT + SLACK)
    }
    expect(store.health().lanes.read.state).toBe('closed')
  })

  it('serves the sessions it knows, and after the first few without waiting', async () => {
    const redis = await server()
    const store = await readyStore(redis, { timeout: TIMEOUT, cache: true })
    await store.set('sid', session({ user: 'ada' }))
    await redis.pause()
    while (store.health().lanes.read.state === 'closed') {
      expect(await load(store, 'sid')).toMatchObject({ user: 'ada' })
    }
    const { ms, outcome } = await timed(() => store.get('sid'))
    expect(outcome).toMatchObject({ value: { user: 'ada' } })
    expect(ms).toBeLessThan(TIMEOUT)
  })

  it('leaves the event loop free', async () => {
    const redis = await server()
    const store = await readyStore(redis, { timeout: TIMEOUT, cache: true })
    await redis.pause()
    const before = performance.eventLoopUtilization()
    // Some wait for their deadline, some are refused, some probes hang meanwhile.
    for (let round = 0; round < 25; round++) {
      await Promise.all(Array.from({ length: 10 }, (_, n) => settled(store.get(`${n}`))))
      await sleep(20)
    }
    // The share of the time that the loop was doing something: a call that blocks it would be nearly all of it.
    expect(performance.eventLoopUtilization(before).utilization).toBeLessThan(0.5)
  })
})

describe('when it goes on', () => {
  it('recovers without a request', async () => {
    const redis = await server()
    const store = await readyStore(redis, { timeout: TIMEOUT })
    await store.set('sid', session({ user: 'ada' }))
    await redis.pause()
    for (let failed = 0; failed < 3; failed++) await downError(store.get('sid'))
    await untilDown(store)
    await redis.resume()
    await untilUp(store, 1_000)
    expect(await load(store, 'sid')).toMatchObject({ user: 'ada' })
  })

  it('recovers from a pause that outlasted several probes and connections', async () => {
    const redis = await server()
    const store = await readyStore(redis, { timeout: 50, breaker: { resetTimeout: 100 } })
    await redis.pause()
    const told = outcomes(store)
    while (store.health().lanes.read.state === 'closed') await downError(store.get('sid'))
    await until(() => store.health().connection.state !== 'ready', { what: 'the stalled connection to be given up' })
    await sleep(1_200)
    await redis.resume()
    await untilUp(store, 2_000)
    expect(await store.get('sid')).toBeNull()
    expect(told.filter(({ type }) => type === 'down')).toHaveLength(3)
    await until(async () => Number(await redis.info('connected_clients')) <= 2, { what: 'old connections to be gone' })
  })

  it('does not carry out a save that had timed out in its socket', async () => {
    const redis = await server()
    // A breaker that stays closed: the save is written to the socket, and nothing makes a new connection.
    const breaker = { consecutiveFailures: 1_000, volumeThreshold: 1_000 }
    const store = await readyStore(redis, { timeout: TIMEOUT, breaker })
    await store.set('known', session({ step: 1 }))
    const loaded = await load(store, 'known')
    await redis.pause()
    const calls = [
      store.set('known', Object.assign(loaded, { step: 2 })),
      ...Array.from({ length: 20 }, (_, n) => store.set(`new-${n}`, session())),
    ]
    for (const call of calls) expect((await downError(call)).reason).toBe('timeout')
    await redis.resume()
    // Its answer comes behind all that was sent before.
    await until(async () => (await settled(store.get('known'))).status === 'fulfilled')
    expect(await load(store, 'known')).toMatchObject({ step: 1 })
    expect(await redis.cli('DBSIZE')).toBe(1)
  })

  it('does not bring back a session that was destroyed while its save sat in the socket', async () => {
    const redis = await server()
    const breaker = { consecutiveFailures: 1_000, volumeThreshold: 1_000 }
    const store = await readyStore(redis, { timeout: TIMEOUT, breaker })
    await store.set('sid', session())
    const loaded = await load(store, 'sid')
    await redis.pause()
    const saving = downError(store.set('sid', loaded))
    expect(await isPending(saving)).toBe(true)
    const destroying = downError(store.destroy('sid'))
    await Promise.all([saving, destroying])
    await redis.resume()
    await untilUp(store)
    expect(await redis.cli('EXISTS', keyOf('sid'))).toBe(0)
    expect(await store.get('sid')).toBeNull()
  })

  it('gives each read what was stored under its own sid', async () => {
    const redis = await server()
    const breaker = { consecutiveFailures: 1_000, volumeThreshold: 1_000 }
    const store = await readyStore(redis, { timeout: 50, breaker })
    // With time enough for a busy machine: only the reads are to run out of theirs.
    const patient = await readyStore(redis, { timeout: 10_000 })
    const sids = Array.from({ length: 50 }, (_, n) => `visitor-${n}`)
    await Promise.all(sids.map((sid) => patient.set(sid, session({ sid }))))
    await redis.pause()
    await Promise.all(sids.map((sid) => downError(store.get(sid))))
    await redis.resume()
    const late = await Promise.all(sids.map((sid) => settled(store.get(sid))))
    for (const [n, outcome] of late.entries()) {
      if (outcome.status === 'fulfilled') expect(outcome.value).toMatchObject({ sid: sids[n] })
    }
    await until(async () => (await settled(store.get('visitor-0'))).status === 'fulfilled')
    for (const sid of sids) {
      const read = await eventually(() => store.get(sid))
      expect(read).toMatchObject({ sid })
    }
  })
})

describe('a Redis that is paused when the store starts', () => {
  it('makes the first operations fail by their timeout, and is connected to when it goes on', async () => {
    const redis = await server()
    await redis.pause()
    const store = openStore(redis, { timeout: TIMEOUT })
    const { ms, outcome } = await timed(() => store.get('sid'))
    expect(outcome).toMatchObject({ reason: { code: 'EREDISDOWN', reason: 'timeout' } })
    expect(ms).toBeLessThan(TIMEOUT + SLACK)
    await redis.resume()
    await untilUp(store, 2_000)
    expect(await store.get('sid')).toBeNull()
  })
})

describe('a connection that has gone deaf', () => {
  it('in the handshake is cut within little more than a second', async () => {
    let connections = 0
    const { port, release } = await reservePort()
    const silent = createServer({ allowHalfOpen: true }, (socket) => {
      connections++
      socket.on('error', () => {})
    })
    afterThis(() => release())
    afterThis(() => silent.close())
    await new Promise<void>((resolve) => silent.listen(port, '127.0.0.1', resolve))
    const store = openStore({ url: `redis://127.0.0.1:${port}` }, { timeout: TIMEOUT })
    await until(() => connections === 1)
    await until(() => connections === 2, { timeoutMs: 1_000 + SLACK, what: 'a second connection' })
    expect(rootReason(await downError(store.get('sid')))).toBe('timeout')
  })

  it('in the handshake is given up for a new one', async () => {
    const redis = await server()
    const proxy = await proxyTo(redis)
    const deaf = proxy.swallowReply()
    const store = openStore(proxy, { timeout: TIMEOUT })
    await deaf.hit()
    expect((await downError(store.get('sid'))).reason).toBe('timeout')
    await untilUp(store)
    expect(await store.get('sid')).toBeNull()
  })

  it('in the middle of its life is given up for a new one', async () => {
    const redis = await server()
    const proxy = await proxyTo(redis)
    const store = await readyStore(proxy, { timeout: TIMEOUT })
    const deaf = proxy.swallowReply('MGET')
    expect(rootReason(await downError(store.get('sid')))).toBe('timeout')
    expect(deaf.hits).toBe(1)
    await until(async () => (await settled(store.get('sid'))).status === 'fulfilled')
    await untilUp(store)
  })
})
