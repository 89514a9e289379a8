/** Subjects side by side, in interleaved rounds: absolute figures on a shared machine mean little, ratios within a run do. */

export interface RoundOptions {
  /** How many run at once. */
  readonly concurrency: number
  /** Length of a round, ms. */
  readonly ms: number
}

/** One round of one subject. */
export interface Round {
  readonly perSecond: number
  /** CPU of the client's process per operation, us. */
  readonly cpuMicros: number
  /** CPU of Redis per operation, us. */
  readonly redisMicros: number
}

/** What is measured. */
export interface Variant {
  readonly name: string
  readonly round: (options: RoundOptions) => Promise<Round>
}

export interface MeasureOptions extends RoundOptions {
  /** Rounds per variant; the order turns round from one to the next. */
  readonly rounds: number
  readonly onRound?: (done: number, of: number) => void
}

export interface Ratio {
  readonly median: number
  /** Lowest and highest of a round. */
  readonly spread: readonly [number, number]
}

/** Medians over the rounds; the ratios are those of each round to the first variant's round beside it. */
export interface Result extends Round {
  readonly name: string
  readonly throughput: Ratio
  readonly cpu: Ratio
  readonly redis: Ratio
}

/** Length of each variant's first round, which does not count, ms. */
const WARM_UP = 700

/** Measures the variants; the first is what the others are compared with. */
export async function measure(variants: readonly Variant[], options: MeasureOptions): Promise<Result[]> {
  // The first rounds compile what the later ones run.
  for (const { round } of variants) await round({ ...options, ms: WARM_UP })
  const rounds = variants.map((): Round[] => [])
  for (let index = 0; index < options.rounds; index++) {
    const order = [...variants.keys()]
    if (index % 2 === 1) order.reverse()
    for (const at of order) rounds[at]?.push(await (variants[at] as Variant).round(options))
    options.onRound?.(index + 1, options.rounds)
  }
  return variants.map(({ name }, at) => {
    const own = rounds[at] as Round[]
    const of = (value: (round: Round) => number): number => median(own.map(value))
    const ratio = (value: (round: Round) => number): Ratio => {
      const ratios = own.map((round, index) => value(round) / value(rounds[0]?.[index] as Round))
      return { median: median(ratios), spread: [Math.min(...ratios), Math.max(...ratios)] }
    }
    return {
      name,
      perSecond: of(perSecond),
      cpuMicros: of(cpuMicros),
      redisMicros: of(redisMicros),
      throughput: ratio(perSecond),
      cpu: ratio(cpuMicros),
      redis: ratio(redisMicros),
    }
  })
}

const perSecond = (round: Round): number => round.perSecond
const cpuMicros = (round: Round): number => round.cpuMicros
const redisMicros = (round: Round): number => round.redisMicros

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}
