import { expect, it } from 'vitest'
import { createFront } from './front.js'

const TARGETS = [
  { name: 'A', port: 1 },
  { name: 'B', port: 2 },
]

it('takes turns', () => {
  const front = createFront('round-robin', TARGETS)
  expect([1, 2, 3, 4].map(() => front('v1').name)).toEqual(['A', 'B', 'A', 'B'])
})

it('stays with one process for one visitor, and uses all of them', () => {
  const front = createFront('sticky', TARGETS)
  const names = Array.from({ length: 50 }, (_, index) => `v${index}`)
  const first = names.map((name) => front(name).name)
  const second = names.map((name) => front(name).name)
  expect(second).toEqual(first)
  expect(new Set(first)).toEqual(new Set(['A', 'B']))
})

it('needs a process', () => {
  expect(() => createFront('sticky', [])).toThrow(RangeError)
})

it.each(['round-robin', 'sticky'] as const)('passes over a process that is closed: %s', (kind) => {
  const targets = [
    { name: 'A', port: 1, open: false },
    { name: 'B', port: 2, open: true },
  ]
  const front = createFront(kind, targets)
  for (const visitor of ['v1', 'v2', 'v3', 'v4']) expect(front(visitor).name).toBe('B')
})
