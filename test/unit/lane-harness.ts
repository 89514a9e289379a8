import { RedisFailure } from '../../src/errors.js'
import { Lane, type LaneOptions, type LaneState, type Settle } from '../../src/lanes.js'
import { resolveOptions } from '../../src/resolve-options.js'
import { until } from '../support/wait.js'

/** What the lane gave to `send`. */
export interface Batch {
  readonly requests: readonly string[]
  /** When each caller is told that it failed, monotonic ms. */
  readonly deadlines?: readonly number[]
  readonly settle: Settle<string>
}

export interface LaneHarness {
  readonly lane: Lane<string, string>
  /** Every batch sent, in order. */
  readonly batches: Batch[]
  /** The states it passed through, as it told them. */
  readonly changes: LaneState[]
  /** Times a probe was begun. */
  readonly probes: () => number
  /** Times the connection was said to be stalled. */
  readonly stalls: () => number
}

export type HarnessOptions = Partial<Pick<LaneOptions<string, string>, 'timeout' | 'maxInFlight' | 'probe'>> & {
  readonly send?: (batch: Batch) => void
  readonly breaker?: Partial<LaneOptions<string, string>['breaker']>
  readonly usable?: () => Promise<void> | undefined
}

/** Redis is down, as a lane's `send` may hear of it. */
export const DOWN = new RedisFailure('reset', 'the connection broke')

/** Redis answered, but with an error of the command's own. */
export const WRONG_TYPE = new Error('WRONGTYPE Operation against a key holding the wrong kind of value')

/** Later than any test lasts. */
export function farAway(): number {
  return performance.now() + 600_000
}

const made: LaneHarness[] = []

/**
 * A lane on a hand-made Redis: batches are recorded and wait for the test to settle them, probes succeed, and the
 * breaker does not become half-open by itself; each can be set otherwise.
 */
export function createLane(options: HarnessOptions = {}): LaneHarness {
  const batches: Batch[] = []
  const changes: LaneState[] = []
  let probes = 0
  let stalls = 0
  const lane = new Lane<string, string>({
    name: 'read',
    timeout: options.timeout ?? 60_000,
    breaker: { ...resolveOptions({}).breaker, resetTimeout: 600_000, ...options.breaker },
    maxInFlight: options.maxInFlight ?? 1_000,
    connection: {
      usable: options.usable ?? (() => undefined),
      stalled: () => {
        stalls++
      },
    },
    send: (sent, settle) => {
      const batch: Batch = {
        requests: sent.map(({ request }) => request),
        deadlines: sent.map(({ deadline }) => deadline),
        settle,
      }
      batches.push(batch)
      options.send?.(batch)
    },
    probe: () => {
      probes++
      return options.probe?.() ?? Promise.resolve()
    },
    onChange: (_, state) => changes.push(state),
  })
  const harness: LaneHarness = { lane, batches, changes, probes: () => probes, stalls: () => stalls }
  made.push(harness)
  return harness
}

/** Ends what tests left under way, so that no timer outlives them. */
export function closeLanes(): void {
  for (const { lane, batches } of made.splice(0)) {
    lane.shutdown()
    for (const batch of batches) answerAll(batch)
  }
}

/** Has a batch under way, so that what is asked next waits for its turn's end. */
export async function occupy({ lane, batches }: LaneHarness): Promise<{ result: Promise<string> }> {
  const result = lane.run('first', farAway())
  result.catch(() => {})
  await until(() => batches.length === 1)
  return { result }
}

/** Answers each request of a batch with its own text in capitals. */
export function answerAll({ requests, settle }: Batch): void {
  for (const [index, request] of requests.entries()) settle(index, undefined, request.toUpperCase())
}

/** Fails each request of a batch. */
export function failAll({ requests, settle }: Batch, error: unknown = DOWN): void {
  for (const index of requests.keys()) settle(index, error)
}
