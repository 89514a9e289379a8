/** `resilient-session-store/prometheus`: what stores do, as metrics of prom-client. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Aggregator, Counter, Gauge, Histogram, OpenMetricsContentType, Registry } from 'prom-client'
import type { Health, LaneHealth, MasterHealth } from './health.js'
import type { ResilientStore } from './store.js'
import type { DroppedRecord, OutcomeRecord, StoreEvents } from './telemetry.js'
import { OPERATION_CHANNEL, type OperationRecord } from './tracing.js'

/** Options of {@link collectMetrics}. */
export interface MetricsOptions {
  /** Where the metrics are registered. @default prom-client's own `register` */
  register?: Registry | Registry<OpenMetricsContentType>
  /** What each name begins with; letters, digits, `_` and `:`. @default 'session_store_' */
  prefix?: string
  /**
   * Labels that each series of this store gets, such as `{ store: 'admin' }`. Stores that share a registry and a prefix
   * need the same label names with different values. @default none
   */
  labels?: Readonly<Record<string, string>>
}

type Labels = Readonly<Record<string, string>>
type Client = typeof import('prom-client')

/**
 * Registers a store's metrics and keeps them up: operations by outcome and duration, lanes, cache, queue, replays,
 * conflicts, refused and lost writes. docs/operations.md names each. Labels are words from fixed lists, and on Cluster
 * masters' addresses: never a session id or a key.
 *
 * @returns a function that ends it; with the last store of a prefix the metrics leave the registry
 * @throws Error (by rejection) where prom-client is not installed, or the registry has metrics of these names already;
 *   TypeError for an option that cannot be used
 * @example
 * ```ts
 * import express from 'express'
 * import { register } from 'prom-client'
 * import { ResilientStore } from 'resilient-session-store'
 * import { collectMetrics } from 'resilient-session-store/prometheus'
 *
 * const store = new ResilientStore()
 * await collectMetrics(store)
 * express().get('/metrics', async (_req, res) => {
 *   res.type(register.contentType).send(await register.metrics())
 * })
 * ```
 */
export async function collectMetrics(store: ResilientStore, options: MetricsOptions = {}): Promise<() => void> {
  const { register, prefix = 'session_store_', labels = {}, ...unknown } = options
  const [name] = Object.keys(unknown)
  if (name !== undefined) throw new TypeError(`unknown option '${name}'`)
  if (typeof prefix !== 'string' || !NAME.test(prefix)) {
    throw new TypeError(`option 'prefix' must match ${NAME}, got ${JSON.stringify(prefix)}`)
  }
  checkLabels(labels)
  const client = await loadClient()
  return familyOf(client, register ?? client.register, prefix, Object.keys(labels)).add(store, { ...labels })
}

/** The metrics of one prefix in one registry, and the stores that share them. */
class Family {
  readonly labelNames: readonly string[]
  readonly #stores = new Map<ResilientStore, Labels>()
  readonly #names: string[] = []
  readonly #onEmpty: () => void
  readonly #durations: Histogram
  readonly #ages: Histogram
  readonly #failures: Counter
  readonly #openings: Counter
  readonly #queued: Counter
  readonly #replayed: Counter
  readonly #dropped: Counter
  readonly #conflicts: Counter
  readonly #refused: Counter
  readonly #restored: Counter

  constructor(client: Client, register: Registry, prefix: string, labelNames: readonly string[], onEmpty: () => void) {
    this.labelNames = labelNames
    this.#onEmpty = (): void => {
      for (const name of this.#names) register.removeSingleMetric(name)
      onEmpty()
    }
    const configuration = (name: string, help: string, own: readonly string[]) => {
      if (register.getSingleMetric(prefix + name) !== undefined) {
        throw new Error(`the registry has a metric ${prefix + name} already: choose another prefix or registry`)
      }
      this.#names.push(prefix + name)
      return { name: prefix + name, help, labelNames: [...labelNames, ...own], registers: [register] }
    }
    const counter = (name: string, help: string, ...own: string[]): Counter =>
      new client.Counter(configuration(name, help, own))
    const histogram = (name: string, help: string, buckets: readonly number[], ...own: string[]): Histogram =>
      new client.Histogram({ ...configuration(name, help, own), buckets: [...buckets] })
    try {
      this.#durations = histogram(
        'operation_duration_seconds',
        'Operations, from call to answer, by outcome',
        DURATIONS,
        ...['operation', 'outcome'],
      )
      this.#ages = histogram(
        'served_age_seconds',
        'Sessions served from memory, by the time since Redis last confirmed them',
        AGES,
        'source',
      )
      this.#failures = counter(
        'failures_total',
        'Operations that Redis did not carry out, also those that the policy made up for',
        ...['operation', 'reason'],
      )
      this.#openings = counter('lane_openings_total', 'Breakers that opened', 'lane', 'reason')
      this.#queued = counter('queued_total', 'Writes that began to wait for Redis', 'operation')
      this.#replayed = counter('replayed_total', 'Writes that waited and have reached Redis', 'operation', 'outcome')
      this.#dropped = counter('dropped_total', 'Writes that will not happen, told to no caller', 'operation', 'reason')
      this.#conflicts = counter('conflicts_total', 'Saves that met a changed session', 'resolution', 'queued')
      this.#refused = counter('refused_saves_total', 'Saves whose session was destroyed or gone', 'reason', 'queued')
      this.#restored = counter('restored_total', 'Sessions that Redis had lost and got again', 'queued')
      const stores = this.#stores
      for (const { name, help, labels, aggregator = 'sum', read } of GAUGES) {
        new client.Gauge({
          ...configuration(name, help, labels),
          aggregator,
          collect(this: Gauge) {
            this.reset()
            for (const [store, shared] of stores) {
              for (const [value, own] of read(store.health())) this.set({ ...shared, ...own }, value)
            }
          },
        })
      }
    } catch (error) {
      this.#onEmpty()
      throw error
    }
  }

  add(store: ResilientStore, labels: Labels): () => void {
    for (const [other, its] of this.#stores) {
      if (other === store) throw new Error('this store has its metrics in this registry already')
      if (this.labelNames.every((name) => its[name] === labels[name])) {
        throw new Error("another store has its metrics in this registry: give each its own 'labels' or 'prefix'")
      }
    }
    this.#stores.set(store, labels)
    this.#zero(labels)
    const onOperation = (message: unknown): void => {
      const record = message as OperationRecord
      if (record.store === store) this.#operation(record, labels)
    }
    const onOutcome = (record: OutcomeRecord): void => this.#outcome(record, labels)
    subscribe(OPERATIONS, onOperation)
    for (const event of EVENTS) store.on(event, onOutcome)
    return () => {
      if (!this.#stores.delete(store)) return
      unsubscribe(OPERATIONS, onOperation)
      for (const event of EVENTS) store.off(event, onOutcome)
      if (this.#stores.size === 0) this.#onEmpty()
    }
  }

  /** Counters that alerts look at begin at 0: of a series that begins with its first event, Prometheus sees no increase. */
  #zero(labels: Labels): void {
    for (const operation of ['get', 'set', 'touch', 'destroy']) {
      for (const outcome of ['ok', 'down']) this.#durations.zero({ ...labels, operation, outcome })
      if (operation === 'get') continue
      for (const reason of [...LOSSES, 'down']) this.#dropped.inc({ ...labels, operation, reason }, 0)
      if (operation === 'touch') continue
      this.#queued.inc({ ...labels, operation }, 0)
      for (const outcome of ['written', 'already-there']) this.#replayed.inc({ ...labels, operation, outcome }, 0)
    }
    for (const queued of ['true', 'false']) {
      for (const resolution of ['refused', 'merged']) this.#conflicts.inc({ ...labels, resolution, queued }, 0)
      for (const reason of ['revoked', 'gone']) this.#refused.inc({ ...labels, reason, queued }, 0)
      this.#restored.inc({ ...labels, queued }, 0)
    }
  }

  #operation({ operation, outcome = 'error', reason, age, duration = 0 }: OperationRecord, labels: Labels): void {
    this.#durations.observe({ ...labels, operation, outcome }, duration / 1000)
    if (age !== undefined) this.#ages.observe({ ...labels, source: outcome }, age / 1000)
    if (reason !== undefined) this.#failures.inc({ ...labels, operation, reason })
  }

  #outcome(record: OutcomeRecord, labels: Labels): void {
    switch (record.type) {
      case 'down':
        this.#openings.inc({ ...labels, lane: record.lane, reason: record.reason ?? 'unknown' })
        break
      case 'queued':
        this.#queued.inc({ ...labels, operation: record.operation })
        break
      case 'replayed':
        this.#replayed.inc({ ...labels, operation: record.operation, outcome: record.outcome })
        break
      case 'dropped':
        this.#dropped.inc({ ...labels, operation: record.operation, reason: lossOf(record.reason) })
        break
      case 'conflict':
        this.#conflicts.inc({ ...labels, resolution: record.resolution, queued: String(record.queued) })
        break
      case 'revoked':
        this.#refused.inc({ ...labels, reason: record.reason, queued: String(record.queued) })
        break
      case 'restored':
        this.#restored.inc({ ...labels, queued: String(record.queued) })
        break
    }
  }
}

const families = new WeakMap<object, Map<string, Family>>()

function familyOf(
  client: Client,
  register: Registry | Registry<OpenMetricsContentType>,
  prefix: string,
  labelNames: readonly string[],
): Family {
  const known = families.get(register) ?? new Map<string, Family>()
  families.set(register, known)
  const family =
    known.get(prefix) ?? new Family(client, register as Registry, prefix, labelNames, () => known.delete(prefix))
  if (family.labelNames.length !== labelNames.length || !labelNames.every((name) => family.labelNames.includes(name))) {
    throw new TypeError(
      `option 'labels' must have the names of the other stores: ${family.labelNames.join(', ') || 'none'}`,
    )
  }
  known.set(prefix, family)
  return family
}

/** What is read from `health()` at each scrape. */
interface GaugeDefinition {
  readonly name: string
  readonly help: string
  readonly labels: readonly string[]
  /** How the workers of a Node cluster are taken together by prom-client's `AggregatorRegistry`. @default 'sum' */
  readonly aggregator?: Aggregator
  readonly read: (health: Health) => readonly (readonly [number, Labels])[]
}

const GAUGES: readonly GaugeDefinition[] = [
  {
    ...gauge('health', 'The store as a whole: 0 up, 1 degraded, 2 down', ({ status }) => STATUS.indexOf(status)),
    aggregator: 'max',
  },
  {
    name: 'lane_state',
    help: 'A circuit breaker: 0 closed (works), 1 half-open, 2 open',
    labels: ['lane', 'master'],
    aggregator: 'max',
    read: (health) =>
      serversOf(health).flatMap(([{ lanes }, master]) =>
        Object.entries(lanes).map(
          ([lane, { state }]: [string, LaneHealth]) => [LANE.indexOf(state), { lane, master }] as const,
        ),
      ),
  },
  {
    name: 'connected',
    help: 'Whether commands can be sent: 0 or 1',
    labels: ['master'],
    aggregator: 'min',
    read: (health) =>
      serversOf(health).map(([server, master]) => [flag(server.connection.state === 'ready'), { master }]),
  },
  gauge('cache_sessions', 'Sessions that are kept in memory', ({ cache }) => cache?.sessions),
  gauge('cache_bytes', 'Memory they take, two bytes a character', ({ cache }) => cache?.bytes),
  {
    ...gauge('near_active', 'Whether the near cache may serve: 0 or 1', ({ cache }) =>
      flag(cache?.near?.state === 'on'),
    ),
    aggregator: 'min',
  },
  {
    name: 'queue_writes',
    help: 'Writes that wait for Redis',
    labels: ['operation'],
    read: ({ queue }) => [
      [queue.saves, { operation: 'set' }],
      [queue.destroys, { operation: 'destroy' }],
    ],
  },
  gauge('queue_bytes', 'Memory that the saves among them take', ({ queue }) => queue.bytes),
  gauge('replaying', 'Whether they are being sent: 0 or 1', ({ queue }) => flag(queue.replaying)),
  gauge('revocations', 'Sessions that are remembered as destroyed', ({ revocations }) => revocations),
  gauge('in_flight', 'Operations under way', ({ inFlight }) => inFlight),
]

/** One without labels of its own. */
function gauge(name: string, help: string, read: (health: Health) => number | undefined): GaugeDefinition {
  return { ...{ name, help, labels: [] }, read: (health) => [[read(health) ?? 0, {}]] }
}

/** On Cluster each master by its address; otherwise the only server, with an empty one. */
function serversOf(health: Health): readonly (readonly [Pick<MasterHealth, 'lanes' | 'connection'>, string])[] {
  return health.masters?.map((server) => [server, server.master] as const) ?? [[health, '']]
}

function flag(value: boolean): 0 | 1 {
  return value ? 1 : 0
}

/** Why Redis did not do it is counted by `failures_total`; here one word for all of that keeps the series few. */
function lossOf(reason: DroppedRecord['reason']): string {
  return LOSSES.find((loss) => loss === reason) ?? 'down'
}

function checkLabels(labels: unknown): asserts labels is Labels {
  if (typeof labels !== 'object' || labels === null) {
    throw new TypeError(`option 'labels' must be an object, got ${labels === null ? 'null' : typeof labels}`)
  }
  for (const [name, value] of Object.entries(labels)) {
    if (!LABEL.test(name) || OWN_LABELS.has(name)) {
      throw new TypeError(`option 'labels' may not have the name '${name}': it must match ${LABEL}, and be free`)
    }
    if (typeof value !== 'string') throw new TypeError(`option 'labels.${name}' must be a string, got ${typeof value}`)
  }
}

async function loadClient(): Promise<Client> {
  try {
    return await import('prom-client')
  } catch (cause) {
    throw new Error("metrics need the package 'prom-client', which could not be loaded: npm install prom-client", {
      cause,
    })
  }
}

const OPERATIONS = `tracing:${OPERATION_CHANNEL}:asyncEnd`
const EVENTS: readonly (keyof StoreEvents)[] = [
  'down',
  'queued',
  'replayed',
  'dropped',
  'conflict',
  'revoked',
  'restored',
]
const STATUS: readonly Health['status'][] = ['up', 'degraded', 'down']
const LANE: readonly LaneHealth['state'][] = ['closed', 'half-open', 'open']
const LOSSES = ['expired', 'overflow', 'shutdown', 'revoked', 'conflict', 'key-unknown', 'error']
/** Seconds. */
const DURATIONS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
/** Seconds. */
const AGES = [0.1, 1, 5, 10, 30, 60, 300, 600, 3600]
const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/
const OWN_LABELS = new Set(['operation', 'outcome', 'source', 'reason', 'lane', 'master', 'resolution', 'queued', 'le'])
