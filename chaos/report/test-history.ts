/** A hand-made history for tests. */
import { SETTINGS } from '../checkers/hand-made.js'
import type { Header, HistoryRecord, RequestRecord } from '../records.js'

export const HEADER: Header = {
  kind: 'header',
  format: 1,
  scenario: 'kill',
  title: 'The master is killed.',
  topology: 'standalone',
  driver: 'process',
  store: 'resilient',
  policy: 'available',
  front: 'sticky',
  seed: 7,
  seconds: 4,
  rate: 120,
  visitors: 50,
  processes: ['A', 'B'],
  settings: SETTINGS,
  loses: { kind: 'nothing' },
  bites: 'everything',
  recoverWithin: 1500,
  versions: { node: '20.20.2', 'connect-redis': '10.0.0', 'connect-redis-8': '8.1.0' },
  machine: '2 processors, 24 GiB',
  started: '2026-11-22T21:15:42.005Z',
}

let ids = 0

/** A request that was answered with the visitor's page after 5 ms. */
export function request(values: Partial<RequestRecord> & Pick<RequestRecord, 'start'>): RequestRecord {
  const { start, visitor = 'v1' } = values
  return {
    kind: 'request',
    id: ++ids,
    visitor,
    action: 'view',
    process: 'A',
    loggedIn: true,
    session: 'aaaaaaaaaa',
    end: start + 5,
    answer: answer({ visitor }),
    ...values,
  }
}

type Answer = NonNullable<RequestRecord['answer']>

export function answer(values: Partial<Answer> = {}): Answer {
  return {
    status: 200,
    source: 'redis',
    retryAfter: false,
    visitor: 'v1',
    cookieChanged: false,
    missing: 0,
    ...values,
  }
}

export const END: HistoryRecord = { kind: 'end', at: 4200, skipped: 0 }
