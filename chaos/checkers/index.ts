import type { SavedRun } from '../history-file.js'
import { absence } from './absence.js'
import { bounded } from './bounded.js'
import { cookie } from './cookie.js'
import { crossTalk } from './cross-talk.js'
import { Facts } from './facts.js'
import { logout } from './logout.js'
import { loss } from './loss.js'
import { memory } from './memory.js'
import { policy } from './policy.js'
import { recovery } from './recovery.js'
import { resurrection } from './resurrection.js'
import { SOUNDNESS } from './soundness.js'
import { staleness } from './staleness.js'
import { toldOnce } from './told.js'
import type { Checker, Finding, PromiseName } from './verdict.js'

export type { Evidence, Finding, PromiseName } from './verdict.js'

const NOT_OURS: Finding = { verdict: 'not-exercised', why: 'the store has no such words' }

/** The promises in their order: what each says in short, and who judges it. */
export const PROMISES: Readonly<Record<PromiseName, { readonly title: string; readonly check: Checker }>> = {
  P1: { title: 'bounded: nothing waits longer than the timeout', check: bounded },
  P2: { title: 'an outage is not absence', check: absence },
  P3: { title: 'logout sticks', check: logout },
  P4: { title: 'no resurrection, no late overwrite', check: resurrection },
  P5: { title: 'no cross-talk', check: crossTalk },
  P6: { title: 'bounded staleness', check: staleness },
  P7: { title: 'bounded memory', check: memory },
  P8: { title: 'no silent loss', check: loss },
  P9: { title: 'told once', check: toldOnce },
  P10: { title: 'the cookie survives', check: cookie },
  P11: { title: 'quick return', check: recovery },
}

/** What a run showed. */
export interface Judgement {
  readonly promises: Readonly<Record<PromiseName, Finding>>
  /** Whether what the application chose is what happened. */
  readonly policy: Finding
  /** Whether the run proves anything, by what is demanded. */
  readonly soundness: Readonly<Record<string, Finding>>
  /** Nothing was found broken. */
  readonly held: boolean
}

/** Judges a run. Pure: the same history gives the same judgement. */
export function judge(run: SavedRun): Judgement {
  const facts = new Facts(run)
  const ours = run.header.store === 'resilient'
  const promises = mapValues(PROMISES, ({ check }, name) => (!ours && name === 'P9' ? NOT_OURS : check(facts)))
  const soundness = mapValues(SOUNDNESS, (check) => check(facts))
  const chosen = ours ? policy(facts) : NOT_OURS
  const all = [...Object.values(promises), chosen, ...Object.values(soundness)]
  return { promises, policy: chosen, soundness, held: all.every(({ verdict }) => verdict !== 'broken') }
}

function mapValues<Name extends string, From, To>(
  values: Readonly<Record<Name, From>>,
  change: (value: From, name: Name) => To,
): Record<Name, To> {
  const entries = Object.entries(values) as [Name, From][]
  return Object.fromEntries(entries.map(([name, value]) => [name, change(value, name)])) as Record<Name, To>
}
