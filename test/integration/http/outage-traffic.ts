// One outage, lived through by every kind of application at once: each with a store and visitors of its own, who go on
// clicking all the while. What they got is kept, for the tests to judge.
import { type Clock, systemClock } from '../../../src/clock.js'
import { type Degradation, type DegradationPreset, ResilientStore } from '../../../src/index.js'
import { type ListeningApp, listen } from '../../support/http.js'
import { type RedisServer, startRedis } from '../../support/redis-server.js'
import type { Answer, Visitor } from '../../support/visitor.js'
import { sleep, until } from '../../support/wait.js'
import { sidOf } from '../visitors.js'
import { ALL_SETTINGS, byRoute, nameOf, PERSISTENT, type Settings, shop } from './shop.js'

/** `fault`, `return`: while it goes, and while it comes back. `aged`: down, and every copy older than `maxStale`. */
export type Phase = 'before' | 'fault' | 'down' | 'aged' | 'return' | 'after'

/** `reader`, `writer`, `staff`: known to this process. `stranger`: logged in at another process. */
export type Role = 'reader' | 'writer' | 'staff' | 'stranger'

export interface Visit {
  readonly role: Role
  readonly path: string
  /** The value a write carried. */
  readonly n: number
  readonly began: Phase
  readonly ended: Phase
  /** What came; undefined where nothing came, that is, the request hung. */
  readonly answer: Answer | undefined
  readonly at: number
}

export interface History {
  readonly settings: Settings
  readonly sids: Readonly<Record<Role, string>>
  readonly visits: readonly Visit[]
  /** What Redis held of the writer when the queue had drained, before anybody wrote again. */
  readonly restored: number | undefined
  /** The last value the writer had sent by then. */
  readonly lastSent: number
  /** From Redis answering again to the first answer that came from it, ms; less what this process did not get to run. */
  readonly back: number
  /** What each visitor is told, at the end, by a process that has not seen them before. */
  readonly elsewhere: Readonly<Record<Role, Answer>>
}

export interface Outage {
  readonly policy: DegradationPreset | Degradation
  readonly fault: 'killed' | 'paused'
}

/** The store's own deadline in these runs, ms. */
export const TIMEOUT = 500
const MAX_STALE = 30_000
/** Between two clicks of a visitor, ms. */
const THINKING = 50
/** Between two looks at whether this process runs, ms. */
const TICK = 10
const ROLES: readonly Role[] = ['reader', 'writer', 'staff', 'stranger']
const WRITER_PATHS = ['/me', '/note', '/save'] as const

/** A process: a store, its application, and a clock that can be put forward. */
interface Process extends AsyncDisposable {
  readonly store: ResilientStore
  readonly app: ListeningApp
  age(ms: number): void
}

export async function liveThrough(outage: Outage): Promise<History[]> {
  await using redis = await startRedis(PERSISTENT)
  let phase: Phase = 'before'
  const worlds = await Promise.all(ALL_SETTINGS.map((settings) => World.open(redis, outage, settings, () => phase)))
  try {
    const each = (role: (world: World) => number, count: number, what: string): Promise<unknown> =>
      Promise.all(worlds.map((world) => until(() => role(world) >= count, { timeoutMs: 20_000, what })))
    const seen = (roles: readonly Role[], began: Phase) => (world: World) => world.fewest(roles, began)

    for (const world of worlds) world.begin('reader', 'writer', 'staff')
    await each(seen(['reader', 'writer', 'staff'], 'before'), 3, 'traffic before the outage')
    phase = 'fault'
    await (outage.fault === 'killed' ? redis.kill() : redis.pause())
    phase = 'down'
    for (const world of worlds) world.begin('stranger')
    await each(seen(ROLES, 'down'), 6, 'traffic during the outage')
    if (outage.policy === 'read-only') {
      phase = 'aged'
      for (const world of worlds) world.process.age(MAX_STALE + 1)
      await each(seen(ROLES, 'aged'), 2, 'traffic with old copies')
    }
    await Promise.all(worlds.map((world) => world.halt('writer')))
    phase = 'return'
    using stalls = new Stalls()
    await (outage.fault === 'killed' ? redis.start() : redis.resume())
    const returned = performance.now()
    await Promise.all(worlds.map((world) => world.untilRestored()))
    for (const world of worlds) world.begin('writer')
    phase = 'after'
    await each(seen(ROLES, 'after'), 3, 'traffic after the outage')
    await Promise.all(worlds.map((world) => world.halt(...ROLES)))
    return await Promise.all(worlds.map((world) => world.history(returned, stalls)))
  } finally {
    await Promise.all(worlds.map((world) => world[Symbol.asyncDispose]()))
  }
}

/** When this process, visitors and all, could not run because others had the machine: that is not Redis's doing. */
class Stalls implements Disposable {
  readonly #gaps: { readonly at: number; readonly lost: number }[] = []
  readonly #timer: NodeJS.Timeout
  #last = performance.now()

  constructor() {
    this.#timer = setInterval(() => {
      const now = performance.now()
      const lost = now - this.#last - TICK
      if (lost > TICK) this.#gaps.push({ at: now, lost })
      this.#last = now
    }, TICK)
  }

  /** Milliseconds. */
  between(from: number, to: number): number {
    return this.#gaps.reduce((sum, { at, lost }) => (at > from && at - lost < to ? sum + lost : sum), 0)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}

class World implements AsyncDisposable {
  readonly settings: Settings
  readonly process: Process
  readonly #other: () => Promise<Process>
  readonly #redis: RedisServer
  readonly #prefix: string
  readonly #phase: () => Phase
  readonly #visitors = new Map<Role, Visitor>()
  readonly #visits: Visit[] = []
  readonly #running = new Map<Role, Promise<void>>()
  readonly #halted = new Set<Role>()
  #n = 0
  #restored: number | undefined
  #lastSent = 0

  private constructor(redis: RedisServer, outage: Outage, settings: Settings, phase: () => Phase) {
    this.settings = settings
    this.#redis = redis
    this.#phase = phase
    this.#prefix = `${nameOf(settings)}:`
    this.#other = () => openProcess(redis, this.#prefix, outage, settings)
    this.process = undefined as never
  }

  static async open(redis: RedisServer, outage: Outage, settings: Settings, phase: () => Phase): Promise<World> {
    const world = new World(redis, outage, settings, phase)
    Object.assign(world, { process: await world.#other() })
    await using elsewhere = await world.#other()
    for (const role of ROLES) {
      const there = (role === 'stranger' ? elsewhere : world.process).app.visitor()
      const login = await there.post(`/login?user=${role}`)
      if (login.status !== 200) throw new Error(`logging in was answered with ${login.status}: ${login.body}`)
      const visitor = world.process.app.visitor()
      visitor.cookies.set('connect.sid', there.cookies.get('connect.sid') ?? '')
      world.#visitors.set(role, visitor)
    }
    return world
  }

  begin(...roles: readonly Role[]): void {
    for (const role of roles) {
      this.#halted.delete(role)
      this.#running.set(role, this.#browse(role))
    }
  }

  async halt(...roles: readonly Role[]): Promise<void> {
    for (const role of roles) this.#halted.add(role)
    await Promise.all(roles.map((role) => this.#running.get(role)))
  }

  /** How many visits the one of these made that made the fewest, of those that began and ended in a phase. */
  fewest(roles: readonly Role[], phase: Phase): number {
    const whole = this.#visits.filter(({ began, ended }) => began === phase && ended === phase)
    return Math.min(...roles.map((role) => whole.filter((visit) => visit.role === role).length))
  }

  /** Nothing waits in the queue, and nobody has written since the outage. */
  async untilRestored(): Promise<void> {
    await until(() => this.process.store.health().status === 'up', { what: 'the store to be up' })
    this.#lastSent = this.#n
    const stored = await this.#redis.cli('GET', this.#prefix + this.#sid('writer'))
    this.#restored = stored === null ? undefined : JSON.parse(stored).n
  }

  async history(returned: number, stalls: Stalls): Promise<History> {
    const good = this.#visits.find(
      ({ at, answer }) => at >= returned && answer?.headers['x-session-source'] === 'redis',
    )
    const goodAt = good?.at ?? Number.POSITIVE_INFINITY
    await using elsewhere = await this.#other()
    const told = ROLES.map(async (role) => {
      const visitor = elsewhere.app.visitor()
      visitor.cookies.set('connect.sid', this.#visitors.get(role)?.cookies.get('connect.sid') ?? '')
      return [role, await visitor.get('/me')] as const
    })
    return {
      settings: this.settings,
      sids: Object.fromEntries(ROLES.map((role) => [role, this.#sid(role)])) as Record<Role, string>,
      visits: this.#visits,
      restored: this.#restored,
      lastSent: this.#lastSent,
      back: goodAt - returned - stalls.between(returned, goodAt),
      elsewhere: Object.fromEntries(await Promise.all(told)) as Record<Role, Answer>,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.halt(...ROLES)
    await this.process[Symbol.asyncDispose]()
  }

  #sid(role: Role): string {
    return sidOf(this.#visitors.get(role) as Visitor)
  }

  async #browse(role: Role): Promise<void> {
    const visitor = this.#visitors.get(role) as Visitor
    for (let click = 0; !this.#halted.has(role); click++) {
      const path = role === 'staff' ? '/admin' : role === 'writer' ? WRITER_PATHS[click % 3] : '/me'
      const n = path === '/note' || path === '/save' ? ++this.#n : 0
      const began = this.#phase()
      const sent = n === 0 ? visitor.get(`${path}`) : visitor.post(`${path}?n=${n}`)
      const answer = await sent.catch(() => undefined)
      this.#visits.push({ role, path: `${path}`, n, began, ended: this.#phase(), answer, at: performance.now() })
      await sleep(THINKING)
    }
  }
}

async function openProcess(
  redis: RedisServer,
  prefix: string,
  { policy }: Outage,
  settings: Settings,
): Promise<Process> {
  let ahead = 0
  const clock: Clock = { wall: systemClock.wall, monotonic: () => systemClock.monotonic() + ahead }
  const cached = policy === 'strict' ? {} : { cache: { maxStale: MAX_STALE } }
  const store = new ResilientStore(
    { redis: redis.url, prefix, timeout: TIMEOUT, degradation: policy, onRedisDown: byRoute, ...cached },
    clock,
  )
  await store.ready()
  const app = await listen(shop(store, settings))
  return {
    store,
    app,
    age(ms) {
      ahead += ms
    },
    async [Symbol.asyncDispose]() {
      await app.close()
      await store.close(1)
    },
  }
}
