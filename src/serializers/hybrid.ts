import type { Serializer, SerializerContext, StoredSession } from './contract.js'
import { json } from './json.js'
import { V8_TAG, v8 } from './v8.js'

/** For moving from `'v8'` to `'json'`: reads values of both, writes JSON. */
export const hybrid: Serializer = Object.freeze({
  binary: true,
  stringify: (session: StoredSession): string => JSON.stringify(session),
  parse(value: Buffer, context: SerializerContext): unknown {
    return value[0] === V8_TAG ? v8.parse(value, context) : json.parse(value.toString('utf8'), context)
  },
})
