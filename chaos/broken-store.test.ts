// Whether the checkers find out, in real runs, that a store lacks what holds its promises.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Judgement, judge, type PromiseName } from './checkers/index.js'
import type { Driver } from './drivers/contract.js'
import { openDriver } from './drivers/drivers.js'
import type { Defect } from './records.js'
import { Cleanup } from './runner/cleanup.js'
import type { Plan } from './runner/plan.js'
import { performRun } from './runner/run.js'
import type { Scenario } from './scenarios/contract.js'
import { scenarioNamed } from './scenarios/index.js'
import type { Mix } from './workload/population.js'

/** Many who log out, so that a few seconds are enough. */
const LEAVING: Mix = { view: 50, add: 25, admin: 1, logout: 14, return: 10 }

let driver: Driver
beforeAll(async () => {
  driver = await openDriver('process')
})
afterAll(() => driver.close())

async function run(scenario: string, policy: Plan['policy'], defect?: Defect): Promise<Judgement> {
  const cleanup = new Cleanup()
  try {
    const brief: Scenario = { ...scenarioNamed(scenario), mix: LEAVING }
    const where = { topology: 'standalone', store: 'resilient', front: 'sticky', seed: 5, seconds: 5 } as const
    const plan: Plan = { ...where, scenario: brief, policy, ...(defect === undefined ? {} : { defect }) }
    const { header, history } = await performRun(plan, driver, cleanup, () => ({ over: () => {} }))
    return judge({ header, records: history.records })
  } finally {
    await cleanup.run()
  }
}

describe('a store without', { timeout: 60_000 }, () => {
  it.each<[Defect, PromiseName, string, Plan['policy']]>([
    ['guard', 'P4', 'calm', 'read-only'],
    ['absence', 'P2', 'kill', 'strict'],
    ['queue-bound', 'P7', 'small-limits', 'available'],
    ['deadline', 'P1', 'pause', 'read-only'],
  ])('its %s breaks %s', async (defect, promise, scenario, policy) => {
    const { promises, held } = await run(scenario, policy, defect)
    expect(promises[promise]).toMatchObject({ verdict: 'broken' })
    expect(held).toBe(false)
  })
})

it('a store that lacks nothing keeps them', { timeout: 60_000 }, async () => {
  const { promises } = await run('small-limits', 'available')
  const verdicts = (['P2', 'P4', 'P7'] as const).map((promise) => promises[promise].verdict)
  expect(verdicts).toEqual(['held', 'held', 'held'])
})
