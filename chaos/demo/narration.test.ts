import { expect, it } from 'vitest'
import { SMALLEST } from '../show/screen.js'
import { describeRun } from './narration.js'

const STORES = ['resilient', 'connect-redis'] as const
const POLICIES = ['strict', 'read-only', 'available'] as const
const FRONTS = ['round-robin', 'sticky'] as const

it('says nothing that the smallest screen would have to cut off', () => {
  for (const store of STORES) {
    for (const policy of POLICIES) {
      for (const front of FRONTS) {
        const { title, subtitle, messages } = describeRun(
          { store, policy, front, seconds: 24, seed: 7, color: true },
          150,
          50,
        )
        expect(title.length).toBeLessThan(SMALLEST.columns - 20)
        expect(subtitle.length).toBeLessThanOrEqual(SMALLEST.columns - 4)
        for (const message of Object.values(messages)) expect(message.length).toBeLessThanOrEqual(SMALLEST.columns - 9)
      }
    }
  }
})

it('names the store that is shown, and its policy where it has one', () => {
  const common = { policy: 'strict', front: 'sticky', seconds: 24, seed: 7, color: true } as const
  expect(describeRun({ ...common, store: 'resilient' }, 1, 1).title).toContain('policy strict')
  expect(describeRun({ ...common, store: 'connect-redis' }, 1, 1).title).not.toContain('strict')
})
