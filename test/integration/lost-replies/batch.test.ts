// A connection that breaks in the middle of many operations: each ends once, and each that failed is told once.
import { describe, expect, it } from 'vitest'
import type { DegradationPreset, RedisDownError, ResilientStore } from '../../../src/index.js'
import type { TcpProxy } from '../../support/tcp-proxy.js'
import { settled, until } from '../../support/wait.js'
import { destroyOf, place, recover, saveOf } from '../guard-kit.js'
import { session, type TestSession } from '../store-kit.js'

const KINDS = ['get', 'set', 'touch', 'destroy', 'get'] as const

interface Ended {
  readonly operation: string
  readonly sid: string
  readonly error: unknown
}

/** Fifty operations, each with a session of its own, by callback where the method takes one; some in later turns. */
async function mixed(store: ResilientStore, loaded: Map<string, TestSession>): Promise<Ended[]> {
  const ended: Ended[] = []
  const touches: Promise<unknown>[] = []
  for (let n = 0; n < 50; n++) {
    const operation = KINDS[n % KINDS.length]!
    const sid = `visitor-${n}`
    const done = (error: unknown): void => void ended.push({ operation, sid, error: error ?? undefined })
    const running = Object.assign(loaded.get(sid)!, { n })
    if (operation === 'get') store.get(sid, done)
    else if (operation === 'set') store.set(sid, running, done)
    else if (operation === 'destroy') store.destroy(sid, done)
    else {
      const touching = store.touch(sid, running)
      touches.push(touching.then(() => done(undefined), done))
    }
    if (n % 17 === 16) await new Promise((resolve) => setImmediate(resolve))
  }
  await until(() => ended.length >= 50, { what: 'all to end' })
  await Promise.all(touches)
  // Whatever would end twice has had the time to.
  await new Promise((resolve) => setTimeout(resolve, 20))
  return ended
}

const FAULTS: readonly (readonly [string, (proxy: TcpProxy) => { readonly hits: number }])[] = [
  ['before the 1st read’s reply', (proxy) => proxy.cutBeforeReply('MGET')],
  ['amid the 2nd read’s reply', (proxy) => proxy.cutMidReply('MGET', { nth: 2, bytes: 100 })],
  ['before the 3rd turn’s saves', (proxy) => proxy.cutBeforeCommand(saveOf(), { nth: 3 })],
  ['after the 3rd turn’s saves', (proxy) => proxy.cutAfterCommand(saveOf(), { nth: 3 })],
  ['before the reply to the 2nd turn’s saves', (proxy) => proxy.cutBeforeReply(saveOf(), { nth: 2 })],
  ['after the 2nd destroy’s reply', (proxy) => proxy.cutAfterReply(destroyOf(), { nth: 2 })],
  ['before the 6th touch’s reply', (proxy) => proxy.cutBeforeReply('PEXPIRE', { nth: 6 })],
  ['and the replies swallowed from the 3rd turn’s saves on', (proxy) => proxy.swallowReply(saveOf(), { nth: 3 })],
]

describe.each(['strict', 'available'] as const satisfies readonly DegradationPreset[])('under %s', (degradation) => {
  it.each(FAULTS)('fifty operations, the connection cut %s', async (_, arm) => {
    const calls: string[] = []
    const onRedisDown = (error: RedisDownError, _req: unknown, sid: string | undefined): void => {
      calls.push(`${error.operation} ${sid}`)
    }
    const here = await place({ degradation, cache: degradation !== 'strict', timeout: 300, onRedisDown })
    const { proxy, store, events } = here
    const loaded = new Map<string, TestSession>()
    for (let n = 0; n < 50; n++) {
      await store.set(`visitor-${n}`, session({ n: -1 }, 3_600_000))
      loaded.set(`visitor-${n}`, (await store.get(`visitor-${n}`)) as unknown as TestSession)
    }
    await store.destroy('another')
    const fault = arm(proxy)
    const ended = await mixed(store, loaded)
    expect(fault.hits).toBe(1)

    expect(ended.map(({ operation, sid }) => `${operation} ${sid}`).sort()).toEqual(
      Array.from({ length: 50 }, (_, n) => `${KINDS[n % 5]} visitor-${n}`).sort(),
    )
    const failed = ended.flatMap(({ operation, sid, error }) => (error === undefined ? [] : [`${operation} ${sid}`]))
    for (const { error } of ended) if (error !== undefined) expect(error).toMatchObject({ code: 'EREDISDOWN' })
    expect(new Set(calls).size).toBe(calls.length)
    if (degradation === 'strict') {
      expect([...calls].sort()).toEqual(failed.sort())
      expect(failed.length).toBeGreaterThan(0)
    } else {
      // Reads come from memory, saves and destroys wait: nobody but a touch is failed.
      for (const one of failed) expect(one).toMatch(/^touch /)
      expect(calls).toEqual(expect.arrayContaining(failed))
    }
    const before = calls.length
    await recover(here)
    for (let n = 0; n < 50; n++) expect((await settled(store.get(`visitor-${n}`))).status).toBe('fulfilled')
    expect(calls.slice(before).filter((call) => !call.startsWith('get '))).toEqual([])
    const queued = events.filter(({ type }) => type === 'queued').length
    expect(events.filter(({ type }) => type === 'replayed')).toHaveLength(queued)
    expect(store.health().inFlight).toBe(0)
  })
})
