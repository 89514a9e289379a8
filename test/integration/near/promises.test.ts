// P3, P4 and P6 under random traffic: two stores with a near cache, somebody who knows nothing of them, and a connection
// for announcements that is killed, silent and late. Everything is in one process, so that all moments are of one clock.
import { describe, expect, it } from 'vitest'
import type { ResilientStore } from '../../../src/index.js'
import type { SessionSource } from '../../../src/provenance.js'
import { seededRandom } from '../../support/random.js'
import type { RedisServer } from '../../support/redis-server.js'
import { settled, sleep } from '../../support/wait.js'
import { change } from '../guard-kit.js'
import { keyOf, server, session } from '../store-kit.js'
import { type Lines, lines, read, untilNear, warm } from './near-kit.js'

const MAX_SILENCE = 300

/** A change of a session. One that failed may have been carried out, and is never acknowledged. */
interface Write {
  readonly sentAt: number
  ackedAt: number
}

/** One session from its login to its logout; its id is never used again. */
interface Life {
  readonly sid: string
  readonly writes: Map<number, Write>
  destroyedAt: number
  next: number
}

interface Seen {
  readonly life: Life
  readonly beganAt: number
  readonly source: SessionSource | undefined
  readonly n: number | undefined
}

class Traffic {
  readonly #redis: RedisServer
  readonly #random: () => number
  readonly #stores: readonly ResilientStore[]
  readonly lives: Life[] = []
  readonly seen: Seen[] = []
  #counter = 0

  constructor(redis: RedisServer, stores: readonly ResilientStore[], random: () => number) {
    this.#redis = redis
    this.#stores = stores
    this.#random = random
  }

  /** Logs somebody in. */
  async begin(): Promise<Life> {
    const life: Life = {
      sid: `life-${++this.#counter}`,
      writes: new Map(),
      destroyedAt: Number.POSITIVE_INFINITY,
      next: 0,
    }
    await this.#write(life, (n) => this.#any().set(life.sid, session({ n }, 3_600_000)))
    this.lives.push(life)
    return life
  }

  /** One who reads again and again, and now and then writes, until the time is over. */
  async visit(until: number): Promise<void> {
    let life = await this.begin()
    while (performance.now() < until) {
      const dice = this.#random()
      if (dice < 0.75) await this.#read(life)
      else if (dice < 0.82) await this.#save(life)
      else if (dice < 0.89) await this.#foreignSave(life)
      else if (dice < 0.94) await this.#touch(life)
      else {
        await this.#end(life)
        for (let time = 0; time < 10; time++) await this.#read(life)
        life = await this.begin()
      }
    }
  }

  #any(): ResilientStore {
    return this.#stores[Math.floor(this.#random() * this.#stores.length)] as ResilientStore
  }

  async #read(life: Life): Promise<void> {
    const store = this.#any()
    const beganAt = performance.now()
    const outcome = await settled(read(store, life.sid))
    if (outcome.status === 'rejected') return
    const { source, session: found } = outcome.value
    this.seen.push({ life, beganAt, source, n: found?.n as number | undefined })
  }

  async #write(life: Life, send: (n: number) => Promise<unknown>): Promise<void> {
    const n = ++life.next
    const write: Write = { sentAt: performance.now(), ackedAt: Number.POSITIVE_INFINITY }
    life.writes.set(n, write)
    const outcome = await settled(send(n))
    if (outcome.status === 'fulfilled' && outcome.value !== null) write.ackedAt = performance.now()
  }

  async #save(life: Life): Promise<void> {
    const store = this.#any()
    const loaded = await settled(store.get(life.sid))
    if (loaded.status === 'rejected' || loaded.value === null) return
    const { value } = loaded
    await this.#write(life, (n) => store.set(life.sid, change(value as never, { n })))
  }

  async #foreignSave(life: Life): Promise<void> {
    // It does not know what a marker is: a session that is gone it leaves alone.
    await this.#write(life, (n) =>
      this.#redis.cli<string | null>(
        'SET',
        keyOf(life.sid),
        JSON.stringify(session({ n }, 3_600_000)),
        'XX',
        'KEEPTTL',
      ),
    )
  }

  async #touch(life: Life): Promise<void> {
    const store = this.#any()
    const loaded = await settled(store.get(life.sid))
    if (loaded.status === 'fulfilled' && loaded.value !== null) await settled(store.touch(life.sid, loaded.value))
  }

  async #end(life: Life): Promise<void> {
    // One more save is on its way.
    const store = this.#any()
    const late = settled(store.get(life.sid)).then((loaded) =>
      loaded.status === 'fulfilled' && loaded.value !== null
        ? settled(store.set(life.sid, change(loaded.value as never, { n: -1 })))
        : undefined,
    )
    const own = this.#random() < 0.7
    const ending: Promise<unknown> = own ? this.#any().destroy(life.sid) : this.#redis.cli('DEL', keyOf(life.sid))
    const outcome = await settled(ending)
    if (outcome.status === 'fulfilled') life.destroyedAt = performance.now()
    await late
  }
}

/** When a value was certainly no longer current: somebody's later change was acknowledged. */
function outdatedAt({ writes }: Life, n: number): number {
  const known = writes.get(n)
  if (known === undefined) return Number.POSITIVE_INFINITY
  let earliest = Number.POSITIVE_INFINITY
  for (const other of writes.values()) {
    if (other.sentAt > known.ackedAt) earliest = Math.min(earliest, other.ackedAt)
  }
  return earliest
}

/** What the connections for announcements go through; the sessions' own stay as they are. */
async function disturb(places: readonly Lines[], random: () => number, until: number): Promise<void> {
  while (performance.now() < until) {
    const { line } = places[Math.floor(random() * places.length)] as Lines
    const dice = random()
    if (dice < 0.25) line.resetAll()
    else if (dice < 0.5) line.blackhole(random() < 0.5 ? 'down' : 'both')
    else if (dice < 0.75) line.delay({ down: random() * 2 * MAX_SILENCE }, random() * 50)
    else line.refuse()
    await sleep(random() * 3 * MAX_SILENCE)
    await line.heal()
    await sleep(random() * 2 * MAX_SILENCE)
  }
}

describe('with two processes and a foreign writer, while the announcements are killed, silent and late', () => {
  it.each([1, 2, 3])(
    'logouts stick, nothing comes back, and nothing older than maxSilence is served (seed %i)',
    async (seed) => {
      const random = seededRandom(seed)
      const redis = await server()
      const near = { near: { maxSilence: MAX_SILENCE } }
      const places = [await lines(redis, { cache: near }), await lines(redis, { cache: near })]
      const stores = places.map(({ store }) => store)
      const traffic = new Traffic(redis, stores, random)
      const until = performance.now() + 5_000
      await Promise.all([disturb(places, random, until), ...Array.from({ length: 6 }, () => traffic.visit(until))])

      const served = traffic.seen.filter(({ n }) => n !== undefined)
      const fromMemory = served.filter(({ source }) => source === 'near')
      expect(fromMemory.length, 'it is tried at all').toBeGreaterThan(200)
      expect(served.length - fromMemory.length).toBeGreaterThan(200)
      for (const { life, beganAt, source, n } of served) {
        const slack = source === 'near' ? MAX_SILENCE : 0
        expect(['near', 'redis']).toContain(source)
        // P3: own logouts and deletions by others alike.
        expect(beganAt - life.destroyedAt, `P3: since the logout, from ${source}`).toBeLessThanOrEqual(slack)
        // P6
        expect(
          beganAt - outdatedAt(life, n as number),
          `P6: since it was outdated, from ${source}`,
        ).toBeLessThanOrEqual(slack)
      }
      // P4
      const ended = traffic.lives.filter(({ destroyedAt }) => destroyedAt < Number.POSITIVE_INFINITY)
      expect(ended.length).toBeGreaterThan(10)
      for (const { sid } of ended) expect(await redis.cli<number>('EXISTS', keyOf(sid)), 'P4').toBe(0)

      // And all of it comes back.
      await untilNear(...stores)
      const { sid } = await traffic.begin()
      for (const store of stores) await warm(store, sid)
    },
  )
})
