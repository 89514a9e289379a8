/** Three-way merge of two changes to one session, by top-level key. Pure. */
import { isDeepStrictEqual } from 'node:util'

/** What a session has to take over so that somebody else's change is not lost. */
export interface Merge {
  /** Keys that only the other side changed, with its values. */
  readonly take: Readonly<Record<string, unknown>>
  /** Keys that only the other side removed. */
  readonly remove: readonly string[]
  /** Keys that both sides changed, differently: ours stands. */
  readonly clashes: number
}

/** The one key that never counts: every touch rewrites it. */
const COOKIE = 'cookie'

/**
 * @param base what both were made from
 * @param ours this request's session
 * @param theirs what is stored now
 */
export function mergeSessions(base: object, ours: object, theirs: object): Merge {
  const [from, mine, other] = [base, ours, theirs] as Record<string, unknown>[] as [Keys, Keys, Keys]
  const take: [key: string, value: unknown][] = []
  const remove: string[] = []
  let clashes = 0
  for (const key of new Set([...Object.keys(from), ...Object.keys(other)])) {
    if (key === COOKIE || same(from, other, key)) continue
    if (!same(from, mine, key)) {
      if (!same(mine, other, key)) clashes++
    } else if (Object.hasOwn(other, key)) {
      take.push([key, other[key]])
    } else {
      remove.push(key)
    }
  }
  return { take: Object.fromEntries(take), remove, clashes }
}

/** Whether two sessions differ in nothing but their cookies. */
export function sameContent(a: object, b: object): boolean {
  return isDeepStrictEqual({ ...a, [COOKIE]: undefined }, { ...b, [COOKIE]: undefined })
}

/** Makes a session take over the other side's change. */
export function applyMerge(session: object, { take, remove }: Merge): void {
  for (const key of Object.keys(take)) {
    // Not by assignment: a stored "__proto__" must stay a key.
    Object.defineProperty(session, key, { value: take[key], enumerable: true, configurable: true, writable: true })
  }
  for (const key of remove) delete (session as Keys)[key]
}

type Keys = Record<string, unknown>

function same(a: Keys, b: Keys, key: string): boolean {
  if (!Object.hasOwn(a, key)) return !Object.hasOwn(b, key)
  return Object.hasOwn(b, key) && isDeepStrictEqual(a[key], b[key])
}
