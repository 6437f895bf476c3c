import { amount, count, fields, isFields, string } from '../fields.ts'
import type { Generation } from './dialect.ts'
import { hostOf } from './openrouter-hosts.ts'

/** OpenRouter's own record of a generation, `GET /generation`: what was billed, by the host's own tokens. */
export function readGeneration(body: unknown): Generation | null {
  const data = isFields(body) ? fields(body.data) : undefined
  if (data === undefined || string(data.id) === null) return null
  const cost = amount(data.total_cost) ?? amount(data.usage)
  // Only with the caller's own key at the host is the host's bill a second one.
  const upstream = data.is_byok === true ? amount(data.upstream_inference_cost) : 0
  const host = string(data.provider_name)
  const discount = data.cache_discount
  return {
    usd: cost === null || upstream === null ? null : cost + upstream,
    discountUsd: typeof discount === 'number' && Number.isFinite(discount) ? discount : null,
    host: host === null ? null : hostOf(host),
    prompt: count(data.native_tokens_prompt),
    cachedPrompt: count(data.native_tokens_cached),
    completion: count(data.native_tokens_completion),
    reasoning: count(data.native_tokens_reasoning),
  }
}
