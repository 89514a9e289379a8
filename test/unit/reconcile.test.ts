import type { SessionData } from 'express-session'
import { describe, expect, it } from 'vitest'
import { Codec } from '../../src/codec.js'
import { SessionKeyUnknownError } from '../../src/errors.js'
import { reconcile } from '../../src/reconcile.js'
import { resolveOptions } from '../../src/resolve-options.js'
import { FakeClock } from '../support/fake-clock.js'
import { until } from '../support/wait.js'

const codec = (options = {}): Codec => new Codec(resolveOptions(options), new FakeClock())

const ours = '{"cookie":{},"user":"ann","cart":[1,2,3]}'
const base = '{"cookie":{"expires":"2030-01-01T00:00:00.000Z"},"user":"ann","cart":[1,2]}'

describe('what is stored instead of the base', () => {
  it.each([
    ['the same text', base, 'same'],
    ['another cookie', '{"cookie":{"expires":"2031-01-01T00:00:00.000Z"},"user":"ann","cart":[1,2]}', 'same'],
    ['no cookie', '{"user":"ann","cart":[1,2]}', 'same'],
    ['another order of names', '{"cart":[1,2],"user":"ann","cookie":{}}', 'same'],
    ['another value', '{"cookie":{},"user":"bob","cart":[1,2]}', 'conflict'],
    ['another order in a list', '{"cookie":{},"user":"ann","cart":[2,1]}', 'conflict'],
    ['something more', '{"cookie":{},"user":"ann","cart":[1,2],"admin":true}', 'conflict'],
    ['something less', '{"cookie":{},"user":"ann"}', 'conflict'],
    ['something of another kind', '{"cookie":{},"user":"ann","cart":["1","2"]}', 'conflict'],
    ['what cannot be read', '{"broken', 'conflict'],
    ['what is no session', '[]', 'conflict'],
  ])('%s', async (_, theirs, kind) => {
    for (const concurrency of ['last-write', 'reject'] as const) {
      expect(await reconcile(codec(), concurrency, 'abc', { base, ours, theirs })).toMatchObject({ kind })
    }
  })

  it('is in conflict with a session for which nothing was stored', async () => {
    const found = await reconcile(codec(), 'merge', 'abc', { base: undefined, ours, theirs: base })
    expect(found).toEqual({ kind: 'conflict' })
  })

  it('is not read where there is nothing to compare it with', async () => {
    const read: unknown[] = []
    const serializer = {
      binary: true as const,
      parse: (value: Buffer) => read.push(value) && {},
      stringify: (session: object) => Buffer.from(JSON.stringify(session)),
    }
    await reconcile(codec({ serializer }), 'merge', 'abc', { base: undefined, ours, theirs: base })
    expect(read).toEqual([])
  })

  it('is compared as the serializer keeps it', async () => {
    const own = codec({ serializer: 'v8' })
    const raw = async (data: object): Promise<string | Buffer> =>
      own.encode('abc', { cookie: {}, ...data } as SessionData)
    const from = await raw({ since: new Date(0), ids: new Set([1]) })
    const to = async (data: object): Promise<string> => {
      const versions = { base: from, ours: from, theirs: await raw(data) }
      return (await reconcile(own, 'last-write', 'abc', versions)).kind
    }
    expect(await to({ since: new Date(0), ids: new Set([1]) })).toBe('same')
    expect(await to({ since: new Date(1), ids: new Set([1]) })).toBe('conflict')
    expect(await to({ since: new Date(0), ids: new Set([2]) })).toBe('conflict')
  })
})

describe('a merge', () => {
  const merged = async (theirs: string): Promise<{ value: unknown; clashes: number }> => {
    const found = await reconcile(codec(), 'merge', 'abc', { base, ours, theirs })
    if (found.kind !== 'merged') throw new Error(found.kind)
    return { value: JSON.parse(String(found.value)), clashes: found.merge.clashes }
  }

  it('takes over what only the other side changed, added or removed', async () => {
    expect(await merged('{"cookie":{"x":1},"user":"bob","cart":[1,2],"admin":true}')).toEqual({
      value: { cookie: {}, user: 'bob', cart: [1, 2, 3], admin: true },
      clashes: 0,
    })
    expect(await merged('{"cookie":{},"cart":[1,2]}')).toEqual({ value: { cookie: {}, cart: [1, 2, 3] }, clashes: 0 })
  })

  it('keeps ours where both changed, and counts it', async () => {
    expect(await merged('{"cookie":{},"user":"ann","cart":[]}')).toEqual({
      value: { cookie: {}, user: 'ann', cart: [1, 2, 3] },
      clashes: 1,
    })
    expect(await merged('{"cookie":{},"user":"ann"}')).toMatchObject({ clashes: 1 })
  })

  it('is no clash where both changed to the same', async () => {
    expect(await merged('{"cookie":{},"user":"ann","cart":[1,2,3]}')).toMatchObject({ clashes: 0 })
  })

  it('keeps a stored "__proto__" a key and nothing more', async () => {
    const { value } = await merged('{"cookie":{},"user":"ann","cart":[1,2],"__proto__":{"admin":true}}')
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect((value as { admin?: unknown }).admin).toBeUndefined()
    expect(JSON.stringify(value)).toContain('"__proto__":{"admin":true}')
  })
})

describe('a merge that is not possible', () => {
  it.each([
    ['what is stored cannot be read', { theirs: '{"broken' }],
    ['what is stored is no session', { theirs: '[]' }],
    ['what it was made from cannot be read', { base: '{"broken' }],
    ['what is to be saved cannot be read', { ours: '{"broken' }],
  ])('is a conflict: %s', async (_, more) => {
    const theirs = '{"cookie":{},"user":"bob","cart":[1,2]}'
    const found = await reconcile(codec(), 'merge', 'abc', { base, ours, theirs, ...more })
    expect(found).toEqual({ kind: 'conflict' })
  })

  it('is told apart where another process has the key of what is stored', async () => {
    const serializer = {
      parse: (value: string) => {
        if (value === 'sealed') throw new SessionKeyUnknownError('get', 'next')
        return JSON.parse(value)
      },
      stringify: JSON.stringify,
    }
    for (const concurrency of ['last-write', 'reject', 'merge'] as const) {
      const found = await reconcile(codec({ serializer }), concurrency, 'abc', { base, ours, theirs: 'sealed' })
      expect(found).toMatchObject({ kind: 'key-unknown', error: { operation: 'set', keyId: 'next' } })
    }
  })

  it.each(['parse', 'stringify'] as const)('is a conflict: the serializer cannot %s it', async (verb) => {
    const serializer = {
      parse: JSON.parse,
      stringify: JSON.stringify,
      [verb]: () => {
        throw new Error('lost the key')
      },
    }
    const theirs = '{"cookie":{},"user":"bob","cart":[1,2]}'
    const found = await reconcile(codec({ serializer }), 'merge', 'abc', { base, ours, theirs })
    expect(found).toEqual({ kind: 'conflict' })
  })
})

describe('while it takes its time', () => {
  /** A serializer that waits where it is told to. */
  function slow() {
    const waiting: (() => void)[] = []
    const serializer = {
      parse: async (value: string) => {
        await new Promise<void>((resolve) => waiting.push(resolve))
        return JSON.parse(value)
      },
      stringify: (session: object) => JSON.stringify(session),
    }
    return { own: codec({ serializer }), waiting }
  }

  it('two reconciliations of one session do not share what they read', async () => {
    const { own, waiting } = slow()
    const theirs = (n: number): string => `{"cookie":{},"user":"ann","cart":[1,2],"tab${n}":true}`
    const both = [1, 2].map((n) => reconcile(own, 'merge', 'abc', { base, ours, theirs: theirs(n) }))
    let done = 0
    for (const one of both) one.then(() => done++)
    await until(() => {
      // The last to ask goes on first.
      waiting.pop()?.()
      return done === 2
    })
    const values = (await Promise.all(both)).map((found) =>
      found.kind === 'merged' ? String(found.value) : found.kind,
    )
    expect(values).toEqual([1, 2].map((n) => `{"cookie":{},"user":"ann","cart":[1,2,3],"tab${n}":true}`))
  })

  it('what was given is looked at as it was given', async () => {
    const { own, waiting } = slow()
    const versions = { base, ours, theirs: '{"cookie":{},"user":"bob","cart":[1,2]}' }
    const finding = reconcile(own, 'merge', 'abc', versions)
    versions.theirs = base
    versions.ours = base
    let found: Awaited<typeof finding> | undefined
    finding.then((result) => {
      found = result
    })
    await until(() => {
      waiting.shift()?.()
      return found
    })
    expect(found).toMatchObject({ kind: 'merged', value: '{"cookie":{},"user":"bob","cart":[1,2,3]}' })
  })
})
