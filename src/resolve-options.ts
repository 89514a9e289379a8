import type {
  BreakerOptions,
  CacheOptions,
  Concurrency,
  NearOptions,
  OnRedisDown,
  OnSessionLoadError,
  QueueOptions,
  RedisClusterOptions,
  ResilientStoreOptions,
} from './options.js'
import { type Degradation, type DegradationPreset, PRESETS, WORDS } from './policy.js'
import type { Serializer } from './serializers/contract.js'
import { SERIALIZERS, serializerOf } from './serializers/index.js'

/** Option `cache`, resolved; `near` is `undefined` where the near cache is off. */
export interface ResolvedCache extends Readonly<Required<Omit<CacheOptions, 'near'>>> {
  readonly near: Readonly<Required<NearOptions>> | undefined
}

/** The options with every default filled in, checked and frozen. */
export interface ResolvedOptions {
  readonly client: ResilientStoreOptions['client']
  readonly redis: NonNullable<ResilientStoreOptions['redis']>
  readonly prefix: string
  readonly ttl: NonNullable<ResilientStoreOptions['ttl']>
  readonly resetOnRead: boolean
  readonly touchAfter: number | undefined
  readonly disableTouch: boolean
  readonly disableTTL: boolean
  readonly scanCount: number
  readonly serializer: Serializer
  readonly timeout: number
  readonly breaker: Readonly<Required<BreakerOptions>>
  readonly maxInFlight: number
  readonly cache: ResolvedCache | undefined
  readonly degradation: Degradation
  readonly concurrency: Concurrency
  readonly restoreLost: boolean
  readonly queue: Readonly<Required<QueueOptions>>
  readonly revokeFor: number
  readonly onRedisDown: OnRedisDown | undefined
  readonly onSessionLoadError: OnSessionLoadError | undefined
}

const CONCURRENCY: readonly Concurrency[] = ['last-write', 'reject', 'merge']
const MIB = 1024 * 1024
const DAY = 86_400_000
/** setTimeout's own limit: a longer delay would fire at once. */
const LONGEST_TIMER = 2_147_483_647

/**
 * Checks the options and fills in the defaults, before anything is opened.
 *
 * @throws TypeError for a value of the wrong kind or an option that does not exist, RangeError for one outside its
 *   limits; both name the option, the limit and the value (but never the value of `redis`: it may hold a password)
 */
export function resolveOptions(options: ResilientStoreOptions = {}): ResolvedOptions {
  const given = group('options', options)
  const {
    client,
    redis,
    prefix = 'sess:',
    ttl = 86_400,
    resetOnRead = false,
    touchAfter,
    disableTouch = false,
    disableTTL = false,
    scanCount = 100,
    serializer = 'json',
    timeout = 250,
    breaker,
    maxInFlight = 10_000,
    cache = false,
    degradation,
    concurrency = 'last-write',
    restoreLost,
    queue,
    revokeFor = 600_000,
    onRedisDown,
    onSessionLoadError,
    ...unknown
  } = given as ResilientStoreOptions
  refuseUnknown('', unknown)
  if (client !== undefined && redis !== undefined) {
    throw new TypeError("options 'client' and 'redis' exclude each other: give one")
  }
  if (redis !== undefined && !isObject(redis) && (typeof redis !== 'string' || redis === '')) {
    throw new TypeError(`option 'redis' must be a URL, a socket path or ioredis options, got ${typeof redis}`)
  }
  if (isObject(redis) && 'keyPrefix' in redis) {
    throw new TypeError("option 'redis.keyPrefix' is not supported: use the store's option 'prefix'")
  }
  if (isObject(redis) && 'cluster' in redis) checkCluster(redis as Partial<RedisClusterOptions>)
  if (client?.isCluster && client.options.keyPrefix) {
    throw new TypeError(
      "option 'client' is a Cluster with a keyPrefix, which moves keys to other slots: use option 'prefix'",
    )
  }
  if (typeof prefix !== 'string') throw wrong('prefix', 'a string', prefix)
  if (typeof ttl !== 'function') finite('ttl', ttl, 'seconds')
  const resolvedCache = resolveCache(cache)
  const resolvedDegradation = resolveDegradation(degradation, resolvedCache !== undefined)
  return Object.freeze({
    client,
    redis: redis ?? 'redis://127.0.0.1:6379',
    prefix,
    ttl,
    resetOnRead: boolean('resetOnRead', resetOnRead),
    touchAfter: touchAfter === undefined ? undefined : integer('touchAfter', touchAfter, 0, DAY, 'ms'),
    disableTouch: boolean('disableTouch', disableTouch),
    disableTTL: boolean('disableTTL', disableTTL),
    scanCount: integer('scanCount', scanCount, 1, 100_000),
    serializer: resolveSerializer(serializer),
    timeout: integer('timeout', timeout, 1, 60_000, 'ms'),
    breaker: resolveBreaker(breaker),
    maxInFlight: integer('maxInFlight', maxInFlight, 1, 10_000_000),
    cache: resolvedCache,
    degradation: resolvedDegradation,
    concurrency: word('concurrency', concurrency, CONCURRENCY),
    restoreLost: restoreLost === undefined ? resolvedDegradation.save === 'queue' : boolean('restoreLost', restoreLost),
    queue: resolveQueue(queue),
    revokeFor: integer('revokeFor', revokeFor, 1_000, DAY, 'ms'),
    onRedisDown: handler('onRedisDown', onRedisDown),
    onSessionLoadError: handler('onSessionLoadError', onSessionLoadError),
  })
}

function checkCluster({ cluster, redisOptions }: Partial<RedisClusterOptions>): void {
  if (!Array.isArray(cluster) || cluster.length === 0) {
    throw new TypeError("option 'redis.cluster' must be a list of at least one node: { host, port } or a URL")
  }
  if (isObject(redisOptions) && 'keyPrefix' in redisOptions) {
    throw new TypeError("option 'redis.redisOptions.keyPrefix' is not supported: use the store's option 'prefix'")
  }
}

function resolveCache(cache: unknown): ResolvedOptions['cache'] {
  if (typeof cache === 'boolean') return cache ? resolveCache({}) : undefined
  const {
    max = 10_000,
    maxBytes = 64 * MIB,
    maxStale = 30_000,
    near = false,
    ...unknown
  }: CacheOptions = group('cache', cache, 'a boolean or ')
  refuseUnknown('cache.', unknown)
  return Object.freeze({
    max: integer('cache.max', max, 1, 100_000_000),
    maxBytes: integer('cache.maxBytes', maxBytes, 1, Number.MAX_SAFE_INTEGER, 'bytes'),
    maxStale: integer('cache.maxStale', maxStale, 1, DAY, 'ms'),
    near: resolveNear(near),
  })
}

function resolveNear(near: unknown): ResolvedCache['near'] {
  if (typeof near === 'boolean') return near ? resolveNear({}) : undefined
  const { maxSilence = 1_000, ...unknown }: NearOptions = group('cache.near', near, 'a boolean or ')
  refuseUnknown('cache.near.', unknown)
  return Object.freeze({ maxSilence: integer('cache.near.maxSilence', maxSilence, 100, 60_000, 'ms') })
}

function resolveQueue(queue: unknown = {}): ResolvedOptions['queue'] {
  const { max = 10_000, maxBytes = 64 * MIB, maxAge = 600_000, ...unknown }: QueueOptions = group('queue', queue)
  refuseUnknown('queue.', unknown)
  return Object.freeze({
    max: integer('queue.max', max, 1, 10_000_000),
    maxBytes: integer('queue.maxBytes', maxBytes, 1, Number.MAX_SAFE_INTEGER, 'bytes'),
    maxAge: integer('queue.maxAge', maxAge, 1, DAY, 'ms'),
  })
}

function resolveBreaker(breaker: unknown = {}): ResolvedOptions['breaker'] {
  const {
    errorThresholdPercentage = 50,
    volumeThreshold = 10,
    rollingCountTimeout = 10_000,
    rollingCountBuckets = 10,
    resetTimeout = 500,
    consecutiveFailures = 3,
    ...unknown
  }: BreakerOptions = group('breaker', breaker)
  refuseUnknown('breaker.', unknown)
  return Object.freeze({
    errorThresholdPercentage: integer('breaker.errorThresholdPercentage', errorThresholdPercentage, 0, 100, '%'),
    volumeThreshold: integer('breaker.volumeThreshold', volumeThreshold, 0, 1_000_000),
    rollingCountTimeout: integer('breaker.rollingCountTimeout', rollingCountTimeout, 100, LONGEST_TIMER, 'ms'),
    rollingCountBuckets: integer('breaker.rollingCountBuckets', rollingCountBuckets, 1, 1_000),
    resetTimeout: integer('breaker.resetTimeout', resetTimeout, 10, LONGEST_TIMER, 'ms'),
    consecutiveFailures: integer('breaker.consecutiveFailures', consecutiveFailures, 1, 1_000_000),
  })
}

function resolveDegradation(value: unknown, cached: boolean): Degradation {
  const preset: DegradationPreset = cached ? 'read-only' : 'strict'
  let resolved: Degradation
  if (value === undefined || typeof value === 'string') {
    const name = value ?? preset
    if (!Object.hasOwn(PRESETS, name)) {
      throw wrong('degradation', `one of ${quoted(Object.keys(PRESETS))} or words by operation`, value)
    }
    resolved = PRESETS[name as DegradationPreset]
  } else {
    const {
      read = PRESETS[preset].read,
      save = PRESETS[preset].save,
      destroy = PRESETS[preset].destroy,
      ...unknown
    }: Partial<Degradation> = group('degradation', value, 'a preset or ')
    refuseUnknown('degradation.', unknown)
    resolved = Object.freeze({
      read: word('degradation.read', read, WORDS.read),
      save: word('degradation.save', save, WORDS.save),
      destroy: word('degradation.destroy', destroy, WORDS.destroy),
    })
  }
  if (!cached && resolved.read.startsWith('stale')) {
    throw new TypeError(
      `option 'degradation' ${typeof value === 'string' ? `'${value}'` : `with read '${resolved.read}'`} serves copies from the cache: set option 'cache' to true`,
    )
  }
  return resolved
}

function resolveSerializer(value: unknown): Serializer {
  const serializer = serializerOf(value)
  if (serializer !== undefined) return serializer
  throw wrong('serializer', `one of ${quoted(Object.keys(SERIALIZERS))} or { parse, stringify }`, value)
}

function group(name: string, value: unknown, also = ''): Record<string, never> {
  if (!isObject(value)) throw wrong(name, `${also}an object`, value)
  return value as Record<string, never>
}

/** @throws TypeError naming the first option that is left over */
export function refuseUnknown(path: string, rest: object): void {
  const [name] = Object.keys(rest)
  if (name !== undefined) throw new TypeError(`unknown option '${path}${name}'`)
}

function integer(name: string, value: unknown, min: number, max: number, unit = ''): number {
  const limits = `an integer from ${min} to ${max}${unit && ` (${unit})`}`
  if (typeof value !== 'number') throw wrong(name, limits, value)
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`option '${name}' must be ${limits}, got ${value}`)
  }
  return value
}

function finite(name: string, value: unknown, unit: string): void {
  if (typeof value !== 'number') throw wrong(name, `a positive number of ${unit} or a function`, value)
  if (!(value > 0 && Number.isFinite(value))) {
    throw new RangeError(`option '${name}' must be a positive number of ${unit}, got ${value}`)
  }
}

function boolean(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw wrong(name, 'a boolean', value)
  return value
}

function handler<T>(name: string, value: T): T {
  if (value !== undefined && typeof value !== 'function') throw wrong(name, 'a function', value)
  return value
}

function word<Word extends string>(name: string, value: unknown, words: readonly Word[]): Word {
  const found = words.find((candidate) => candidate === value)
  if (found === undefined) throw wrong(name, `one of ${quoted(words)}`, value)
  return found
}

function wrong(name: string, expected: string, value: unknown): TypeError {
  // In place of the options stands, by mistake, a URL with a password: not to be quoted.
  if (name === 'options' && typeof value === 'string') return new TypeError(`options must be ${expected}, got a string`)
  const subject = name === 'options' ? 'options' : `option '${name}'`
  return new TypeError(`${subject} must be ${expected}, got ${shown(value)}`)
}

function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`
  if (typeof value === 'function') return 'a function'
  if (value === null || typeof value !== 'object') return String(value)
  return Array.isArray(value) ? 'an array' : 'an object'
}

function quoted(words: readonly string[]): string {
  return words.map((name) => `'${name}'`).join(', ')
}

/** Whether a value is an object and no array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
