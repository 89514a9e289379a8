/** A saved run as the report needs it. Pure. */

import type { Judgement } from '../checkers/index.js'
import type { AuditRecord, FaultRecord, Header, HistoryRecord, RequestRecord, SampleRecord } from '../records.js'
import { classify, waited } from '../workload/classify.js'
import type { Exchange, Fact, Fault, Kind, Sample, StoreRun } from './model.js'
import { otherRecords } from './other-records.js'
import { besidesOf, promisesOf } from './verdicts.js'
import { count } from './words.js'

/** What was recorded of one store's run, and what the checkers found in it, if they were asked. */
export interface RecordedRun {
  readonly header: Header
  readonly records: readonly HistoryRecord[]
  readonly judgement?: Judgement
}

export function storeRun({ header, records, judgement }: RecordedRun): StoreRun {
  const promises = judgement === undefined ? [] : promisesOf(judgement)
  const besides = judgement === undefined ? [] : besidesOf(judgement)
  const of = <Name extends HistoryRecord['kind']>(kind: Name) =>
    records.filter((record): record is Extract<HistoryRecord, { kind: Name }> => record.kind === kind)
  const ended = of('end').at(-1)?.at ?? header.seconds * 1000
  const faults = of('fault').flatMap(faultsOf)
  const exchanges = records.flatMap((record, number) =>
    record.kind === 'request' ? (exchangeOf(record, number, ended) ?? []) : [],
  )
  const duration = Math.max(header.seconds * 1000, ...faults.map(({ to = 0 }) => to))
  return {
    name: nameOf(header),
    duration,
    exchanges,
    others: otherRecords(records, [...promises, ...besides]),
    faults,
    samples: of('sample')
      .filter(({ process, at }) => process !== 'runner' && at <= duration)
      .map(sampleOf),
    ...(header.store === 'resilient' ? { timeout: header.settings.timeout } : {}),
    items: itemsIn(of('audit')),
    ghosts: ghostsIn(of('request'), of('audit')),
    loggedOut: loggedOutIn(exchanges, of('audit')),
    promises,
    besides,
  }
}

/** What was run, for people. */
export function factsOf(header: Header, run: StoreRun): Fact[] {
  const { front, seconds, rate, visitors, processes, settings, versions } = header
  return [
    { name: 'Scenario', value: `${header.scenario}: ${header.title}` },
    { name: 'Topology', value: header.topology },
    { name: 'Driver', value: header.driver },
    { name: 'Policy', value: header.policy },
    { name: 'Seed', value: String(header.seed) },
    { name: 'Traffic', value: `${seconds} s, ${rate} requests/s, ${visitors} visitors at a time, ${front} front` },
    { name: 'Application processes', value: processes.join(', ') },
    { name: 'Requests', value: count(run.exchanges.length) },
    { name: 'Faults', value: String(run.faults.length) },
    {
      name: 'Limits of the store',
      value: `timeout ${settings.timeout} ms, stale up to ${settings.maxStale / 1000} s, queued up to ${settings.queueMaxAge / 1000} s`,
    },
    {
      name: 'Versions',
      value: Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(', '),
    },
    { name: 'Machine', value: header.machine },
    { name: 'Started', value: `${header.started.slice(0, 16).replace('T', ' ')} UTC` },
  ]
}

/** What runs a store again, and those it was compared with. */
export function commandOf([header, ...compared]: readonly [Header, ...Header[]]): string {
  const { scenario, topology, driver, policy, store, front, seed, seconds } = header
  const values = { scenario, topology, driver, policy, front, seed, seconds }
  const words = Object.entries(values).flatMap(([name, value]) => [`--${name}`, String(value)])
  if (store !== 'resilient') words.push('--store', store)
  if (compared.length > 0) words.push('--compare', compared.map((other) => other.store).join(','))
  return `npm run chaos -- ${words.join(' ')}`
}

const NAMES: Readonly<Record<Header['store'], (versions: Header['versions']) => string>> = {
  resilient: () => 'resilient-session-store',
  'connect-redis': (versions) => `connect-redis ${versions['connect-redis'] ?? ''}`.trim(),
  'connect-redis-8': (versions) => `connect-redis ${versions['connect-redis-8'] ?? '8'} on ioredis`,
  memory: () => 'MemoryStore',
}

export function nameOf({ store, versions }: Header): string {
  return NAMES[store](versions)
}

/** Where a successor took over, the fault is over for visitors; undoing it then is a disturbance of its own. */
function faultsOf({ fault, target, at, bites = at, successor, ending, end }: FaultRecord): Fault[] {
  const till = (to: number | undefined) => (to === undefined ? {} : { to })
  if (successor === undefined || successor >= (end ?? Number.POSITIVE_INFINITY)) {
    return [{ name: fault, target, from: bites, ...till(end) }]
  }
  const undoing = ending === undefined ? [] : [{ name: `${fault} undone`, target, from: ending, ...till(end) }]
  return [{ name: fault, target, from: bites, to: Math.min(successor, ending ?? successor) }, ...undoing]
}

/** `undefined` for a request that was cut short by the end of the run: nobody knows what would have come of it. */
function exchangeOf(request: RequestRecord, record: number, ended: number): Exchange | undefined {
  const { visitor, action, process, start, end = ended, answer, failure } = request
  const kind = kindOf(request, ended)
  if (kind === undefined) return undefined
  const outcome = answer === undefined ? (failure ?? 'no answer') : String(answer.status)
  return { record, visitor, action, process, start, end, waited: waited(request, ended), kind, outcome }
}

function kindOf(request: RequestRecord, ended: number): Kind | undefined {
  const outcome = classify(request, ended)
  switch (outcome) {
    case 'ok':
      return 'fresh'
    case 'lost':
      return 'logged-out'
    case 'stale': {
      const source = request.answer?.source
      return source === 'queued' || source === 'blank' ? source : 'stale'
    }
    case 'refused':
      return request.answer?.status === 409 ? 'conflict' : 'refused'
    case 'waiting':
      return undefined
    default:
      return outcome
  }
}

function sampleOf({ process, at, stall, rss, requests, store }: SampleRecord): Sample {
  const { lanes, queue } = store ?? {}
  return {
    process,
    at,
    stall,
    memory: rss,
    inFlight: requests,
    ...(lanes === undefined ? {} : { lanes }),
    ...(queue === undefined ? {} : { queued: queue.saves + queue.destroys }),
  }
}

/** Sessions that opened after their logout had been acknowledged: for their old cookie, or when all was at rest. */
function ghostsIn(requests: readonly RequestRecord[], audits: readonly AuditRecord[]): number {
  const out = new Map<string, number>()
  for (const { action, session, answer, end } of requests) {
    if (action === 'logout' && answer?.status === 200 && session !== undefined && end !== undefined)
      out.set(session, end)
  }
  const ghosts = new Set<string>()
  for (const { session, start, visitor, answer } of requests) {
    const opened = answer?.status === 200 && answer.visitor === visitor
    if (opened && session !== undefined && start > (out.get(session) ?? Number.POSITIVE_INFINITY)) ghosts.add(session)
  }
  for (const { stay, found, session } of audits) if (stay === 'out' && found === true) ghosts.add(session)
  return ghosts.size
}

/** What was acknowledged to visitors who were still there at the end, and what of it was not there. */
function itemsIn(audits: readonly AuditRecord[]): StoreRun['items'] {
  const staying = audits.filter(({ stay }) => stay === 'in' || stay === 'lost')
  const sum = (of: (audit: AuditRecord) => readonly number[]) => staying.reduce((all, one) => all + of(one).length, 0)
  return { acknowledged: sum(({ acknowledged }) => acknowledged), lost: sum(({ missing }) => missing) }
}

function loggedOutIn(exchanges: readonly Exchange[], audits: readonly AuditRecord[]): number {
  const visitors = new Set(exchanges.filter(({ kind }) => kind === 'logged-out').map(({ visitor }) => visitor))
  for (const { stay, found, visitor } of audits) if (stay === 'in' && found === false) visitors.add(visitor)
  return visitors.size
}
