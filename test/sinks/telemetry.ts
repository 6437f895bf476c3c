import { context, type HrTime } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'

/** A number of a metric, and what it is of. */
export interface Point {
  readonly attributes: Readonly<Record<string, unknown>>
  /** A sum; of a histogram, its sum. */
  readonly value: number
  readonly count: number | null
  readonly boundaries: readonly number[] | null
}

export interface Telemetry {
  readonly tracerProvider: BasicTracerProvider
  readonly meterProvider: MeterProvider
  /** In the order in which they began. */
  spans(): readonly ReadableSpan[]
  metrics(): Promise<ReadonlyMap<string, { readonly unit: string; readonly points: readonly Point[] }>>
  close(): Promise<void>
}

/** The real SDK, with exporters that keep what they are given. */
export function createTelemetry(): Telemetry {
  const spanExporter = new InMemorySpanExporter()
  const metricExporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter: metricExporter, exportIntervalMillis: 3_600_000 })
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spanExporter)] })
  const meterProvider = new MeterProvider({ readers: [reader] })
  const contextManager = new AsyncLocalStorageContextManager().enable()
  context.setGlobalContextManager(contextManager)
  return {
    tracerProvider,
    meterProvider,
    spans: () => [...spanExporter.getFinishedSpans()].sort((one, other) => compare(one.startTime, other.startTime)),
    async metrics() {
      metricExporter.reset()
      await reader.forceFlush()
      const found = metricExporter
        .getMetrics()
        .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
      return new Map(
        found.map(({ descriptor, dataPoints }) => [
          descriptor.name,
          { unit: descriptor.unit, points: dataPoints.map(pointOf) },
        ]),
      )
    },
    async close() {
      context.disable()
      await Promise.all([tracerProvider.shutdown(), meterProvider.shutdown()])
    },
  }
}

function pointOf({ attributes, value }: { attributes: object; value: unknown }): Point {
  const plain = { ...attributes }
  if (typeof value === 'number') return { attributes: plain, value, count: null, boundaries: null }
  if (!isHistogram(value)) throw new Error('a point of another kind')
  return { attributes: plain, value: value.sum, count: value.count, boundaries: value.buckets.boundaries }
}

function isHistogram(
  value: unknown,
): value is { readonly sum: number; readonly count: number; readonly buckets: { readonly boundaries: number[] } } {
  return typeof value === 'object' && value !== null && 'sum' in value && 'count' in value && 'buckets' in value
}

export function millisOf([seconds, nanos]: HrTime): number {
  return seconds * 1000 + nanos / 1e6
}

function compare(one: HrTime, other: HrTime): number {
  return one[0] - other[0] || one[1] - other[1]
}
