import { DESCRIPTOR_VARIABLE, findRedis } from './find-redis.js'

/** Vitest's global set-up: finds a Redis once for all workers, which inherit the environment. */
export async function setup(): Promise<void> {
  process.env[DESCRIPTOR_VARIABLE] = JSON.stringify(await findRedis())
}
