import { AsyncLocalStorage } from 'node:async_hooks'
import { type Context, type ContextManager, context, ROOT_CONTEXT, SpanStatusCode } from '@opentelemetry/api'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import express from 'express'
import { expect, it } from 'vitest'
import { followSessions } from '../../../examples/opentelemetry.js'
import { listen } from '../../support/http.js'
import { until } from '../../support/wait.js'
import { afterThis, downError, load, readyStore, server, session, untilDown } from '../store-kit.js'

/** What the SDK for Node does: the active span travels with the asynchronous context. */
class AsyncContexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>()
  active = (): Context => this.#storage.getStore() ?? ROOT_CONTEXT
  with: ContextManager['with'] = (active, run, self, ...args) =>
    this.#storage.run(active, () => run.apply(self as never, args))
  bind = <T>(_: Context, target: T): T => target
  enable = (): this => this
  disable = (): this => this
}

function collector() {
  context.setGlobalContextManager(new AsyncContexts())
  const spans = new InMemorySpanExporter()
  const tracers = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] })
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const meters = new MeterProvider({ readers: [reader] })
  const tracer = tracers.getTracer('test')
  const stop = followSessions(tracer, meters.getMeter('test'))
  afterThis(async () => {
    stop()
    context.disable()
    await Promise.all([tracers.shutdown(), meters.shutdown()])
  })
  /** Attributes and number of each histogram point. */
  const points = async () => {
    exporter.reset()
    await meters.forceFlush()
    return exporter
      .getMetrics()
      .flatMap(({ scopeMetrics }) => scopeMetrics)
      .flatMap(({ metrics }) => metrics)
      .flatMap(({ descriptor, dataPoints }) =>
        dataPoints.map(({ attributes, value }) => ({ ...attributes, name: descriptor.name, ...(value as object) })),
      )
  }
  return { tracer, spans, points, stop }
}

it('each operation is a span of its request, with its outcome', async () => {
  const store = await readyStore(await server())
  await store.set('the-session-id', session({ secret: 'the-data' }))
  const { tracer, spans, points } = collector()
  const app = express()
  app.use((_req, res, next) =>
    tracer.startActiveSpan('request', (span) => {
      res.once('finish', () => span.end())
      next()
    }),
  )
  app.get('/', async (_req, res) => {
    await store.get('the-session-id')
    res.send('hello')
  })
  const listening = await listen(app)
  afterThis(() => listening.close())
  expect((await fetch(listening.url)).status).toBe(200)
  await until(() => spans.getFinishedSpans().length === 2)

  const [get, request] = spans.getFinishedSpans()
  expect(get).toMatchObject({
    name: 'session get',
    attributes: { 'db.system.name': 'redis', 'db.operation.name': 'get', 'session_store.outcome': 'ok' },
    status: { code: SpanStatusCode.UNSET },
    parentSpanContext: { spanId: request?.spanContext().spanId },
  })
  expect(await points()).toMatchObject([
    { name: 'session_store.operation.duration', 'db.operation.name': 'get', 'session_store.outcome': 'ok', count: 1 },
  ])
  const told = spans.getFinishedSpans().map(({ name, attributes, status }) => ({ name, attributes, status }))
  expect(JSON.stringify([told, await points()])).not.toMatch(/the-|sess:/)
})

it('while Redis is away: an error where the caller got one, an age where a copy was served', async () => {
  const redis = await server()
  const store = await readyStore(redis, { cache: true })
  await store.set('known', session())
  const { spans, stop } = collector()
  await redis.kill()
  await untilDown(store)
  await load(store, 'known')
  await downError(store.get('unknown'))
  stop()
  await downError(store.get('unknown'))

  const [stale, failed, ...rest] = spans.getFinishedSpans()
  expect(rest).toEqual([])
  expect(stale).toMatchObject({
    attributes: {
      'session_store.outcome': 'stale',
      'session_store.reason': 'circuit-open',
      'session_store.age_ms': expect.any(Number),
    },
    status: { code: SpanStatusCode.UNSET },
  })
  expect(failed).toMatchObject({
    attributes: { 'session_store.outcome': 'down' },
    status: { code: SpanStatusCode.ERROR, message: expect.stringContaining('circuit-open') },
  })
})
