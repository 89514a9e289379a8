import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Raw } from '../../src/redis/sessions.js'
import { type NewSave, noteAttempt, type PendingSave, WriteQueue } from '../../src/write-queue.js'

function queueOf({ max = 100, maxBytes = 1_000_000, maxDestroys = 100 } = {}): WriteQueue {
  return new WriteQueue({ max, maxBytes, maxAge: 600_000 }, maxDestroys)
}

function save(sid: string, more: Partial<NewSave> = {}): NewSave {
  return {
    sid,
    base: undefined,
    attempts: [],
    payload: `payload of ${sid}`,
    expiresAt: 1_000_000,
    servedUntil: 500_000,
    queuedAt: 1,
    ...more,
  }
}

function size(value: Raw | undefined): number {
  if (value === undefined) return 0
  return typeof value === 'string' ? value.length * 2 : value.length
}

/** What the queue holds, counted anew: text two bytes a character, sid and base included. */
function counted(queue: WriteQueue): number {
  let bytes = 0
  for (const { sid, base, payload } of queue.saves.values()) bytes += size(sid) + size(base) + size(payload)
  return bytes
}

function pending(queue: WriteQueue, sid: string): PendingSave {
  const found = queue.saves.get(sid)
  if (found === undefined) throw new Error('nothing is pending')
  return found
}

describe('a save', () => {
  it('waits as it was given', () => {
    const queue = queueOf()
    expect(queue.addSave(save('a', { base: 'loaded', attempts: ['digest'] }))).toBe(true)
    expect(queue.saves.get('a')).toEqual({
      sid: 'a',
      base: 'loaded',
      attempts: new Set(['digest']),
      payload: 'payload of a',
      expiresAt: 1_000_000,
      servedUntil: 500_000,
      queuedAt: 1,
      version: 0,
    })
  })

  it('of a session that waits already replaces its payload: one entry a session', () => {
    const queue = queueOf()
    queue.addSave(save('a', { payload: 'first' }))
    queue.addSave(save('a', { payload: 'second', expiresAt: 2_000_000 }))
    expect(queue.saves.size).toBe(1)
    expect(queue.saves.get('a')).toMatchObject({ payload: 'second', expiresAt: 2_000_000, version: 1 })
  })

  it('keeps what the first was made from, and for how long it may be served: editing does not extend that', () => {
    const queue = queueOf()
    queue.addSave(save('a', { base: 'loaded', servedUntil: 500_000, queuedAt: 1 }))
    queue.addSave(save('a', { base: 'payload of a', servedUntil: 900_000, queuedAt: 2 }))
    expect(queue.saves.get('a')).toMatchObject({ base: 'loaded', servedUntil: 500_000, queuedAt: 1 })
  })

  it('is held without the memory that its bytes came in, however it came', () => {
    const queue = queueOf()
    const chunk = Buffer.alloc(65_536, 'chunk')
    const expectOwn = (base: Buffer, payload: Buffer): void => {
      const held = pending(queue, 'a')
      expect(held).toMatchObject({ base, payload })
      expect((held.base as Buffer).buffer.byteLength).toBe(base.length)
      expect((held.payload as Buffer).buffer.byteLength).toBe(payload.length)
    }
    queue.addSave(save('a', { base: chunk.subarray(0, 100), payload: chunk.subarray(100, 250) }))
    expectOwn(chunk.subarray(0, 100), chunk.subarray(100, 250))
    queue.addSave(save('a', { payload: chunk.subarray(1, 50) }))
    expectOwn(chunk.subarray(0, 100), chunk.subarray(1, 50))
    queue.rebase(pending(queue, 'a'), chunk.subarray(2, 60), chunk.subarray(3, 70))
    expectOwn(chunk.subarray(2, 60), chunk.subarray(3, 70))
  })

  it('adds its attempts to those known', () => {
    const queue = queueOf()
    queue.addSave(save('a', { attempts: ['one'] }))
    queue.addSave(save('a', { attempts: ['one', 'two'] }))
    expect([...pending(queue, 'a').attempts]).toEqual(['one', 'two'])
  })

  it('keeps its place: those that wait longest go first', () => {
    const queue = queueOf()
    for (const sid of ['a', 'b', 'a', 'c', 'a']) queue.addSave(save(sid))
    expect([...queue.saves.keys()]).toEqual(['a', 'b', 'c'])
  })

  it('is handed back when it is removed', () => {
    const queue = queueOf()
    queue.addSave(save('a'))
    expect(queue.removeSave('a')).toMatchObject({ sid: 'a', payload: 'payload of a' })
    expect(queue.removeSave('a')).toBeUndefined()
    expect([queue.saves.size, queue.bytes]).toEqual([0, 0])
  })

  it('lives longer once its session was touched', () => {
    const queue = queueOf()
    queue.addSave(save('a'))
    queue.extend('a', 3_000_000)
    queue.extend('unknown', 3_000_000)
    expect(queue.saves.get('a')).toMatchObject({ expiresAt: 3_000_000, version: 0, servedUntil: 500_000 })
    expect(queue.saves.size).toBe(1)
  })

  it('all are handed back when all are forgotten', () => {
    const queue = queueOf()
    for (const sid of ['a', 'b']) queue.addSave(save(sid))
    expect(queue.clearSaves().map(({ sid }) => sid)).toEqual(['a', 'b'])
    expect([queue.saves.size, queue.bytes]).toEqual([0, 0])
    expect(queue.clearSaves()).toEqual([])
  })
})

describe('a rebase', () => {
  it('sets what the save is compared with, and changes nothing else', () => {
    const queue = queueOf()
    queue.addSave(save('a', { base: 'loaded' }))
    queue.rebase(pending(queue, 'a'), 'stored meanwhile')
    expect(queue.saves.get('a')).toMatchObject({ base: 'stored meanwhile', payload: 'payload of a', version: 0 })
    expect(queue.bytes).toBe(counted(queue))
  })

  it('may replace what waits, too: somebody else’s change was merged in', () => {
    const queue = queueOf()
    queue.addSave(save('a', { base: 'loaded', attempts: ['digest'] }))
    queue.rebase(pending(queue, 'a'), 'stored meanwhile', 'merged: longer than either')
    expect(queue.saves.get('a')).toMatchObject({
      base: 'stored meanwhile',
      payload: 'merged: longer than either',
      attempts: new Set(['digest']),
      expiresAt: 1_000_000,
      servedUntil: 500_000,
      // It is what waited, merged: no newer state that a replay has yet to send.
      version: 0,
    })
    expect(queue.bytes).toBe(counted(queue))
    queue.removeSave('a')
    expect(queue.bytes).toBe(0)
  })

  it('counts bytes as they are, from nothing and back', () => {
    const queue = queueOf()
    queue.addSave(save('a'))
    queue.rebase(pending(queue, 'a'), Buffer.alloc(300), Buffer.alloc(500))
    expect(queue.bytes).toBe(counted(queue))
    queue.rebase(pending(queue, 'a'), 'x', 'y')
    expect(queue.bytes).toBe(counted(queue))
  })

  it('of a save that waits no longer does not count', () => {
    const queue = queueOf()
    queue.addSave(save('a', { base: 'loaded' }))
    const gone = pending(queue, 'a')
    queue.removeSave('a')
    queue.rebase(gone, 'x'.repeat(500))
    expect(queue.bytes).toBe(0)
    queue.addSave(save('a'))
    queue.rebase(gone, 'x'.repeat(500), 'y'.repeat(500))
    expect(queue.bytes).toBe(counted(queue))
    expect(queue.saves.get('a')).toMatchObject({ base: undefined, payload: 'payload of a' })
  })
})

describe('attempts', () => {
  it('are a bounded number; beyond it the oldest is forgotten', () => {
    const queue = queueOf()
    queue.addSave(save('a'))
    for (let n = 0; n < 100; n++) noteAttempt(pending(queue, 'a'), `digest ${n}`)
    const known = [...pending(queue, 'a').attempts]
    expect(known).toHaveLength(64)
    expect(known.at(0)).toBe('digest 36')
    expect(known.at(-1)).toBe('digest 99')
  })
})

describe('the bound on sessions', () => {
  it('refuses new ones, and keeps those that wait', () => {
    const queue = queueOf({ max: 2 })
    expect(['a', 'b', 'c'].map((sid) => queue.addSave(save(sid)))).toEqual([true, true, false])
    expect([...queue.saves.keys()]).toEqual(['a', 'b'])
  })

  it('lets those that wait change', () => {
    const queue = queueOf({ max: 1 })
    queue.addSave(save('a'))
    expect(queue.addSave(save('a', { payload: 'changed' }))).toBe(true)
    expect(queue.saves.get('a')?.payload).toBe('changed')
  })

  it('has room again when one is written', () => {
    const queue = queueOf({ max: 1 })
    queue.addSave(save('a'))
    queue.removeSave('a')
    expect(queue.addSave(save('b'))).toBe(true)
  })
})

describe('the bound on bytes', () => {
  it('refuses what does not fit, and keeps what waits', () => {
    const queue = queueOf({ maxBytes: 1_000 })
    expect(queue.addSave(save('a', { payload: Buffer.alloc(600) }))).toBe(true)
    expect(queue.addSave(save('b', { payload: Buffer.alloc(600) }))).toBe(false)
    expect(queue.addSave(save('c', { payload: Buffer.alloc(300) }))).toBe(true)
    expect([...queue.saves.keys()]).toEqual(['a', 'c'])
  })

  it('refuses a session that grows too large, and keeps its earlier state', () => {
    const queue = queueOf({ maxBytes: 1_000 })
    queue.addSave(save('a', { payload: 'small' }))
    expect(queue.addSave(save('a', { payload: Buffer.alloc(2_000) }))).toBe(false)
    expect(queue.saves.get('a')).toMatchObject({ payload: 'small', version: 0 })
    expect(queue.bytes).toBe(counted(queue))
  })

  it('may be reached, and not passed', () => {
    const full = save('a', { base: 'loaded' })
    const bytes = size('a') + size(full.base) + size(full.payload)
    expect(queueOf({ maxBytes: bytes }).addSave(full)).toBe(true)
    expect(queueOf({ maxBytes: bytes - 1 }).addSave(full)).toBe(false)
  })

  it('counts a changed session once', () => {
    const queue = queueOf({ maxBytes: 1_000 })
    for (let n = 0; n < 10; n++) expect(queue.addSave(save('a', { payload: Buffer.alloc(900 + n) }))).toBe(true)
    expect(queue.bytes).toBe(counted(queue))
  })
})

describe('destroys', () => {
  it('wait in the order they came, each once, as it came first', () => {
    const queue = queueOf()
    for (const [at, sid] of ['a', 'b', 'a'].entries()) expect(queue.addDestroy({ sid, queuedAt: at })).toEqual([])
    expect([...queue.destroys.values()]).toEqual([
      { sid: 'a', queuedAt: 0 },
      { sid: 'b', queuedAt: 1 },
    ])
    queue.removeDestroy('a')
    queue.removeDestroy('unknown')
    expect([...queue.destroys.keys()]).toEqual(['b'])
  })

  it('are handed back when they are taken out, to whoever is to tell how they ended', () => {
    const queue = queueOf()
    queue.addDestroy({ sid: 'x', queuedAt: 1 })
    expect(queue.removeDestroy('x')).toEqual({ sid: 'x', queuedAt: 1 })
    expect(queue.removeDestroy('x')).toBeUndefined()
    expect(queue.destroys.size).toBe(0)
  })

  it('are not bounded by the bounds on saves', () => {
    const queue = queueOf({ max: 1, maxBytes: 1, maxDestroys: 10 })
    for (let n = 0; n < 10; n++) expect(queue.addDestroy({ sid: `session ${n}`, queuedAt: n })).toEqual([])
    expect(queue.bytes).toBe(0)
  })

  it('at their bound the saves that wait longest make room', () => {
    const queue = queueOf({ maxDestroys: 1 })
    for (const sid of ['a', 'b']) queue.addSave(save(sid))
    queue.addDestroy({ sid: 'x', queuedAt: 1 })
    expect(queue.addDestroy({ sid: 'y', queuedAt: 2 })?.map(({ sid }) => sid)).toEqual(['a'])
    expect(queue.addDestroy({ sid: 'z', queuedAt: 3 })?.map(({ sid }) => sid)).toEqual(['b'])
    expect([...queue.destroys.keys()]).toEqual(['x', 'y', 'z'])
    expect(queue.saturated).toBe(false)
    expect([queue.saves.size, queue.bytes]).toEqual([0, 0])
  })

  it('at their bound new saves are refused', () => {
    const queue = queueOf({ maxDestroys: 1 })
    queue.addSave(save('a'))
    queue.addDestroy({ sid: 'x', queuedAt: 1 })
    expect(queue.addSave(save('b'))).toBe(false)
    expect([...queue.saves.keys()]).toEqual(['a'])
  })

  it('with no save left they are refused, and the queue is saturated until it has drained', () => {
    const queue = queueOf({ maxDestroys: 2 })
    for (const sid of ['x', 'y']) queue.addDestroy({ sid, queuedAt: 1 })
    expect(queue.saturated).toBe(false)
    expect(queue.addDestroy({ sid: 'z', queuedAt: 2 })).toBeUndefined()
    expect(queue.saturated).toBe(true)
    expect([...queue.destroys.keys()]).toEqual(['x', 'y'])
    queue.removeDestroy('x')
    expect(queue.saturated).toBe(true)
    queue.removeDestroy('y')
    expect(queue.saturated).toBe(false)
    expect(queue.addDestroy({ sid: 'z', queuedAt: 3 })).toEqual([])
  })

  it('one that waits already is taken at the bound too', () => {
    const queue = queueOf({ maxDestroys: 1 })
    queue.addDestroy({ sid: 'x', queuedAt: 1 })
    expect(queue.addDestroy({ sid: 'x', queuedAt: 2 })).toEqual([])
    expect(queue.saturated).toBe(false)
  })

  it('by default 100,000 are held', () => {
    const queue = new WriteQueue({ max: 1, maxBytes: 1, maxAge: 1 })
    for (let n = 0; n < 100_000; n++) queue.addDestroy({ sid: `session ${n}`, queuedAt: n })
    expect(queue.destroys.size).toBe(100_000)
    expect(queue.addDestroy({ sid: 'one more', queuedAt: 1 })).toBeUndefined()
  })
})

it('whatever is done, the bytes are those of what waits, and no bound is passed', () => {
  const sid = fc.constantFrom('a', 'bb', 'ccc', 'dddd')
  const raw = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
  )
  const base = fc.option(raw, { nil: undefined })
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('addSave' as const), sid, base, payload: raw }) },
    fc.record({ do: fc.constant('removeSave' as const), sid }),
    // Of any save ever seen: a replay may still hold one that waits no longer.
    fc.record({ do: fc.constant('rebase' as const), nth: fc.nat(), base: raw }),
    fc.record({ do: fc.constant('extend' as const), sid }),
    fc.record({ do: fc.constant('addDestroy' as const), sid }),
    fc.record({ do: fc.constant('removeDestroy' as const), sid }),
    fc.record({ do: fc.constant('clearSaves' as const) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = queueOf({ max: 3, maxBytes: 250, maxDestroys: 2 })
      const seen: PendingSave[] = []
      for (const one of steps) {
        if (one.do === 'addSave') {
          if (queue.addSave(save(one.sid, { base: one.base, payload: one.payload }))) {
            expect(queue.bytes).toBeLessThanOrEqual(250)
            expect(queue.saves.get(one.sid)?.payload).toEqual(one.payload)
            seen.push(pending(queue, one.sid))
          }
        } else if (one.do === 'rebase') {
          const held = seen[one.nth % Math.max(1, seen.length)]
          if (held !== undefined) queue.rebase(held, one.base)
        } else if (one.do === 'addDestroy') queue.addDestroy({ sid: one.sid, queuedAt: 1 })
        else if (one.do === 'removeSave') queue.removeSave(one.sid)
        else if (one.do === 'extend') queue.extend(one.sid, 2_000_000)
        else if (one.do === 'removeDestroy') queue.removeDestroy(one.sid)
        else queue.clearSaves()
        expect(queue.bytes).toBe(counted(queue))
        expect(queue.saves.size).toBeLessThanOrEqual(3)
        // Each save given up makes room for one delete.
        expect(queue.destroys.size).toBeLessThanOrEqual(2 + 3)
      }
    }),
    { numRuns: 500 },
  )
})
