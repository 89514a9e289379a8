/** Worker processes and what is asked of them. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Round, RoundOptions } from './measure.js'
import type { SubjectContext } from './subject.js'
import type { SubjectName } from './subjects/index.js'
import type { Answer, Count, Order } from './worker.js'

const WORKER = fileURLToPath(new URL('worker.js', import.meta.url))

export class Worker implements AsyncDisposable {
  readonly name: SubjectName
  readonly #child: ChildProcess

  private constructor(name: SubjectName) {
    this.name = name
    this.#child = fork(WORKER)
  }

  /** Starts a subject; it is warm as soon as it is measured. */
  static async start(name: SubjectName, context: SubjectContext): Promise<Worker> {
    const worker = new Worker(name)
    await worker.#ask({ kind: 'open', subject: name, context })
    return worker
  }

  /** One round of a task. @param redisCpu seconds of CPU that Redis has used so far */
  async round(task: string, options: RoundOptions, redisCpu: () => Promise<number>): Promise<Round> {
    const before = await redisCpu()
    const { concurrency, ms } = options
    const count = (await this.#ask({ kind: 'round', task, concurrency, ms })) as Count
    const redis = (await redisCpu()) - before
    return {
      perSecond: count.operations / count.seconds,
      cpuMicros: count.cpuMicros / count.operations,
      redisMicros: (redis * 1e6) / count.operations,
    }
  }

  /** A task's own result. */
  once(task: string): Promise<unknown> {
    return this.#ask({ kind: 'once', task })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#child.connected) return
    await this.#ask({ kind: 'close' })
    this.#child.disconnect()
  }

  #ask(order: Order): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const { name } = this
      const settle = (done: () => void): void => {
        this.#child.off('message', onMessage)
        this.#child.off('exit', onExit)
        done()
      }
      const onMessage = (answer: Answer): void =>
        settle(() => ('error' in answer ? reject(new Error(`${name}: ${answer.error}`)) : resolve(answer.value)))
      const onExit = (code: number | null): void => settle(() => reject(new Error(`${name} ended with code ${code}`)))
      this.#child.once('message', onMessage)
      this.#child.once('exit', onExit)
      this.#child.send(order)
    })
  }
}
