import { createHash } from 'node:crypto'

/** A Lua script and what EVALSHA calls it by. */
export interface Script {
  readonly source: string
  readonly sha: string
}

/** What a save is compared with. Anything else in its place is a list of SHA-1 digests, of which one must match. */
export const GUARD: { readonly none: 'none'; readonly present: 'present'; readonly absent: 'absent' } = Object.freeze({
  /** Nothing: a new session, or one of unknown origin. */
  none: 'none',
  /** Something must be stored: a session that was loaded and has since been deleted is not created again. */
  present: 'present',
  /** Stands among digests: nothing may be stored either. */
  absent: 'absent',
})

/**
 * Saves a session, guarded. Atomic because between any two of these steps another process could destroy the session
 * (it would come back) or write a newer one (it would be lost).
 *
 * KEYS  1 session, 2 its revocation marker (same slot)
 * ARGV  1 value
 *       2 ttl in ms, '' for none
 *       3 not-after in ms of Redis's own clock, '' for none: a save that sat in a socket until its caller was told
 *         that it failed must not be applied
 *       4 'none' | 'present' | 'digest'
 *       5… with 'digest': the acceptable SHA-1 digests of what is stored, and 'absent' where nothing may be
 * Returns 'saved', 'unchanged' (with 'digest': this very value was stored already), 'revoked', 'late', 'gone', or
 *   { 'conflict', stored value }; an error reply as Redis made it (pcall: Redis 6.2 would wrap it otherwise).
 */
export const SAVE: Script = script(`
if redis.call('EXISTS', KEYS[2]) == 1 then return 'revoked' end
if ARGV[3] ~= '' then
  local now = redis.call('TIME')
  if now[1] * 1000 + now[2] / 1000 > tonumber(ARGV[3]) then return 'late' end
end
local result = 'saved'
if ARGV[4] == 'digest' then
  local stored = redis.call('GET', KEYS[1])
  local digest = stored and redis.sha1hex(stored) or 'absent'
  local expected = false
  for i = 5, #ARGV do
    if ARGV[i] == digest then expected = true end
  end
  if not expected then
    if not stored then return 'gone' end
    return {'conflict', stored}
  end
  if digest == redis.sha1hex(ARGV[1]) then result = 'unchanged' end
end
local command = {'SET', KEYS[1], ARGV[1]}
if ARGV[2] ~= '' then
  command[4] = 'PX'
  command[5] = ARGV[2]
end
if ARGV[4] == 'present' then command[#command + 1] = 'XX' end
local reply = redis.pcall(unpack(command))
if not reply then return 'gone' end
if reply.err then return reply end
return result
`)

/**
 * Destroys a session and leaves a marker, so that saves still on their way are refused. Atomic because a save between
 * the two would be deleted late or not at all. DEL comes first: in a full Redis a script that has already written may
 * go on to, and DEL may always.
 *
 * KEYS  1 session, 2 its revocation marker (same slot)
 * ARGV  1 life of the marker in ms
 * Returns 1 when there was a session, otherwise 0; an error reply as Redis made it.
 */
export const DESTROY: Script = script(`
local reply = redis.pcall('DEL', KEYS[1])
if type(reply) == 'table' then return reply end
local marked = redis.pcall('SET', KEYS[2], '1', 'PX', ARGV[1])
if marked.err then return marked end
return reply
`)

/**
 * Deletes a session if it still holds a given value. Atomic because a good value may replace the bad one meanwhile.
 *
 * KEYS  1 session
 * ARGV  1 SHA-1 digest of the value
 * Returns 1 when it was deleted, otherwise 0; an error reply as Redis made it.
 */
export const DELETE_IF: Script = script(`
local stored = redis.call('GET', KEYS[1])
if not stored or redis.sha1hex(stored) ~= ARGV[1] then return 0 end
return redis.pcall('DEL', KEYS[1])
`)

function script(source: string): Script {
  const text = source.trim()
  return Object.freeze({ source: text, sha: createHash('sha1').update(text).digest('hex') })
}
