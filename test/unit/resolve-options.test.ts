import type { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import type { ResilientStoreOptions } from '../../src/options.js'
import { PRESETS } from '../../src/policy.js'
import { type ResolvedOptions, resolveOptions } from '../../src/resolve-options.js'
import { hybrid } from '../../src/serializers/hybrid.js'
import { json } from '../../src/serializers/json.js'
import { v8 } from '../../src/serializers/v8.js'

/** Options as an application without types may give them. */
function resolve(options: unknown): ResolvedOptions {
  return resolveOptions(options as ResilientStoreOptions)
}

function refusal(options: unknown): Error {
  try {
    resolve(options)
  } catch (error) {
    return error as Error
  }
  throw new Error('these options were accepted')
}

/** `{ a: { b: value } }` for `'a.b'`. */
function at(path: string, value: unknown): object {
  const [name, ...rest] = path.split('.')
  return { [name as string]: rest.length === 0 ? value : at(rest.join('.'), value) }
}

function valueAt(resolved: ResolvedOptions, path: string): unknown {
  return path.split('.').reduce<unknown>((value, name) => (value as Record<string, unknown>)[name], resolved)
}

const DAY = 86_400_000
const LONGEST_TIMER = 2_147_483_647

const integers = [
  { option: 'touchAfter', min: 0, max: DAY, unit: 'ms' },
  { option: 'scanCount', min: 1, max: 100_000 },
  { option: 'timeout', min: 1, max: 60_000, unit: 'ms' },
  { option: 'maxInFlight', min: 1, max: 10_000_000 },
  { option: 'revokeFor', min: 1_000, max: DAY, unit: 'ms' },
  { option: 'cache.max', min: 1, max: 100_000_000 },
  { option: 'cache.maxBytes', min: 1, max: Number.MAX_SAFE_INTEGER, unit: 'bytes' },
  { option: 'cache.maxStale', min: 1, max: DAY, unit: 'ms' },
  { option: 'cache.near.maxSilence', min: 100, max: 60_000, unit: 'ms' },
  { option: 'queue.max', min: 1, max: 10_000_000 },
  { option: 'queue.maxBytes', min: 1, max: Number.MAX_SAFE_INTEGER, unit: 'bytes' },
  { option: 'queue.maxAge', min: 1, max: DAY, unit: 'ms' },
  { option: 'breaker.errorThresholdPercentage', min: 0, max: 100, unit: '%' },
  { option: 'breaker.volumeThreshold', min: 0, max: 1_000_000 },
  { option: 'breaker.rollingCountTimeout', min: 100, max: LONGEST_TIMER, unit: 'ms' },
  { option: 'breaker.rollingCountBuckets', min: 1, max: 1_000 },
  { option: 'breaker.resetTimeout', min: 10, max: LONGEST_TIMER, unit: 'ms' },
  { option: 'breaker.consecutiveFailures', min: 1, max: 1_000_000 },
]

describe('defaults', () => {
  const defaults = {
    client: undefined,
    redis: 'redis://127.0.0.1:6379',
    prefix: 'sess:',
    ttl: 86_400,
    resetOnRead: false,
    touchAfter: undefined,
    disableTouch: false,
    disableTTL: false,
    scanCount: 100,
    serializer: json,
    timeout: 250,
    breaker: {
      errorThresholdPercentage: 50,
      volumeThreshold: 10,
      rollingCountTimeout: 10_000,
      rollingCountBuckets: 10,
      resetTimeout: 500,
      consecutiveFailures: 3,
    },
    maxInFlight: 10_000,
    cache: undefined,
    degradation: PRESETS.strict,
    concurrency: 'last-write',
    restoreLost: false,
    queue: { max: 10_000, maxBytes: 64 * 1024 * 1024, maxAge: 600_000 },
    revokeFor: 600_000,
    onRedisDown: undefined,
    onSessionLoadError: undefined,
  }

  it('are the documented ones', () => {
    expect(resolve(undefined)).toEqual(defaults)
    expect(resolve({})).toEqual(defaults)
  })

  it('stand for options given as undefined, nested ones included', () => {
    const names = Object.keys(defaults)
    expect(resolve(Object.fromEntries(names.map((name) => [name, undefined])))).toEqual(defaults)
    expect(resolve({ queue: { max: undefined }, breaker: { resetTimeout: undefined } })).toEqual(defaults)
    expect(resolve({ degradation: { read: undefined, save: undefined, destroy: undefined } })).toEqual(defaults)
  })

  it('fill what a nested group leaves out', () => {
    expect(resolve({ breaker: { resetTimeout: 1_000 } }).breaker).toEqual({ ...defaults.breaker, resetTimeout: 1_000 })
    expect(resolve({ queue: { max: 5 } }).queue).toEqual({ ...defaults.queue, max: 5 })
  })
})

describe('the result', () => {
  it('is frozen, groups included', () => {
    const resolved = resolve({ cache: true, degradation: { save: 'drop' } })
    for (const part of [resolved, resolved.breaker, resolved.cache, resolved.queue, resolved.degradation]) {
      expect(Object.isFrozen(part)).toBe(true)
    }
  })

  it('does not follow later changes of what was given', () => {
    const queue = { max: 5 }
    const resolved = resolve({ queue })
    queue.max = 6
    expect(resolved.queue.max).toBe(5)
  })

  it('leaves what was given unchanged and unfrozen', () => {
    const given = { breaker: { resetTimeout: 1_000 }, cache: { max: 5 } }
    resolve(given)
    expect(given).toEqual({ breaker: { resetTimeout: 1_000 }, cache: { max: 5 } })
    expect(Object.isFrozen(given.breaker)).toBe(false)
  })
})

describe.each(integers)('$option', ({ option, min, max, unit }) => {
  const limits = `an integer from ${min} to ${max}${unit === undefined ? '' : ` (${unit})`}`

  it(`is ${limits}`, () => {
    for (const value of [min, max, Math.floor((min + max) / 2)]) {
      expect(valueAt(resolve(at(option, value)), option)).toBe(value)
    }
  })

  it('outside its limits is a RangeError that names the option, the limits and the value', () => {
    for (const value of [min - 1, max + 1, min + 0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const error = refusal(at(option, value))
      expect(error).toBeInstanceOf(RangeError)
      expect(error.message).toBe(`option '${option}' must be ${limits}, got ${value}`)
    }
  })

  it('of another kind is a TypeError that names the option, the limits and the value', () => {
    const wrong = [
      ['5', "'5'"],
      [null, 'null'],
      [true, 'true'],
      [{}, 'an object'],
      [[5], 'an array'],
      [5n, '5'],
      [Symbol('five'), 'Symbol(five)'],
    ]
    for (const [value, shown] of wrong) {
      const error = refusal(at(option, value))
      expect(error).toBeInstanceOf(TypeError)
      expect(error.message).toBe(`option '${option}' must be ${limits}, got ${String(shown)}`)
    }
  })
})

describe.each(['resetOnRead', 'disableTouch', 'disableTTL', 'restoreLost'])('%s', (option) => {
  it('is a boolean', () => {
    expect(valueAt(resolve({ [option]: true }), option)).toBe(true)
    expect(valueAt(resolve({ [option]: false }), option)).toBe(false)
  })

  it('of another kind is a TypeError', () => {
    for (const value of [0, 1, 'true', null, {}]) expect(refusal({ [option]: value })).toBeInstanceOf(TypeError)
    expect(refusal({ [option]: 'yes' }).message).toBe(`option '${option}' must be a boolean, got 'yes'`)
  })
})

describe.each(['onRedisDown', 'onSessionLoadError'])('%s', (option) => {
  it('is a function', () => {
    const handler = (): void => {}
    expect(valueAt(resolve({ [option]: handler }), option)).toBe(handler)
  })

  it('of another kind is a TypeError at construction', () => {
    for (const value of [null, false, 'log', {}, [() => {}]]) {
      expect(refusal({ [option]: value })).toBeInstanceOf(TypeError)
    }
    expect(refusal({ [option]: 'log' }).message).toBe(`option '${option}' must be a function, got 'log'`)
  })
})

describe('prefix', () => {
  it('is any string, the empty one included', () => {
    for (const prefix of ['', 'app:', '{app}:sess:', 'a*[?]b']) expect(resolve({ prefix }).prefix).toBe(prefix)
  })

  it('of another kind is a TypeError', () => {
    expect(refusal({ prefix: 5 }).message).toBe("option 'prefix' must be a string, got 5")
    expect(refusal({ prefix: null })).toBeInstanceOf(TypeError)
  })
})

describe('ttl', () => {
  it('is a positive number of seconds, or a function', () => {
    const ttl = (): number => 60
    expect(resolve({ ttl: 0.5 }).ttl).toBe(0.5)
    expect(resolve({ ttl: 31_536_000 }).ttl).toBe(31_536_000)
    expect(resolve({ ttl }).ttl).toBe(ttl)
  })

  it('out of range is a RangeError', () => {
    for (const ttl of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(refusal({ ttl })).toBeInstanceOf(RangeError)
    }
    expect(refusal({ ttl: -1 }).message).toBe("option 'ttl' must be a positive number of seconds, got -1")
  })

  it('of another kind is a TypeError', () => {
    for (const ttl of ['60', null, {}, true]) expect(refusal({ ttl })).toBeInstanceOf(TypeError)
    expect(refusal({ ttl: '60' }).message).toBe(
      "option 'ttl' must be a positive number of seconds or a function, got '60'",
    )
  })
})

describe('options that do not exist', () => {
  it.each([
    [{ timout: 5 }, "unknown option 'timout'"],
    [{ url: 'redis://127.0.0.1' }, "unknown option 'url'"],
    [{ cache: { maxAge: 5 } }, "unknown option 'cache.maxAge'"],
    [{ cache: { near: { silence: 5 } } }, "unknown option 'cache.near.silence'"],
    [{ queue: { maxStale: 5 } }, "unknown option 'queue.maxStale'"],
    [{ breaker: { timeout: 5 } }, "unknown option 'breaker.timeout'"],
    [{ degradation: { touch: 'fail' } }, "unknown option 'degradation.touch'"],
  ])('%o: %s', (options, message) => {
    const error = refusal(options)
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toBe(message)
  })

  it('are refused even as undefined: a misspelt name is a mistake', () => {
    expect(refusal({ timout: undefined }).message).toBe("unknown option 'timout'")
  })
})

describe('groups', () => {
  it.each(['cache', 'queue', 'breaker', 'degradation'])('%s of another kind is a TypeError', (option) => {
    for (const value of [null, 5, [], () => {}]) {
      const error = refusal({ [option]: value })
      expect(error).toBeInstanceOf(TypeError)
      expect(error.message).toContain(`option '${option}' must be`)
    }
  })

  it.each([null, 5, [], 'text', () => {}])('options as %o are a TypeError', (options) => {
    expect(refusal(options)).toBeInstanceOf(TypeError)
    expect(refusal(options).message).toMatch(/^options must be an object/)
  })
})

describe('client and redis', () => {
  it('exclude each other', () => {
    const client = {} as Redis
    expect(refusal({ client, redis: 'redis://127.0.0.1' }).message).toBe(
      "options 'client' and 'redis' exclude each other: give one",
    )
    expect(resolve({ client }).client).toBe(client)
  })

  it('redis is a URL, a socket path or ioredis options', () => {
    for (const redis of ['rediss://example.org:6380/1', '/run/redis.sock', { host: 'example.org', tls: {} }]) {
      expect(resolve({ redis }).redis).toEqual(redis)
    }
  })

  it('redis of another kind is a TypeError', () => {
    for (const redis of [null, 6379, true, '', [], () => {}]) {
      expect(refusal({ redis })).toBeInstanceOf(TypeError)
      expect(refusal({ redis }).message).toContain("option 'redis' must be a URL, a socket path or ioredis options")
    }
  })

  it('a Cluster takes at least one node, and no keyPrefix anywhere', () => {
    expect(resolve({ redis: { cluster: ['redis://a:1'] } }).redis).toEqual({ cluster: ['redis://a:1'] })
    for (const cluster of [[], 'redis://a:1', undefined]) {
      expect(refusal({ redis: { cluster } }).message).toContain("option 'redis.cluster' must be a list of at least one")
    }
    const redisOptions = { keyPrefix: 'app:' }
    expect(refusal({ redis: { cluster: ['redis://a:1'], redisOptions } }).message).toContain("store's option 'prefix'")
    expect(refusal({ redis: { cluster: ['redis://a:1'], keyPrefix: 'app:' } }).message).toContain("option 'prefix'")
    const client = { isCluster: true, options: { keyPrefix: 'app:' } }
    expect(refusal({ client }).message).toContain("use option 'prefix'")
  })

  it('a keyPrefix in redis is refused: it would not be applied to SCAN', () => {
    expect(refusal({ redis: { keyPrefix: 'app:' } }).message).toContain("use the store's option 'prefix'")
  })

  it.each([
    ['the URL given together with a client', { client: {}, redis: 'redis://user:s3cret@example.org' }],
    ['the URL given as the options', 'redis://user:s3cret@example.org'],
    ['the URL in a list', { redis: ['redis://user:s3cret@example.org'] }],
    ['the URL under another name', { url: 'redis://user:s3cret@example.org' }],
    ['a password beside a keyPrefix', { redis: { password: 's3cret', keyPrefix: 's3cret:' } }],
    ['a password beside a wrong option', { redis: { password: 's3cret' }, timeout: 0 }],
    ['a URL beside a wrong option', { redis: 'redis://user:s3cret@example.org', cache: 'yes' }],
  ])('no credentials in the message: %s', (_, options) => {
    const error = refusal(options)
    expect(`${error.message}${error.stack}`).not.toContain('s3cret')
  })
})

describe('cache', () => {
  it('is off unless asked for', () => {
    expect(resolve({}).cache).toBeUndefined()
    expect(resolve({ cache: false }).cache).toBeUndefined()
  })

  it('true means the default bounds', () => {
    expect(resolve({ cache: true }).cache).toEqual({ max: 10_000, maxBytes: 64 * 1024 * 1024, maxStale: 30_000 })
    expect(resolve({ cache: {} }).cache).toEqual(resolve({ cache: true }).cache)
  })

  it('bounds left out are the defaults', () => {
    expect(resolve({ cache: { maxStale: 5_000 } }).cache).toEqual({
      max: 10_000,
      maxBytes: 64 * 1024 * 1024,
      maxStale: 5_000,
    })
  })

  it('near is off unless asked for, and true means its default', () => {
    for (const cache of [true, {}, { near: false }]) expect(resolve({ cache }).cache?.near).toBeUndefined()
    for (const near of [true, {}]) expect(resolve({ cache: { near } }).cache?.near).toEqual({ maxSilence: 1_000 })
  })

  it.each([null, 5, [], 'on'])('near as %o is a TypeError', (near) => {
    const error = refusal({ cache: { near } })
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toContain("option 'cache.near' must be a boolean or an object")
  })
})

describe('degradation', () => {
  it("is 'read-only' once the cache is on, otherwise 'strict'", () => {
    expect(resolve({}).degradation).toEqual(PRESETS.strict)
    expect(resolve({ cache: true }).degradation).toEqual(PRESETS['read-only'])
  })

  it.each(['strict', 'read-only', 'available'] as const)("takes the preset '%s'", (degradation) => {
    expect(resolve({ cache: true, degradation }).degradation).toEqual(PRESETS[degradation])
  })

  it('takes words by operation; those left out are of the default preset', () => {
    expect(resolve({ degradation: { save: 'drop' } }).degradation).toEqual({ ...PRESETS.strict, save: 'drop' })
    expect(resolve({ cache: true, degradation: { save: 'queue' } }).degradation).toEqual({
      ...PRESETS['read-only'],
      save: 'queue',
    })
    expect(resolve({ degradation: { read: 'blank', save: 'queue', destroy: 'queue' } }).degradation).toEqual({
      read: 'blank',
      save: 'queue',
      destroy: 'queue',
    })
  })

  it.each(['lenient', 'toString', '__proto__', ''])("no preset is called '%s'", (degradation) => {
    const error = refusal({ cache: true, degradation })
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toBe(
      `option 'degradation' must be one of 'strict', 'read-only', 'available' or words by operation, got '${degradation}'`,
    )
  })

  it.each([
    ['read', 'queue', "'fail', 'stale', 'blank', 'stale-or-blank'"],
    ['save', 'stale', "'fail', 'drop', 'queue'"],
    ['destroy', 'drop', "'fail', 'queue'"],
  ])('a word that %s does not know is a TypeError with those it knows', (operation, word, words) => {
    const error = refusal({ cache: true, degradation: { [operation]: word } })
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toBe(`option 'degradation.${operation}' must be one of ${words}, got '${word}'`)
  })

  it.each(['read', 'save', 'destroy'])('a word of another kind for %s is a TypeError', (operation) => {
    for (const word of [null, 5, true, ['fail']]) {
      expect(refusal({ cache: true, degradation: { [operation]: word } })).toBeInstanceOf(TypeError)
    }
  })

  it.each(['read-only', 'available', { read: 'stale' }, { read: 'stale-or-blank', save: 'queue' }])(
    '%o without a cache is refused: there would be no copies to serve',
    (degradation) => {
      const error = refusal({ degradation })
      expect(error).toBeInstanceOf(TypeError)
      expect(error.message).toContain("set option 'cache' to true")
      expect(() => resolve({ degradation, cache: true })).not.toThrow()
    },
  )
})

describe('concurrency', () => {
  it.each(['last-write', 'reject', 'merge'] as const)("takes '%s'", (concurrency) => {
    expect(resolve({ concurrency }).concurrency).toBe(concurrency)
  })

  it.each([
    ['overwrite', "'overwrite'"],
    ['', "''"],
    ['toString', "'toString'"],
    [null, 'null'],
    [true, 'true'],
    [['merge'], 'an array'],
    [() => 'merge', 'a function'],
  ])('%o is a TypeError with the words it knows', (concurrency, shown) => {
    const error = refusal({ concurrency })
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toBe(`option 'concurrency' must be one of 'last-write', 'reject', 'merge', got ${shown}`)
  })
})

describe('restoreLost', () => {
  it.each([
    [{}, false],
    [{ degradation: 'strict' }, false],
    [{ cache: true }, false],
    [{ cache: true, degradation: 'read-only' }, false],
    [{ cache: true, degradation: 'available' }, true],
    [{ degradation: { save: 'queue' } }, true],
    [{ degradation: { save: 'drop' } }, false],
    [{ degradation: { destroy: 'queue' } }, false],
    [{ concurrency: 'merge' }, false],
  ])('is on where saves are queued, otherwise off: %o', (options, restoreLost) => {
    expect(resolve(options).restoreLost).toBe(restoreLost)
    expect(resolve({ ...options, restoreLost: undefined }).restoreLost).toBe(restoreLost)
  })

  it('is what is asked for, whatever the policy', () => {
    expect(resolve({ restoreLost: true }).restoreLost).toBe(true)
    expect(resolve({ cache: true, degradation: 'available', restoreLost: false }).restoreLost).toBe(false)
  })
})

describe('serializer', () => {
  it('goes by name', () => {
    expect(resolve({ serializer: 'json' }).serializer).toBe(json)
    expect(resolve({ serializer: 'v8' }).serializer).toBe(v8)
    expect(resolve({ serializer: 'hybrid' }).serializer).toBe(hybrid)
  })

  it('is your own: JSON itself, an object, an instance of a class', () => {
    class Own {
      parse(): object {
        return {}
      }
      stringify(): string {
        return ''
      }
    }
    for (const serializer of [JSON, { parse: () => ({}), stringify: () => '' }, new Own()]) {
      expect(resolve({ serializer }).serializer).toBe(serializer)
    }
  })

  it.each([
    ['msgpack', "'msgpack'"],
    ['toString', "'toString'"],
    [{ parse: () => ({}) }, 'an object'],
    [{ parse: () => ({}), stringify: 'yes' }, 'an object'],
    [null, 'null'],
    [5, '5'],
  ])('%o is none', (serializer, shown) => {
    const error = refusal({ serializer })
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toBe(
      `option 'serializer' must be one of 'json', 'v8', 'hybrid' or { parse, stringify }, got ${shown}`,
    )
  })
})
