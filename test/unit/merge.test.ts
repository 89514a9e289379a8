import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applyMerge, mergeSessions, sameContent } from '../../src/merge.js'

const NOTHING = { take: {}, remove: [], clashes: 0 }

/** What a session is after it has taken over the other side's change. */
function merged(base: object, ours: object, theirs: object): object {
  const session = structuredClone(ours)
  applyMerge(session, mergeSessions(base, session, theirs))
  return session
}

/** As a serializer gives it back: `__proto__` is a key of its own. */
function parsed(text: string): Record<string, unknown> {
  return JSON.parse(text)
}

describe('a merge', () => {
  it.each([
    ['nobody changed anything', { a: 1 }, { a: 1 }, { a: 1 }],
    ['only we changed something', { a: 1 }, { a: 2, b: 1 }, { a: 1 }],
    ['only we removed something', { a: 1, b: 1 }, { b: 1 }, { a: 1, b: 1 }],
    ['both changed to the same', { a: 1 }, { a: { deep: [2] } }, { a: { deep: [2] } }],
    ['both added the same', {}, { a: 1 }, { a: 1 }],
    ['both removed the same', { a: 1 }, {}, {}],
    ['only the cookie differs', { cookie: 1, a: 1 }, { cookie: 2, a: 1 }, { cookie: 3, a: 1 }],
    ['the cookie is gone on one side', { cookie: 1 }, { cookie: 1 }, {}],
  ])('takes nothing where %s', (_, base, ours, theirs) => {
    expect(mergeSessions(base, ours, theirs)).toEqual(NOTHING)
    expect(merged(base, ours, theirs)).toEqual(ours)
  })

  it('takes what only the other side changed or added, whatever we did to other keys', () => {
    const base = { a: 1, b: 1 }
    const ours = { a: 2, b: 1, mine: true }
    const theirs = { a: 1, b: { deep: [1] }, theirs: null }
    expect(mergeSessions(base, ours, theirs)).toEqual({
      take: { b: { deep: [1] }, theirs: null },
      remove: [],
      clashes: 0,
    })
    expect(merged(base, ours, theirs)).toEqual({ a: 2, b: { deep: [1] }, mine: true, theirs: null })
  })

  it('removes what only the other side removed', () => {
    const base = { a: 1, b: 1, c: 1 }
    expect(mergeSessions(base, { a: 1, b: 1, c: 2 }, { b: 1, c: 1 })).toEqual({ take: {}, remove: ['a'], clashes: 0 })
    expect(merged(base, { a: 1, b: 1, c: 2 }, { b: 1, c: 1 })).toEqual({ b: 1, c: 2 })
  })

  it.each([
    ['both changed', { a: 1 }, { a: 2 }, { a: 3 }],
    ['both added', {}, { a: 2 }, { a: 3 }],
    ['we changed and they removed', { a: 1 }, { a: 2 }, {}],
    ['we removed and they changed', { a: 1 }, {}, { a: 3 }],
  ])('keeps ours, and counts it, where %s the same key differently', (_, base, ours, theirs) => {
    expect(mergeSessions(base, ours, theirs)).toEqual({ ...NOTHING, clashes: 1 })
    expect(merged(base, ours, theirs)).toEqual(ours)
  })

  it('counts each such key once', () => {
    const merge = mergeSessions({ a: 1, b: 1, c: 1, d: 1 }, { a: 2, b: 2, c: 2, d: 1 }, { a: 3, b: 3, d: 3 })
    expect(merge).toEqual({ take: { d: 3 }, remove: [], clashes: 3 })
  })

  it('is by top-level key: what is inside is one value', () => {
    const base = { cart: { apples: 1, pears: 1 } }
    const ours = { cart: { apples: 2, pears: 1 } }
    const theirs = { cart: { apples: 1, pears: 2 } }
    expect(merged(base, ours, theirs)).toEqual(ours)
    expect(mergeSessions(base, ours, theirs).clashes).toBe(1)
  })

  it('tells a key that is undefined from one that is not there', () => {
    expect(mergeSessions({ a: undefined }, { a: undefined }, {})).toEqual({ take: {}, remove: ['a'], clashes: 0 })
    expect(mergeSessions({}, {}, { a: undefined })).toEqual({ take: { a: undefined }, remove: [], clashes: 0 })
  })

  it.each([
    ['dates', new Date(1), new Date(1), new Date(2)],
    ['sets', new Set([1]), new Set([1]), new Set([2])],
    ['maps', new Map([[1, 1]]), new Map([[1, 1]]), new Map([[1, 2]])],
    ['bytes', Buffer.from([1]), Buffer.from([1]), Buffer.from([2])],
    ['numbers', Number.NaN, Number.NaN, 0],
    ['kinds', 1, 1, '1'],
  ])('compares by value, as deep as it goes: %s', (_, base, same, other) => {
    expect(mergeSessions({ a: base }, { a: same }, { a: same })).toEqual(NOTHING)
    expect(mergeSessions({ a: [base] }, { a: [same] }, { a: [other] })).toEqual({ ...NOTHING, take: { a: [other] } })
  })

  it('never takes the cookie, nor removes it', () => {
    const merge = mergeSessions({ cookie: 1, a: 1 }, { cookie: 1, a: 1 }, { cookie: { domain: 'evil' }, a: 2 })
    expect(merge).toEqual({ take: { a: 2 }, remove: [], clashes: 0 })
    expect(mergeSessions({ cookie: 1 }, { cookie: 1 }, {})).toEqual(NOTHING)
  })

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
    'takes %s as a key like any other, and gives nothing a new prototype',
    (name) => {
      const session = parsed('{"a":1}')
      const theirs = parsed(`{"a":1,${JSON.stringify(name)}:{"admin":true}}`)
      const merge = mergeSessions({ a: 1 }, session, theirs)
      expect(merge.clashes).toBe(0)
      applyMerge(session, merge)
      expect(Object.keys(session)).toEqual(['a', name])
      expect(Object.getPrototypeOf(session)).toBe(Object.prototype)
      expect(Object.getPrototypeOf(merge.take)).toBe(Object.prototype)
      expect((session as { admin?: unknown }).admin).toBeUndefined()
      expect(JSON.stringify(session)).toBe(`{"a":1,${JSON.stringify(name)}:{"admin":true}}`)
      // And can be removed again.
      applyMerge(session, mergeSessions(theirs, session, { a: 1 }))
      expect(Object.keys(session)).toEqual(['a'])
    },
  )

  it('changes nothing that it is given', () => {
    const given = [
      { a: 1, b: 1 },
      { a: 2, b: 1 },
      { a: 1, c: [1] },
    ] as const
    const before = structuredClone(given)
    for (const part of given) Object.freeze(part)
    mergeSessions(...given)
    expect(given).toEqual(before)
  })
})

describe('what a session takes over', () => {
  it('is its own, like what it had', () => {
    const session: Record<string, unknown> = { a: 1 }
    applyMerge(session, mergeSessions({ a: 1 }, session, { a: 2, b: 3 }))
    expect(Object.getOwnPropertyDescriptors(session)).toEqual(Object.getOwnPropertyDescriptors({ a: 2, b: 3 }))
    session.b = 4
    expect(JSON.stringify(session)).toBe('{"a":2,"b":4}')
  })

  it('leaves what is hidden in a live session alone', () => {
    const session = Object.defineProperty({ a: 1 }, 'req', { value: 'the request' })
    applyMerge(session, mergeSessions({ a: 1 }, { a: 1 }, { a: 2 }))
    expect(session).toEqual({ a: 2 })
    expect((session as { req?: unknown }).req).toBe('the request')
  })
})

describe('the same content', () => {
  it.each([
    [{ a: 1 }, { a: 1 }, true],
    [{ a: 1, b: 2 }, { b: 2, a: 1 }, true],
    [{ a: 1, cookie: 1 }, { a: 1, cookie: { other: true } }, true],
    [{ a: 1, cookie: 1 }, { a: 1 }, true],
    [{ a: 1 }, { a: 2 }, false],
    [{ a: 1 }, { a: 1, b: 1 }, false],
    [{ a: [1, 2] }, { a: [2, 1] }, false],
    [{ a: 0 }, { a: -0 }, false],
    [{ a: undefined }, {}, false],
  ])('%o and %o: %s', (one, other, same) => {
    expect(sameContent(one, other)).toBe(same)
    expect(sameContent(other, one)).toBe(same)
  })
})

describe('whatever the three are', () => {
  const value = fc.oneof(fc.constantFrom(1, 2, 'x', null), fc.array(fc.constantFrom(1, 2), { maxLength: 2 }))
  const state = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'cookie', '__proto__'), value)

  it('each key goes by its own three values, and by no other', () => {
    fc.assert(
      fc.property(state, state, state, (base, ours, theirs) => {
        const at = (from: object, key: string): string | undefined =>
          Object.hasOwn(from, key) ? JSON.stringify((from as Record<string, unknown>)[key]) : undefined
        const session = { ...ours }
        const merge = mergeSessions(base, session, theirs)
        applyMerge(session, merge)
        let clashes = 0
        for (const key of new Set([base, ours, theirs].flatMap((one) => Object.keys(one)))) {
          const [from, mine, other] = [at(base, key), at(ours, key), at(theirs, key)]
          const expected = key !== 'cookie' && mine === from ? other : mine
          expect(at(session, key), key).toBe(expected)
          if (key !== 'cookie' && mine !== from && other !== from && mine !== other) clashes++
        }
        expect(merge.clashes).toBe(clashes)
      }),
    )
  })

  it('what was merged takes nothing more from the same other side', () => {
    fc.assert(
      fc.property(state, state, state, (base, ours, theirs) => {
        const session = { ...ours }
        applyMerge(session, mergeSessions(base, session, theirs))
        expect(mergeSessions(theirs, session, theirs)).toEqual(NOTHING)
      }),
    )
  })
})
