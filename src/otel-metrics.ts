import type { Attributes, Meter } from '@opentelemetry/api'
import { also, modelAttributes, put, streamed } from './otel-attributes.ts'
import type { AttemptRecord, Tokens, UsageRecord } from './usage.ts'

export type Instruments = ReturnType<typeof instrumentsOf>

const SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
const TOKENS = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864]

export function instrumentsOf(meter: Meter) {
  const seconds = (name: string, description: string) =>
    meter.createHistogram(name, { description, unit: 's', advice: { explicitBucketBoundaries: SECONDS } })
  const perAttempt = (name: string, description: string) =>
    meter.createHistogram(name, { description, unit: '{token}', advice: { explicitBucketBoundaries: TOKENS } })
  const used = (name: string, description: string) =>
    meter.createCounter(`gen_ai.client.inference.usage.${name}`, { description, unit: '{token}' })
  return {
    duration: seconds('gen_ai.client.operation.duration', 'GenAI operation duration.'),
    firstChunk: seconds('gen_ai.client.operation.time_to_first_chunk', 'Time to receive the first chunk.'),
    // The conventions have put the five counters and two histograms below in its place; dashboards still read it.
    tokenUsage: perAttempt('gen_ai.client.token.usage', 'Number of input and output tokens used.'),
    input: used('input_tokens', 'The number of input tokens used, including cached tokens.'),
    cacheRead: used('cache_read.input_tokens', 'The number of input tokens served from a cache of the provider.'),
    cacheWrite: used('cache_write.input_tokens', 'The number of input tokens written to a cache of the provider.'),
    output: used('output_tokens', 'The number of output tokens used, including reasoning tokens.'),
    reasoning: used('reasoning.output_tokens', 'The number of output tokens used for reasoning.'),
    inputEach: perAttempt('gen_ai.client.inference.operation.input_tokens', 'Input tokens used per operation.'),
    outputEach: perAttempt('gen_ai.client.inference.operation.output_tokens', 'Output tokens used per operation.'),
    callDuration: seconds('modelfirst.call.duration', 'How long a call took, all its attempts included.'),
    attempts: meter.createCounter('modelfirst.attempts', { description: 'Attempts made.', unit: '{attempt}' }),
    cost: meter.createCounter('modelfirst.cost.usd', { description: 'Cost that is known exactly.', unit: '{USD}' }),
    openCost: meter.createUpDownCounter('modelfirst.cost.unknown', {
      description: 'Attempts whose cost is not known exactly.',
      unit: '{attempt}',
    }),
    discount: meter.createUpDownCounter('modelfirst.cache.discount_usd', {
      description: 'Saved by reading from caches, less what was paid for writing to them.',
      unit: '{USD}',
    }),
    drift: meter.createCounter('modelfirst.drift', {
      description: 'Calls that were served otherwise than planned.',
      unit: '{call}',
    }),
  }
}

export function measure(record: UsageRecord, to: Instruments): void {
  const { task, outcome, cache, latency } = record
  const call: Attributes = { 'modelfirst.task': task }
  put(call, 'modelfirst.model', record.model.served)
  put(call, 'modelfirst.provider', record.provider)
  to.callDuration.record(latency.totalMs / 1000, also(call, 'error.type', outcome === 'ok' ? null : outcome))
  if (cache.discountUsd !== null) to.discount.add(cache.discountUsd, call)
  for (const { kind } of record.drift) to.drift.add(1, also(call, 'modelfirst.drift', kind))
  for (const attempt of record.attempts) {
    const { cost, firstTokenMs } = attempt
    const model = modelAttributes(attempt, record)
    // Also of one that was outrun: how long it took says nothing of how long an answer takes.
    const ended = also(model, 'error.type', attempt.outcome === 'ok' ? null : attempt.outcome)
    to.duration.record(attempt.durationMs / 1000, ended)
    if (streamed(record) && firstTokenMs !== null) to.firstChunk.record(firstTokenMs / 1000, model)
    measureTokens(attempt.tokens, { model, ended }, to)
    to.attempts.add(1, { 'modelfirst.task': task, 'modelfirst.attempt.role': attempt.role, ...ended })
    if (cost.usd === null) to.openCost.add(1, costedBy(attempt, record))
    else to.cost.add(cost.usd, also(costedBy(attempt, record), 'modelfirst.cost.source', cost.source))
  }
}

function measureTokens(tokens: Tokens, about: { model: Attributes; ended: Attributes }, to: Instruments): void {
  const { prompt, cachedPrompt, cacheWrite, completion, reasoning } = tokens
  // Text, sound and pictures are not told apart in what is recorded.
  const used = also(about.model, 'gen_ai.token.modality', 'unknown')
  if (prompt !== null) {
    to.input.add(prompt, used)
    to.inputEach.record(prompt, about.ended)
    to.tokenUsage.record(prompt, also(about.model, 'gen_ai.token.type', 'input'))
  }
  if (completion !== null) {
    to.output.add(completion, used)
    to.outputEach.record(completion, about.ended)
    to.tokenUsage.record(completion, also(about.model, 'gen_ai.token.type', 'output'))
  }
  if (cachedPrompt !== null) to.cacheRead.add(cachedPrompt, used)
  if (cacheWrite !== null) to.cacheWrite.add(cacheWrite, used)
  if (reasoning !== null) to.reasoning.add(reasoning, used)
}

/** Without the model that served: it may be known later than the cost, or never. */
function costedBy({ provider, model }: AttemptRecord, { task }: UsageRecord): Attributes {
  return { 'modelfirst.task': task, 'gen_ai.provider.name': provider, 'gen_ai.request.model': model }
}

/** Known better than the first time: counters only go up, so a figure that was exact stays as it was. */
export function measureAgain(record: UsageRecord, open: ReadonlySet<number>, to: Instruments): void {
  for (const attempt of record.attempts) {
    const { cost, n } = attempt
    if (cost.usd === null || !open.has(n)) continue
    const about = costedBy(attempt, record)
    to.cost.add(cost.usd, also(about, 'modelfirst.cost.source', cost.source))
    to.openCost.add(-1, about)
  }
}
