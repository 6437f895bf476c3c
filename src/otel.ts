import {
  type Context,
  context,
  type HrTime,
  type Meter,
  type MeterProvider,
  metrics,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  type TracerProvider,
  trace,
} from '@opentelemetry/api'
import { keep } from './bounded.ts'
import { dateOf } from './clock.ts'
import { type FailureKind, VERDICTS } from './failure.ts'
import { A_STRING, AN_OBJECT, checkOptions, type Expectation, expected } from './options.ts'
import { attemptAttributes, callAttributes, wasOutrun } from './otel-attributes.ts'
import { type Instruments, instrumentsOf, measure, measureAgain } from './otel-metrics.ts'
import type { Sink } from './sinks.ts'
import type { AttemptRecord, UsageRecord } from './usage.ts'

export interface OpenTelemetryOptions {
  /** Default: `modelfirst` of `tracerProvider`, or of the provider that is registered for all. */
  readonly tracer?: Tracer
  readonly meter?: Meter
  readonly tracerProvider?: TracerProvider
  readonly meterProvider?: MeterProvider
  /** Which keys of a call's metadata become attributes of its span, as `modelfirst.metadata.<key>` (none). */
  readonly metadata?: readonly string[]
}

const KNOWN: Readonly<Record<string, Expectation>> = {
  tracer: AN_OBJECT,
  meter: AN_OBJECT,
  tracerProvider: AN_OBJECT,
  meterProvider: AN_OBJECT,
  metadata: expected('a list of keys', (value) => Array.isArray(value) && value.every(A_STRING.holds)),
}

const NAME = 'modelfirst'
const MOST_REMEMBERED = 10_000

/**
 * Tells OpenTelemetry of every call, after the GenAI semantic conventions (Development, autumn 2026).
 *
 * A call is a span of kind INTERNAL, `modelfirst <task>`, with its own sums under `modelfirst.*`. Each of its attempts is
 * a span below it of kind CLIENT, `chat <model>`, with the `gen_ai.*` attributes and its own times: what was used and paid
 * stands under `gen_ai.usage.*` once, where it was used, and so a sum over spans is right, failed and hedged attempts
 * included. The metrics count attempts in the same way.
 *
 * The call's span is a child of the span that was active where the call was made; of a stream, where it is read. Spans
 * are made when the call is over: what HTTP instrumentation records is beside them, not below them.
 *
 * What is unknown is left out, where the conventions would have a 0. No prompt, answer, key or session id is in it.
 *
 * @example
 * ```ts no-run
 * import { createRouter } from 'modelfirst'
 * import { openTelemetry } from 'modelfirst/otel'
 *
 * const router = createRouter({ tasks, sinks: [openTelemetry()] })
 * ```
 */
export function openTelemetry(options: OpenTelemetryOptions = {}): Sink {
  checkOptions(options, { of: 'openTelemetry', says: 'an object such as { tracerProvider }', known: KNOWN })
  const { tracerProvider = trace, meterProvider = metrics, metadata = [] } = options
  const tracer = options.tracer ?? tracerProvider.getTracer(NAME)
  /** Calls by id, with the attempts whose cost was not known exactly. */
  const seen = new Map<string, ReadonlySet<number>>()
  let instruments: Instruments | null = null
  return (record) => {
    // Not before there is something to measure: what is asked of the registered provider before one is, is lost.
    instruments ??= instrumentsOf(options.meter ?? meterProvider.getMeter(NAME))
    const before = seen.get(record.id)
    const open = record.attempts.filter(({ cost }) => cost.usd === null).map(({ n }) => n)
    keep(seen, MOST_REMEMBERED, record.id, new Set(open))
    if (before === undefined) {
      traceCall(record, tracer, metadata)
      measure(record, instruments)
    } else {
      // Known better than the first time: its spans are gone, and only the money can still be put right.
      measureAgain(record, before, instruments)
    }
  }
}

function traceCall(record: UsageRecord, tracer: Tracer, metadata: readonly string[]): void {
  const began = dateOf(record.at)
  // A sink that does not make anybody wait is called where the call was made.
  const around = context.active()
  const { totalMs } = record.latency
  const span = tracer.startSpan(
    `${NAME} ${record.task}`,
    { kind: SpanKind.INTERNAL, startTime: timeOf(began, 0), attributes: callAttributes(record, metadata) },
    around,
  )
  const inside = trace.setSpan(around, span)
  for (const attempt of record.attempts) traceAttempt(attempt, { record, began, inside, tracer })
  if (record.outcome !== 'ok') span.setStatus(failed(record.outcome))
  span.end(timeOf(began, totalMs))
}

function traceAttempt(
  attempt: AttemptRecord,
  { record, began, inside, tracer }: { record: UsageRecord; began: number; inside: Context; tracer: Tracer },
): void {
  const { outcome, startedMs, durationMs } = attempt
  const attributes = attemptAttributes(attempt, record)
  const startTime = timeOf(began, startedMs)
  const span = tracer.startSpan(`chat ${attempt.model}`, { kind: SpanKind.CLIENT, startTime, attributes }, inside)
  if (outcome !== 'ok' && !wasOutrun(attempt, record)) span.setStatus(failed(outcome))
  span.end(timeOf(began, startedMs + durationMs))
}

function failed(kind: FailureKind) {
  return { code: SpanStatusCode.ERROR, message: VERDICTS[kind].says }
}

/** In two numbers, as the exact form is: a plain number may be taken for a time since the process began. */
function timeOf(began: number, milliseconds: number): HrTime {
  const nanos = BigInt(began) * 1_000_000n + BigInt(Math.round(milliseconds * 1e6))
  return [Number(nanos / 1_000_000_000n), Number(nanos % 1_000_000_000n)]
}
