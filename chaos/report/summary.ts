/** The figures of a run, as `summary.json` has them. Pure. */
import { type Latencies, latenciesOf } from './buckets.js'
import {
  type Fact,
  type Fault,
  GOOD_KINDS,
  KINDS,
  type Kind,
  type ReportInput,
  type StoreRun,
  type Verdict,
} from './model.js'
import { faultSpans, overlaps, recoveryTime } from './recovery.js'

/** Changes whenever a reader of the one before would misread it; new members alone do not change it. */
export const SUMMARY_FORMAT = 1

/** `summary.json`: all times in ms, all shares from 0 to 1, memory in bytes. */
export interface Summary {
  readonly format: typeof SUMMARY_FORMAT
  readonly title: string
  readonly facts: readonly Fact[]
  /** Runs it again. */
  readonly command: string
  /** Nothing was found broken. */
  readonly held: boolean
  /** P1 to P11. */
  readonly promises: readonly VerdictSummary[]
  /** The policy, and whether the run proves anything. */
  readonly besides: readonly VerdictSummary[]
  /** The store under test, then those it is compared with. */
  readonly stores: readonly [StoreSummary, ...StoreSummary[]]
}

/** A verdict without its evidence, which the page has. */
export type VerdictSummary = Omit<Verdict, 'evidence'>

export interface StoreSummary {
  readonly name: string
  readonly duration: number
  readonly requests: number
  readonly faults: readonly Fault[]
  /** Requests by what came of them. */
  readonly answers: Readonly<Record<Kind, number>>
  /** Requests any part of which fell into a fault, and how many of them got a good answer. */
  readonly duringFaults: { readonly requests: number; readonly good: number }
  /** Of all requests. */
  readonly good: number
  /** Times to the answer; `null` when nothing was sent. */
  readonly latency: Latencies | null
  readonly latencyDuringFaults: Latencies | null
  readonly hung: number
  /** Visitors logged out against their will. */
  readonly loggedOut: number
  /** Cart items that had been acknowledged to visitors who stayed to the end, and those of them that were lost. */
  readonly items: { readonly acknowledged: number; readonly lost: number }
  /** Sessions that opened again after their logout was acknowledged. */
  readonly ghosts: number
  /** Promises that were broken, `P1` to `P11`; absent when nobody judged. */
  readonly broken?: readonly string[]
  /** From the end of a fault until every answer was fresh: `null` for never. Absent when no fault ended. */
  readonly recovery?: number | null
  /** The highest figure that one process told; absent where none told it. */
  readonly peak: { readonly memory?: number; readonly queued?: number; readonly inFlight?: number }
}

export function summarize({ title, facts, command, subject, compared }: ReportInput): Summary {
  return {
    format: SUMMARY_FORMAT,
    title,
    facts,
    command,
    held: [...subject.promises, ...subject.besides].every(({ verdict }) => verdict !== 'broken'),
    promises: subject.promises.map(withoutEvidence),
    besides: subject.besides.map(withoutEvidence),
    stores: [summarizeStore(subject), ...compared.map(summarizeStore)],
  }
}

function withoutEvidence({ evidence: _, ...verdict }: Verdict): VerdictSummary {
  return verdict
}

function summarizeStore(run: StoreRun): StoreSummary {
  const { name, duration, exchanges, faults, items, loggedOut, ghosts } = run
  const spans = faultSpans(faults, duration)
  const during = exchanges.filter((exchange) => overlaps(exchange, spans))
  const good = (of: StoreRun['exchanges']) => of.filter(({ kind }) => GOOD_KINDS.has(kind)).length
  const answers = Object.fromEntries(
    KINDS.map((kind) => [kind, exchanges.filter((exchange) => exchange.kind === kind).length]),
  ) as Record<Kind, number>
  const recovery = recoveryTime(run)
  return {
    name,
    duration,
    requests: exchanges.length,
    faults,
    answers,
    duringFaults: { requests: during.length, good: good(during) },
    good: good(exchanges),
    latency: latenciesOf(exchanges) ?? null,
    latencyDuringFaults: latenciesOf(during) ?? null,
    hung: answers.hung,
    items,
    loggedOut,
    ghosts,
    ...(run.promises.length === 0 ? {} : { broken: brokenIn(run.promises) }),
    ...(recovery === undefined ? {} : { recovery }),
    peak: { ...peak(run, 'memory'), ...peak(run, 'queued'), ...peak(run, 'inFlight') },
  }
}

function brokenIn(verdicts: readonly Verdict[]): string[] {
  return verdicts.filter(({ verdict }) => verdict === 'broken').map(({ id }) => id)
}

function peak({ samples }: StoreRun, figure: 'memory' | 'queued' | 'inFlight'): Record<string, number> {
  const told = samples.flatMap((sample) => sample[figure] ?? [])
  return told.length === 0 ? {} : { [figure]: Math.max(...told) }
}
