import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isMarker, markerKey, startsWithPattern } from '../../../src/redis/keys.js'

/** The part of a key that Redis Cluster hashes, by the specification ("Hash tags"). */
function hashed(key: string): string {
  const open = key.indexOf('{')
  if (open === -1) return key
  const close = key.indexOf('}', open + 1)
  return close === -1 || close === open + 1 ? key : key.slice(open + 1, close)
}

/** Redis's MATCH: `*`, `?`, `[…]` and `\` (src/util.c, stringmatchlen), as a regular expression. */
function glob(pattern: string): RegExp {
  let source = ''
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] as string
    if (char === '\\' && at + 1 < pattern.length) source += literal(pattern[++at] as string)
    else if (char === '*') source += '[^]*'
    else if (char === '?') source += '[^]'
    else if (char === '[') throw new Error('an unescaped class')
    else source += literal(char)
  }
  return new RegExp(`^${source}$`)
}

function literal(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
}

const keys = fc.string({ unit: fc.constantFrom('{', '}', 'a', 'b', ':', '-') })
const sids = fc.string({ minLength: 1, unit: fc.constantFrom('a', 'b', 'c', '-', '_', '1') })

describe('markerKey', () => {
  it.each([
    ['sess:abc', '{sess:abc}:revoked'],
    ['abc', '{abc}:revoked'],
    ['{app}:sess:abc', '{app}:revoked:{app}:sess:abc'],
    ['sess:{tag}abc', '{tag}:revoked:sess:{tag}abc'],
    ['a{b}c{d}', '{b}:revoked:a{b}c{d}'],
    ['a{{b}c', '{{b}:revoked:a{{b}c'],
  ])('%s has %s', (key, marker) => {
    expect(markerKey(key, true)).toBe(marker)
    expect(markerKey(key, false)).toBe(marker)
  })

  it.each(['a{b', 'a}b', 'a}b{c', 'a{}b', '{}', 'a{}{b}'])(
    'on Cluster %s is refused: no marker could lie in its slot',
    (key) => {
      expect(() => markerKey(key, true)).toThrow(RangeError)
      expect(() => markerKey(key, true)).toThrow('must have a hash tag: {tag}')
    },
  )

  it('the refusal does not show the key, which holds the session id', () => {
    expect(() => markerKey('sess:{secret-sid', true)).toThrow(/^(?!.*secret-sid)/)
  })

  it('on one server every key has one', () => {
    for (const key of ['a{b', 'a}b', 'a}b{c', 'a{}b', '{}', 'a{}{b}']) expect(markerKey(key, false)).not.toBe(key)
  })

  it('on Cluster lies in the slot of its key, or is refused', () => {
    fc.assert(
      fc.property(keys, (key) => {
        let marker: string
        try {
          marker = markerKey(key, true)
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
          return
        }
        if (key !== '') expect(hashed(marker)).toBe(hashed(key))
      }),
    )
  })

  it('is different for different keys', () => {
    fc.assert(
      fc.property(sids, sids, fc.constantFrom('sess:', '', '{app}:', 'a{b}'), (one, other, prefix) => {
        fc.pre(one !== other)
        expect(markerKey(prefix + one, false)).not.toBe(markerKey(prefix + other, false))
      }),
    )
  })
})

describe('isMarker', () => {
  const prefixes = fc.constantFrom('sess:', '', '{app}:', '{app}:sess:', 'a{b}c:', '{', '}', 'app{', '*')

  it('knows the marker of every session, whatever the prefix', () => {
    fc.assert(
      fc.property(prefixes, sids, (prefix, sid) => {
        expect(isMarker(markerKey(prefix + sid, false), prefix)).toBe(true)
      }),
    )
  })

  it('takes no session for one', () => {
    fc.assert(
      fc.property(prefixes, sids, (prefix, sid) => {
        expect(isMarker(prefix + sid, prefix)).toBe(false)
      }),
    )
  })

  it("leaves another application's markers to it", () => {
    expect(isMarker('{other:abc}:revoked', 'sess:')).toBe(false)
    expect(isMarker('{app}:revoked:{app}:other:abc', '{app}:sess:')).toBe(false)
  })
})

describe('startsWithPattern', () => {
  it.each([
    ['sess:', 'sess:*'],
    ['', '*'],
    ['a*b', 'a\\*b*'],
    ['what?', 'what\\?*'],
    ['[app]:', '\\[app\\]:*'],
    ['back\\slash', 'back\\\\slash*'],
    ['{tag}:^-!', '{tag}:^-!*'],
  ])('%j becomes %j', (text, pattern) => {
    expect(startsWithPattern(text)).toBe(pattern)
  })

  it('matches what begins with the text and nothing else', () => {
    const tricky = fc.string({
      unit: fc.constantFrom('*', '?', '[', ']', '\\', '^', '-', 'a', 'b', '{', '}'),
      maxLength: 6,
    })
    fc.assert(
      fc.property(tricky, tricky, tricky, (text, rest, other) => {
        const pattern = glob(startsWithPattern(text))
        expect(pattern.test(text + rest)).toBe(true)
        expect(pattern.test(other)).toBe(other.startsWith(text))
      }),
    )
  })
})
