import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { ResilientStore } from '../../src/index.js'
import { reservePort } from '../support/ports.js'
import { settled, until } from '../support/wait.js'
import {
  afterThis,
  downError,
  keyOf,
  load,
  openClient,
  openStore,
  outcomes,
  readyStore,
  SLACK,
  server,
  session,
  timed,
  untilDown,
} from './store-kit.js'

/** Starts a process with a store, waits until it has used it, does something, then has it close: tells how that went. */
async function closeInProcess(url: string, word: string, meanwhile?: () => Promise<void>) {
  const script = fileURLToPath(new URL('fixtures/closing.ts', import.meta.url))
  const child = fork(script, [url, word], {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  afterThis(() => child.kill('SIGKILL'))
  let output = ''
  child.stdout?.on('data', (chunk) => {
    output += chunk
  })
  await once(child, 'message')
  await meanwhile?.()
  const exited = once(child, 'exit')
  child.send('close')
  await until(() => output.includes('\n'), { what: 'the store to be closed' })
  const exit = await settled(exited, { what: 'the process to exit by itself' })
  const [code] = exit.status === 'fulfilled' ? exit.value : []
  return { code, report: JSON.parse(output) as unknown }
}

const nothingLost = { droppedSaves: 0, droppedDestroys: 0 }

describe('a process that has closed its store exits by itself', () => {
  it('with Redis up', async () => {
    const redis = await server()
    const words = ['own', 'unused', 'client', 'client-first']
    const ends = await Promise.all(words.map((word) => closeInProcess(redis.url, word)))
    for (const { code, report } of ends) expect({ code, report }).toEqual({ code: 0, report: nothingLost })
  })

  it('with Redis down', async () => {
    const { port, release } = await reservePort()
    afterThis(release)
    const words = ['own', 'client', 'client-first', 'unused']
    const ends = await Promise.all(words.map((word) => closeInProcess(`redis://127.0.0.1:${port}`, word)))
    const lost = { droppedSaves: 1, droppedDestroys: 1 }
    expect(ends.map(({ code }) => code)).toEqual([0, 0, 0, 0])
    expect(ends.map(({ report }) => report)).toEqual([lost, lost, lost, nothingLost])
  })

  it('with Redis paused', async () => {
    const redis = await server()
    let pause = (): void => {}
    const paused = new Promise<void>((resolve) => {
      pause = () => void redis.pause().then(resolve)
    })
    let ready = 0
    const words = ['own', 'unused', 'client']
    const pauseOnce = async (): Promise<void> => {
      if (++ready === words.length) pause()
      await paused
    }
    const ends = await Promise.all(words.map((word) => closeInProcess(redis.url, word, pauseOnce)))
    expect(ends.map(({ code }) => code)).toEqual([0, 0, 0])
  })
})

describe('close()', () => {
  it('lets what is under way end', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    const calls = [store.set('a', session()), store.set('b', session()), store.get('c'), store.destroy('d')]
    await store.close()
    expect((await Promise.allSettled(calls)).map(({ status }) => status)).toEqual(Array(4).fill('fulfilled'))
    expect(await redis.cli('EXISTS', keyOf('a'), keyOf('b'))).toBe(2)
  })

  it('sends what is queued once Redis is back, within its time', async () => {
    const redis = await server({ appendonly: true })
    const store = await readyStore(redis, { cache: true, degradation: 'available' })
    await store.set('left', session())
    const told = outcomes(store)
    await redis.kill()
    await untilDown(store)
    await store.set('new', session())
    await store.destroy('left')
    const closing = store.close(10_000)
    await redis.start()
    expect(await closing).toEqual(nothingLost)
    expect(told.filter(({ type }) => type === 'replayed')).toHaveLength(2)
    expect(await redis.cli('EXISTS', keyOf('new'))).toBe(1)
    expect(await redis.cli('EXISTS', keyOf('left'))).toBe(0)
  })

  it('reports what it could not send, and ends in time', async () => {
    const redis = await server()
    const store = await readyStore(redis, { cache: true, degradation: 'available' })
    const told = outcomes(store)
    await redis.kill()
    await untilDown(store)
    await Promise.all([store.set('a', session()), store.set('b', session()), store.destroy('c')])
    const { ms, outcome } = await timed(() => store.close(200))
    expect(outcome).toMatchObject({ value: { droppedSaves: 2, droppedDestroys: 1 } })
    expect(ms).toBeLessThan(200 + SLACK)
    const dropped = told.flatMap((record) =>
      record.type === 'dropped' ? [`${record.operation} ${record.reason}`] : [],
    )
    expect(dropped.sort()).toEqual(['destroy shutdown', 'set shutdown', 'set shutdown'])
  })

  it('ends in time though Redis is paused with operations under way', async () => {
    const redis = await server()
    const store = await readyStore(redis, { timeout: 200 })
    await redis.pause()
    const call = settled(store.get('sid'))
    const { ms, outcome } = await timed(() => store.close(300))
    expect(outcome.status).toBe('fulfilled')
    expect(ms).toBeLessThan(300 + 200 + SLACK)
    expect((await call).status).toBe('rejected')
  })

  it('leaves no connection', async () => {
    const redis = await server()
    const before = await redis.info('connected_clients')
    const stores = await Promise.all(Array.from({ length: 5 }, () => readyStore(redis)))
    await Promise.all(stores.map((store) => store.close()))
    await until(async () => (await redis.info('connected_clients')) === before)
  })

  it('may be called again, and before the store was ever connected', async () => {
    const redis = await server()
    const store = openStore(redis)
    const first = store.close()
    expect(store.close()).toBe(first)
    expect(await first).toEqual(nothingLost)
  })

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, '5'])('refuses %s as its time', async (ms) => {
    const redis = await server()
    expect(() => openStore(redis).close(ms as number)).toThrow(RangeError)
  })
})

describe('a closed store', () => {
  const operations: Record<string, (store: ResilientStore) => Promise<unknown>> = {
    get: (store) => store.get('sid'),
    set: (store) => store.set('sid', session()),
    touch: (store) => store.touch('sid', session()),
    destroy: (store) => store.destroy('sid'),
    all: (store) => store.all(),
    ids: (store) => store.ids(),
    length: (store) => store.length(),
    clear: (store) => store.clear(),
    ready: (store) => store.ready(),
  }

  it.each(Object.keys(operations))('refuses %s', async (operation) => {
    const redis = await server()
    const store = await readyStore(redis, { cache: true })
    await store.close()
    await expect(operations[operation]!(store)).rejects.toMatchObject({ code: 'ESTORECLOSED', operation })
  })

  it('refuses by callback, asynchronously, and still calls back for a touch', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    await store.close()
    let returned = false
    const error = await new Promise((resolve) => {
      store.get('sid', (refused) => {
        expect(returned).toBe(true)
        resolve(refused)
      })
      returned = true
    })
    expect(error).toMatchObject({ code: 'ESTORECLOSED' })
    await new Promise<void>((resolve) => store.touch('sid', session(), resolve))
  })

  it('is down, and says so', async () => {
    const store = await readyStore(await server())
    await store.close()
    expect(store.health()).toMatchObject({ status: 'down', connection: { state: 'closed' } })
  })
})

describe('await using', () => {
  it('closes the store', async () => {
    const redis = await server()
    let seen: ResilientStore
    {
      await using store = await readyStore(redis)
      await store.set('sid', session())
      seen = store
    }
    await expect(seen.get('sid')).rejects.toMatchObject({ code: 'ESTORECLOSED' })
  })
})

describe('ready()', () => {
  it('resolves when everything works, again and again', async () => {
    const store = openStore(await server())
    await Promise.all([store.ready(), store.ready()])
    await store.ready(1_000)
    expect(store.health().status).toBe('up')
  })

  it('rejects after its time with what is in the way', async () => {
    const { port, release } = await reservePort()
    afterThis(release)
    const store = openStore({ url: `redis://127.0.0.1:${port}` })
    const { ms, outcome } = await timed(() => store.ready(300))
    expect(outcome).toMatchObject({ reason: { code: 'EREDISDOWN', operation: 'ready', reason: 'refused' } })
    expect(ms).toBeGreaterThan(290)
    expect(ms).toBeLessThan(300 + SLACK)
  })

  it('rejects after its time when Redis is paused', async () => {
    const redis = await server()
    await redis.pause()
    const store = openStore(redis, { timeout: 100 })
    expect((await downError(store.ready(300))).reason).toBe('timeout')
  })

  it('rejects when the store is closed meanwhile', async () => {
    const { port, release } = await reservePort()
    afterThis(release)
    const store = openStore({ url: `redis://127.0.0.1:${port}` })
    const ready = settled(store.ready())
    await store.close()
    expect(await ready).toMatchObject({ reason: { code: 'ESTORECLOSED' } })
  })

  it('resolves after an outage', async () => {
    const redis = await server()
    const store = await readyStore(redis)
    await redis.kill()
    await untilDown(store)
    const ready = store.ready()
    await redis.start()
    await ready
    await store.set('sid', session())
    await load(store, 'sid')
  })

  it('does not keep a client that connects by itself from being used', async () => {
    const redis = await server()
    const store = openStore(redis, { client: openClient(redis, { lazyConnect: true }) })
    await store.ready()
  })

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('refuses %s as its time', async (ms) => {
    await expect(openStore(await server()).ready(ms)).rejects.toThrow(RangeError)
  })
})
