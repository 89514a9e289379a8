import type { Serializer } from './contract.js'
import { hybrid } from './hybrid.js'
import { json } from './json.js'
import { v8 } from './v8.js'

/** The serializers that go by a name. */
export const SERIALIZERS: Readonly<Record<SerializerName, Serializer>> = Object.freeze({ json, v8, hybrid })

/** The serializer of that name, or one of the application's own; `undefined` for anything else. */
export function serializerOf(value: unknown): Serializer | undefined {
  if (typeof value === 'string') {
    return Object.hasOwn(SERIALIZERS, value) ? SERIALIZERS[value as SerializerName] : undefined
  }
  const own = value as Partial<Serializer> | null | undefined
  const isSerializer =
    typeof own === 'object' && typeof own?.parse === 'function' && typeof own.stringify === 'function'
  return isSerializer ? (own as Serializer) : undefined
}

/** Name of a serializer that comes with the store. */
export type SerializerName = 'json' | 'v8' | 'hybrid'
