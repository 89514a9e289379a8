import { describe, expect, it } from 'vitest'
import { SCENARIOS, scenarioNamed } from './index.js'

it('have names of their own', () => {
  expect(new Set(SCENARIOS.map(({ name }) => name)).size).toBe(SCENARIOS.length)
  expect(() => scenarioNamed('quake')).toThrow(/there is no scenario quake; there are kill, /)
})

describe.each(SCENARIOS)('$name', ({ steps, topologies, loses }) => {
  it('happens within the run, and leaves time to recover', () => {
    expect(topologies.length).toBeGreaterThan(0)
    for (const { at, until = at } of steps) {
      expect(at).toBeGreaterThanOrEqual(0.1)
      expect(until).toBeGreaterThanOrEqual(at)
      expect(until).toBeLessThanOrEqual(0.8)
    }
  })

  it('loses something only where it can be run', () => {
    // A kill of a single server with its file on disk loses nothing: nothing is forgiven there.
    expect(loses?.standalone?.kind).not.toBe('unreplicated')
  })
})
