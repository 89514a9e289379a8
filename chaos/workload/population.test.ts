import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../test/support/random.js'
import type { Reply } from './http.js'
import { Population, SHOP_MIX } from './population.js'
import type { Visitor } from './visitor.js'

const page = (visitor: Visitor | null): Reply => ({
  status: 200,
  headers: {},
  setCookie: ['connect.sid=1'],
  page: { visitor: visitor?.name ?? null },
})

function logIn(population: Population, who: number): Visitor {
  const { visitor, action } = population.next(who, 0) ?? expect.unreachable()
  visitor.finish(visitor.begin(action, 'A', 0, 1), page(visitor), 1)
  return visitor
}

describe('a population', () => {
  it('starts with strangers who log in', () => {
    const population = new Population(3, SHOP_MIX)
    expect(population.everyone.map(({ name }) => name)).toEqual(['v1', 'v2', 'v3'])
    expect(population.next(0.5, 0.99)).toMatchObject({ visitor: { name: 'v2' }, action: 'login' })
  })

  it('passes over a visitor who can only wait', () => {
    const population = new Population(2, SHOP_MIX)
    population.next(0, 0)?.visitor.begin('login', 'A', 0, 1)
    expect(population.next(0, 0)?.visitor.name).toBe('v2')
    population.next(0, 0)?.visitor.begin('login', 'A', 0, 1)
    expect(population.next(0, 0)).toBeUndefined()
  })

  it('gives the place of one who left to somebody new', () => {
    const population = new Population(1, SHOP_MIX)
    const visitor = logIn(population, 0)
    visitor.finish(visitor.begin('logout', 'A', 2, 2), page(null), 3)
    expect(population.next(0, 0)).toMatchObject({ visitor: { name: 'v2' }, action: 'login' })
    expect(population.everyone).toHaveLength(2)
  })

  it('wishes according to the mix', () => {
    const population = new Population(1, { view: 1, add: 1, admin: 0, logout: 2, return: 0 })
    logIn(population, 0)
    expect([0, 0.3, 0.6, 0.999].map((what) => population.next(0, what)?.action)).toEqual([
      'view',
      'add',
      'logout',
      'logout',
    ])
  })

  it('mostly reads, in the mix of the shop', () => {
    const population = new Population(1, SHOP_MIX)
    logIn(population, 0)
    const random = seededRandom(1)
    const actions = Array.from({ length: 10_000 }, () => population.next(0, random())?.action)
    const share = (action: string) => actions.filter((each) => each === action).length / 10_000
    expect(share('view')).toBeCloseTo(0.72, 1)
    expect(share('add')).toBeCloseTo(0.23, 1)
    expect(share('logout')).toBeLessThan(0.02)
  })

  it('refuses a size that is not one', () => {
    for (const size of [0, 1.5, Number.NaN]) expect(() => new Population(size, SHOP_MIX)).toThrow(RangeError)
  })
})
