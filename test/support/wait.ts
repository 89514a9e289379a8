// Waiting on conditions, never on time. The real timers are taken when this file loads, so a test that installs fake
// ones can still wait.
const { setTimeout: startTimer, clearTimeout: stopTimer } = globalThis
const now = performance.now.bind(performance)

/** How long to wait, and what for. */
export interface WaitOptions {
  /** Milliseconds after which the wait fails. @default 5000 */
  readonly timeoutMs?: number
  /** Milliseconds between two looks. @default 5 */
  readonly intervalMs?: number
  /** What is waited for, as the error tells it: "timed out after 5000 ms waiting for …". */
  readonly what?: string
}

/** A wait that ended without its condition. */
export class WaitTimeoutError extends Error {
  override readonly name = 'WaitTimeoutError'
  readonly code = 'EWAITTIMEOUT'

  constructor(what: string, timeoutMs: number, cause?: unknown) {
    const because = cause === undefined ? '' : `; last: ${cause instanceof Error ? cause.message : String(cause)}`
    super(`timed out after ${timeoutMs} ms waiting for ${what}${because}`, cause === undefined ? undefined : { cause })
  }
}

/**
 * Waits until the condition gives something truthy, and returns that. An exception of the condition ends the wait: use
 * {@link eventually} for conditions that throw until they hold.
 * @throws {@link WaitTimeoutError} naming `what`.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = 5_000, intervalMs = 5, what = 'a condition' }: WaitOptions = {},
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const end = now() + timeoutMs
  for (;;) {
    const value = await before(end, timeoutMs, what, condition())
    if (value) return value as Exclude<T, false | null | undefined | 0 | ''>
    if (now() >= end) throw new WaitTimeoutError(what, timeoutMs)
    await sleep(intervalMs)
  }
}

/**
 * Repeats a step that throws until it holds (an `expect`, a connection attempt) and returns what it gave at last.
 * @throws {@link WaitTimeoutError} with the step's last error as `cause`.
 */
export async function eventually<T>(
  step: () => T | Promise<T>,
  { timeoutMs = 5_000, intervalMs = 5, what = 'a step to succeed' }: WaitOptions = {},
): Promise<T> {
  const end = now() + timeoutMs
  for (;;) {
    try {
      return await before(end, timeoutMs, what, step())
    } catch (error) {
      if (now() >= end) throw error instanceof WaitTimeoutError ? error : new WaitTimeoutError(what, timeoutMs, error)
      await sleep(intervalMs)
    }
  }
}

/**
 * How a promise ended, as data: for a call that may fail but must not hang.
 * @throws {@link WaitTimeoutError} if it is still pending after `timeoutMs`.
 */
export async function settled<T>(
  promise: PromiseLike<T>,
  { timeoutMs = 5_000, what = 'a promise to settle' }: WaitOptions = {},
): Promise<PromiseSettledResult<T>> {
  const [outcome] = await before(now() + timeoutMs, timeoutMs, what, Promise.allSettled([promise]))
  return outcome
}

/**
 * Whether a promise is still pending after so many milliseconds: for "this must still be waiting". The default is ample for
 * an answer over loopback. It cannot prove that the promise never settles.
 */
export async function isPending(promise: PromiseLike<unknown>, forMs = 25): Promise<boolean> {
  const outcome = settled(promise, { timeoutMs: forMs })
  return outcome.then(
    () => false,
    () => true,
  )
}

/** A pause in real time. Only for giving a fault time to last; tests wait with {@link until}. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => startTimer(resolve, milliseconds))
}

/** The value, unless it takes longer than `end`: a condition that hangs must not hang its test. */
async function before<T>(end: number, timeoutMs: number, what: string, value: T | PromiseLike<T>): Promise<T> {
  let timer: ReturnType<typeof startTimer> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = startTimer(() => reject(new WaitTimeoutError(what, timeoutMs)), Math.max(0, end - now()))
  })
  try {
    return await Promise.race([value, late])
  } finally {
    stopTimer(timer)
  }
}
