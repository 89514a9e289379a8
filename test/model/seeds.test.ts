import { expect, test } from 'vitest'
import { replay } from './campaign.js'
import { REGRESSIONS } from './seeds.js'

const TIMES = 5

test.each(REGRESSIONS)('$name', { timeout: 60_000 }, async ({ script }) => {
  expect(await replay(script, TIMES)).toBeUndefined()
})
