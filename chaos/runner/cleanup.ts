/** Undoes what was done, last thing first, however the run ends. */
export class Cleanup {
  readonly #steps: (() => unknown)[] = []
  #running: Promise<void> | undefined

  /**
   * Adds a step.
   * @throws {Error} when all was undone already: the step is taken, and whoever still starts things is to stop.
   */
  defer(step: () => unknown): void {
    this.#steps.push(step)
    if (this.#running === undefined) return
    this.#running = this.#running.then(() => this.#runAll())
    throw new Error('interrupted')
  }

  /** Takes all steps, once. A step that fails does not stop the others. */
  run(): Promise<void> {
    this.#running ??= this.#runAll()
    return this.#running
  }

  async #runAll(): Promise<void> {
    for (const step of this.#steps.splice(0).reverse()) {
      try {
        await step()
      } catch {
        // The rest must be undone all the same.
      }
    }
  }
}

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

/**
 * Runs what has things to undo, and undoes them when it is over or the process is asked to end.
 *
 * @returns its exit code, or that of the signal
 */
export async function withCleanup(run: (cleanup: Cleanup) => Promise<number>): Promise<number> {
  const cleanup = new Cleanup()
  const interrupted = untilSignal(cleanup)
  try {
    return await Promise.race([interrupted, run(cleanup)])
  } finally {
    await cleanup.run()
  }
}

/** Resolves with the exit code for the first signal that asks the process to end; a second one ends it at once. */
function untilSignal(cleanup: Cleanup): Promise<number> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      const onSignal = () => {
        process.once(signal, () => process.exit(EXIT_CODES[signal]))
        resolve(EXIT_CODES[signal])
      }
      process.once(signal, onSignal)
      cleanup.defer(() => process.off(signal, onSignal))
    }
  })
}
