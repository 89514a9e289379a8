import { describe, expect, it } from 'vitest'
import type { ReportInput, Verdict } from './model.js'
import { summarize } from './summary.js'
import { exchange, storeRun } from './test-run.js'

function input(values: Partial<ReportInput>): ReportInput {
  return {
    title: 'kill',
    lead: '',
    conditions: [],
    facts: [],
    command: 'npm',
    subject: storeRun(),
    compared: [],
    ...values,
  }
}

const P3: Verdict = {
  id: 'P3',
  title: 'logout sticks',
  verdict: 'broken',
  found: '1 breach',
  checked: 4,
  breaches: 1,
  evidence: [{ what: 'came back', records: [3] }],
}

describe('the summary', () => {
  it('counts answers by kind, and good ones apart for the time of faults', () => {
    const exchanges = [
      exchange({ record: 0, start: 0 }),
      exchange({ record: 1, start: 1100, kind: 'stale', waited: 1 }),
      exchange({ record: 2, start: 1200, kind: 'refused', waited: 3 }),
      exchange({ record: 3, start: 1300, kind: 'hung', waited: 2000 }),
      exchange({ record: 4, start: 3900, kind: 'conflict' }),
    ]
    const faults = [{ name: 'kill', from: 1000, to: 2000 }]
    const [store] = summarize(input({ subject: storeRun({ exchanges, faults, ghosts: 2, loggedOut: 1 }) })).stores
    expect(store).toMatchObject({
      requests: 5,
      answers: { fresh: 1, stale: 1, queued: 0, blank: 0, conflict: 1, refused: 1, error: 0, 'logged-out': 0, hung: 1 },
      good: 3,
      duringFaults: { requests: 3, good: 1 },
      latency: { p50: 5, p99: 2000, max: 2000 },
      latencyDuringFaults: { p50: 3, p99: 2000, max: 2000 },
      hung: 1,
      ghosts: 2,
      loggedOut: 1,
    })
  })

  it('tells the peaks of what was told, and leaves out the rest', () => {
    const samples = [
      { process: 'A', at: 0, memory: 5, queued: 3 },
      { process: 'B', at: 0, memory: 7, queued: 1 },
    ]
    const [store] = summarize(input({ subject: storeRun({ samples }) })).stores
    expect(store?.peak).toEqual({ memory: 7, queued: 3 })
  })

  it('has no figures for what did not happen', () => {
    const [store] = summarize(input({})).stores
    expect(store).toMatchObject({ latency: null, latencyDuringFaults: null })
    expect(store).not.toHaveProperty('recovery')
    expect(store).not.toHaveProperty('broken')
  })

  it('holds verdicts without their evidence, and says whether all held', () => {
    const summary = summarize(input({ subject: storeRun({ promises: [P3] }) }))
    expect(summary.held).toBe(false)
    expect(summary.promises).toEqual([
      { id: 'P3', title: 'logout sticks', verdict: 'broken', found: '1 breach', checked: 4, breaches: 1 },
    ])
    expect(summary.stores[0]?.broken).toEqual(['P3'])
    expect(summarize(input({ subject: storeRun({ besides: [{ ...P3, id: 'S1' }] }) })).held).toBe(false)
    expect(summarize(input({ subject: storeRun({ promises: [{ ...P3, verdict: 'held' }] }) })).held).toBe(true)
  })

  it('does not let a compared store decide whether all held', () => {
    const compared = [storeRun({ name: 'connect-redis', promises: [P3] })]
    const summary = summarize(input({ compared }))
    expect(summary.held).toBe(true)
    expect(summary.stores.map(({ name }) => name)).toEqual(['resilient-session-store', 'connect-redis'])
  })
})
