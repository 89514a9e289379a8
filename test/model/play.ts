/** Plays a script against real stores on a real Redis and gives back what happened. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ResilientStore } from '../../src/index.js'
import { sleep, until } from '../support/wait.js'
import { AppProcess, type LiveSession, type MakeStore } from './app-process.js'
import type { History } from './history.js'
import { inflict } from './network.js'
import { Recorder } from './recorder.js'
import { HOLDS, type Script, type Step, VISITORS, type Word } from './steps.js'
import type { Plot } from './world.js'

const realStore: MakeStore = (options, clock) => new ResilientStore(options, clock)

/** After that an operation counts as hung, ms. */
const HUNG_MS = 6_000
/** How long to wait until all stores are well again; how soon they must be is for the checks to say. */
const RECOVERY_MS = 30_000

/** Plays it. Nothing of it remains: stores closed, keys deleted, proxies given back. */
export async function play(script: Script, plot: Plot, make: MakeStore = realStore): Promise<History> {
  const stage = await Stage.open(script, plot, make)
  try {
    await stage.perform()
    return await stage.conclude()
  } finally {
    await stage.strike()
  }
}

/** A request's session, and where the request runs. */
interface Held {
  readonly live: LiveSession
  readonly by: AppProcess
}

class Stage {
  readonly #script: Script
  readonly #plot: Plot
  readonly #make: MakeStore
  readonly #prefix: string
  readonly #recorder: Recorder
  readonly #unfollow: () => void
  readonly #all: AppProcess[] = []
  /** The store that runs in each place now. */
  readonly #places: AppProcess[] = []
  readonly #visitors: { sid: string }[] = []
  readonly #holds: Promise<Held | undefined>[]
  readonly #background = new Set<Promise<unknown>>()
  #diedAt = 0

  private constructor(script: Script, plot: Plot, make: MakeStore) {
    this.#script = script
    this.#plot = plot
    this.#make = make
    this.#prefix = plot.newPrefix()
    this.#recorder = new Recorder(script.settings, this.#prefix)
    this.#unfollow = plot.redis.follow(this.#prefix, this.#recorder.executed)
    this.#holds = Array.from({ length: HOLDS }, () => Promise.resolve(undefined))
  }

  static async open(script: Script, plot: Plot, make: MakeStore): Promise<Stage> {
    const stage = new Stage(script, plot, make)
    stage.#recorder.setOffset(await plot.redis.clockOffset(stage.#recorder.now))
    for (let place = 0; place < script.settings.stores; place++) await stage.#newProcess(place)
    if (script.warm) await Promise.all(stage.#places.map(({ store }) => store.ready(2_000).catch(() => {})))
    for (let visitor = 0; visitor < VISITORS; visitor++) {
      stage.#visitors.push({ sid: '' })
      await stage.#create(stage.#places[0] as AppProcess, visitor, 0, script.short, undefined)
    }
    if (script.warm) {
      const reads = stage.#places.map(async (place, at) => {
        await stage.#hold(at, () => stage.#load(place, 0, {}))
        await stage.#load(place, 1, {})
      })
      await Promise.all(reads)
    }
    return stage
  }

  async perform(): Promise<void> {
    for (const step of this.#script.steps) {
      // Each begins on a turn of its own: what a store does within one turn cannot be told apart in time.
      await nextTurn()
      const done = this.#take(step)
      if ('wait' in step && !step.wait) this.#inBackground(done)
      else await done
    }
  }

  /** Ends every fault, waits until all stores have recovered, reads everything once more. */
  async conclude(): Promise<History> {
    await this.#settle()
    await this.#serverBack()
    await Promise.all(this.#places.map((place) => this.#heal(place)))
    const recorder = this.#recorder
    const healedAt = recorder.now()
    const isUp = ({ store }: AppProcess): boolean => store.health().status === 'up' && !store.health().queue.replaying
    const recovered = await until(() => this.#places.every(isUp), { timeoutMs: RECOVERY_MS }).catch(() => false)
    const recoveredAt = recorder.now()
    const health = this.#places.map(({ store }) => JSON.stringify(store.health()))
    await this.#settle()
    const { sids } = recorder
    await Promise.all(this.#places.flatMap((place) => sids.map((sid) => place.get(sid))))
    await this.#plot.redis.caughtUp()
    const keys = await this.#plot.redis.look(this.#prefix, sids)
    return recorder.finish({ healedAt, recovered, recoveredAt, health, keys })
  }

  async strike(): Promise<void> {
    this.#unfollow()
    await this.#serverBack()
    await Promise.all(this.#all.map((each) => each.dispose()))
    await Promise.all(this.#all.map(({ proxy }) => this.#plot.giveBack(proxy)))
    await this.#plot.redis.forget(this.#prefix, this.#recorder.sids)
  }

  async #take(step: Step): Promise<unknown> {
    switch (step.do) {
      case 'load':
        return this.#hold(step.hold, () => this.#load(this.#at(step.store), step.visitor, step))
      case 'create':
        return this.#create(this.#at(step.store), step.visitor, step.hold, step.short, step)
      case 'save':
        return this.#withHeld(step.hold, step.think, ({ live, by }) => {
          by.edit(live, step.field)
          return by.set(live, step)
        })
      case 'touch':
        return this.#withHeld(step.hold, step.think, ({ live, by }) => by.touch(live, step))
      case 'destroy':
        return this.#at(step.store).destroy(this.#visitor(step.visitor).sid, step)
      case 'regenerate': {
        const by = this.#at(step.store)
        await by.destroy(this.#visitor(step.visitor).sid, step)
        await nextTurn()
        return this.#create(by, step.visitor, step.hold, false, step)
      }
      case 'pause':
        return sleep(step.ms)
      case 'settle':
        return this.#settle()
      default:
        return this.#disturb(step)
    }
  }

  async #disturb(step: Exclude<Step, { wait: boolean }>): Promise<void> {
    const places = 'store' in step && step.store !== undefined ? [this.#at(step.store)] : this.#places
    this.#recorder.fault(JSON.stringify({ ...step, at: places.map(({ life }) => life.id).join() }))
    switch (step.do) {
      case 'set-clock':
        for (const place of places) place.clock.setWall(step.by)
        return
      case 'advance':
        for (const place of places) place.advance(step.by)
        return
      case 'fault':
        for (const place of places) if (inflict(place.proxy, step.fault)) place.refused = true
        return
      case 'heal':
        await Promise.all(places.map((place) => this.#heal(place)))
        return
      case 'restart':
        for (const place of places) await this.#restart(place, step.how)
        return
      case 'server':
        if (this.#plot.redis.fault === undefined) this.#diedAt = this.#recorder.now()
        await this.#plot.redis.suffer(step.fault)
        if (!this.#plot.redis.listening) for (const { proxy } of this.#places) proxy.refuse()
        return
      case 'server-back':
        await this.#serverBack()
    }
  }

  async #restart(process: AppProcess, how: 'close' | 'crash'): Promise<void> {
    if (how === 'crash') process.crash()
    else this.#inBackground(process.close(300))
    await this.#newProcess(process.life.place)
  }

  async #newProcess(place: number): Promise<void> {
    const proxy = await this.#plot.takeProxy()
    if (!this.#plot.redis.listening) proxy.refuse()
    const { settings } = this.#script
    const process = new AppProcess(this.#recorder, { place, proxy, settings, prefix: this.#prefix }, this.#make)
    this.#all.push(process)
    this.#places[place] = process
  }

  async #heal(place: AppProcess): Promise<void> {
    await place.proxy.heal()
    place.refused = false
    if (!this.#plot.redis.listening) place.proxy.refuse()
  }

  /** Nobody gets through to a new server before MONITOR watches it. */
  async #serverBack(): Promise<void> {
    const { redis } = this.#plot
    if (redis.fault === undefined) return
    const another = await redis.recover()
    if (another) this.#recorder.newServer(this.#diedAt, await redis.look(this.#prefix, this.#recorder.sids))
    await Promise.all(this.#all.filter((each) => !each.refused && !each.crashed).map(({ proxy }) => proxy.accept()))
  }

  async #create(
    by: AppProcess,
    visitor: number,
    hold: number,
    short: boolean,
    step: { word?: never } | Step | undefined,
  ) {
    const sid = this.#recorder.newSid()
    this.#visitor(visitor).sid = sid
    const live = by.newSession(sid, short ? 'short' : 'long')
    by.edit(live, 'a')
    this.#holds[hold % HOLDS] = Promise.resolve({ live, by })
    return by.set(live, { word: (step as { word?: never } | undefined)?.word })
  }

  async #load(by: AppProcess, visitor: number, { word }: { word?: Word }): Promise<Held | undefined> {
    const live = await by.get(this.#visitor(visitor).sid, { word })
    return live && { live, by }
  }

  #hold(hold: number, load: () => Promise<Held | undefined>): Promise<unknown> {
    const held = load()
    this.#holds[hold % HOLDS] = held
    return held
  }

  /** Goes on with a held request, once its session is there. */
  async #withHeld(hold: number, think: number, act: (held: Held) => Promise<unknown>): Promise<void> {
    const held = await this.#holds[hold % HOLDS]
    if (think > 0) await sleep(think)
    await nextTurn()
    if (held === undefined || held.by.crashed || held.live.over) return
    await act(held)
  }

  #at(place: number): AppProcess {
    return this.#places[place % this.#places.length] as AppProcess
  }

  #visitor(visitor: number): { sid: string } {
    return this.#visitors[visitor % VISITORS] as { sid: string }
  }

  #inBackground(work: Promise<unknown>): void {
    this.#background.add(work)
    const done = (): void => void this.#background.delete(work)
    work.then(done, done)
  }

  /** Everything that was begun has ended, or counts as hung. */
  async #settle(): Promise<void> {
    await until(() => this.#background.size === 0, { timeoutMs: HUNG_MS }).catch(() => {})
  }
}
