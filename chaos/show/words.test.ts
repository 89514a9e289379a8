import { expect, it } from 'vitest'
import { milliseconds, percent } from './words.js'

it('keeps times short', () => {
  expect([0.12, 99.94, 100, 999, 1000, 12_345].map(milliseconds)).toEqual([
    ...['0.1 ms', '99.9 ms', '100 ms', '999 ms', '1.0 s', '12.3 s'],
  ])
})

it('never rounds a share up to all', () => {
  expect([1, 0.99999, 0.5, 0].map(percent)).toEqual(['100 %', '99.9 %', '50.0 %', '0.0 %'])
})
