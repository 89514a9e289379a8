/** Undoes what was done, last thing first, however the demo ends. */
export class Cleanup {
  readonly #steps: (() => unknown)[] = []
  #running: Promise<void> | undefined

  /** Adds a step. */
  defer(step: () => unknown): void {
    this.#steps.push(step)
  }

  /** Takes all steps, once. A step that fails does not stop the others. */
  run(): Promise<void> {
    this.#running ??= this.#runAll()
    return this.#running
  }

  async #runAll(): Promise<void> {
    for (const step of this.#steps.toReversed()) {
      try {
        await step()
      } catch {
        // The rest must be undone all the same.
      }
    }
  }
}

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

/** Resolves with the exit code for the first signal that asks the process to end; a second one ends it at once. */
export function untilSignal(cleanup: Cleanup): Promise<number> {
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
