/** One subject in a process of its own: what the others do to the engine (shapes, inlining, garbage) stays with them. */
import type { SubjectContext } from './subject.js'
import { SUBJECTS, type SubjectName } from './subjects/index.js'

/** What a worker is asked to do, in turn. */
export type Order =
  | { readonly kind: 'open'; readonly subject: SubjectName; readonly context: SubjectContext }
  | { readonly kind: 'round'; readonly task: string; readonly concurrency: number; readonly ms: number }
  /** Runs a task once and answers with its result. */
  | { readonly kind: 'once'; readonly task: string }
  | { readonly kind: 'close' }

/** What a round of a worker came to. */
export interface Count {
  readonly operations: number
  readonly seconds: number
  readonly cpuMicros: number
}

export type Answer = { readonly value: unknown } | { readonly error: string }

// Nobody is left to work for.
process.on('disconnect', () => process.exit())

let subject: Awaited<ReturnType<(typeof SUBJECTS)[SubjectName]>> | undefined

process.on('message', (order: Order) => {
  carryOut(order).then(
    (value) => process.send?.({ value } satisfies Answer),
    (error: unknown) =>
      process.send?.({ error: String(error instanceof Error ? error.stack : error) } satisfies Answer),
  )
})

async function carryOut(order: Order): Promise<unknown> {
  switch (order.kind) {
    case 'open':
      subject = await SUBJECTS[order.subject](order.context)
      return undefined
    case 'round':
      return await round(taskOf(order.task), order.concurrency, order.ms)
    case 'once':
      return await taskOf(order.task)(0)
    case 'close':
      await subject?.close()
      return undefined
  }
}

function taskOf(name: string): (index: number) => Promise<unknown> {
  const task = subject?.tasks[name]
  if (task === undefined) throw new Error(`no task '${name}'`)
  return task
}

async function round(task: (index: number) => Promise<unknown>, concurrency: number, ms: number): Promise<Count> {
  let operations = 0
  const startedAt = performance.now()
  const cpu = process.cpuUsage()
  const work = async (): Promise<void> => {
    // The clock is read now and then: it is no part of what is measured.
    while (operations % 16 !== 0 || performance.now() - startedAt < ms) await task(operations++)
  }
  await Promise.all(Array.from({ length: concurrency }, work))
  const { user, system } = process.cpuUsage(cpu)
  return { operations, seconds: (performance.now() - startedAt) / 1000, cpuMicros: user + system }
}
