import { describe, expect, it } from 'vitest'
import { History, type RequestRecord } from '../history.js'
import { columns, emptyTally, latencies, phaseAt, sum, tallyDecided, tallyPhases } from './summary.js'

const ALL = { from: 0, to: 100_000 }

function request(start: number, end?: number): RequestRecord {
  const answer = { status: 200, source: 'redis', retryAfter: false, visitor: 'v1', cookieChanged: false, missing: 0 }
  const base = { kind: 'request', id: 1, visitor: 'v1', action: 'view', process: 'A', start, loggedIn: true } as const
  return end === undefined ? { ...base } : { ...base, end, answer }
}

function history(...requests: RequestRecord[]): History {
  const all = new History()
  for (const record of requests) all.add(record)
  all.add({ kind: 'fault', fault: 'kill', target: 'master', at: 990, bites: 1000, ending: 1900, end: 2000 })
  return all
}

describe('phases', () => {
  it('begin with what was done to Redis', () => {
    expect([0, 999, 1000, 1999, 2000].map((at) => phaseAt(history(), at))).toEqual([
      ...['before', 'before', 'during', 'during', 'after'],
    ])
  })

  it('give the outage every request that any of it touched', () => {
    const tallies = tallyPhases(
      history(request(900, 950), request(990, 1001), request(1999, 2500), request(2000, 2001)),
      9000,
    )
    expect([tallies.before.ok, tallies.during.ok, tallies.after.ok]).toEqual([1, 2, 1])
  })

  it('are all before the outage while nothing was done', () => {
    const calm = new History()
    calm.add(request(10))
    expect(tallyPhases(calm, 20).before).toEqual({ ...emptyTally(), waiting: 1 })
  })
})

it('counts a request when it is clear what came of it: with its answer, or after a second without', () => {
  const requests = [request(0, 400), request(100), request(500, 3000)]
  expect(tallyDecided(requests, { from: 0, to: 1000 }, 3000)).toEqual({ ...emptyTally(), ok: 1 })
  expect(tallyDecided(requests, { from: 1000, to: 2000 }, 3000)).toEqual({ ...emptyTally(), hung: 2 })
})

it('cuts the run into columns by when requests were sent', () => {
  const cut = columns([request(0, 1), request(499, 501), request(500, 501), request(1500, 1501)], 1000, 2, 2000)
  expect(cut.map(sum)).toEqual([2, 2])
})

describe('latencies', () => {
  it('are those of the requests in the span', () => {
    const requests = Array.from({ length: 100 }, (_, index) => request(index, index + index + 1))
    expect(latencies(requests, ALL, 9000)).toEqual({ p50: 51, p99: 100, max: 100 })
    expect(latencies(requests, { from: 0, to: 1 }, 9000)).toEqual({ p50: 1, p99: 1, max: 1 })
  })

  it('count the wait so far where there is no answer', () => {
    expect(latencies([request(0)], ALL, 700)?.max).toBe(700)
  })

  it('are unknown without requests', () => {
    expect(latencies([], ALL, 0)).toBeUndefined()
  })
})
