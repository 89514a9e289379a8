// One request saves its session more than once: before its earlier save has ended, or after that one's loss was told.
import { describe, expect, it } from 'vitest'
import type { Serializer } from '../../../src/index.js'
import { sleep } from '../../support/wait.js'
import { change, cut, heal, MODES, PATIENT, place, saveOf, stored } from '../guard-kit.js'
import { load, session, untilUp } from '../store-kit.js'

/** JSON, of which the nth value from now on is made at once and handed over when the caller says so. */
function slowJson(): { serializer: Serializer; hold(nth: number): () => void } {
  const held = new Map<number, Promise<void>>()
  let made = 0
  return {
    serializer: {
      async stringify(data) {
        const text = JSON.stringify(data)
        await held.get(++made)
        return text
      },
      parse: (text) => JSON.parse(String(text)),
    },
    hold(nth) {
      let release = (): void => {}
      held.set(made + nth, new Promise((resolve) => (release = () => resolve())))
      return release
    },
  }
}

describe('a save that was made before another of its session ended', () => {
  it('keeps what that one merged in', async () => {
    const { serializer, hold } = slowJson()
    const { store, redis, events, other } = await place({ concurrency: 'merge', serializer })
    await store.set('sid', session({ a: 0, b: 0 }))
    const ours = await load(store, 'sid')
    const there = await other()
    await there.set('sid', change(await load(there, 'sid'), { a: 1 }))
    const release = hold(2)
    const first = store.set('sid', change(ours, { b: 1 }))
    const second = store.set('sid', change(ours, { b: 2 }))
    await first
    release()
    await second
    expect(await stored(redis, 'sid')).toMatchObject({ a: 1, b: 2 })
    expect(ours).toMatchObject({ a: 1, b: 2 })
    expect(events).toEqual([])
  })

  it.each(MODES)('is no conflict with it: %s', async (concurrency) => {
    const { serializer, hold } = slowJson()
    const { store, redis, events } = await place({ concurrency, serializer })
    await store.set('sid', session({ a: 0, b: 0 }))
    const ours = await load(store, 'sid')
    const release = hold(2)
    const first = store.set('sid', change(ours, { a: 1, b: 1 }))
    // What the first one changes is taken back.
    const second = store.set('sid', change(ours, { a: 0, b: 2 }))
    await first
    release()
    await second
    expect(await stored(redis, 'sid')).toMatchObject({ a: 0, b: 2 })
    expect(events).toEqual([])
  })
})

describe('a logout elsewhere that the replay of a queued save has found', () => {
  it('is known here, whether Redis answers or not', async () => {
    const here = await place({ degradation: 'available', cache: true })
    const { store, events, other } = here
    const there = await other()
    await store.set('sid', session({ a: 0 }))
    const ours = await load(store, 'sid')
    await cut(here)
    await store.set('sid', change(ours, { a: 1 }))
    await there.destroy('sid')
    await heal(here)
    expect(events.at(-1)).toEqual({ type: 'revoked', operation: 'set', reason: 'revoked', queued: true })
    await cut(here)
    await expect(store.set('sid', change(ours, { a: 2 }))).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
    expect(await store.get('sid')).toBeNull()
  })
})

describe('a save that is queued while a later one of its session is on its way', () => {
  it.each(MODES)('does not undo it: %s', async (concurrency) => {
    const timeout = 2_000
    const { store, redis, proxy, events } = await place({
      ...{ concurrency, timeout, breaker: PATIENT },
      degradation: 'available',
      cache: true,
    })
    await store.set('sid', session({ a: 0 }))
    const ours = await load(store, 'sid')
    const held = proxy.holdCommand(saveOf('sid'))
    const first = store.set('sid', change(ours, { a: 1 }))
    await held.hit()
    await sleep(timeout / 2)
    const second = store.set('sid', change(ours, { a: 2 }))
    await first
    expect(store.health().queue.saves).toBe(1)
    held.release()
    await second
    expect(await load(store, 'sid')).toMatchObject({ a: 2 })
    await untilUp(store)
    expect(await stored(redis, 'sid')).toMatchObject({ a: 2 })
    expect(events).toMatchObject([
      { type: 'queued', reason: 'timeout' },
      { type: 'replayed', operation: 'set', outcome: 'already-there' },
    ])
  })
})
