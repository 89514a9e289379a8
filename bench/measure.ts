/** Variants side by side, interleaved in one process: absolute figures on a shared machine mean little, ratios within a run do. */

/** One way of doing the same thing. */
export interface Variant {
  readonly name: string
  /** Does it once. */
  readonly run: (index: number) => Promise<unknown>
}

export interface MeasureOptions {
  /** How many run at once. */
  readonly concurrency: number
  /** Rounds per variant; the order turns round from one to the next. */
  readonly rounds: number
  /** Length of a round, ms. */
  readonly roundMs: number
  readonly onRound?: (done: number, of: number) => void
}

/** Medians over the rounds, each round against the first variant's round beside it. */
export interface Result {
  readonly name: string
  readonly perSecond: number
  readonly cpuMicros: number
  /** Throughput by the first variant's; 1 for the first itself. */
  readonly throughputRatio: number
  /** CPU per operation by the first variant's. */
  readonly cpuRatio: number
  /** Lowest and highest CPU ratio of a round. */
  readonly cpuSpread: readonly [number, number]
}

interface Round {
  readonly perSecond: number
  readonly cpuMicros: number
}

/** Measures the variants; the first is what the others are compared with. */
export async function measure(variants: readonly Variant[], options: MeasureOptions): Promise<Result[]> {
  for (const variant of variants) await round(variant, options)
  const rounds = variants.map((): Round[] => [])
  for (let index = 0; index < options.rounds; index++) {
    const order = [...variants.keys()]
    if (index % 2 === 1) order.reverse()
    for (const at of order) rounds[at]?.push(await round(variants[at] as Variant, options))
    options.onRound?.(index + 1, options.rounds)
  }
  const base = rounds[0] as Round[]
  return variants.map(({ name }, at) => {
    const own = rounds[at] as Round[]
    const cpu = own.map(({ cpuMicros }, index) => cpuMicros / (base[index] as Round).cpuMicros)
    return {
      name,
      perSecond: median(own.map(({ perSecond }) => perSecond)),
      cpuMicros: median(own.map(({ cpuMicros }) => cpuMicros)),
      throughputRatio: median(own.map(({ perSecond }, index) => perSecond / (base[index] as Round).perSecond)),
      cpuRatio: median(cpu),
      cpuSpread: [Math.min(...cpu), Math.max(...cpu)],
    }
  })
}

async function round({ run }: Variant, { concurrency, roundMs }: MeasureOptions): Promise<Round> {
  let operations = 0
  const startedAt = performance.now()
  const cpu = process.cpuUsage()
  const worker = async (): Promise<void> => {
    while (performance.now() - startedAt < roundMs) await run(operations++)
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  const { user, system } = process.cpuUsage(cpu)
  return {
    perSecond: (operations / (performance.now() - startedAt)) * 1000,
    cpuMicros: (user + system) / operations,
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}
