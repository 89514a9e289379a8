/** The store's walks, and how long each keeps the event loop. */
import { ResilientStore } from '../../src/store.js'
import { type CreateSubject, PREFIX } from '../subject.js'

/** What a walk came to. */
export interface Walk {
  readonly sessions: number | undefined
  readonly seconds: number
  /** CPU that the thread used in one turn of its event loop at most, ms: other processes have no part in it. Wall time before Node 24. */
  readonly longestTurn: number
}

export const walking: CreateSubject = async ({ url }) => {
  const store = new ResilientStore({ redis: url, prefix: PREFIX, timeout: 10_000 })
  await store.ready()
  const scan = async (): Promise<number> => {
    let count = 0
    for await (const _ of store.scan()) count++
    return count
  }
  return {
    tasks: {
      length: () => followed(() => store.length()),
      ids: () => followed(async () => (await store.ids()).length),
      scan: () => followed(scan),
      clear: () => followed(() => store.clear()),
    },
    close: () => store.close(),
  }
}

async function followed(walk: () => Promise<number | void>): Promise<Walk> {
  const startedAt = performance.now()
  let longestTurn = 0
  let last = threadTime()
  let walking = true
  const turn = (): void => {
    const now = threadTime()
    longestTurn = Math.max(longestTurn, now - last)
    last = now
    if (walking) setImmediate(turn)
  }
  setImmediate(turn)
  const sessions = (await walk()) ?? undefined
  walking = false
  return { sessions, seconds: (performance.now() - startedAt) / 1000, longestTurn }
}

function threadTime(): number {
  const { threadCpuUsage } = process as { threadCpuUsage?: () => NodeJS.CpuUsage }
  if (threadCpuUsage === undefined) return performance.now()
  const { user, system } = threadCpuUsage.call(process)
  return (user + system) / 1000
}
