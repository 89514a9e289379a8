/** What the store's memory takes per entry: the heap and what lies outside of it, before and after. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { systemClock } from '../../src/clock.js'
import { FallbackCache } from '../../src/fallback-cache.js'
import type { Provenance } from '../../src/provenance.js'
import { Revocations } from '../../src/revocations.js'
import { TouchMarks } from '../../src/touch-marks.js'
import { WriteQueue } from '../../src/write-queue.js'
import type { CreateSubject } from '../subject.js'

const COUNT = 100_000
/** As many as one generation of touch marks holds. */
const MARKS = 24_000
/** Of one read of the socket. */
const CHUNK = 65_536

type Add = (index: number) => void

export const holding: CreateSubject = async ({ bytes }) => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const used = (): number => {
    gc()
    gc()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  /** Bytes that each of them takes. */
  const each = async (start: () => Add, count = COUNT): Promise<number> => {
    // What was measured before is out of reach from here on.
    await nextTurn()
    const add = start()
    const before = used()
    for (let index = 0; index < count; index++) add(index)
    const taken = (used() - before) / count
    // It must live until here.
    add(0)
    return taken
  }
  const value = (): string => text(`{"cookie":{},"v":"${'x'.repeat(bytes - 20)}"}`)
  const cached = (raw: () => string | Buffer) => (): Add => {
    const cache = new FallbackCache({ max: COUNT, maxBytes: 2 ** 40, maxStale: 30_000 }, systemClock)
    return (index) => {
      const confirmedAt = performance.now()
      cache.put(sid(index), {
        raw: raw(),
        confirmedAt,
        expiresAt: confirmedAt + 1e8,
        server: 'server',
        epoch: undefined,
      })
    }
  }
  return {
    tasks: {
      cached: () => each(cached(value)),
      'cached, binary': () =>
        each(
          cached(() => Buffer.allocUnsafeSlow(CHUNK).subarray(0, bytes)),
          COUNT / 10,
        ),
      'queued save': () => each(queued(value)),
      'queued delete': () =>
        each(() => {
          const queue = queueOf()
          return (index) => queue.addDestroy({ sid: sid(index), queuedAt: performance.now() })
        }),
      'destroyed session': () =>
        each(() => {
          const known = new Revocations(600_000, systemClock)
          return (index) => known.add(sid(index))
        }),
      'touch mark': () =>
        each(() => {
          const marks = new TouchMarks()
          return (index) => marks.set(sid(index), performance.now())
        }, MARKS),
    },
    close: async () => {},
  }
}

const queued = (value: () => string) => (): Add => {
  const queue = queueOf()
  return (index) => {
    const now = performance.now()
    const from = { provenance: provenance(index, value()), order: 1 }
    const times = { expiresAt: now + 1e8, servedUntil: now + 1e5, queuedAt: now }
    const payload = from.provenance.raw as string
    queue.addSave({ sid: from.provenance.sid, base: value(), server: 'server', attempts: [], payload, ...times, from })
  }
}

function queueOf(): WriteQueue {
  return new WriteQueue({ max: COUNT + 1, maxBytes: 2 ** 40, maxAge: 600_000 })
}

function provenance(index: number, raw: string): Provenance {
  const confirmedAt = performance.now()
  const known = { source: 'redis', raw, confirmedAt, server: 'server', originalMaxAge: null } as const
  return { sid: sid(index), ...known, attempts: NONE, begun: 0, kept: 0 }
}

const NONE: readonly string[] = []

/** As express-session finds it: a part of the decoded cookie, which stays with it. */
function sid(index: number): string {
  return text(`s:${String(index).padStart(32, 'x')}.${'signature'.repeat(5)}`).slice(2, 34)
}

/** A string by itself, as it comes from a socket; not a rope of others. */
function text(value: string): string {
  return Buffer.from(value).toString()
}
