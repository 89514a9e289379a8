import { seededRandom } from '../../test/support/random.js'
import type { Action, History, RequestRecord } from '../history.js'
import { arrivals } from './arrivals.js'
import type { Front } from './front.js'
import { type Call, createHttpClient } from './http.js'
import { type Mix, Population } from './population.js'
import { COOKIE_NAME, type Visitor } from './visitor.js'

export interface TrafficOptions {
  readonly history: History
  readonly front: Front
  readonly seed: number
  /** Arrivals a second. */
  readonly rate: number
  /** How many visitors are in the shop at a time. */
  readonly visitors: number
  readonly mix: Mix
  /** When a visitor stops waiting for an answer, in ms. */
  readonly giveUpAfter: number
  /** Monotonic milliseconds since the run began. */
  readonly now: () => number
}

/** Traffic under way. */
export interface Traffic {
  readonly population: Population
  /** Arrivals that found every visitor waiting for an earlier answer and therefore sent nothing. */
  readonly skipped: number
  /** No more arrivals; resolves when everything sent was answered, or after `patience` ms. */
  stop(patience: number): Promise<void>
  /** Closes every connection, answered or not. */
  close(): void
}

const ROUTES: Readonly<Record<Action, { readonly method: 'GET' | 'POST'; readonly path: string }>> = {
  login: { method: 'POST', path: '/login' },
  view: { method: 'GET', path: '/cart' },
  add: { method: 'POST', path: '/cart' },
  logout: { method: 'POST', path: '/logout' },
  admin: { method: 'GET', path: '/admin' },
  return: { method: 'GET', path: '/cart' },
}

/** Sends visitors to the shop, at the pace of the arrivals and never at the pace of the answers. */
export function startTraffic(options: TrafficOptions): Traffic {
  const { history, front, now } = options
  const population = new Population(options.visitors, options.mix)
  const http = createHttpClient(options.giveUpAfter)
  const schedule = arrivals(seededRandom(options.seed), options.rate)
  const underWay = new Set<Promise<void>>()
  const began = now()
  let next = schedule.next().value
  let skipped = 0
  let sent = 0
  let timer: NodeJS.Timeout | undefined

  function comeDue(): void {
    while (began + next.at <= now()) {
      const chosen = population.next(next.who, next.what)
      if (chosen === undefined) skipped++
      else send(chosen.visitor, chosen.action)
      next = schedule.next().value
    }
    timer = setTimeout(comeDue, Math.max(1, began + next.at - now()))
  }

  function send(visitor: Visitor, action: Action): void {
    const target = front(visitor.name)
    const record = visitor.begin(action, target.name, now(), ++sent)
    history.add(record)
    const exchange = http.send(callFor(visitor, record, target.port)).then((reply) => {
      visitor.finish(record, reply, now())
      underWay.delete(exchange)
    })
    underWay.add(exchange)
  }

  comeDue()
  return {
    population,
    get skipped() {
      return skipped
    },
    async stop(patience) {
      clearTimeout(timer)
      let deadline: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        deadline = setTimeout(resolve, patience)
      })
      await Promise.race([Promise.all(underWay), late])
      clearTimeout(deadline)
    },
    close() {
      clearTimeout(timer)
      http.close()
    },
  }
}

/** The HTTP request behind a record that {@link Visitor.begin} gave. */
export function callFor(visitor: Visitor, record: RequestRecord, port: number): Call {
  const { id, action, item, busyFor } = record
  const cookie = action === 'return' ? visitor.sessionCookie : visitor.jar.value
  const body =
    action === 'login'
      ? { visitor: visitor.name }
      : item === undefined
        ? undefined
        : { item: visitor.nameOf(item), ...(busyFor === undefined ? {} : { busyFor }) }
  return {
    ...ROUTES[action],
    number: id,
    port,
    cookie: cookie === undefined ? undefined : `${COOKIE_NAME}=${cookie}`,
    ...(body === undefined ? {} : { body }),
  }
}
