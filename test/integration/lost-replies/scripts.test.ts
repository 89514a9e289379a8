// Redis has forgotten the scripts: they are sent again, in order, within the operation's one deadline.
import { describe, expect, it } from 'vitest'
import { settled, until } from '../../support/wait.js'
import { change, destroyOf, expectDead, heal, PATIENT, place, REVOKED, recover, saveOf, stored } from '../guard-kit.js'
import { downError, keyOf, load, markerOf, readyStore, server, session, untilDown, untilUp } from '../store-kit.js'

const EVAL = 'EVAL'

describe('after SCRIPT FLUSH', () => {
  it('saves, destroys and the deletion of what cannot be read go on', async () => {
    const failures: string[] = []
    const here = await place({
      ...{ concurrency: 'reject', onRedisDown: (error) => void failures.push(error.operation) },
    })
    const { redis, store } = here
    await store.set('sid', session({ step: 0 }))
    for (let step = 1; step <= 3; step++) {
      await redis.cli('SCRIPT', 'FLUSH')
      await store.set('sid', change(await load(store, 'sid'), { step }))
      expect(await stored(redis, 'sid')).toMatchObject({ step })
    }
    await redis.cli('SCRIPT', 'FLUSH')
    await store.destroy('sid')
    await expectDead(redis, 'sid', store)
    await redis.cli('SCRIPT', 'FLUSH')
    await redis.cli('SET', keyOf('bad'), 'not JSON')
    expect(await store.get('bad')).toBeNull()
    expect(await redis.cli('EXISTS', keyOf('bad'))).toBe(0)
    expect(failures).toEqual([])
    expect(store.health().status).toBe('up')
  })

  it('fifty at once keep their order, session by session', async () => {
    const { redis, store } = await place()
    await redis.cli('SCRIPT', 'FLUSH')
    const saves = Array.from({ length: 50 }, (_, n) => store.set(`visitor-${n % 5}`, session({ n })))
    await Promise.all(saves)
    for (let n = 45; n < 50; n++) expect(await stored(redis, `visitor-${n % 5}`)).toMatchObject({ n })
  })

  it('a save that must be sent again does not overtake a logout', async () => {
    const { redis, proxy, store } = await place()
    await store.set('sid', session({ step: 0 }))
    const running = await load(store, 'sid')
    await redis.cli('SCRIPT', 'FLUSH')
    const held = proxy.holdCommand(EVAL)
    const saving = settled(store.set('sid', change(running, { step: 1 })))
    await held.hit()
    const destroying = store.destroy('sid')
    held.release()
    await Promise.all([saving, destroying])
    await expectDead(redis, 'sid', store)
  })

  it('a save that must be sent again is refused when another process destroyed the session in between', async () => {
    const { redis, proxy, store, other } = await place()
    const there = await other()
    await store.set('sid', session({ step: 0 }))
    const running = await load(store, 'sid')
    await redis.cli('SCRIPT', 'FLUSH')
    const held = proxy.holdCommand(EVAL)
    const saving = settled(store.set('sid', change(running, { step: 1 })))
    await held.hit()
    await there.destroy('sid')
    held.release()
    expect(await saving).toMatchObject({ reason: REVOKED })
    await expectDead(redis, 'sid', store, there)
  })

  it('the second sending obeys the first one’s deadline, in the process and in Redis', async () => {
    const here = await place({ timeout: 100, breaker: PATIENT })
    const { redis, proxy, store } = here
    await store.set('sid', session({ step: 0 }))
    const running = await load(store, 'sid')
    await redis.cli('SCRIPT', 'FLUSH')
    const held = proxy.holdCommand(EVAL)
    expect((await downError(store.set('sid', change(running, { step: 1 })))).reason).toBe('timeout')
    expect(held.hits).toBe(1)
    held.release()
    await recover(here)
    expect(await stored(redis, 'sid')).toMatchObject({ step: 0 })
  })

  it.each([
    ['NOSCRIPT', saveOf('sid'), 0],
    ['EVAL’s reply', EVAL, 1],
  ] as const)('the loss of %s is no conflict', async (_, match, applied) => {
    const here = await place({ concurrency: 'reject' })
    const { redis, proxy, store, events } = here
    await store.set('sid', session({ step: 0 }))
    const running = await load(store, 'sid')
    await redis.cli('SCRIPT', 'FLUSH')
    const fault = proxy.cutBeforeReply(match)
    await downError(store.set('sid', change(running, { step: 1 })))
    expect(fault.hits).toBe(1)
    expect(await stored(redis, 'sid')).toMatchObject({ step: applied })
    await heal(here)
    await store.set('sid', change(running, { step: 2 }))
    expect(await stored(redis, 'sid')).toMatchObject({ step: 2 })
    expect(events).toEqual([])
  })

  it('the loss of EVAL’s reply to a destroy is a destroy', async () => {
    const here = await place({ degradation: 'available', cache: true })
    const { redis, proxy, store, events } = here
    await store.set('sid', session())
    await redis.cli('SCRIPT', 'FLUSH')
    const fault = proxy.cutBeforeReply((command) => command.name === EVAL && destroyOf('sid')(command))
    await store.destroy('sid')
    expect(fault.hits).toBe(1)
    await heal(here)
    await expectDead(redis, 'sid', store)
    expect(events).toMatchObject([{ type: 'queued' }, { type: 'replayed', outcome: 'already-there' }])
  })
})

describe('after a restart', () => {
  it('saves, destroys and the replay of both go on', async () => {
    const redis = await server({ appendonly: true })
    const store = await readyStore(redis, { cache: true, degradation: 'available' })
    const loaded = async (sid: string) => {
      await store.set(sid, session({ step: 0 }))
      return load(store, sid)
    }
    const [saved, queued] = [await loaded('saved'), await loaded('queued')]
    await loaded('destroyed')
    await redis.kill()
    await untilDown(store)
    await store.set('queued', change(queued, { step: 1 }))
    await store.destroy('destroyed')
    await redis.start()
    await untilUp(store)
    await store.set('saved', change(saved, { step: 1 }))
    expect(await stored(redis, 'saved')).toMatchObject({ step: 1 })
    expect(await stored(redis, 'queued')).toMatchObject({ step: 1 })
    expect(await stored(redis, 'destroyed')).toBeNull()
    expect(await redis.cli('EXISTS', markerOf('destroyed'))).toBe(1)
    await redis.restart()
    await until(async () => (await settled(store.get('saved'))).status === 'fulfilled')
    await untilUp(store)
    await store.destroy('saved')
    await expectDead(redis, 'saved', store)
  })
})
