import type { Serializer, StoredSession } from './contract.js'

/** JSON text, byte for byte what connect-redis writes. Dates come back as strings, Map and Set as empty objects. */
export const json: Serializer = Object.freeze({
  stringify: (session: StoredSession): string => JSON.stringify(session),
  parse: (value: string): unknown => JSON.parse(value),
})
