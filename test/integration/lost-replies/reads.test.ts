// Replies cut, sliced, delayed and lost: what is read under a sid was written under that sid, or is an error.
import { describe, expect, it } from 'vitest'
import type { ResilientStore } from '../../../src/index.js'
import type { TcpProxy } from '../../support/tcp-proxy.js'
import { settled } from '../../support/wait.js'
import { PATIENT, place, recover } from '../guard-kit.js'
import { session, type TestSession, untilUp } from '../store-kit.js'

const SIDS = Array.from({ length: 200 }, (_, n) => `visitor-${n}`)

interface Tally {
  own: number
  down: number
}

/** Reads all at once, some twice. Fails for what belongs to somebody else, and for a session said not to exist. */
async function readAll(store: ResilientStore): Promise<Tally> {
  const sids = [...SIDS, ...SIDS.slice(0, 20)]
  const tally: Tally = { own: 0, down: 0 }
  // In several turns of the event loop, so that they leave in several batches.
  const reads: Promise<PromiseSettledResult<unknown>>[] = []
  for (const [n, sid] of sids.entries()) {
    reads.push(settled(store.get(sid)))
    if (n % 25 === 24) await new Promise((resolve) => setImmediate(resolve))
  }
  for (const [n, outcome] of (await Promise.all(reads)).entries()) {
    if (outcome.status === 'rejected') {
      expect(outcome.reason).toMatchObject({ code: 'EREDISDOWN', operation: 'get' })
      tally.down++
    } else {
      expect(outcome.value).toMatchObject({ sid: sids[n] })
      tally.own++
    }
  }
  return tally
}

async function filled(options: Parameters<typeof place>[0]) {
  const here = await place(options)
  const there = await here.other()
  await Promise.all(SIDS.map((sid, n) => there.set(sid, session({ sid, bulk: 'x'.repeat(n) }, 3_600_000))))
  return here
}

const CUTS: readonly (readonly [string, (proxy: TcpProxy) => unknown])[] = [
  ['cut amid the first', (proxy) => proxy.cutMidReply('MGET', { bytes: 200 })],
  ['cut amid the third', (proxy) => proxy.cutMidReply('MGET', { nth: 3, bytes: 1_000 })],
  ['ended amid the second', (proxy) => proxy.cutMidReply('MGET', { nth: 2, bytes: 500, ending: 'fin' })],
  ['cut before the fourth', (proxy) => proxy.cutBeforeReply('MGET', { nth: 4 })],
  ['cut after the second', (proxy) => proxy.cutAfterReply('MGET', { nth: 2 })],
]

describe('200 reads at once', () => {
  it.each(CUTS)('of whose replies the connection was %s', async (_, arm) => {
    const here = await filled({ timeout: 2_000 })
    arm(here.proxy)
    const first = await readAll(here.store)
    expect(first.down).toBeGreaterThan(0)
    await recover(here)
    expect(await readAll(here.store)).toEqual({ own: 220, down: 0 })
  })

  it.each([3, 1_000])('whose replies come in slices of %i bytes', async (bytes) => {
    const here = await filled({ timeout: 20_000 })
    here.proxy.slice(bytes)
    expect(await readAll(here.store)).toEqual({ own: 220, down: 0 })
  })

  it.each(['json', 'hybrid'] as const)(
    'whose replies are late by more or less than the deadline, %s',
    async (serializer) => {
      const here = await filled({ timeout: 60, breaker: PATIENT, serializer })
      here.proxy.delay({ down: 60 }, 50)
      let down = 0
      for (let round = 0; round < 4; round++) down += (await readAll(here.store)).down
      expect(down).toBeGreaterThan(0)
      await here.proxy.heal()
      await recover(here)
      expect(await readAll(here.store)).toEqual({ own: 220, down: 0 })
    },
  )

  it('whose replies are all too late: the next reads get their own', async () => {
    const here = await filled({ timeout: 50, breaker: PATIENT })
    const held = here.proxy.holdReply('MGET')
    expect(await readAll(here.store)).toEqual({ own: 0, down: 220 })
    held.release()
    await readAll(here.store)
    await recover(here)
    expect(await readAll(here.store)).toEqual({ own: 220, down: 0 })
  })

  it('of which half are served from memory meanwhile', async () => {
    const here = await filled({ timeout: 2_000, cache: { max: 100 } })
    expect(await readAll(here.store)).toEqual({ own: 220, down: 0 })
    here.proxy.refuse()
    here.proxy.cutMidReply('MGET', { bytes: 300 })
    const { own, down } = await readAll(here.store)
    expect(down).toBeGreaterThan(0)
    expect(own).toBeGreaterThan(0)
    await here.proxy.heal()
    await untilUp(here.store)
    expect(await readAll(here.store)).toEqual({ own: 220, down: 0 })
  })
})

it('no two readers share an object, from Redis or from memory', async () => {
  const here = await place({ cache: true })
  const { redis, store } = here
  await store.set('sid', session({ list: [1] }, 60_000))
  const read = async (): Promise<void> => {
    const copies = (await Promise.all([1, 2, 3].map(() => store.get('sid')))) as TestSession[]
    for (const copy of copies) (copy.list as number[]).push(2)
    for (const copy of copies) expect(copy.list).toEqual([1, 2])
  }
  await read()
  await redis.kill()
  await read()
  await read()
})
