/** What Redis held, when: put together from what it carried out. */
import type { Content, History, Write } from '../history.js'
import { FIELDS } from '../steps.js'

/** One session's key from `from` on, until the next state of it. */
export interface State {
  readonly from: number
  readonly content: Content | undefined
  /** When the value ends by its own expiry, ms; Infinity for none. */
  readonly expiresAt: number
  /** Until when it is marked as revoked. */
  readonly revokedUntil: number
}

/** A value that was stored, and what was there right before. */
export interface Stored {
  readonly write: Extract<Write, { kind: 'set' }>
  readonly before: State
}

export interface Database {
  readonly states: ReadonlyMap<string, readonly State[]>
  readonly stored: readonly Stored[]
  /** Whether the key was empty at some moment between these. */
  absentDuring(sid: string, from: number, to: number): boolean
  /** Every value that was current at some moment between these. */
  contentsDuring(sid: string, from: number, to: number): Content[]
}

const NEVER_STORED: State = { from: Number.NEGATIVE_INFINITY, content: undefined, expiresAt: 0, revokedUntil: 0 }

/** Rounding, and the moment between a command and what MONITOR says of it, ms. */
const SLACK = 3

/** How far times of Redis may be off against times of ours, ms. */
export function slackOf({ clockError }: History): number {
  return clockError + SLACK
}

export function databaseOf(history: History): Database {
  const states = new Map<string, State[]>()
  const stored: Stored[] = []
  const last = (sid: string): State => states.get(sid)?.at(-1) ?? NEVER_STORED
  const next = (sid: string, state: State): void => {
    const known = states.get(sid)
    if (known === undefined) states.set(sid, [NEVER_STORED, state])
    else known.push(state)
  }
  for (const write of history.writes) {
    if (write.kind === 'server') {
      for (const sid of new Set([...states.keys(), ...Object.keys(write.found)])) {
        const found = write.found[sid]
        next(sid, {
          from: write.at,
          content: found?.content,
          expiresAt: found?.ttl === undefined ? Number.POSITIVE_INFINITY : write.at + found.ttl,
          revokedUntil: found?.revoked ? Number.POSITIVE_INFINITY : 0,
        })
      }
      continue
    }
    const before = last(write.sid)
    if (write.kind === 'set' && write.ifPresent && surelyEmpty(before, write.at, 0)) continue
    if (write.kind === 'set') stored.push({ write, before })
    next(write.sid, after(before, write))
  }
  const slack = slackOf(history)

  /** States that may have been current at some moment between these. */
  const during = (sid: string, from: number, to: number): { state: State; until: number }[] => {
    const all = states.get(sid) ?? [NEVER_STORED]
    return all
      .map((state, at) => ({ state, until: all[at + 1]?.from ?? Number.POSITIVE_INFINITY }))
      .filter(({ state, until }) => state.from - slack <= to && until + slack >= from)
  }
  return {
    states,
    stored,
    absentDuring: (sid, from, to) =>
      during(sid, from, to).some(
        ({ state, until }) => state.content === undefined || state.expiresAt - slack <= Math.min(to, until),
      ),
    contentsDuring: (sid, from, to) =>
      during(sid, from, to).flatMap(({ state }) =>
        state.content !== undefined && state.expiresAt + slack >= Math.max(from, state.from) ? [state.content] : [],
      ),
  }
}

function after(before: State, write: Exclude<Write, { kind: 'server' }>): State {
  const from = write.at
  switch (write.kind) {
    case 'set':
      return { ...before, from, content: write.content, expiresAt: ends(from, write.ttl) }
    case 'delete':
      return { ...before, from, content: undefined }
    case 'revoke':
      return { ...before, from, revokedUntil: from + write.ttl }
    case 'expire':
      return before.expiresAt <= from ? before : { ...before, from, expiresAt: from + write.ttl }
  }
}

function ends(from: number, ttl: number | undefined): number {
  return ttl === undefined ? Number.POSITIVE_INFINITY : from + ttl
}

/** Whether the key surely held nothing at that moment; at the very end of a life nobody can tell. */
export function surelyEmpty(state: State, at: number, slack: number): boolean {
  return state.content === undefined || state.expiresAt + slack < at
}

/** Equal for equal content. */
export function signature(content: Content): string {
  return [content.sid, content.version, ...FIELDS.map((field) => content[field] ?? '')].join(' ')
}
