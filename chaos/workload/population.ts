import type { Action } from '../records.js'
import { Visitor } from './visitor.js'

/** How often visitors wish to do what: weights, in any unit. */
export type Mix = Readonly<Record<Exclude<Action, 'login'>, number>>

/** Mostly reading, some writing, few who leave: an ordinary shop. */
export const SHOP_MIX: Mix = { view: 71, add: 22, admin: 4.5, logout: 1.5, return: 1 }

/** Leavers who may come back with their old cookie: the last so many. */
const LEAVERS = 30

/** A fixed number of places, each taken by one visitor; who leaves makes room for somebody new. */
export class Population {
  /** Everybody who ever had a place, in order of arrival. */
  readonly everyone: Visitor[] = []
  readonly #places: Visitor[]
  readonly #mix: Mix
  readonly #leavers: Visitor[] = []

  constructor(size: number, mix: Mix) {
    if (!(Number.isInteger(size) && size >= 1))
      throw new RangeError(`size must be a whole number from 1 on, got ${size}`)
    this.#mix = mix
    this.#places = Array.from({ length: size }, () => this.#newcomer())
  }

  /**
   * Who comes, and what they do. `who` and `what` are numbers in [0, 1). A visitor who can only wait is passed over for
   * the next one; `undefined` when all can only wait.
   */
  next(who: number, what: number): { visitor: Visitor; action: Action } | undefined {
    const wish = this.#wish(what)
    if (wish === 'return') {
      const visitor = this.#leavers[Math.floor(who * this.#leavers.length)]
      if (visitor !== undefined) return { visitor, action: 'return' }
    }
    const first = Math.floor(who * this.#places.length)
    for (let step = 0; step < this.#places.length; step++) {
      const visitor = this.#at((first + step) % this.#places.length)
      const action = visitor.choose(wish === 'return' ? 'view' : wish)
      if (action !== undefined) return { visitor, action }
    }
    return undefined
  }

  #at(place: number): Visitor {
    const present = this.#places[place]
    if (present !== undefined && !present.hasLeft) return present
    if (present !== undefined && present.stay !== 'lost') {
      this.#leavers.push(present)
      if (this.#leavers.length > LEAVERS) this.#leavers.shift()
    }
    const newcomer = this.#newcomer()
    this.#places[place] = newcomer
    return newcomer
  }

  #newcomer(): Visitor {
    const visitor = new Visitor(`v${this.everyone.length + 1}`)
    this.everyone.push(visitor)
    return visitor
  }

  #wish(what: number): Exclude<Action, 'login'> {
    const entries = Object.entries(this.#mix) as [keyof Mix, number][]
    let left = what * entries.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [action, weight] of entries) {
      left -= weight
      if (left < 0) return action
    }
    return 'view'
  }
}
