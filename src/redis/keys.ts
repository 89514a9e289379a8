/** Where things are kept. A session's marker lies in the session's own hash slot, so that one script may use both. */

/**
 * The key of a session's revocation marker: `{KEY}:revoked`, or `{tag}:revoked:KEY` where KEY has a hash tag.
 *
 * @param onCluster whether slots matter; there a brace that makes no hash tag is refused
 * @throws RangeError naming what is wrong with the key
 */
export function markerKey(key: string, onCluster: boolean): string {
  if (!key.includes('{') && !key.includes('}')) return `{${key}}:revoked`
  const tag = hashTag(key)
  if (tag !== undefined) return `{${tag}}:revoked:${key}`
  if (onCluster) {
    throw new RangeError('on Redis Cluster a prefix or session id with a brace must have a hash tag: {tag}')
  }
  return `{${key}}:revoked`
}

/** Whether a key found by SCAN is a marker and not a session. */
export function isMarker(key: string, prefix: string): boolean {
  if (!key.startsWith('{')) return false
  if (key.endsWith('}:revoked') && key.startsWith(prefix, 1)) return true
  const at = key.indexOf('}:revoked:')
  return at !== -1 && key.startsWith(prefix, at + '}:revoked:'.length)
}

/** What Redis hashes instead of the whole key (Redis Cluster specification, "Hash tags"). */
export function hashTag(key: string): string | undefined {
  const open = key.indexOf('{')
  if (open === -1) return undefined
  const close = key.indexOf('}', open + 1)
  return close > open + 1 ? key.slice(open + 1, close) : undefined
}

/** A SCAN pattern that matches what begins with this text and nothing else: MATCH takes a glob. */
export function startsWithPattern(text: string): string {
  return `${text.replace(/[\\*?[\]]/g, '\\$&')}*`
}
