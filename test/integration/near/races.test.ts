// What crosses on its way: reads, own writes, foreign writes and their announcements.
import { describe, expect, it } from 'vitest'
import { eventually } from '../../support/wait.js'
import { change, destroyOf, readOf, stored } from '../guard-kit.js'
import { keyOf, load, readyClient, server, session } from '../store-kit.js'
import { lines, nearStore, read, untilNear, warm } from './near-kit.js'

const json = (data: Record<string, unknown>): string => JSON.stringify(session(data, 3_600_000))

describe('a read is under way', () => {
  it('and a change comes in between: what it brings is not served again', async () => {
    const redis = await server()
    const { store, data } = await lines(redis)
    for (let time = 0; time < 15; time++) {
      const sid = `sid ${time}`
      await redis.cli('SET', keyOf(sid), json({ n: 1 }))
      const hold = data.holdReply(readOf(sid))
      const reading = load(store, sid)
      await hold.hit()
      await redis.cli('SET', keyOf(sid), json({ n: 2 }))
      hold.release()
      expect(await reading).toMatchObject({ n: 1 })
      await eventually(async () => expect(await load(store, sid)).toMatchObject({ n: 2 }))
      await warm(store, sid)
      expect(await load(store, sid)).toMatchObject({ n: 2 })
    }
  })

  it('and the announcement of a change later still: it is served until then', async () => {
    const redis = await server()
    const { store, data, line } = await lines(redis, { cache: { near: { maxSilence: 10_000 } } })
    await redis.cli('SET', keyOf('sid'), json({ n: 1 }))
    const hold = data.holdReply(readOf('sid'))
    const reading = load(store, 'sid')
    await hold.hit()
    line.blackhole('down')
    await redis.cli('SET', keyOf('sid'), json({ n: 2 }))
    hold.release()
    expect(await reading).toMatchObject({ n: 1 })
    await warm(store, 'sid')
    await line.heal()
    await eventually(async () => expect(await load(store, 'sid')).toMatchObject({ n: 2 }))
  })

  it('and a logout of the process itself: neither it nor a later one serves the session', async () => {
    const redis = await server()
    const { store, data, line } = await lines(redis, { cache: { near: { maxSilence: 10_000 } } })
    await redis.cli('SET', keyOf('sid'), json({ user: 'ada' }))
    await warm(store, 'sid')
    line.blackhole('down')
    const hold = data.holdCommand(destroyOf('sid'))
    const fromMemory = store.get('sid')
    const destroying = store.destroy('sid')
    expect(await fromMemory, 'one that had begun').toBeNull()
    await hold.hit()
    expect(await store.get('sid')).toBeNull()
    hold.release()
    await destroying
    expect(await store.get('sid')).toBeNull()
  })

  it('and the connection for announcements breaks: what it brings is not served again', async () => {
    const redis = await server()
    const { store, data, line } = await lines(redis)
    await redis.cli('SET', keyOf('sid'), json({ n: 1 }))
    const hold = data.holdReply(readOf('sid'))
    const reading = load(store, 'sid')
    await hold.hit()
    line.resetAll()
    await redis.cli('SET', keyOf('sid'), json({ n: 2 }))
    // The probe of the data connection lies behind the answer that is held.
    hold.release()
    expect(await reading).toMatchObject({ n: 1 })
    await untilNear(store)
    expect(await load(store, 'sid')).toMatchObject({ n: 2 })
  })
})

describe('own changes', () => {
  it('are read back at once, whatever the announcements do', async () => {
    const redis = await server()
    const { store, line } = await lines(redis, { cache: { near: { maxSilence: 10_000 } } })
    await store.set('sid', session({ n: 0 }))
    await warm(store, 'sid')
    line.blackhole('down')
    for (let n = 1; n <= 50; n++) {
      await store.set('sid', change(await load(store, 'sid'), { n }))
      expect(await load(store, 'sid')).toMatchObject({ n })
      await warm(store, 'sid')
    }
  })

  it('and foreign ones at the same time: what Redis has in the end is what is served', async () => {
    const redis = await server()
    const [here, there] = await Promise.all([nearStore(redis), nearStore(redis)])
    await here.set('sid', session({ n: 0 }))
    for (let n = 1; n <= 60; n++) {
      await warm(here, 'sid')
      await warm(there, 'sid')
      const loaded = await load(here, 'sid')
      await Promise.all([
        here.set('sid', change(loaded, { n: `own ${n}` })),
        redis.cli('SET', keyOf('sid'), json({ n: `foreign ${n}` })),
        n % 2 === 0 && there.touch('sid', await load(there, 'sid')),
      ])
      const { n: last } = (await stored(redis, 'sid')) as { n: string }
      await eventually(async () => {
        expect(await load(here, 'sid')).toMatchObject({ n: last })
        expect(await load(there, 'sid')).toMatchObject({ n: last })
      })
    }
  })

  // With NOLOOP Redis would not announce it: it remembers of each key who changed it last in a turn.
  it.each(['touch', 'save'] as const)(
    'a %s right behind a foreign one, in one turn of Redis, does not hide that',
    async (what) => {
      const redis = await server({ config: { 'enable-debug-command': 'yes' } })
      const store = await nearStore(redis, { touchAfter: 0, timeout: 5_000, concurrency: 'reject' })
      const foreign = await readyClient(redis, { commandTimeout: 10_000 })
      await foreign.set(keyOf('sid'), json({ n: 1 }))
      await warm(store, 'sid')
      const loaded = await load(store, 'sid')
      const asleep = foreign.call('DEBUG', 'SLEEP', '0.3')
      // What is sent while it sleeps it carries out in one turn, in order of connection.
      const written = foreign.set(keyOf('sid'), json({ n: 2 }))
      const own = what === 'touch' ? store.touch('sid', loaded) : store.set('sid', loaded).catch(() => {})
      await Promise.all([asleep, written, own])
      await eventually(async () => expect(await load(store, 'sid')).toMatchObject({ n: 2 }))
      await warm(store, 'sid')
      expect(await load(store, 'sid')).toMatchObject({ n: 2 })
    },
  )

  it('that Redis may have carried out, their answer being lost, are found', async () => {
    const redis = await server()
    const { store, data } = await lines(redis)
    await store.set('sid', session({ n: 1 }, 3_600_000))
    await warm(store, 'sid')
    const loaded = await load(store, 'sid')
    const lost = data.cutBeforeReply(({ name }) => name === 'EVALSHA')
    await expect(store.set('sid', change(loaded, { n: 2 }))).rejects.toMatchObject({ code: 'EREDISDOWN' })
    await lost.hit()
    expect(await stored(redis, 'sid')).toMatchObject({ n: 2 })
    await eventually(async () => expect(await load(store, 'sid')).toMatchObject({ n: 2 }))
    await warm(store, 'sid')
  })

  it('clear() leaves nothing to serve', async () => {
    const redis = await server()
    const [here, there] = await Promise.all([nearStore(redis), nearStore(redis)])
    const sids = Array.from({ length: 50 }, (_, n) => `sid ${n}`)
    await Promise.all(sids.map((sid) => here.set(sid, session({ sid }))))
    await warm(here, ...sids)
    await warm(there, ...sids)
    await here.clear()
    for (const sid of sids) expect(await here.get(sid)).toBeNull()
    await eventually(async () => {
      for (const sid of sids) expect((await read(there, sid)).session).toBeNull()
    })
  })
})
