import { describe, expect, test } from 'vitest'
import { judge } from './check/index.js'
import type { History } from './history.js'
import { DOWN, QUEUED, session, Tale } from './tale.js'

/** The promises that a history breaks. */
function broken(history: History): string[] {
  return [...new Set(judge(history).map(({ promise }) => promise))]
}

/** A visitor has logged in. */
function tale(settings: ConstructorParameters<typeof Tale>[0] = {}): Tale {
  const begun = new Tale(settings)
  begun.create(1, 's1')
  return begun
}

const QUEUED_SET = { type: 'queued', operation: 'set', reason: 'timeout' } as const
const WRITTEN = { type: 'replayed', operation: 'set', outcome: 'written', waited: 5 } as const

describe('a history without fault', () => {
  test('of a login, a change and a logout', () => {
    const t = tale()
    t.get(2, 's1', 'v1')
    t.set(2, 's1', 'v2', t.request(2, 's1', 'v1'))
    t.destroy(1, 's1')
    t.get(1, 's1', { kind: 'none' })
    t.get(2, 's1', { kind: 'none' })
    expect(judge(t.history())).toEqual([])
  })

  test('of an outage with a stale answer, a queued change and its replay', () => {
    const t = tale()
    t.get(1, 's1', session('s1', 'v1', 'stale'), { told: ['timeout'], took: 50 })
    t.set(1, 's1', 'v2', t.request(1, 's1', 'v1', 'stale'), { ended: QUEUED, told: ['timeout'], took: 50 })
    t.outcome(1, QUEUED_SET, 1)
    t.get(1, 's1', session('s1', 'v2', 'queued'), { told: ['circuit-open'] })
    t.pass(300).store('s1', 'v2')
    t.outcome(1, WRITTEN, 0)
    t.holds(1, { queuedSaves: 0 })
    t.get(2, 's1', 'v2')
    expect(judge(t.history())).toEqual([])
  })

  test('of a save that failed and may have been applied all the same, before its deadline', () => {
    const t = tale({ degradation: { read: 'stale', save: 'fail', destroy: 'fail' } })
    t.set(1, 's1', 'v2', t.request(1, 's1', 'v1'), { ended: DOWN, told: ['timeout'], took: 50, applied: true })
    t.get(2, 's1', 'v2')
    expect(judge(t.history())).toEqual([])
  })
})

test('what MONITOR told and what was found must agree', () => {
  const t = tale()
  expect(broken(t.history({ keys: { s1: { revoked: false } } }))).toEqual(['harness'])
})

describe('P1', () => {
  test('an operation that never settles', () => {
    const t = tale()
    t.get(1, 's1', 'v1', { open: true })
    expect(broken(t.history())).toEqual(['P1'])
  })

  test('one that takes longer than its timeout', () => {
    const t = tale()
    t.get(1, 's1', 'v1', { took: 130 })
    expect(broken(t.history())).toEqual(['P1'])
  })

  test('not one that this process held up', () => {
    const t = tale()
    t.get(1, 's1', 'v1', { took: 130 })
    expect(broken({ ...t.history(), lags: [{ at: t.now - 20, ms: 60 }] })).toEqual([])
  })
})

describe('P2', () => {
  test('"no session" because of an outage', () => {
    const t = tale()
    t.get(1, 's1', { kind: 'none' })
    expect(broken(t.history())).toEqual(['P2'])
  })

  test('not after the session was deleted by somebody else', () => {
    const t = tale()
    t.write({ kind: 'delete', sid: 's1' })
    t.pass(20).get(1, 's1', { kind: 'none' })
    expect(broken(t.history())).toEqual([])
  })
})

describe('a store that learned from a save that the session is destroyed', () => {
  const REFUSED = { type: 'revoked', operation: 'set', reason: 'revoked', queued: false } as const

  /** A save is refused; meanwhile its store reads and touches the session, and the save's caller hears of it last. */
  function refused(marked: boolean): Tale {
    const t = tale()
    const save = t.set(1, 's1', 'v2', t.request(1, 's1', 'v1'), { open: true, applied: false })
    if (marked) t.destroy(2, 's1')
    t.outcome(1, REFUSED, 0)
    t.get(1, 's1', { kind: 'none' })
    const touch = t.touch(1, 's1', t.request(1, 's1', 'v1'), { kind: 'done', source: 'redis' })
    Object.assign(touch, { content: { ...save.content, version: 's1.v3' }, remember: true })
    t.end(save, { kind: 'failed', code: 'ESESSIONREVOKED' })
    return t
  }

  test('touches nothing, and knows no session', () => {
    expect(judge(refused(true).history())).toEqual([])
  })

  test('not without a marker', () => {
    expect(broken(refused(false).history())).toEqual(['P2', 'P8'])
  })
})

describe('P3', () => {
  test('a session served by the store that was told to destroy it', () => {
    const t = tale()
    t.destroy(1, 's1', { ended: { kind: 'done' }, told: ['timeout'] })
    t.get(1, 's1', session('s1', 'v1', 'stale'), { told: ['circuit-open'] })
    t.revoke('s1')
    expect(broken(t.history())).toEqual(['P3'])
  })

  test('also by one that was reading it at that moment', () => {
    const t = tale()
    const read = t.get(1, 's1', 'v1', { open: true })
    t.destroy(1, 's1')
    t.end(read, session('s1', 'v1'))
    expect(broken(t.history())).toEqual(['P3'])
  })

  test('a destroy that was confirmed without asking Redis', () => {
    const t = tale()
    t.destroy(1, 's1', { applied: false })
    t.pass(100).revoke('s1')
    expect(broken(t.history())).toEqual(['P3'])
  })

  test('a session served as Redis says, by another store, after its end', () => {
    const t = tale()
    t.destroy(1, 's1')
    t.get(2, 's1', 'v1')
    expect(broken(t.history())).toEqual(['P5'])
  })
})

describe('P4', () => {
  test('a save over a revocation', () => {
    const t = tale()
    t.get(2, 's1', 'v1')
    const request = t.request(2, 's1', 'v1')
    t.destroy(1, 's1')
    t.set(2, 's1', 'v2', request)
    expect(broken(t.history())).toEqual(['P4'])
  })

  test('a save of a session that its own store had destroyed', () => {
    const t = tale()
    t.destroy(1, 's1', { told: ['timeout'] })
    t.set(1, 's1', 'v2', t.request(1, 's1', 'v1'))
    t.revoke('s1')
    expect(broken(t.history())).toEqual(['P4'])
  })

  test('a save that is carried out after its caller was told that it failed', () => {
    const t = tale({ degradation: { read: 'stale', save: 'fail', destroy: 'fail' } })
    t.set(1, 's1', 'v2', t.request(1, 's1', 'v1'), { ended: DOWN, told: ['timeout'], took: 50 })
    t.pass(20).store('s1', 'v2')
    expect(broken(t.history())).toEqual(['P4'])
  })

  test('a save that was refused, and carried out', () => {
    const t = tale()
    const conflict = { kind: 'failed', code: 'ESESSIONCONFLICT' } as const
    t.set(1, 's1', 'v2', t.request(1, 's1', 'v1'), { ended: conflict, applied: true })
    t.outcome(1, { type: 'conflict', operation: 'set', queued: false, resolution: 'refused', clashes: 0 }, 0)
    expect(broken(t.history())).toEqual(['P4'])
  })

  test('a save that brings a deleted session back', () => {
    const t = tale()
    t.get(1, 's1', 'v1')
    t.write({ kind: 'delete', sid: 's1' })
    t.set(1, 's1', 'v2', t.request(1, 's1', 'v1'))
    expect(broken(t.history())).toEqual(['P4'])
  })

  test('not where another server has lost it', () => {
    const t = tale()
    t.get(1, 's1', 'v1')
    const request = t.request(1, 's1', 'v1')
    t.write({ kind: 'server', diedAt: t.now, found: { s1: { revoked: false } } })
    t.pass(20).set(1, 's1', 'v2', request)
    expect(broken(t.history())).toEqual([])
  })

  test('a replay over a newer save of somebody else', () => {
    const t = tale()
    t.get(1, 's1', 'v1')
    t.set(1, 's1', 'v2', t.request(1, 's1', 'v1'), { ended: QUEUED, told: ['timeout'], took: 50 })
    t.outcome(1, QUEUED_SET, 1)
    t.get(2, 's1', 'v1')
    t.set(2, 's1', 'v3', t.request(2, 's1', 'v1'))
    t.pass(100).store('s1', 'v2')
    t.outcome(1, WRITTEN, 0)
    expect(broken(t.history())).toEqual(['P4'])
  })

  test.each(['reject', 'merge'] as const)('a lost change under %s', (concurrency) => {
    const t = tale({ concurrency })
    t.get(1, 's1', 'v1')
    t.get(2, 's1', 'v1')
    t.set(2, 's1', 'v2', t.request(2, 's1', 'v1'))
    const late = t.set(1, 's1', 'v3', t.request(1, 's1', 'v1'))
    const write = t.writes.at(-1) as { content: object }
    const content = { sid: 's1', version: 's1.v3', a: 's1.v1', b: 's1.v3', life: 3_600_000 }
    Object.assign(late, { content })
    Object.assign(write, { content })
    expect(broken(t.history())).toEqual(['P4'])
  })

  test('a destroyed session that is there at the end', () => {
    const t = tale()
    t.destroy(1, 's1', { told: ['timeout'] })
    expect(broken(t.history())).toEqual(['P4'])
  })

  test('not where the only process that knew has crashed', () => {
    const t = tale()
    t.destroy(1, 's1', { told: ['timeout'] })
    t.stores[0]!.end = { how: 'crashed', stamp: t.operations.at(-1)!.settled! }
    expect(broken(t.history())).toEqual([])
  })
})

describe('P5', () => {
  test("another visitor's session", () => {
    const t = tale()
    t.create(1, 's2')
    t.get(1, 's1', session('s2', 'v1'))
    expect(broken(t.history())).toEqual(['P5'])
  })

  test("an old version as Redis's own answer", () => {
    const t = tale()
    t.get(1, 's1', 'v1')
    t.set(1, 's1', 'v2', t.request(1, 's1', 'v1'))
    t.get(1, 's1', 'v1')
    expect(broken(t.history())).toEqual(['P5'])
  })
})

describe('P6', () => {
  const stale = session('s1', 'v1', 'stale')

  test('a copy older than maxStale', () => {
    const t = tale()
    t.pass(1_100).get(1, 's1', stale, { told: ['circuit-open'] })
    expect(broken(t.history())).toEqual(['P6'])
  })

  test("a copy older than maxStale on the store's own clock", () => {
    const t = tale()
    t.pass(500)
    const get = t.get(1, 's1', stale, { told: ['circuit-open'] })
    Object.assign(get.called, { clock: get.called.clock + 600 })
    Object.assign(get.settled!, { clock: get.settled!.clock + 600 })
    expect(broken(t.history())).toEqual(['P6'])
  })

  test('a copy of what Redis never confirmed to this store', () => {
    const t = tale()
    t.get(2, 's1', stale, { told: ['circuit-open'] })
    expect(broken(t.history())).toEqual(['P6'])
  })

  test('an older copy than the latest that this store has saved', () => {
    const t = tale()
    t.get(1, 's1', 'v1')
    t.set(1, 's1', 'v2', t.request(1, 's1', 'v1'))
    t.get(1, 's1', stale, { told: ['circuit-open'] })
    expect(broken(t.history())).toEqual(['P6'])
  })

  test('a session past its end', () => {
    const t = new Tale({}, 1_000)
    t.create(1, 's1')
    t.pass(500).get(1, 's1', 'v1')
    t.pass(500).get(1, 's1', session('s1', 'v1', 'stale', 1_000), { told: ['circuit-open'] })
    expect(broken(t.history({ keys: { s1: { revoked: false } } }))).toEqual(['P6'])
  })

  test('a waiting change that is too old', () => {
    const t = tale()
    t.get(1, 's1', 'v1')
    t.set(1, 's1', 'v2', t.request(1, 's1', 'v1'), { ended: QUEUED, told: ['timeout'], took: 50 })
    t.outcome(1, QUEUED_SET, 1)
    t.pass(4_100).get(1, 's1', session('s1', 'v2', 'queued'), { told: ['circuit-open'] })
    t.store('s1', 'v2')
    t.outcome(1, WRITTEN, 0)
    expect(broken(t.history())).toEqual(['P6'])
  })
})

describe('P7', () => {
  test.each([{ cached: 51, cachedBytes: 100 }, { queuedSaves: 0, queuedBytes: 10 }, { queuedBytes: 2_000_000 }])(
    'bounds: %o',
    (held) => {
      const t = tale()
      t.holds(1, held)
      expect(broken(t.history())).toEqual(['P7'])
    },
  )
})

describe('P8', () => {
  test('an acknowledged save that Redis never saw', () => {
    const t = tale()
    t.set(1, 's1', 'v2', t.request(1, 's1', 'v1'), { applied: false })
    expect(broken(t.history())).toEqual(['P8'])
  })

  test('a queued save that came to nothing without a word', () => {
    const t = tale()
    t.get(1, 's1', 'v1')
    t.set(1, 's1', 'v2', t.request(1, 's1', 'v1'), { ended: QUEUED, told: ['timeout'], took: 50 })
    t.outcome(1, QUEUED_SET, 1)
    t.holds(1, { queuedSaves: 0 })
    expect(broken(t.history())).toEqual(['P8'])
  })

  test('not where a later save of the same request was written meanwhile', () => {
    const t = tale()
    t.get(1, 's1', 'v1')
    const request = t.request(1, 's1', 'v1')
    const first = t.set(1, 's1', 'v2', request, { open: true, applied: false })
    const second = t.set(1, 's1', 'v3', request, { open: true, applied: true })
    first.told.push({ operation: 'set', reason: 'timeout', sid: 's1', stamp: second.called })
    t.outcome(1, QUEUED_SET, 1)
    t.end(first, QUEUED)
    t.outcome(1, { ...WRITTEN, outcome: 'already-there' }, 0)
    t.end(second, { kind: 'done', source: 'redis' })
    expect(judge(t.history())).toEqual([])
  })

  test('nor where a change of it was written in its place, and that request has saved again since', () => {
    const t = tale()
    const course = { ended: QUEUED, told: ['timeout'], took: 50 }
    t.get(1, 's1', 'v1')
    t.set(1, 's1', 'v2', t.request(1, 's1', 'v1'), course)
    t.outcome(1, QUEUED_SET, 1)
    t.get(1, 's1', session('s1', 'v2', 'queued'), { told: ['circuit-open'] })
    const request = t.request(1, 's1', 'v2', 'queued')
    t.set(1, 's1', 'v3', request, course)
    t.outcome(1, QUEUED_SET, 1)
    t.pass(100).store('s1', 'v3')
    t.outcome(1, WRITTEN, 0)
    t.set(1, 's1', 'v4', request)
    expect(judge(t.history())).toEqual([])
  })

  test('two outcomes of one queued save', () => {
    const t = tale()
    t.get(1, 's1', 'v1')
    t.set(1, 's1', 'v2', t.request(1, 's1', 'v1'), { ended: QUEUED, told: ['timeout'], took: 50 })
    t.outcome(1, QUEUED_SET, 1)
    t.pass(50).store('s1', 'v2')
    t.outcome(1, WRITTEN, 0)
    t.outcome(1, WRITTEN, 0)
    expect(broken(t.history())).toEqual(['P8'])
  })

  test('a refusal without its event', () => {
    const t = tale()
    t.set(1, 's1', 'v2', t.request(1, 's1', 'v1'), { ended: { kind: 'failed', code: 'ESESSIONCONFLICT' } })
    expect(broken(t.history())).toEqual(['P8'])
  })
})

describe('P9', () => {
  test.each([[[]], [['timeout', 'timeout']]])('a failed read told %j', (told) => {
    const t = tale()
    t.get(1, 's1', DOWN, { told, took: 50 })
    expect(broken(t.history())).toEqual(['P9'])
  })

  test('a read that did not fail, told', () => {
    const t = tale()
    t.get(1, 's1', 'v1', { told: ['timeout'] })
    expect(broken(t.history())).toEqual(['P9'])
  })

  test('a dropped touch, not told', () => {
    const t = tale()
    t.touch(1, 's1', t.request(1, 's1', 'v1'), DOWN, { took: 50 })
    expect(broken(t.history())).toEqual(['P9'])
  })

  test('told with another error', () => {
    const t = tale()
    t.get(1, 's1', DOWN, { told: ['timeout'], took: 50 }).sameError = false
    expect(broken(t.history())).toEqual(['P9'])
  })

  test('told of nobody', () => {
    const t = tale()
    const stamp = t.operations[0]!.called
    t.stores[0]!.strayTold.push({ operation: 'get', reason: 'timeout', sid: 's1', stamp })
    expect(broken(t.history())).toEqual(['P9'])
  })
})

describe('the policy', () => {
  test('a stale answer where the handler said fail', () => {
    const t = tale()
    t.get(1, 's1', session('s1', 'v1', 'stale'), { told: ['timeout'], word: 'fail', took: 50 })
    expect(broken(t.history())).toEqual(['policy'])
  })

  test('an error where the handler said drop', () => {
    const t = tale()
    t.set(1, 's1', 'v2', t.request(1, 's1', 'v1'), { ended: DOWN, told: ['timeout'], word: 'drop', took: 50 })
    expect(broken(t.history())).toEqual(['policy'])
  })
})

test('P10: a cookie that changed by itself', () => {
  const t = tale()
  t.get(1, 's1', { ...session('s1', 'v1'), maxAge: 1 })
  expect(broken(t.history())).toEqual(['P10'])
})

test('P11: a store that stays down', () => {
  expect(broken(tale().history({ recovered: false }))).toEqual(['P11'])
})
