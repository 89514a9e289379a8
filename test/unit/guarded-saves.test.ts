import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { RedisFailure } from '../../src/errors.js'
import { GuardedSaves } from '../../src/guarded-saves.js'
import type { SaveCommand, SaveReply } from '../../src/redis/sessions.js'

const command: SaveCommand = { sid: 'a', value: '{}', ttl: 60_000, guard: { kind: 'none' } }

// Time passes only while Redis takes some: what is decided at the half of it is seen exactly.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
  vi.advanceTimersByTime(1_000_000)
})
afterEach(() => {
  vi.useRealTimers()
})

/** Guarded saves over a Redis that gives these replies, one after the other; each step is noted. */
function setUp(
  replies: (SaveReply | Error)[],
  takes = 0,
): { saves: GuardedSaves; steps: string[]; deadlines: number[] } {
  const steps: string[] = []
  const deadlines: number[] = []
  type Args = ConstructorParameters<typeof GuardedSaves>
  const lane = {
    run: (request: () => Promise<unknown>, deadline: number) => {
      deadlines.push(deadline)
      return request()
    },
  }
  const commands = {
    save: (given: SaveCommand) => async () => {
      expect(given).toBe(command)
      steps.push('save')
      vi.advanceTimersByTime(takes)
      const reply = replies.shift()
      if (reply instanceof Error) throw reply
      return reply
    },
    measure: () => async () => {
      steps.push('measure')
    },
  }
  const nodes = { of: () => ({ lanes: { save: lane } }) }
  const saves = new GuardedSaves(...([nodes, commands] as unknown as Args))
  return { saves, steps, deadlines }
}

describe('a guarded save', () => {
  it.each<SaveReply>([
    { result: 'saved' },
    { result: 'revoked' },
    { result: 'gone' },
    { result: 'conflict', stored: '{}' },
  ])('hands over the answer: $result', async (reply) => {
    const { saves, steps } = setUp([reply])
    expect(await saves.run(command, performance.now() + 60_000)).toEqual(reply)
    expect(steps).toEqual(['save'])
  })

  it("that is late with time to spare has Redis's clock read again, and is sent once more", async () => {
    const { saves, steps, deadlines } = setUp([{ result: 'late' }, { result: 'saved' }])
    const deadline = performance.now() + 60_000
    expect(await saves.run(command, deadline)).toEqual({ result: 'saved' })
    expect(steps).toEqual(['save', 'measure', 'save'])
    expect(deadlines).toEqual([deadline, deadline, deadline])
  })

  it('that is late again is late: it is sent once more, not for ever', async () => {
    const { saves, steps } = setUp([{ result: 'late' }, { result: 'late' }, { result: 'saved' }])
    expect(await saves.run(command, performance.now() + 60_000)).toEqual({ result: 'late' })
    expect(steps).toEqual(['save', 'measure', 'save'])
  })

  it('that came back within half of its time had time to spare', async () => {
    const { saves, steps } = setUp([{ result: 'late' }, { result: 'saved' }], 30)
    expect(await saves.run(command, performance.now() + 60)).toEqual({ result: 'saved' })
    expect(steps).toEqual(['save', 'measure', 'save'])
  })

  it('that is late because it took long is late; the clock is read again for the next one', async () => {
    const { saves, steps } = setUp([{ result: 'late' }, { result: 'saved' }], 31)
    expect(await saves.run(command, performance.now() + 60)).toEqual({ result: 'late' })
    expect(steps).toEqual(['save', 'measure'])
  })

  it('that used up its time leaves half as much again for reading the clock', async () => {
    const { saves, deadlines } = setUp([{ result: 'late' }], 100)
    const deadline = performance.now() + 60
    await saves.run(command, deadline)
    expect(deadlines).toEqual([deadline, deadline + 40 + 30])
  })

  it('rejects as the lane does, and is not sent again', async () => {
    const down = new RedisFailure('timeout', 'no answer')
    const { saves, steps } = setUp([down])
    await expect(saves.run(command, performance.now() + 60_000)).rejects.toBe(down)
    expect(steps).toEqual(['save'])
  })
})
