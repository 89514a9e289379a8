import { expect, it } from 'vitest'
import { monotonic } from './monotonic.js'
import { StallMeter } from './stall-meter.js'

it('tells how long the event loop stood still, each stall once', () => {
  const meter = new StallMeter()
  const began = monotonic()
  while (monotonic() - began < 60);
  const stall = meter.take()
  meter.stop()
  expect(stall).toBeGreaterThanOrEqual(45)
  expect(meter.take()).toBeLessThan(stall)
})
