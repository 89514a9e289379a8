import { expect, it } from 'vitest'
import { count, counted, duration, megabytes, share } from './words.js'

it('writes durations with the digits that mean something', () => {
  expect([0, 0.84, 9.94, 9.96, 42.4, 999.4, 999.6, 1250, 9994, 9996, 12_340, 100_000].map(duration)).toEqual([
    '0 ms',
    '0.8 ms',
    '9.9 ms',
    '10 ms',
    '42 ms',
    '999 ms',
    '1.00 s',
    '1.25 s',
    '9.99 s',
    '10.0 s',
    '12.3 s',
    '100 s',
  ])
})

it('never rounds a share to all or nothing', () => {
  expect(share(0, 10)).toBe('0 %')
  expect(share(10, 10)).toBe('100 %')
  expect(share(99_999, 100_000)).toBe('99.9 %')
  expect(share(1, 100_000)).toBe('0.1 %')
  expect(share(1, 2)).toBe('50.0 %')
  expect(share(0, 0)).toBe('none')
})

it('counts', () => {
  expect(count(12_345)).toBe('12,345')
  expect([counted(1, 'request'), counted(3, 'request'), counted(0, 'breach'), counted(1, 'breach')]).toEqual([
    '1 request',
    '3 requests',
    '0 breaches',
    '1 breach',
  ])
  expect(megabytes(48_200_000)).toBe('48 MB')
})
