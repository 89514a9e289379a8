import { describe, expect, it } from 'vitest'
import type { HistoryRecord } from '../records.js'
import { commandOf, factsOf, nameOf, storeRun } from './from-history.js'
import { answer, END, HEADER, request } from './test-history.js'

const run = (...records: HistoryRecord[]) => storeRun({ header: HEADER, records: [...records, END] })

describe('what visitors got', () => {
  const kindOf = (values: Parameters<typeof request>[0]) => run(request(values)).exchanges[0]?.kind

  it('is told by where the session came from', () => {
    const from = (source: string | undefined) => kindOf({ start: 0, answer: answer({ source }) })
    expect(['redis', undefined, 'stale', 'queued', 'blank'].map(from)).toEqual([
      'fresh',
      'fresh',
      'stale',
      'queued',
      'blank',
    ])
  })

  it('is stale when the page lacks what was acknowledged, whatever the shop says', () => {
    expect(kindOf({ start: 0, answer: answer({ missing: 1 }) })).toBe('stale')
  })

  it('is told by the status otherwise', () => {
    const of = (status: number) => kindOf({ start: 0, loggedIn: false, answer: answer({ status, visitor: undefined }) })
    expect([401, 409, 503, 500].map(of)).toEqual(['fresh', 'conflict', 'refused', 'error'])
  })

  it('is being logged out for somebody who was logged in', () => {
    expect(kindOf({ start: 0, answer: answer({ status: 401, visitor: null }) })).toBe('logged-out')
  })

  it('is a hang after a second, with or without an answer later, less what the shop was asked to take', () => {
    expect(kindOf({ start: 0, end: 1001 })).toBe('hung')
    const [silent] = run({ ...request({ start: 0 }), end: undefined, answer: undefined } as never).exchanges
    expect(silent).toMatchObject({ kind: 'hung', outcome: 'no answer', waited: 4200 })
    const [busy] = run(request({ start: 0, end: 1400, busyFor: 500 })).exchanges
    expect(busy).toMatchObject({ kind: 'fresh', waited: 900, end: 1400 })
  })

  it('is not known of a request that the end of the run cut short', () => {
    expect(run({ ...request({ start: 4000 }), end: undefined, answer: undefined } as never).exchanges).toEqual([])
  })

  it('names the error of a dead socket', () => {
    const [dead] = run({ ...request({ start: 0 }), answer: undefined, failure: 'ECONNRESET' } as never).exchanges
    expect(dead).toMatchObject({ kind: 'error', outcome: 'ECONNRESET' })
  })
})

describe('faults', () => {
  it('are in force from when they bit, and prolong the run', () => {
    const found = run({
      kind: 'fault',
      fault: 'kill',
      target: 'master',
      at: 1000,
      bites: 1010,
      ending: 3900,
      end: 5000,
    })
    expect(found.faults).toEqual([{ name: 'kill', target: 'master', from: 1010, to: 5000 }])
    expect(found.duration).toBe(5000)
  })

  it('are over when a successor has taken over; undoing them is another', () => {
    const fault = { kind: 'fault', fault: 'kill', target: 'master', at: 500, bites: 510, successor: 1500 } as const
    expect(run({ ...fault, ending: 3000, end: 3100 }).faults).toEqual([
      { name: 'kill', target: 'master', from: 510, to: 1500 },
      { name: 'kill undone', target: 'master', from: 3000, to: 3100 },
    ])
    expect(run(fault).faults).toEqual([{ name: 'kill', target: 'master', from: 510, to: 1500 }])
  })

  it('have no end where none was seen', () => {
    const found = run({ kind: 'fault', fault: 'kill', target: 'master', at: 1000 })
    expect(found.faults).toEqual([{ name: 'kill', target: 'master', from: 1000 }])
    expect(found.duration).toBe(4000)
  })
})

describe('ghosts', () => {
  const logout = request({ start: 0, action: 'logout', answer: answer({ visitor: null }) })
  const opened = (start: number) => request({ start, action: 'return', loggedIn: false })
  const refused = answer({ status: 401, visitor: null })

  it('are sessions that opened after their acknowledged logout, each once', () => {
    expect(run(logout, opened(100), opened(200)).ghosts).toBe(1)
    const audit = { kind: 'audit', visitor: 'v1', session: 'aaaaaaaaaa', at: 4100, found: true, missing: [] } as const
    expect(run(logout, { ...audit, stay: 'out', acknowledged: [] }).ghosts).toBe(1)
    expect(run({ ...audit, stay: 'maybe-out', acknowledged: [] }).ghosts).toBe(0)
  })

  it('are not pages asked for before the answer to the logout, nor refusals, nor failed logouts', () => {
    expect(run(logout, opened(3)).ghosts).toBe(0)
    expect(run(logout, { ...opened(100), answer: refused }).ghosts).toBe(0)
    expect(run({ ...logout, answer: answer({ status: 503 }) }, opened(100)).ghosts).toBe(0)
  })
})

describe('items', () => {
  it('are those of visitors who stayed', () => {
    const audit = { kind: 'audit', visitor: 'v1', session: 's', at: 4100, found: true } as const
    const found = run(
      { ...audit, stay: 'in', acknowledged: [1, 2, 3], missing: [2] },
      { ...audit, stay: 'out', acknowledged: [1], missing: [1] },
    )
    expect(found.items).toEqual({ acknowledged: 3, lost: 1 })
  })
})

describe('visitors logged out', () => {
  it('are counted once, whether it was seen during the run or at its end', () => {
    const lost = request({ start: 0, answer: answer({ status: 401, visitor: null }) })
    const audit = { kind: 'audit', visitor: 'v1', session: 's', at: 4100, stay: 'in', found: false } as const
    const found = run(
      lost,
      { ...audit, acknowledged: [], missing: [] },
      { ...audit, visitor: 'v2', acknowledged: [], missing: [] },
    )
    expect(found.loggedOut).toBe(2)
  })
})

describe('names and facts', () => {
  it('name the stores as readers know them', () => {
    const named = (store: typeof HEADER.store) => nameOf({ ...HEADER, store })
    expect((['resilient', 'connect-redis', 'connect-redis-8', 'memory'] as const).map(named)).toEqual([
      'resilient-session-store',
      'connect-redis 10.0.0',
      'connect-redis 8.1.0 on ioredis',
      'MemoryStore',
    ])
  })

  it('tell the command that runs it again', () => {
    const compared = (['connect-redis', 'memory'] as const).map((store) => ({ ...HEADER, store }))
    const command =
      'npm run chaos -- --scenario kill --topology standalone --driver process --policy available --front sticky --seed 7 --seconds 4'
    expect(commandOf([HEADER])).toBe(command)
    expect(commandOf([HEADER, ...compared])).toBe(`${command} --compare connect-redis,memory`)
    expect(commandOf([{ ...HEADER, store: 'memory' }])).toBe(`${command} --store memory`)
  })

  it('say what was run', () => {
    const facts = factsOf(HEADER, run(request({ start: 0 })))
    expect(facts).toContainEqual({ name: 'Seed', value: '7' })
    expect(facts).toContainEqual({ name: 'Requests', value: '1' })
    expect(facts).toContainEqual({ name: 'Started', value: '2026-11-22 21:15 UTC' })
  })
})
