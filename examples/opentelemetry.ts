// Spans and a histogram of OpenTelemetry for each session operation, of every store in the process. Call it once, after
// the SDK was set up:
//
//   import { metrics, trace } from '@opentelemetry/api'
//   followSessions(trace.getTracer('sessions'), metrics.getMeter('sessions'))
//
// A span is a child of whatever was active where the store was called: the request, under an HTTP instrumentation. None
// of it holds a session id.
import { tracingChannel } from 'node:diagnostics_channel'
import { type Meter, type Span, SpanKind, SpanStatusCode, type Tracer } from '@opentelemetry/api'
import { OPERATION_CHANNEL, type OperationRecord } from 'resilient-session-store'

/** @returns a function that ends it */
export function followSessions(tracer: Tracer, meter: Meter): () => void {
  const { start, asyncEnd } = tracingChannel<OperationRecord>(OPERATION_CHANNEL)
  const durations = meter.createHistogram('session_store.operation.duration', {
    description: 'Session operations, from call to answer',
    unit: 's',
  })
  /** The same record comes with every step of an operation. */
  const spans = new WeakMap<object, Span>()

  const begin = (message: unknown): void => {
    const record = message as OperationRecord
    const attributes = { 'db.system.name': 'redis', 'db.operation.name': record.operation }
    spans.set(record, tracer.startSpan(`session ${record.operation}`, { kind: SpanKind.CLIENT, attributes }))
  }
  const end = (message: unknown): void => {
    const record = message as OperationRecord
    const { operation, outcome = 'error', reason, age, duration = 0, error } = record
    const found = {
      'session_store.outcome': outcome,
      ...(reason !== undefined && { 'session_store.reason': reason }),
    }
    durations.record(duration / 1000, { 'db.operation.name': operation, ...found })
    const span = spans.get(record)
    if (span === undefined) return
    span.setAttributes({ ...found, ...(age !== undefined && { 'session_store.age_ms': age }) })
    if (error !== undefined || outcome === 'error') {
      span.setStatus({ code: SpanStatusCode.ERROR, ...(error && { message: error.message }) })
    }
    span.end()
  }
  start.subscribe(begin)
  asyncEnd.subscribe(end)
  return () => {
    start.unsubscribe(begin)
    asyncEnd.unsubscribe(end)
  }
}
