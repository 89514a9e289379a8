// Redis may have carried the delete out: the session is gone here at once, and the delete is sent again, once.
import { describe, expect, it } from 'vitest'
import type { TcpProxy } from '../../support/tcp-proxy.js'
import { settled, until } from '../../support/wait.js'
import { cut, destroyOf, expectDead, heal, PATIENT, place, recover } from '../guard-kit.js'
import { keyOf, load, markerOf, session } from '../store-kit.js'

const FAULTS = [
  ['cut before the command', 'written', (proxy: TcpProxy) => proxy.cutBeforeCommand(destroyOf('sid'))],
  ['cut before the reply', 'already-there', (proxy: TcpProxy) => proxy.cutBeforeReply(destroyOf('sid'))],
  ['cut amid the reply', 'already-there', (proxy: TcpProxy) => proxy.cutMidReply(destroyOf('sid'), { bytes: 1 })],
  ['reply swallowed', 'already-there', (proxy: TcpProxy) => proxy.swallowReply(destroyOf('sid'))],
] as const

describe.each(FAULTS)('%s', (_, outcome, arm) => {
  it.each(['strict', 'read-only', 'available'] as const)('under %s', async (degradation) => {
    const calls: [string, string | undefined][] = []
    const here = await place({
      ...{ degradation, cache: degradation !== 'strict', timeout: 200 },
      onRedisDown: (error, _req, sid) => void calls.push([error.operation, sid]),
    })
    const { redis, proxy, store, events, other } = here
    const there = await other()
    // Loads the script, so that it is one command.
    await store.destroy('another')
    await store.set('sid', session({ user: 'ada' }))
    await load(store, 'sid')
    const fault = arm(proxy)
    const ended = await settled(store.destroy('sid'))
    expect(fault.hits).toBe(1)
    expect(ended.status).toBe(degradation === 'available' ? 'fulfilled' : 'rejected')
    expect(await store.get('sid')).toBeNull()
    await recover(here)
    await expectDead(redis, 'sid', store, there)
    // Reads of nobody found out when Redis was back.
    expect(calls.filter(([, sid]) => sid !== 'nobody')).toEqual([['destroy', 'sid']])
    expect(events).toMatchObject([
      { type: 'queued', operation: 'destroy' },
      { type: 'replayed', operation: 'destroy', outcome },
    ])
    expect(store.health()).toMatchObject({ queue: { saves: 0, destroys: 0 }, revocations: 2 })
  })
})

it('asked for twice, and failed twice, it is told twice and sent once', async () => {
  const calls: string[] = []
  const here = await place({
    degradation: 'available',
    cache: true,
    onRedisDown: (error) => void calls.push(error.operation),
  })
  const { redis, proxy, store, events } = here
  await store.set('sid', session())
  await cut(here)
  await Promise.all([store.destroy('sid'), store.destroy('sid')])
  await store.destroy('sid')
  proxy.forget()
  await heal(here)
  await expectDead(redis, 'sid', store)
  expect(calls).toEqual(['destroy', 'destroy', 'destroy'])
  expect(events.filter(({ type }) => type === 'replayed')).toHaveLength(1)
})

it('that was queued and then went through by itself has one outcome too', async () => {
  const here = await place({ degradation: 'available', cache: true, timeout: 1_000 })
  const { redis, proxy, store, events } = here
  await store.destroy('another')
  await store.set('sid', session())
  await cut(here)
  await store.destroy('sid')
  // Both are on their way at once: the replay's, and the visitor's second try.
  const held = proxy.holdCommand(destroyOf('sid'))
  await proxy.accept()
  await held.hit()
  const again = store.destroy('sid')
  held.release()
  await again
  await heal(here)
  await expectDead(redis, 'sid', store)
  expect(events.map(({ type }) => type)).toEqual(['queued', 'replayed'])
})

it('whose replay failed, and that went through by itself meanwhile, has one outcome too', async () => {
  const here = await place({ degradation: 'available', cache: true, timeout: 100, breaker: PATIENT })
  const { redis, proxy, store, events } = here
  await store.destroy('another')
  await store.set('sid', session())
  const held = proxy.holdReply(destroyOf('sid'), { times: Number.POSITIVE_INFINITY })
  await store.destroy('sid')
  await until(() => proxy.replyCount('EVALSHA') >= 4 && !store.health().queue.replaying, { what: 'a replay to fail' })
  held.release()
  await store.destroy('sid')
  await recover(here)
  await expectDead(redis, 'sid', store)
  const ends = events.filter(({ type }) => type === 'replayed')
  expect(ends).toMatchObject([{ operation: 'destroy', outcome: 'already-there' }])
})

it('is replayed to a Redis that came back full', async () => {
  const here = await place({ degradation: 'available', cache: true })
  const { redis, proxy, store, events } = here
  await store.set('sid', session())
  await cut(here)
  await store.destroy('sid')
  await store.set('other', session())
  await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
  await proxy.accept()
  await until(async () => (await redis.cli<number>('EXISTS', keyOf('sid'))) === 0, {
    what: 'the delete to be replayed',
  })
  expect(await redis.cli('EXISTS', markerOf('sid'))).toBe(1)
  expect(store.health().queue).toMatchObject({ saves: 1 })
  await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
  await heal(here)
  expect(await redis.cli('EXISTS', keyOf('other'))).toBe(1)
  expect(events.map(({ type }) => type)).toEqual(['queued', 'queued', 'replayed', 'replayed'])
})

it('in the middle of a replay of many, each is sent until Redis has it, and ends once', async () => {
  const here = await place({ degradation: 'available', cache: true })
  const { redis, proxy, store, events } = here
  const sids = Array.from({ length: 60 }, (_, n) => `visitor-${n}`)
  await Promise.all(sids.map((sid) => store.set(sid, session())))
  await store.destroy('another')
  await cut(here)
  await Promise.all(sids.map((sid) => store.destroy(sid)))
  const broken = [proxy.cutBeforeReply(destroyOf(), { nth: 10 }), proxy.cutBeforeCommand(destroyOf(), { nth: 70 })]
  await proxy.accept()
  for (const fault of broken) await fault.hit()
  await heal(here)
  for (const sid of sids) expect(await redis.cli('EXISTS', keyOf(sid))).toBe(0)
  for (const sid of sids) expect(await redis.cli('EXISTS', markerOf(sid))).toBe(1)
  expect(events.filter(({ type }) => type === 'replayed')).toHaveLength(60)
})
