import { context, metrics, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'
import { createRouter, type UsageRecord } from 'modelfirst'
import { openTelemetry } from 'modelfirst/otel'
import { fail, ok, type Sandbox, slowFirstToken, startSandbox } from 'modelfirst/sandbox'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { importsOf, neighboursOf, sourcesIn } from '../laws/source.ts'
import { canaries, leaks } from '../support/canaries.ts'
import { attemptOf, recordOf, tokens } from './records.ts'
import { createTelemetry, millisOf, type Point, type Telemetry } from './telemetry.ts'

const AT = Date.UTC(2026, 2, 4, 5, 6, 7, 89)
const EXACT = { usd: 0.002, low: 0.002, high: 0.002, source: 'reported' } as const
const OPEN = { usd: null, low: 0, high: 0.05, source: 'bounded' } as const
const UNKNOWN = {
  prompt: null,
  cachedPrompt: null,
  cacheWrite: null,
  completion: null,
  reasoning: null,
  total: null,
} as const

let telemetry: Telemetry
let sandbox: Sandbox

beforeAll(async () => {
  sandbox = await startSandbox()
})
afterAll(() => sandbox.close())
beforeEach(() => {
  telemetry = createTelemetry()
  sandbox.reset()
})
afterEach(() => telemetry.close())

const sinkOf = (more: object = {}) => {
  const { tracerProvider, meterProvider } = telemetry
  return openTelemetry({ tracerProvider, meterProvider, ...more })
}

/** The span of the call, and those below it. */
function callSpans(): { call: ReadableSpan; attempts: readonly ReadableSpan[] } {
  const spans = telemetry.spans()
  const call = spans.find(({ name, kind }) => name.startsWith('modelfirst ') && kind === SpanKind.INTERNAL)
  if (call === undefined) throw new Error('no span of a call')
  const attempts = spans.filter(({ parentSpanContext }) => parentSpanContext?.spanId === call.spanContext().spanId)
  expect(attempts.length).toBe(spans.filter(({ kind }) => kind === SpanKind.CLIENT).length)
  return { call, attempts }
}

async function pointsOf(name: string): Promise<readonly Point[]> {
  return (await telemetry.metrics()).get(name)?.points ?? []
}

const sumOf = (points: readonly Point[]) => points.reduce((sum, { value }) => sum + value, 0)

/** Two that failed, one that was outrun, one that answered. */
const failedOver = recordOf({
  id: 'call_over',
  outcome: 'ok',
  model: { asked: 'openai/gpt-oss-20b', served: 'openai/gpt-oss-120b' },
  provider: 'steady',
  session: 'a-hash',
  pin: 'moved',
  pinBecause: 'its home failed',
  cost: { usd: null, low: 0.002, high: 0.052, source: 'bounded' },
  cache: { discountUsd: -0.0001, coldUsd: 0.0019, source: 'computed' },
  latency: { totalMs: 1250.5, firstTokenMs: 900, queueMs: 12, tokensPerSecond: 55 },
  drift: [
    { kind: 'host', planned: 'a', served: 'b' },
    { kind: 'price', planned: '$1', served: '$2' },
  ],
  alternatives: [
    { model: 'dear', provider: 'fast', host: null, usd: { low: 9, high: 9 }, premiumUsd: { low: -9, high: -8 } },
    {
      model: 'cheap',
      provider: 'fast',
      host: null,
      usd: { low: 0.001, high: 0.001 },
      premiumUsd: { low: 0.001, high: 0.051 },
    },
  ],
  metadata: { feature: 'support', secret: 'of the user' },
  attempts: [
    attemptOf({
      outcome: 'rate-limited',
      status: 429,
      durationMs: 20,
      firstTokenMs: null,
      tokens: { ...UNKNOWN, prompt: 0, completion: 0 },
      cost: { usd: 0, low: 0, high: 0, source: 'computed' },
      billed: 'no',
      generationId: null,
    }),
    attemptOf({
      n: 2,
      role: 'retry',
      outcome: 'canceled',
      status: null,
      startedMs: 220.25,
      durationMs: 1030,
      firstTokenMs: null,
      tokens: UNKNOWN,
      cost: OPEN,
      billed: 'maybe',
      generationId: null,
    }),
    attemptOf({
      n: 3,
      role: 'hedge',
      model: 'openai/gpt-oss-120b',
      provider: 'steady',
      host: 'Cerebras',
      startedMs: 720.25,
      durationMs: 530.25,
      firstTokenMs: 180,
      tokens: { ...tokens, reasoning: 5 },
      cost: EXACT,
      generationId: 'gen-9',
      because: 'the first is late',
    }),
  ],
})

describe('spans', () => {
  test('a call is a span, with its own names and times', () => {
    sinkOf({ metadata: ['feature', 'constructor', 'team'] })(failedOver)
    const { call } = callSpans()
    expect(call.name).toBe('modelfirst tag')
    expect(millisOf(call.startTime)).toBe(AT)
    expect(millisOf(call.endTime)).toBe(AT + 1250.5)
    expect(call.status.code).toBe(SpanStatusCode.UNSET)
    expect(call.attributes).toEqual({
      'modelfirst.call.id': 'call_over',
      'modelfirst.task': 'tag',
      'modelfirst.outcome': 'ok',
      'modelfirst.model.asked': 'openai/gpt-oss-20b',
      'modelfirst.model.served': 'openai/gpt-oss-120b',
      'modelfirst.provider': 'steady',
      'modelfirst.attempts': 3,
      'modelfirst.tokens.input': 100,
      'modelfirst.tokens.cache_read': 40,
      'modelfirst.tokens.cache_write': 0,
      'modelfirst.tokens.output': 20,
      'modelfirst.cost.low_usd': 0.002,
      'modelfirst.cost.high_usd': 0.052,
      'modelfirst.cost.source': 'bounded',
      'modelfirst.cache.discount_usd': -0.0001,
      'modelfirst.cache.cold_usd': 0.0019,
      'modelfirst.premium.low_usd': 0.001,
      'modelfirst.premium.high_usd': 0.051,
      'modelfirst.first_token_ms': 900,
      'modelfirst.queue_ms': 12,
      'modelfirst.tokens_per_second': 55,
      'modelfirst.session.hash': 'a-hash',
      'modelfirst.session.pin': 'moved',
      'modelfirst.session.because': 'its home failed',
      'modelfirst.drift': ['host', 'price'],
      'modelfirst.metadata.feature': 'support',
    })
  })

  test('each attempt is a span below it, after the conventions, with its own times', () => {
    sinkOf()(failedOver)
    const { attempts } = callSpans()
    expect(attempts.map(({ name }) => name)).toEqual([
      'chat openai/gpt-oss-20b',
      'chat openai/gpt-oss-20b',
      'chat openai/gpt-oss-120b',
    ])
    expect(attempts.map(({ startTime, endTime }) => [millisOf(startTime) - AT, millisOf(endTime) - AT])).toEqual([
      [0, 20],
      [220.25, 1250.25],
      [720.25, 1250.5],
    ])
    expect(attempts[2]?.attributes).toEqual({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'steady',
      'gen_ai.request.model': 'openai/gpt-oss-120b',
      'gen_ai.response.model': 'openai/gpt-oss-120b',
      'gen_ai.conversation.id': 'a-hash',
      'gen_ai.response.id': 'gen-9',
      'gen_ai.usage.input_tokens': 100,
      'gen_ai.usage.cache_read.input_tokens': 40,
      'gen_ai.usage.cache_write.input_tokens': 0,
      'gen_ai.usage.output_tokens': 20,
      'gen_ai.usage.reasoning.output_tokens': 5,
      'http.response.status_code': 200,
      'modelfirst.call.id': 'call_over',
      'modelfirst.task': 'tag',
      'modelfirst.outcome': 'ok',
      'modelfirst.host': 'Cerebras',
      'modelfirst.cost.usd': 0.002,
      'modelfirst.cost.low_usd': 0.002,
      'modelfirst.cost.high_usd': 0.002,
      'modelfirst.cost.source': 'reported',
      'modelfirst.attempt.n': 3,
      'modelfirst.attempt.role': 'hedge',
      'modelfirst.attempt.phase': 'done',
      'modelfirst.attempt.billed': 'yes',
      'modelfirst.attempt.because': 'the first is late',
    })
  })

  test('a failure is an error of its kind; one that was outrun is none', () => {
    sinkOf()(failedOver)
    const [limited, outrun, answered] = callSpans().attempts
    expect(limited?.status).toEqual({ code: SpanStatusCode.ERROR, message: 'the rate limit was reached' })
    expect(limited?.attributes['error.type']).toBe('rate-limited')
    for (const span of [outrun, answered]) {
      expect(span?.status.code).toBe(SpanStatusCode.UNSET)
      expect(span?.attributes).not.toHaveProperty('error.type')
    }
    expect(outrun?.attributes).toMatchObject({ 'modelfirst.outcome': 'canceled' })
  })

  test('a call that failed is an error, also when nothing was sent, or when its caller gave up', () => {
    const sink = sinkOf()
    sink(recordOf({ id: 'a', outcome: 'no-offer', attempts: [], provider: null, model: { asked: '', served: null } }))
    sink(recordOf({ id: 'b', outcome: 'canceled', attempts: [attemptOf({ outcome: 'canceled' })] }))
    const spans = telemetry.spans()
    expect(spans.map(({ status }) => status.code)).toEqual(Array(3).fill(SpanStatusCode.ERROR))
    expect(spans.map(({ attributes }) => attributes['error.type']).sort()).toEqual(['canceled', 'canceled', 'no-offer'])
  })

  test('what is unknown is left out, and 0 is not', () => {
    sinkOf()(failedOver)
    const [limited, outrun] = callSpans().attempts
    expect(limited?.attributes).toMatchObject({ 'gen_ai.usage.input_tokens': 0, 'gen_ai.usage.output_tokens': 0 })
    const names = Object.keys(outrun?.attributes ?? {})
    expect(names.filter((name) => /usage|response|cost\.usd/.test(name))).toEqual([])
    expect(Object.values(outrun?.attributes ?? {})).not.toContain(null)
  })

  test('only of a stream the first chunk has a time', async () => {
    const sink = sinkOf()
    sink(recordOf({ id: 'whole' }))
    sink(Object.assign(recordOf({ id: 'stream' }), { stream: true }))
    const times = telemetry
      .spans()
      .filter(({ kind }) => kind === SpanKind.CLIENT)
      .map(({ attributes }) => [attributes['gen_ai.request.stream'], attributes['gen_ai.response.time_to_first_chunk']])
    expect(times).toEqual([
      [undefined, undefined],
      [true, 0.04],
    ])
    const points = await pointsOf('gen_ai.client.operation.time_to_first_chunk')
    expect(points).toMatchObject([{ value: 0.04, count: 1 }])
  })

  test('a call from before this process began has its own times too', () => {
    sinkOf()(recordOf({ at: '1999-12-31T23:59:59.999Z' }))
    expect(millisOf(callSpans().call.startTime)).toBe(Date.UTC(1999, 11, 31, 23, 59, 59, 999))
  })
})

describe('metrics', () => {
  test('tokens, durations and money are counted by attempt, where they were used', async () => {
    sinkOf()(failedOver)
    const all = await telemetry.metrics()
    const unit = (name: string) => all.get(name)?.unit
    expect(unit('gen_ai.client.operation.duration')).toBe('s')
    expect(unit('gen_ai.client.inference.usage.input_tokens')).toBe('{token}')
    const durations = await pointsOf('gen_ai.client.operation.duration')
    expect(durations.map(({ value, count, attributes }) => [attributes['error.type'], value, count])).toEqual([
      ['rate-limited', 0.02, 1],
      ['canceled', 1.03, 1],
      [undefined, 0.53025, 1],
    ])
    expect(durations[0]?.boundaries?.slice(0, 3)).toEqual([0.01, 0.02, 0.04])
    const answered = {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'steady',
      'gen_ai.request.model': 'openai/gpt-oss-120b',
      'gen_ai.response.model': 'openai/gpt-oss-120b',
    }
    expect(durations[2]?.attributes).toEqual(answered)
    const used = (name: string) => pointsOf(`gen_ai.client.inference.usage.${name}`)
    const modal = { ...answered, 'gen_ai.token.modality': 'unknown' }
    expect(await used('input_tokens')).toContainEqual({ attributes: modal, value: 100, count: null, boundaries: null })
    expect([sumOf(await used('input_tokens')), sumOf(await used('output_tokens'))]).toEqual([100, 20])
    expect(await used('cache_read.input_tokens')).toMatchObject([{ attributes: modal, value: 40 }])
    expect(await used('cache_write.input_tokens')).toMatchObject([{ attributes: modal, value: 0 }])
    expect(await used('reasoning.output_tokens')).toMatchObject([{ attributes: modal, value: 5 }])
    const usage = await pointsOf('gen_ai.client.token.usage')
    expect(usage).toContainEqual({
      attributes: { ...answered, 'gen_ai.token.type': 'output' },
      value: 20,
      count: 1,
      boundaries: expect.arrayContaining([1, 4, 16, 67108864]),
    })
    const each = await pointsOf('gen_ai.client.inference.operation.input_tokens')
    // Of the one that was outrun nobody knows: it is not a 0 among them.
    expect(each.map(({ value, count }) => [value, count])).toEqual([
      [0, 1],
      [100, 1],
    ])
  })

  test('what is ours stands under our own names', async () => {
    const sink = sinkOf()
    sink(failedOver)
    sink(recordOf({ id: 'another' }))
    expect(sumOf(await pointsOf('modelfirst.cost.usd'))).toBeCloseTo(0.003, 12)
    expect(sumOf(await pointsOf('modelfirst.cost.unknown'))).toBe(1)
    expect(sumOf(await pointsOf('modelfirst.cache.discount_usd'))).toBeCloseTo(0.0001, 12)
    const roles = (await pointsOf('modelfirst.attempts')).map(({ attributes, value }) => [
      attributes['modelfirst.attempt.role'],
      attributes['error.type'] ?? 'ok',
      value,
    ])
    expect(roles).toEqual([
      ['first', 'rate-limited', 1],
      ['retry', 'canceled', 1],
      ['hedge', 'ok', 1],
      ['first', 'ok', 1],
    ])
    const drifts = (await pointsOf('modelfirst.drift')).map(({ attributes }) => attributes['modelfirst.drift'])
    expect(drifts).toEqual(['host', 'price'])
    expect(await pointsOf('modelfirst.call.duration')).toMatchObject([
      { value: 1.2505, count: 1, attributes: { 'modelfirst.task': 'tag', 'modelfirst.provider': 'steady' } },
      { value: 0.1, count: 1, attributes: { 'modelfirst.provider': 'fast' } },
    ])
  })

  test('a record that comes again, known better, puts the money right and counts nothing twice', async () => {
    const sink = sinkOf()
    const better: UsageRecord = {
      ...failedOver,
      attempts: failedOver.attempts.map((attempt) =>
        attempt.n === 2 ? { ...attempt, cost: { usd: 0.01, low: 0.01, high: 0.01, source: 'reported' } } : attempt,
      ),
    }
    for (const record of [failedOver, better, better]) sink(record)
    expect(telemetry.spans().length).toBe(4)
    expect(sumOf(await pointsOf('modelfirst.cost.usd'))).toBeCloseTo(0.012, 12)
    expect(sumOf(await pointsOf('modelfirst.cost.unknown'))).toBe(0)
    expect(sumOf(await pointsOf('modelfirst.attempts'))).toBe(3)
    expect(sumOf(await pointsOf('gen_ai.client.inference.usage.input_tokens'))).toBe(100)
  })
})

describe('with a router', () => {
  const policy = { model: 'openai/gpt-oss-20b', provider: ['groq', 'openrouter'] } as const

  test('a call is a child of the span that was active where it was made, failover and hedge included', async () => {
    const router = createRouter({
      providers: sandbox.providers(),
      tasks: { tag: policy, hedged: { ...policy, hedge: { afterMs: 50 } } },
      sinks: [sinkOf()],
    })
    const tracer = telemetry.tracerProvider.getTracer('test')
    const inSpan = (name: string, run: () => Promise<unknown>) =>
      tracer.startActiveSpan(name, async (span) => {
        await run()
        span.end()
      })
    sandbox.groq.script([fail(500)])
    await inSpan('web request', () => router.complete('tag', 'Hello'))
    await router.complete('tag', 'Hello')
    const request = telemetry.spans().find(({ name }) => name === 'web request')
    const calls = telemetry.spans().filter(({ name }) => name === 'modelfirst tag')
    expect(calls.map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual([
      request?.spanContext().spanId,
      undefined,
    ])
    const failed = telemetry.spans().filter(({ status }) => status.code === SpanStatusCode.ERROR)
    expect(failed.map(({ name, attributes }) => [name, attributes['error.type']])).toEqual([
      ['chat openai/gpt-oss-20b', 'server-error'],
    ])

    sandbox.groq.script([slowFirstToken(5000)])
    await inSpan('hedged request', () => router.complete('hedged', 'Hello'))
    const spans = telemetry.spans()
    const call = spans.find(({ name }) => name === 'modelfirst hedged')
    expect(call?.parentSpanContext?.spanId).toBe(
      spans.find(({ name }) => name === 'hedged request')?.spanContext().spanId,
    )
    const below = spans.filter(({ parentSpanContext }) => parentSpanContext?.spanId === call?.spanContext().spanId)
    expect(
      below.map(({ attributes, status }) => [
        attributes['modelfirst.attempt.role'],
        attributes['modelfirst.outcome'],
        status.code,
      ]),
    ).toEqual([
      ['first', 'canceled', SpanStatusCode.UNSET],
      ['hedge', 'ok', SpanStatusCode.UNSET],
    ])
    const [first, second] = below.map(({ startTime }) => millisOf(startTime))
    expect((second ?? 0) - (first ?? 0)).toBeGreaterThanOrEqual(45)
    expect(Math.abs(millisOf(call?.endTime ?? [0, 0]) - Date.now())).toBeLessThan(5000)
    await router.close()
  })

  test('a stream is a child of the span in which it is read', async () => {
    const router = createRouter({ providers: sandbox.providers(), tasks: { tag: policy }, sinks: [sinkOf()] })
    const tracer = telemetry.tracerProvider.getTracer('test')
    await tracer.startActiveSpan('reader', async (span) => {
      for await (const _ of router.stream('tag', 'Hello').text);
      span.end()
    })
    const reader = telemetry.spans().find(({ name }) => name === 'reader')
    expect(callSpans().call.parentSpanContext?.spanId).toBe(reader?.spanContext().spanId)
    await router.close()
  })

  test('nothing that was said, no key and no session id is in what is told', async () => {
    const secrets = canaries()
    const router = createRouter({
      providers: sandbox.providers(),
      tasks: { tag: policy },
      sinks: [sinkOf()],
    })
    sandbox.groq.script([fail(400, { message: `bad ${secrets.prompt}` }), ok(secrets.answer)])
    const messages = [
      { role: 'system' as const, content: secrets.system },
      { role: 'user' as const, content: secrets.prompt },
    ]
    const given = { session: secrets.session, metadata: { user: secrets.user }, request: { user: secrets.user } }
    await router.complete('tag', messages, given).catch(() => {})
    await router.complete('tag', messages, given)
    const told = telemetry.spans().map(({ name, attributes, status, events }) => ({ name, attributes, status, events }))
    expect(told.length).toBeGreaterThanOrEqual(4)
    const measured = [...(await telemetry.metrics()).values()]
    const known = { ...secrets, groqKey: sandbox.groq.apiKey, openrouterKey: sandbox.openrouter.apiKey }
    expect(leaks({ told, measured }, known)).toEqual([])
    await router.close()
  })
})

describe('what is registered for all', () => {
  test('is used by default, also when it is registered after the router was made', async () => {
    const sink = openTelemetry()
    trace.setGlobalTracerProvider(telemetry.tracerProvider)
    metrics.setGlobalMeterProvider(telemetry.meterProvider)
    try {
      sink(recordOf())
      expect(callSpans().attempts.length).toBe(1)
      expect(sumOf(await pointsOf('modelfirst.attempts'))).toBe(1)
    } finally {
      trace.disable()
      metrics.disable()
    }
  })

  test('need not be there', () => {
    context.disable()
    expect(openTelemetry()(failedOver)).toBeUndefined()
  })

  test('options that cannot be right are named', () => {
    expect(() => openTelemetry(JSON.parse('{"traces":1}'))).toThrow('openTelemetry.traces: unknown option')
    expect(() => openTelemetry(JSON.parse('{"metadata":"user"}'))).toThrow('expected a list of keys')
  })
})

test('whoever imports the root imports nothing of OpenTelemetry, nor of Node', () => {
  const sources = new Map(sourcesIn('src').map((source) => [source.path, source]))
  const reached = new Set<string>(['src/index.ts'])
  for (const path of reached) {
    const source = sources.get(path)
    for (const next of source === undefined ? [] : neighboursOf(source)) reached.add(next)
  }
  expect(reached.size).toBeGreaterThan(40)
  const foreign = [...reached].flatMap((path) => {
    const source = sources.get(path)
    return (source === undefined ? [] : importsOf(source)).filter(({ specifier }) =>
      /^(@opentelemetry|node:)/.test(specifier),
    )
  })
  expect(foreign).toEqual([])
})

test('telling takes little of a call', () => {
  const sink = sinkOf()
  const count = 5000
  const records = Array.from({ length: count }, (_, index) => ({ ...failedOver, id: `call_${index}` }))
  const began = performance.now()
  for (const record of records) sink(record)
  const each = ((performance.now() - began) / count) * 1000
  console.log(`openTelemetry: ${each.toFixed(0)} µs for a call of three attempts, four spans and the metrics included`)
  expect(each).toBeLessThan(5000)
})
