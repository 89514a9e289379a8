/**
 * Where a live session came from. Kept beside the session and never in it: weakly, by the object express-session works
 * with, and by request and sid for frameworks that hand `set` another object than `get` gave them.
 */
import type { IncomingMessage } from 'node:http'
import type { Raw } from './redis/sessions.js'

/**
 * - `redis`: Redis answered with it, or has acknowledged it
 * - `near`: a copy of this process that Redis has announced no change of
 * - `stale`: a copy of this process, Redis being down
 * - `queued`: changed while Redis was down; not written yet
 * - `blank`: an empty stand-in; never saved
 * - `new`: not loaded from anywhere
 */
export type SessionSource = 'redis' | 'near' | 'stale' | 'queued' | 'blank' | 'new'

export interface Provenance {
  /** Whose it is: an application may save one object under several ids. */
  readonly sid: string
  source: SessionSource
  /** What was loaded, or saved last; `undefined` for `blank` and `new`. */
  raw: Raw | undefined
  /** Where `raw` is what a save of this session wrote or queued: its payload as it was before anything was merged in. */
  own?: Raw | undefined
  /** When Redis last confirmed that, monotonic ms. */
  confirmedAt: number | undefined
  /** Which server confirmed it: its `run_id`, where known. */
  server?: string | undefined
  /** The cookie's `originalMaxAge` as it was loaded. */
  originalMaxAge: number | null | undefined
  /** What failed saves of this session may have left in Redis all the same: payloads, the latest last. */
  attempts: readonly Raw[]
  /** Saves begun from this session so far. */
  begun: number
  /** The latest of them (counted by `begun`) whose state is written or queued: an earlier one has nothing to add. */
  kept: number
  /** Saves on their way to Redis by themselves, and the latest such (counted by `begun`). */
  sending?: { open: number; latest: number } | undefined
}

/** Whether a later save than this one may be on its way to Redis. */
export function isOvertaking({ sending }: Provenance, order: number): boolean {
  return sending !== undefined && sending.open > 0 && sending.latest > order
}

/** Of a session none of whose saves failed. */
export const NO_ATTEMPTS: readonly Raw[] = Object.freeze([])

/** Payloads of failed saves remembered for one session; the newest count. */
const MAX_ATTEMPTS = 4

/**
 * A private field on an object of somebody else's: as much beside it as an entry in a WeakMap, at a tenth of the cost in
 * time and garbage collection, paid at every read.
 */
class Marked extends itself() {
  #provenance: Provenance

  private constructor(session: object, provenance: Provenance) {
    super(session)
    this.#provenance = provenance
  }

  static of(session: object): Provenance | undefined {
    return #provenance in session ? session.#provenance : unextensible.get(session)
  }

  static mark(session: object, provenance: Provenance): void {
    if (#provenance in session) session.#provenance = provenance
    else if (Object.isExtensible(session)) new Marked(session, provenance)
    else unextensible.set(session, provenance)
  }
}

/** A base class whose constructor gives back what it is given: a field of the derived class is put on that. */
function itself(): new (object: object) => object {
  function Itself(object: object): object {
    return object
  }
  return Itself as unknown as new (
    object: object,
  ) => object
}

/** Frozen sessions: they take no field, in engines to come. */
const unextensible = new WeakMap<object, Provenance>()
const byRequest = new WeakMap<IncomingMessage, Map<string, Provenance>>()

/** Notes where a session came from. */
export function remember(session: object, req: IncomingMessage | undefined, provenance: Provenance): void {
  const { sid } = provenance
  Marked.mark(session, provenance)
  if (req === undefined) return
  const sessions = byRequest.get(req)
  if (sessions === undefined) byRequest.set(req, new Map([[sid, provenance]]))
  else sessions.set(sid, provenance)
}

/** The same session under another object: what express-session makes of what `get` returned. */
export function inherit(session: object, from: object): void {
  const provenance = Marked.of(from)
  if (provenance !== undefined) Marked.mark(session, provenance)
}

/** Where a session came from; `undefined` when this store never saw it. */
export function provenanceOf(session: object, sid: string, req: IncomingMessage | undefined): Provenance | undefined {
  const known = Marked.of(session)
  return known?.sid === sid ? known : req && byRequest.get(req)?.get(sid)
}

/** A save of this session failed, but may have been applied. */
export function noteAttempt(provenance: Provenance, payload: Raw): void {
  provenance.attempts = [...provenance.attempts, payload].slice(-MAX_ATTEMPTS)
}

/** Where an object that `get` gave came from; `undefined` for any other. */
export function originOf(session: object): Provenance | undefined {
  return Marked.of(session)
}
