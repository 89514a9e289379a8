import type { Serializer } from './contract.js'
import { hybrid } from './hybrid.js'
import { json } from './json.js'
import { v8 } from './v8.js'

/** The serializers that go by a name. */
export const SERIALIZERS: Readonly<Record<SerializerName, Serializer>> = Object.freeze({ json, v8, hybrid })

/** Name of a serializer that comes with the store. */
export type SerializerName = 'json' | 'v8' | 'hybrid'
