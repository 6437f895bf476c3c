import type { ListedModel } from '../listing.ts'
import type { PriceList } from '../price.ts'
import { decimal, femto, perToken } from './decimal.ts'
import type { Host } from './hosts.ts'
import { speedOf } from './routing.ts'

/** A row of `GET /models`. */
export function modelRow(model: ListedModel): object {
  const input = model.input ?? ['text']
  const output = model.output ?? ['text']
  const reasons = model.abilities?.includes('reasoning') === true
  return {
    id: model.id,
    canonical_slug: model.aliases?.[0] ?? model.id,
    hugging_face_id: null,
    name: model.name ?? model.id,
    created: model.released === undefined ? 0 : Math.floor(Date.parse(model.released) / 1000),
    description: '',
    context_length: model.context ?? null,
    architecture: {
      modality: `${input.join('+')}->${output.join('+')}`,
      input_modalities: input,
      output_modalities: output,
      tokenizer: 'Other',
      instruct_type: null,
    },
    pricing: pricing(model.prices),
    top_provider: {
      context_length: model.context ?? null,
      max_completion_tokens: model.maxOutput ?? null,
      is_moderated: false,
    },
    per_request_limits: null,
    supported_parameters: parametersOf(model),
    default_parameters: {
      temperature: null,
      top_p: null,
      top_k: null,
      frequency_penalty: null,
      presence_penalty: null,
      repetition_penalty: null,
    },
    supported_voices: null,
    knowledge_cutoff: null,
    expiration_date: model.retires ?? null,
    links: { details: `/api/v1/models/${model.id}/endpoints` },
    ...(reasons && {
      reasoning: { mandatory: false, supported_efforts: ['high', 'medium', 'low'], default_effort: 'medium' },
    }),
  }
}

/** A row of `GET /models/:author/:slug/endpoints`. */
export function endpointRow(model: ListedModel, host: Host): object {
  const { throughput, latency } = speedOf(host)
  const around = (middle: number, ascending: boolean) => {
    const factors = ascending ? [1, 1.4, 2, 3] : [1, 0.8, 0.6, 0.4]
    const [p50 = 1, p75 = 1, p90 = 1, p99 = 1] = factors.map((factor) => Math.round(middle * factor))
    return { p50, p75, p90, p99 }
  }
  return {
    name: `${host.name} | ${model.id}`,
    model_id: model.id,
    model_name: model.name ?? model.id,
    context_length: host.context ?? model.context ?? null,
    pricing: pricing(host.prices),
    provider_name: host.name,
    tag: host.host,
    quantization: host.quantization ?? 'unknown',
    max_completion_tokens: host.maxOutput ?? model.maxOutput ?? null,
    max_prompt_tokens: null,
    supported_parameters: host.parameters ?? parametersOf(model),
    status: 0,
    uptime_last_5m: 100,
    uptime_last_30m: 99.98,
    uptime_last_1d: 99.9,
    supports_implicit_caching: host.implicitCaching ?? host.prices.cachedInput !== undefined,
    supports_voice_cloning: false,
    latency_last_30m: around(latency, true),
    throughput_last_30m: around(throughput, false),
  }
}

function parametersOf(model: ListedModel): readonly string[] {
  if (model.parameters !== undefined) return model.parameters
  const can = (ability: string) => model.abilities?.some((known) => known === ability) ?? false
  return [
    ...(can('reasoning') ? ['include_reasoning', 'reasoning'] : []),
    'max_tokens',
    ...(can('json') ? ['response_format'] : []),
    'seed',
    'stop',
    ...(can('schema') ? ['structured_outputs'] : []),
    'temperature',
    ...(can('tools') ? ['tool_choice', 'tools'] : []),
    'top_p',
  ]
}

function pricing(prices: PriceList | undefined): object {
  if (prices === undefined) return { prompt: '-1', completion: '-1' }
  const { tiers, ...base } = prices
  return {
    ...keyed(base),
    ...(tiers !== undefined && {
      overrides: tiers.map(({ abovePromptTokens, fromUtc, untilUtc, ...changed }) => ({
        ...(abovePromptTokens !== undefined && { min_prompt_tokens: abovePromptTokens }),
        ...(fromUtc !== undefined && { utc_start: fromUtc }),
        ...(untilUtc !== undefined && { utc_end: untilUtc }),
        ...keyed(changed),
      })),
    }),
  }
}

const NAMES = {
  input: 'prompt',
  output: 'completion',
  cachedInput: 'input_cache_read',
  cacheWrite: 'input_cache_write',
  cacheWrite1h: 'input_cache_write_1h',
  reasoning: 'internal_reasoning',
  audioInput: 'audio',
} as const
const PER_UNIT = { request: 'request', image: 'image', webSearch: 'web_search' } as const

function keyed(prices: Partial<PriceList>): Readonly<Record<string, string>> {
  const named: Record<string, string> = {}
  for (const key of [
    'input',
    'output',
    'cachedInput',
    'cacheWrite',
    'cacheWrite1h',
    'reasoning',
    'audioInput',
  ] as const) {
    const price = prices[key]
    if (price !== undefined) named[NAMES[key]] = decimal(perToken(price))
  }
  for (const key of ['request', 'image', 'webSearch'] as const) {
    const price = prices[key]
    if (price !== undefined) named[PER_UNIT[key]] = decimal(femto(price))
  }
  return named
}

/** What a key may still spend. */
export function keyOf(usage: number, credits: number | undefined): object {
  return {
    label: 'sk-or-v1-sandbox',
    limit: credits ?? null,
    limit_remaining: credits === undefined ? null : credits - usage,
    limit_reset: null,
    usage,
    usage_daily: usage,
    usage_weekly: usage,
    usage_monthly: usage,
    byok_usage: 0,
    byok_usage_daily: 0,
    byok_usage_weekly: 0,
    byok_usage_monthly: 0,
    include_byok_in_limit: false,
    is_free_tier: false,
    is_management_key: false,
    is_provisioning_key: false,
    creator_user_id: null,
    expires_at: null,
    rate_limit: { requests: -1, interval: '10s', note: 'This field is deprecated and safe to ignore.' },
  }
}
