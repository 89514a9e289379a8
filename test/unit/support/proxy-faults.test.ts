import { describe, expect, it } from 'vitest'
import { Fault, Hold, type Match } from '../../support/proxy-faults.js'

function bitten(fault: Fault, ...names: string[]): string[] {
  return names.filter((name, index) => fault.claims({ name, args: [Buffer.from(String(index))] }))
}

function fault(match?: Match, options?: { nth?: number; times?: number }): Fault {
  return new Fault('test', { kind: 'swallow' }, match, options)
}

describe('Fault', () => {
  it('bites the next message, once', () => {
    const one = fault()
    expect(bitten(one, 'GET', 'GET', 'SET')).toEqual(['GET'])
    expect(one.spent).toBe(true)
  })

  it('bites by name, pattern or question', () => {
    expect(bitten(fault('set'), 'GET', 'SET', 'SET')).toEqual(['SET'])
    expect(bitten(fault(/^EVAL/), 'GET', 'EVALSHA')).toEqual(['EVALSHA'])
    expect(
      bitten(
        fault(({ args }) => String(args[0]) === '2'),
        'A',
        'B',
        'C',
      ),
    ).toEqual(['C'])
  })

  it('counts the messages it is for, and no others', () => {
    expect(bitten(fault('SET', { nth: 2, times: 2 }), 'SET', 'GET', 'SET', 'GET', 'SET', 'SET')).toEqual(['SET', 'SET'])
    expect(bitten(fault('SET', { times: Number.POSITIVE_INFINITY }), 'SET', 'SET', 'GET')).toEqual(['SET', 'SET'])
  })

  it('bites no more once it is disarmed', () => {
    const one = fault()
    one.disarm()
    expect(bitten(one, 'GET')).toEqual([])
  })

  it('says so when it never bit', async () => {
    await expect(fault().hit(20)).rejects.toThrow('timed out after 20 ms waiting for the proxy to test')
  })

  it.each([{ nth: 0 }, { times: 0 }, { nth: Number.NaN }])('refuses %j', (options) => {
    expect(() => fault('GET', options)).toThrow(RangeError)
  })
})

it('a hold is done with only when it is released', () => {
  let releases = 0
  const hold = new Hold('hold', 'SET', undefined, () => releases++)
  expect(bitten(hold, 'SET', 'SET')).toEqual(['SET'])
  expect(hold.spent).toBe(false)
  hold.release()
  expect([hold.spent, hold.released, releases]).toEqual([true, true, 1])
})
