import type { CreateSubject } from '../subject.js'
import { holding } from './holding.js'
import { opossumFailing, opossumRefusing, refusal, resilientFailing, resilientRefusing } from './outage.js'
import { resilient, resilientCached, resilientNear, resilientOnIoredis5, resilientUnguarded } from './resilient.js'
import { bareIoredis, connectRedis, connectRedis8, memoryStore } from './stores.js'
import { walking } from './walking.js'

/** All subjects, by the name under which results show them. */
export const SUBJECTS = {
  'connect-redis 10': connectRedis,
  'connect-redis 8': connectRedis8,
  'bare ioredis': bareIoredis,
  MemoryStore: memoryStore,
  resilient,
  'resilient, cache': resilientCached,
  'resilient, near cache': resilientNear,
  'resilient, ioredis 5': resilientOnIoredis5,
  'resilient, plain SET': resilientUnguarded,
  'caller alone': refusal,
  'resilient, open': resilientRefusing,
  'opossum, open': opossumRefusing,
  'resilient, failing': resilientFailing,
  'opossum, failing': opossumFailing,
  'resilient, holding': holding,
  'resilient, walking': walking,
} as const satisfies Record<string, CreateSubject>

export type SubjectName = keyof typeof SUBJECTS
