import type { Finish } from './chat.ts'
import { type Fields, fields, list } from './fields.ts'
import type { UsageRecord } from './usage.ts'

/** OpenAI's word for why an answer ended. */
export const FINISH: Readonly<Record<Finish['reason'], string>> = Object.freeze({
  stop: 'stop',
  length: 'length',
  'tool-calls': 'tool_calls',
  'content-filter': 'content_filter',
  unknown: 'stop',
})

/**
 * OpenAI's names, and OpenRouter's for what OpenAI does not tell. `null` where nobody counted: clients that check what
 * they read would rather throw the whole answer away than read one without a count.
 */
export function usageOf({ tokens, cost, cache, attempts }: UsageRecord, body: unknown): object | null {
  // What an attempt used that failed may be unknown, and with it the sum: then it is the answer's own counts that are told.
  const answered = tokens.total === null ? attempts.findLast(({ outcome }) => outcome === 'ok') : undefined
  const { prompt, completion, total, cachedPrompt, cacheWrite, reasoning } = answered?.tokens ?? tokens
  if (prompt === null || completion === null || total === null) return null
  const details = attempts.length === 1 ? costDetails(body) : null
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: total,
    ...(cost.usd !== null && { cost: cost.usd }),
    ...(details !== null && cost.usd !== null && { cost_details: details }),
    ...(cache.discountUsd !== null && { cache_discount: cache.discountUsd }),
    prompt_tokens_details: {
      ...(cachedPrompt !== null && { cached_tokens: cachedPrompt }),
      ...(cacheWrite !== null && { cache_write_tokens: cacheWrite }),
    },
    completion_tokens_details: { ...(reasoning !== null && { reasoning_tokens: reasoning }) },
  }
}

/** Who served it, as OpenRouter names it: the host, where an aggregator stands in between. */
export function servedBy({ provider, host }: { readonly provider: string; readonly host: string | null }): string {
  return host ?? provider
}

/** The first choice of a provider's body. */
export function choiceOf(body: unknown): Fields {
  return list(fields(body)?.choices)[0] ?? NOTHING
}

const NOTHING: Fields = Object.freeze({})

/** As the provider told them: those of several attempts are told apart by nobody. Clients expect both parts or none. */
function costDetails(body: unknown): object | null {
  const told = fields(fields(fields(body)?.usage)?.cost_details)
  if (told === undefined) return null
  const { upstream_inference_prompt_cost: prompt, upstream_inference_completions_cost: completion } = told
  return typeof prompt === 'number' && typeof completion === 'number' ? told : null
}
