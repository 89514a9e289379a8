// The one place where the TypeScript tests meet the search for a Redis, which runs before anything is installed.
// biome-ignore lint/correctness/useImportExtensions: it is a plain Node module
import { CONTAINER_ENTRYPOINT, DEFAULT_IMAGE, ensureRedisServer } from '../../scripts/redis-server.mjs'

export { CONTAINER_ENTRYPOINT, DEFAULT_IMAGE, ensureRedisServer }

/** What the search gives: a binary on this machine, or an image and the engine that runs it. */
export type RedisDescriptor = Awaited<ReturnType<typeof ensureRedisServer>>
export type RedisBinary = Extract<RedisDescriptor, { kind: 'binary' }>
export type RedisContainer = Extract<RedisDescriptor, { kind: 'container' }>

/** Where the global set-up leaves the descriptor for the workers. */
export const DESCRIPTOR_VARIABLE = 'TEST_REDIS_DESCRIPTOR'

let search: Promise<RedisDescriptor> | undefined

/** The Redis of this machine: what the global set-up found, else found (or installed) now, once. */
export function findRedis(): Promise<RedisDescriptor> {
  const found = process.env[DESCRIPTOR_VARIABLE]
  if (found !== undefined) return Promise.resolve(JSON.parse(found))
  search ??= ensureRedisServer({ log: (line) => console.error(line) })
  return search
}
