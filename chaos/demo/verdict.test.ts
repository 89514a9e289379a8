import { describe, expect, it } from 'vitest'
import { type Answer, type AuditRecord, History, type RequestRecord } from '../history.js'
import type { Judged } from './checks.js'
import { judge, type Verdict } from './verdict.js'

const KILLED = 1000
const STARTING = 4900
const BACK = 5000
const NOW = 10_000

const PAGE: Answer = {
  status: 200,
  source: 'redis',
  retryAfter: false,
  visitor: 'v1',
  cookieChanged: false,
  missing: 0,
}
const REFUSED: Partial<Answer> = { status: 503, visitor: undefined, retryAfter: true, source: undefined }

type Changes = Partial<Omit<RequestRecord, 'answer'>> & { readonly answer?: Partial<Answer> | null }

function request(start: number, { answer = {}, ...changes }: Changes = {}): RequestRecord {
  return {
    kind: 'request',
    visitor: 'v1',
    action: 'view',
    process: 'A',
    start,
    end: start + 5,
    loggedIn: true,
    ...(answer === null ? {} : { answer: { ...PAGE, ...answer } }),
    ...changes,
  }
}

function found(changes: Partial<AuditRecord> = {}): AuditRecord {
  return { kind: 'audit', visitor: 'v1', at: NOW, stay: 'in', found: true, acknowledged: 2, missing: 0, ...changes }
}

/** A run in which everything went as promised by `read-only`, and what else is given. */
function goodRun(...more: (RequestRecord | AuditRecord)[]): History {
  const history = new History()
  for (const process of ['A', 'B']) {
    history.add(request(100, { process, action: 'login', loggedIn: false }))
    for (let start = 200; start < 900; start += 10) history.add(request(start, { process }))
    for (let start = 1100; start < 4900; start += 100) {
      history.add(request(start, { process, answer: { source: 'stale' } }))
      history.add(request(start + 1, { process, action: 'add', answer: REFUSED }))
    }
    history.add(request(5050, { process, action: 'add' }))
  }
  history.add({ kind: 'fault', fault: 'killed', at: KILLED })
  history.add({ kind: 'fault', fault: 'starting', at: STARTING })
  history.add({ kind: 'fault', fault: 'back', at: BACK })
  if (!more.some(({ kind }) => kind === 'audit')) history.add(found())
  for (const record of more) history.add(record)
  return history
}

function verdictOn(history: History, changes: Partial<Judged> = {}): Verdict {
  return judge({
    history,
    store: 'resilient',
    policy: 'read-only',
    processes: ['A', 'B'],
    skipped: 0,
    now: NOW,
    ...changes,
  })
}

/** The names of the checks that failed. */
function failures(history: History, changes: Partial<Judged> = {}): string[] {
  const verdict = verdictOn(history, changes)
  const failed = verdict.checks.filter(({ held }) => !held).map(({ name }) => name)
  expect(verdict.held).toBe(failed.length === 0)
  return failed
}

describe('a verdict', () => {
  it('finds nothing wrong with a good run', () => {
    const verdict = verdictOn(goodRun())
    expect(failures(goodRun())).toEqual([])
    expect(verdict.outage).toBe(4000)
    expect(verdict.visitors).toBe(1)
    expect(verdict.checks.find(({ name }) => name === 'time to recovery')?.found).toBe('0.06 s')
    expect(verdict.checks.find(({ name }) => name === 'longest wait for an answer')?.found).toBe('0.01 s')
  })

  it.each<[string, RequestRecord | AuditRecord]>([
    ['visitors logged out', request(2000, { answer: { status: 401, visitor: null } })],
    ['visitors logged out', found({ found: false })],
    ['requests hung (no answer in 1 s)', request(2000, { end: 3001 })],
    ['errors and cut connections', request(2000, { answer: null, failure: 'ECONNRESET' })],
    ['errors and cut connections', request(2000, { answer: { ...REFUSED, status: 500 } })],
    ['acknowledged cart items lost', found({ missing: 1 })],
    ['logouts undone', found({ stay: 'out', found: true })],
    ['refusals without Retry-After', request(2000, { action: 'add', answer: { ...REFUSED, retryAfter: false } })],
    ['answers from memory not marked as such', request(2000)],
    ['visitors nobody could ask in the end', found({ found: undefined })],
    ['staff pages served from memory', request(2000, { action: 'admin', answer: { source: 'stale' } })],
    ['known visitors refused a page', request(2000, { answer: REFUSED })],
    ['changes taken from memory', request(2000, { action: 'add', answer: { source: 'queued' } })],
  ])('fails "%s"', (name, record) => {
    expect(failures(goodRun(record))).toContain(name)
  })

  it('takes an unmarked answer for good once Redis may have been there to confirm it', () => {
    expect(failures(goodRun(request(STARTING + 1)))).toEqual([])
  })

  it('fails a session mixed up with another one', () => {
    const mixed = request(200, { answer: { visitor: 'v2' } })
    expect(failures(goodRun(mixed))).toEqual(['errors and cut connections', 'sessions mixed up'])
  })

  it('fails a request that never got an answer', () => {
    const { end: _, ...unanswered } = request(6000, { answer: null })
    expect(failures(goodRun(unanswered))).toEqual(['requests hung (no answer in 1 s)'])
  })

  it('fails a shop that crashed', () => {
    const history = goodRun()
    history.add({ kind: 'process', process: 'A', event: 'exited', at: 2000 })
    expect(failures(history)).toEqual(['crashes of the shop'])
  })

  it('fails a run of which a good part could not be sent', () => {
    expect(failures(goodRun(), { skipped: 2 })).toEqual([])
    expect(failures(goodRun(), { skipped: 100 })).toEqual(['arrivals that could not be sent'])
  })

  it('does not count a logout that was acknowledged, or that may have happened, as a loss', () => {
    const out = found({ stay: 'out', found: false, acknowledged: 3 })
    const maybe = found({ stay: 'maybe-out', found: false, acknowledged: 3 })
    expect(failures(goodRun(out, maybe))).toEqual([])
  })
})

it('counts conflicts of queued changes, not those that were answered with 409', () => {
  const history = goodRun()
  for (const detail of ['queued', 'direct', 'queued']) {
    history.add({ kind: 'note', process: 'A', at: 5000, name: 'conflict', detail })
  }
  expect(verdictOn(history).conflicts).toBe(2)
})

describe('recovery', () => {
  const without = (process: string) => {
    const history = goodRun()
    const late = history.requests.findIndex((record) => record.process === process && record.start > BACK)
    history.requests.splice(late, 1)
    return history
  }

  it('is that of the slowest process', () => {
    const history = without('B')
    history.add(request(6200, { process: 'B', action: 'add' }))
    expect(failures(history)).toEqual(['time to recovery'])
    expect(verdictOn(history).checks.find(({ name }) => name === 'time to recovery')?.found).toBe('1.21 s')
  })

  it('never came where a process gave no good answer to a change', () => {
    const history = without('B')
    history.add(request(5100, { process: 'B' }))
    expect(failures(history)).toEqual(['time to recovery'])
  })

  it('is not a change that waits in a queue', () => {
    const history = without('B')
    history.add(request(5100, { process: 'B', action: 'add', answer: { source: 'queued' } }))
    expect(failures(history, { policy: 'available' })).toEqual(['time to recovery'])
  })
})

describe('a run that proves nothing', () => {
  it('fails when the outage was not felt', () => {
    const history = new History()
    for (let start = 100; start < 9000; start += 20) history.add(request(start, { action: 'add' }))
    history.add({ kind: 'fault', fault: 'killed', at: KILLED })
    history.add({ kind: 'fault', fault: 'back', at: BACK })
    expect(failures(history, { processes: ['A'] })).toContain('requests that felt the outage')
  })

  it('fails when little worked before it', () => {
    const history = goodRun()
    for (let start = 200; start < 300; start += 4) history.add(request(start, { answer: REFUSED }))
    expect(failures(history)).toEqual(['good answers while Redis was healthy'])
  })

  it('fails when there was no outage', () => {
    const history = new History()
    history.add(request(100))
    expect(failures(history)).toContain('requests that felt the outage')
  })
})

describe('policies', () => {
  it('may refuse a page to a visitor whom the process has not seen, or not lately', () => {
    expect(failures(goodRun(request(2000, { visitor: 'v9', answer: { ...REFUSED, visitor: undefined } })))).toEqual([])
    const late = goodRun()
    late.faults.splice(1)
    late.add({ kind: 'fault', fault: 'back', at: 40_000 })
    late.add(request(31_000, { answer: REFUSED }))
    expect(failures(late, { now: 50_000 })).not.toContain('known visitors refused a page')
  })

  it('takes changes from memory when it is available', () => {
    const queued = request(2000, { action: 'add', answer: { source: 'queued' } })
    expect(failures(goodRun(queued), { policy: 'available' })).toEqual([])
  })

  it('serves nothing from memory when it is strict, except a logout', () => {
    const logout = request(2000, { action: 'logout', answer: { source: 'blank', visitor: null } })
    const strict = goodRun(logout)
    for (const record of strict.requests) {
      if (record.answer?.source === 'stale') record.answer = { ...PAGE, ...REFUSED }
    }
    expect(failures(strict, { policy: 'strict' })).toEqual([])
    strict.add(request(2000, { answer: { source: 'stale' } }))
    expect(failures(strict, { policy: 'strict' })).toEqual(['pages served from memory'])
  })

  it('are not asked of another store', () => {
    const known = request(2000, { answer: REFUSED })
    expect(failures(goodRun(known), { store: 'connect-redis' })).toEqual([])
  })
})
