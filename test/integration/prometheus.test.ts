import { type OpenMetricsContentType, Registry, register as standard } from 'prom-client'
import { afterEach, describe, expect, it } from 'vitest'
import { collectMetrics, type MetricsOptions } from '../../src/prometheus.js'
import { until } from '../support/wait.js'
import { afterThis, downError, load, openStore, readyStore, server, session, untilDown, untilUp } from './store-kit.js'

/** Samples of a scrape by name and labels as Prometheus writes them, labels sorted. */
async function scrape(register: Registry): Promise<Map<string, number>> {
  const samples = new Map<string, number>()
  for (const line of (await register.metrics()).split('\n')) {
    const { name, labels = '', value } = /^(?<name>\w+)(\{(?<labels>.*)\})? (?<value>\S+)$/.exec(line)?.groups ?? {}
    if (name === undefined) continue
    const sorted = labels
      .split(/,(?=\w+=")/)
      .sort()
      .join(',')
    samples.set(sorted === '' ? name : `${name}{${sorted}}`, Number(value))
  }
  return samples
}

const nowhere = { url: 'redis://127.0.0.1:1' }

afterEach(() => standard.clear())

describe('while Redis is killed and comes back', () => {
  it('operations, lanes, cache, queue and replays show it; no session id is in it', async () => {
    const redis = await server({ appendonly: true })
    const store = await readyStore(redis, { cache: true, degradation: 'available' })
    const register = new Registry()
    const stop = await collectMetrics(store, { register })
    afterThis(stop)
    const of = async (...samples: string[]): Promise<(number | undefined)[]> => {
      const all = await scrape(register)
      return samples.map((sample) => all.get(`session_store_${sample}`))
    }
    const count = (operation: string, outcome: string): string =>
      `operation_duration_seconds_count{operation="${operation}",outcome="${outcome}"}`

    await store.set('the-known-sid', session({ secret: 'the-data' }))
    const known = await load(store, 'the-known-sid')
    expect(await of('health', 'connected{master=""}', count('get', 'ok'), count('set', 'ok'))).toEqual([0, 1, 1, 1])
    expect(await of(count('get', 'down'), 'lane_state{lane="read",master=""}', 'cache_sessions')).toEqual([0, 0, 1])

    await redis.kill()
    await untilDown(store)
    await load(store, 'the-known-sid')
    await store.set('the-known-sid', Object.assign(known, { n: 1 }))
    await downError(store.get('the-unknown-sid'))
    expect(await of('health', 'connected{master=""}', 'lane_state{lane="read",master=""}')).toEqual([2, 0, 2])
    expect(await of(count('get', 'stale'), count('get', 'down'), count('set', 'queued'))).toEqual([1, 1, 1])
    expect(await of('failures_total{operation="get",reason="circuit-open"}')).toEqual([2])
    expect(await of('queue_writes{operation="set"}', 'queued_total{operation="set"}')).toEqual([1, 1])
    expect(await of('served_age_seconds_count{source="stale"}')).toEqual([1])
    const [bytes = 0] = await of('queue_bytes')
    expect(bytes).toBeGreaterThan(0)
    const openings = [...(await scrape(register))].filter(([name]) => name.startsWith('session_store_lane_openings'))
    expect(openings.map(([, value]) => value)).toEqual([1, 1, 1])
    expect(openings[0]?.[0]).toMatch(/reason="(refused|reset|not-connected)"/)

    await redis.start()
    await untilUp(store)
    await until(async () => (await of('replayed_total{operation="set",outcome="written"}'))[0] === 1)
    await until(async () => (await of('health'))[0] === 0)
    expect(await of('queue_writes{operation="set"}', 'lane_state{lane="save",master=""}')).toEqual([0, 0])

    await store.destroy('the-known-sid')
    expect(await of('revocations', count('destroy', 'ok'))).toEqual([1, 1])
    const text = await register.metrics()
    expect(text).toContain('session_store_')
    expect(text).not.toMatch(/the-|sess:|127\.0\.0\.1/)
  })

  it('lost and refused writes, by a reason from a short list', async () => {
    const redis = await server({ appendonly: true })
    const store = await readyStore(redis, { degradation: { save: 'drop' }, touchAfter: 0 })
    const register = new Registry()
    afterThis(await collectMetrics(store, { register }))
    await store.set('a', session())
    const loaded = await load(store, 'a')
    await redis.cli('DEL', 'sess:a')
    await expect(store.set('a', Object.assign(loaded, { n: 1 }))).rejects.toMatchObject({ code: 'ESESSIONREVOKED' })
    await redis.kill()
    await untilDown(store)
    await store.set('b', session())
    await downError(store.touch('b', session()))
    const all = await scrape(register)
    expect(all.get('session_store_refused_saves_total{queued="false",reason="gone"}')).toBe(1)
    expect(all.get('session_store_dropped_total{operation="set",reason="down"}')).toBe(1)
    expect(all.get('session_store_dropped_total{operation="touch",reason="down"}')).toBe(1)
    expect(all.get('session_store_dropped_total{operation="set",reason="overflow"}')).toBe(0)
  })

  it('conflicts', async () => {
    const redis = await server()
    const store = await readyStore(redis, { concurrency: 'reject' })
    const register = new Registry()
    afterThis(await collectMetrics(store, { register }))
    await store.set('a', session())
    const mine = await load(store, 'a')
    await openStore(redis).set('a', session({ n: 1 }))
    await expect(store.set('a', Object.assign(mine, { n: 2 }))).rejects.toMatchObject({ code: 'ESESSIONCONFLICT' })
    const all = await scrape(register)
    expect(all.get('session_store_conflicts_total{queued="false",resolution="refused"}')).toBe(1)
    expect(all.get('session_store_operation_duration_seconds_count{operation="set",outcome="conflict"}')).toBe(1)
  })
})

it('series stay few, however many sessions there are', async () => {
  const store = await readyStore(await server(), { cache: true })
  const register = new Registry()
  afterThis(await collectMetrics(store, { register }))
  await store.set('first', session())
  await load(store, 'first')
  await store.destroy('first')
  const before = (await scrape(register)).size
  for (let n = 0; n < 50; n++) {
    await store.set(`s${n}`, session())
    await load(store, `s${n}`)
    await store.destroy(`s${n}`)
  }
  expect((await scrape(register)).size).toBe(before)
})

describe('registries, prefixes and labels', () => {
  it("by default prom-client's own registry, until it is stopped", async () => {
    const store = openStore(nowhere)
    const stop = await collectMetrics(store)
    expect(await standard.metrics()).toContain('session_store_health ')
    stop()
    stop()
    expect(await standard.metrics()).not.toContain('session_store')
    expect(store.listenerCount('down')).toBe(0)
    afterThis(await collectMetrics(store))
    expect(await standard.metrics()).toContain('session_store_health ')
  })

  it('several stores share the metrics by labels; each counts its own', async () => {
    const redis = await server()
    const users = await readyStore(redis)
    const admins = await readyStore(redis, { prefix: 'admin:' })
    const register = new Registry()
    const stop = await collectMetrics(users, { register, labels: { store: 'users' } })
    afterThis(await collectMetrics(admins, { register, labels: { store: 'admins' } }))
    await users.get('a')
    const gets = 'session_store_operation_duration_seconds_count{operation="get",outcome="none",store='
    const both = await scrape(register)
    expect([both.get(`${gets}"users"}`), both.get(`${gets}"admins"}`)]).toEqual([1, undefined])
    expect(both.get('session_store_health{store="users"}')).toBe(0)
    expect(both.get('session_store_health{store="admins"}')).toBe(0)

    stop()
    const left = await scrape(register)
    expect(left.has('session_store_health{store="users"}')).toBe(false)
    expect(left.get('session_store_health{store="admins"}')).toBe(0)
  })

  it('a prefix of its own', async () => {
    const register = new Registry()
    afterThis(await collectMetrics(openStore(nowhere), { register, prefix: 'shop_' }))
    expect(await register.metrics()).toContain('shop_health ')
  })

  it('in the OpenMetrics format too', async () => {
    const register = new Registry<OpenMetricsContentType>()
    register.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
    afterThis(await collectMetrics(openStore(nowhere), { register }))
    expect(await register.metrics()).toMatch(/^session_store_queued_total\{operation="set"\} 0$/m)
  })

  it('what cannot be told apart is refused, and leaves nothing behind', async () => {
    const store = openStore(nowhere)
    const other = openStore(nowhere)
    const register = new Registry()
    afterThis(await collectMetrics(store, { register, labels: { store: 'a' } }))
    await expect(collectMetrics(store, { register, labels: { store: 'b' } })).rejects.toThrow('already')
    await expect(collectMetrics(other, { register, labels: { store: 'a' } })).rejects.toThrow(
      "give each its own 'labels'",
    )
    await expect(collectMetrics(other, { register })).rejects.toThrow('must have the names of the other stores: store')
    expect(other.listenerCount('down')).toBe(0)

    const taken = new Registry()
    const stop = await collectMetrics(store, { register: taken, prefix: 'mine_' })
    stop()
    expect(taken.getMetricsAsArray()).toEqual([])
    const gauge = register.getSingleMetric('session_store_in_flight')
    if (gauge === undefined) throw new Error('the gauge is not there')
    taken.registerMetric(gauge)
    await expect(collectMetrics(other, { register: taken })).rejects.toThrow('session_store_in_flight already')
    expect(taken.getMetricsAsArray()).toEqual([gauge])
  })

  it.each<[unknown, string]>([
    [{ prefix: 'a-b' }, "option 'prefix' must match"],
    [{ labels: null }, "option 'labels' must be an object, got null"],
    [{ labels: { reason: 'x' } }, "option 'labels' may not have the name 'reason'"],
    [{ labels: { 'a-b': 'x' } }, "option 'labels' may not have the name 'a-b'"],
    [{ labels: { store: 1 } }, "option 'labels.store' must be a string, got number"],
    [{ registry: standard }, "unknown option 'registry'"],
  ])('%o is refused', async (options, message) => {
    const collecting = collectMetrics(openStore(nowhere), options as MetricsOptions)
    await expect(collecting).rejects.toThrow(TypeError)
    await expect(collecting).rejects.toThrow(message)
  })
})
