import { describe, expect, it } from 'vitest'
import { faultSpans, overlaps, recoveryTime } from './recovery.js'
import { exchange, storeRun } from './test-run.js'

const at = (start: number, kind: 'fresh' | 'queued' | 'refused' | 'conflict' = 'fresh') =>
  exchange({ record: 0, start, kind })
const fault = (from: number, to?: number) => ({ name: 'kill', from, ...(to === undefined ? {} : { to }) })

describe('fault spans', () => {
  it('join what overlaps and keep apart what does not', () => {
    const faults = [fault(3000, 3500), fault(0, 1000), fault(500, 1500)]
    expect(faultSpans(faults, 4000)).toEqual([
      { from: 0, to: 1500 },
      { from: 3000, to: 3500 },
    ])
  })

  it('reach to the end where a fault was never undone', () => {
    expect(faultSpans([fault(1000)], 4000)).toEqual([{ from: 1000, to: 4000 }])
  })

  it('take in a request any part of which fell into them', () => {
    const spans = [{ from: 1000, to: 2000 }]
    const lasting = (start: number, waited: number) => overlaps(exchange({ record: 0, start, waited }), spans)
    expect(lasting(990, 5)).toBe(false)
    expect(lasting(990, 10)).toBe(true)
    expect(lasting(0, 9000)).toBe(true)
    expect(lasting(2000, 5)).toBe(false)
  })
})

describe('time to recover', () => {
  const run = (exchanges: ReturnType<typeof at>[], faults = [fault(1000, 2000)]) =>
    recoveryTime(storeRun({ faults, exchanges }))

  it('ends with the last answer that Redis did not give', () => {
    expect(run([at(1500, 'refused'), at(2100, 'queued'), at(2200), at(2340, 'refused'), at(2400)])).toBe(340)
  })

  it('is 0 when every answer after the fault was fresh', () => {
    expect(run([at(1500, 'refused'), at(2001)])).toBe(0)
  })

  it('is not prolonged by a conflict, which a healthy Redis brings as well', () => {
    expect(run([at(2100), at(3000, 'conflict'), at(3100)])).toBe(0)
  })

  it('is never when no fresh answer came after the last bad one', () => {
    expect(run([at(2100), at(3900, 'refused')])).toBeNull()
    expect(run([at(500)])).toBeNull()
  })

  it('is unknown without a fault, and with one that never ended', () => {
    expect(run([at(100)], [])).toBeUndefined()
    expect(run([at(100)], [fault(1000)])).toBeUndefined()
  })

  it('is that of the worst fault; a fault that the next one cut short does not count', () => {
    const faults = [fault(500, 1000), fault(1100, 2000), fault(3000, 3200)]
    const exchanges = [at(1050, 'refused'), at(2700, 'queued'), at(2800), at(3250, 'refused'), at(3300)]
    expect(run(exchanges, faults)).toBe(700)
  })
})
