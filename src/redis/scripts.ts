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
 * Saves sessions, guarded, each for itself. Atomic because between any two steps of one another process could destroy
 * the session (it would come back) or write a newer one (it would be lost). Several at a time because a command costs
 * more than what it does.
 *
 * KEYS  for each: session, its revocation marker (same slot)
 * ARGV  for each: value
 *       ttl in ms, '' for none
 *       not-after in ms of Redis's own clock, '' for none: a save that sat in a socket until its caller was told that
 *       it failed must not be applied
 *       'none' | 'present' | number of digests, which follow: the acceptable SHA-1 digests of what is stored, and
 *       'absent' where nothing may be
 * Returns for each: 'saved', 'unchanged' (with digests: this very value was stored already), 'revoked', 'late', 'gone',
 *   { 'conflict', stored value }, or { 'error', text } of an error reply as Redis made it (pcall: Redis 6.2 would wrap
 *   it otherwise).
 */
export const SAVE: Script = script(`
local now
local function save(key, marker, at)
  if redis.call('EXISTS', marker) == 1 then return 'revoked' end
  if ARGV[at + 2] ~= '' then
    if not now then
      local time = redis.call('TIME')
      now = time[1] * 1000 + time[2] / 1000
    end
    if now > tonumber(ARGV[at + 2]) then return 'late' end
  end
  local result = 'saved'
  local digests = tonumber(ARGV[at + 3])
  if digests then
    local stored = redis.pcall('GET', key)
    if type(stored) == 'table' then return {'error', stored.err} end
    local digest = stored and redis.sha1hex(stored) or 'absent'
    local expected = false
    for i = at + 4, at + 3 + digests do
      if ARGV[i] == digest then expected = true end
    end
    if not expected then
      if not stored then return 'gone' end
      return {'conflict', stored}
    end
    if digest == redis.sha1hex(ARGV[at]) then result = 'unchanged' end
  end
  local command = {'SET', key, ARGV[at]}
  if ARGV[at + 1] ~= '' then
    command[4] = 'PX'
    command[5] = ARGV[at + 1]
  end
  if ARGV[at + 3] == 'present' then command[#command + 1] = 'XX' end
  local reply = redis.pcall(unpack(command))
  if not reply then return 'gone' end
  if reply.err then return {'error', reply.err} end
  return result
end
local replies = {}
local at = 1
for i = 1, #KEYS, 2 do
  replies[#replies + 1] = save(KEYS[i], KEYS[i + 1], at)
  at = at + 4 + (tonumber(ARGV[at + 3]) or 0)
end
return replies
`)

/**
 * Sets the expiries of several sessions: PEXPIRE for each, in one command.
 *
 * KEYS  the sessions
 * ARGV  for each: ttl in ms
 * Returns for each: 1, 0 where there is no such session, or { 'error', text } of an error reply as Redis made it.
 */
export const TOUCH: Script = script(`
local replies = {}
for i, key in ipairs(KEYS) do
  local reply = redis.pcall('PEXPIRE', key, ARGV[i])
  replies[i] = type(reply) == 'table' and {'error', reply.err} or reply
end
return replies
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
