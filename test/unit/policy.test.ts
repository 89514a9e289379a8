import { describe, expect, it } from 'vitest'
import {
  type DestroyPolicy,
  decideDestroy,
  decideRead,
  decideSave,
  PRESETS,
  type ReadDecision,
  type ReadPolicy,
  type SavePolicy,
  WORDS,
} from '../../src/policy.js'

/** What each word means, with and without a copy to serve. */
const READ: Record<ReadPolicy, { withCopy: ReadDecision; without: ReadDecision }> = {
  fail: { withCopy: 'fail', without: 'fail' },
  stale: { withCopy: 'serve-stale', without: 'fail' },
  blank: { withCopy: 'serve-blank', without: 'serve-blank' },
  'stale-or-blank': { withCopy: 'serve-stale', without: 'serve-blank' },
}
const reads = Object.keys(READ) as ReadPolicy[]
const saves: SavePolicy[] = ['fail', 'drop', 'queue']
const destroys: DestroyPolicy[] = ['fail', 'queue']

/** What a handler may return without meaning anything by it. */
const NO_WORD = [
  undefined,
  null,
  true,
  0,
  '',
  'FAIL',
  'serve-stale',
  ['blank'],
  { read: 'blank' },
  Promise.resolve('blank'),
]

describe('decideRead', () => {
  for (const configured of reads) {
    it(`'${configured}' decides when the handler answers nothing`, () => {
      for (const answer of NO_WORD) {
        expect(decideRead(configured, answer, true)).toBe(READ[configured].withCopy)
        expect(decideRead(configured, answer, false)).toBe(READ[configured].without)
      }
    })

    it(`a word of the handler counts instead of '${configured}'`, () => {
      for (const answer of reads) {
        expect(decideRead(configured, answer, true)).toBe(READ[answer].withCopy)
        expect(decideRead(configured, answer, false)).toBe(READ[answer].without)
      }
    })

    it(`a word for another operation leaves '${configured}' in place`, () => {
      for (const answer of ['drop', 'queue']) {
        expect(decideRead(configured, answer, true)).toBe(READ[configured].withCopy)
        expect(decideRead(configured, answer, false)).toBe(READ[configured].without)
      }
    })
  }
})

describe('decideSave', () => {
  it.each(saves)("'%s' decides when the handler answers nothing, or a word for reads", (configured) => {
    for (const answer of [...NO_WORD, 'stale', 'blank', 'stale-or-blank']) {
      expect(decideSave(configured, answer)).toBe(configured)
    }
  })

  it.each(saves)("a word of the handler counts instead of '%s'", (configured) => {
    for (const answer of saves) expect(decideSave(configured, answer)).toBe(answer)
  })
})

describe('decideDestroy', () => {
  it.each(destroys)("'%s' decides when the handler answers nothing, or a word for others", (configured) => {
    for (const answer of [...NO_WORD, 'stale', 'blank', 'stale-or-blank', 'drop']) {
      expect(decideDestroy(configured, answer)).toBe(configured)
    }
  })

  it.each(destroys)("a word of the handler counts instead of '%s'", (configured) => {
    for (const answer of destroys) expect(decideDestroy(configured, answer)).toBe(answer)
  })
})

describe('presets', () => {
  it('say what they are documented to say', () => {
    expect(PRESETS).toEqual({
      strict: { read: 'fail', save: 'fail', destroy: 'fail' },
      'read-only': { read: 'stale', save: 'fail', destroy: 'fail' },
      available: { read: 'stale', save: 'queue', destroy: 'queue' },
    })
  })

  it('cannot be changed by those who read them', () => {
    expect(Object.isFrozen(PRESETS)).toBe(true)
    for (const preset of Object.values(PRESETS)) expect(Object.isFrozen(preset)).toBe(true)
    for (const words of Object.values(WORDS)) expect(Object.isFrozen(words)).toBe(true)
  })

  it('use only words that an application may choose too', () => {
    for (const { read, save, destroy } of Object.values(PRESETS)) {
      expect(WORDS.read).toContain(read)
      expect(WORDS.save).toContain(save)
      expect(WORDS.destroy).toContain(destroy)
    }
  })
})
