import type { Attributes, AttributeValue } from '@opentelemetry/api'
import { fields } from './fields.ts'
import type { AttemptRecord, CostRecord, UsageRecord } from './usage.ts'

/** It was given up because another was quicker: it has not failed. */
export function wasOutrun({ outcome }: AttemptRecord, record: UsageRecord): boolean {
  return outcome === 'canceled' && record.outcome === 'ok'
}

/** Only of an answer that was streamed the first chunk is a time of its own. */
export function streamed(record: UsageRecord): boolean {
  return fields(record)?.stream === true
}

/** Unknown is left out. Set one by one, which takes a fifth of the time that spreading and filtering does. */
export function put(attributes: Attributes, name: string, value: AttributeValue | null | undefined): void {
  if (value !== null && value !== undefined) attributes[name] = value
}

/** With what is added to them. */
export function also(attributes: Attributes, name: string, value: AttributeValue | null): Attributes {
  return value === null ? attributes : { ...attributes, [name]: value }
}

/** What spans and metrics have in common. */
export function modelAttributes(attempt: AttemptRecord, record: UsageRecord): Attributes {
  const attributes: Attributes = {}
  attributes['gen_ai.operation.name'] = 'chat'
  attributes['gen_ai.provider.name'] = attempt.provider
  attributes['gen_ai.request.model'] = attempt.model
  // Only of the one that answered it is recorded who did.
  if (attempt.outcome === 'ok') put(attributes, 'gen_ai.response.model', record.model.served)
  return attributes
}

export function attemptAttributes(attempt: AttemptRecord, record: UsageRecord): Attributes {
  const { tokens, outcome, firstTokenMs } = attempt
  const attributes = modelAttributes(attempt, record)
  put(attributes, 'gen_ai.conversation.id', record.session)
  put(attributes, 'gen_ai.response.id', attempt.generationId)
  if (streamed(record)) {
    put(attributes, 'gen_ai.request.stream', true)
    put(attributes, 'gen_ai.response.time_to_first_chunk', firstTokenMs === null ? null : firstTokenMs / 1000)
  }
  put(attributes, 'gen_ai.usage.input_tokens', tokens.prompt)
  put(attributes, 'gen_ai.usage.cache_read.input_tokens', tokens.cachedPrompt)
  put(attributes, 'gen_ai.usage.cache_write.input_tokens', tokens.cacheWrite)
  put(attributes, 'gen_ai.usage.output_tokens', tokens.completion)
  put(attributes, 'gen_ai.usage.reasoning.output_tokens', tokens.reasoning)
  put(attributes, 'error.type', outcome === 'ok' || wasOutrun(attempt, record) ? null : outcome)
  put(attributes, 'http.response.status_code', attempt.status)
  put(attributes, 'modelfirst.call.id', record.id)
  put(attributes, 'modelfirst.task', record.task)
  put(attributes, 'modelfirst.outcome', outcome)
  put(attributes, 'modelfirst.host', attempt.host)
  putCost(attributes, attempt.cost)
  put(attributes, 'modelfirst.attempt.n', attempt.n)
  put(attributes, 'modelfirst.attempt.role', attempt.role)
  put(attributes, 'modelfirst.attempt.phase', attempt.phase)
  put(attributes, 'modelfirst.attempt.billed', attempt.billed)
  put(attributes, 'modelfirst.attempt.because', attempt.because)
  return attributes
}

export function callAttributes(record: UsageRecord, metadata: readonly string[]): Attributes {
  const { tokens, cache, latency, model, drift, outcome } = record
  const [first, ...others] = record.alternatives
  const cheapest = others.reduce((best, other) => (best && other.usd.low < best.usd.low ? other : best), first)
  const attributes: Attributes = {}
  put(attributes, 'modelfirst.call.id', record.id)
  put(attributes, 'modelfirst.task', record.task)
  put(attributes, 'modelfirst.outcome', outcome)
  put(attributes, 'error.type', outcome === 'ok' ? null : outcome)
  put(attributes, 'modelfirst.model.asked', model.asked || null)
  put(attributes, 'modelfirst.model.served', model.served)
  put(attributes, 'modelfirst.provider', record.provider)
  put(attributes, 'modelfirst.host', record.host)
  put(attributes, 'modelfirst.attempts', record.attempts.length)
  put(attributes, 'modelfirst.tokens.input', tokens.prompt)
  put(attributes, 'modelfirst.tokens.cache_read', tokens.cachedPrompt)
  put(attributes, 'modelfirst.tokens.cache_write', tokens.cacheWrite)
  put(attributes, 'modelfirst.tokens.output', tokens.completion)
  put(attributes, 'modelfirst.tokens.reasoning', tokens.reasoning)
  putCost(attributes, record.cost)
  put(attributes, 'modelfirst.cache.discount_usd', cache.discountUsd)
  put(attributes, 'modelfirst.cache.cold_usd', cache.coldUsd)
  put(attributes, 'modelfirst.premium.low_usd', cheapest?.premiumUsd.low)
  put(attributes, 'modelfirst.premium.high_usd', cheapest?.premiumUsd.high)
  put(attributes, 'modelfirst.first_token_ms', latency.firstTokenMs)
  put(attributes, 'modelfirst.queue_ms', latency.queueMs)
  put(attributes, 'modelfirst.tokens_per_second', latency.tokensPerSecond)
  put(attributes, 'modelfirst.session.hash', record.session)
  put(attributes, 'modelfirst.session.pin', record.pin)
  put(attributes, 'modelfirst.session.because', record.session === null ? null : record.pinBecause)
  if (drift.length > 0) attributes['modelfirst.drift'] = drift.map(({ kind }) => kind)
  for (const key of metadata) {
    if (Object.hasOwn(record.metadata, key)) put(attributes, `modelfirst.metadata.${key}`, record.metadata[key])
  }
  return attributes
}

function putCost(attributes: Attributes, { usd, low, high, source }: CostRecord): void {
  put(attributes, 'modelfirst.cost.usd', usd)
  put(attributes, 'modelfirst.cost.low_usd', low)
  put(attributes, 'modelfirst.cost.high_usd', high)
  put(attributes, 'modelfirst.cost.source', source)
}
