import type { Clock } from '../clock.ts'
import type { Charge, Tokens } from './charge.ts'
import { number } from './decimal.ts'
import { fieldsOf, textOf } from './json.ts'
import { nativeFinish } from './openrouter-answer.ts'
import type { Ending, Job } from './vendor.ts'

export interface Generations {
  add(job: Job, ending: Ending, tokens: Tokens, charge: Charge): void
  /** The record, once it is there: OpenRouter's look-up lags behind the answer. */
  find(id: string): object | undefined
  clear(): void
}

interface Kept {
  readonly from: number
  readonly record: () => object
}

const KEEP = 10_000

export function createGenerations(clock: Clock, delayMs: number): Generations {
  const kept = new Map<string, Kept>()
  return {
    add(job, ending, tokens, charge) {
      const created = new Date(clock.date()).toISOString()
      kept.set(job.id, {
        from: clock.now() + delayMs,
        // Most are never asked for.
        record: () => recordOf(job, { ending, tokens, charge, created }),
      })
      const oldest = kept.keys().next()
      if (kept.size > KEEP && oldest.done === false) kept.delete(oldest.value)
    },
    find(id) {
      const found = kept.get(id)
      return found === undefined || clock.now() < found.from ? undefined : found.record()
    },
    clear: () => kept.clear(),
  }
}

interface Closed {
  readonly ending: Ending
  readonly tokens: Tokens
  readonly charge: Charge
  readonly created: string
}

function recordOf(job: Job, { ending, tokens, charge, created }: Closed): object {
  const byok = job.extras.byok === true
  const cost = number(charge.total)
  const whole = ending === 'whole'
  return {
    id: job.id,
    request_id: null,
    upstream_id: `up-${job.id.slice(4)}`,
    session_id: textOf(job.extras.session) ?? null,
    created_at: created,
    model: job.model,
    provider_name: job.hostName,
    router: textOf(job.extras.router) ?? null,
    api_type: 'completions',
    streamed: job.stream,
    cancelled: typeof ending === 'object',
    finish_reason: whole ? job.reply.finish : null,
    native_finish_reason: whole ? nativeFinish(job) : null,
    is_byok: byok,
    usage: byok ? 0 : cost,
    total_cost: byok ? 0 : cost,
    // Positive: saved by reading. Negative: paid for writing.
    cache_discount: charge.discount === 0n ? null : number(charge.discount),
    upstream_inference_cost: byok ? cost : 0,
    tokens_prompt: tokens.prompt,
    tokens_completion: tokens.completion,
    native_tokens_prompt: tokens.prompt,
    native_tokens_completion: tokens.completion,
    native_tokens_reasoning: tokens.reasoning,
    native_tokens_cached: tokens.cached,
    native_tokens_completion_images: 0,
    num_media_prompt: job.prompt.images === 0 ? null : job.prompt.images,
    num_media_completion: 0,
    num_input_audio_prompt: null,
    num_search_results: null,
    num_fetches: null,
    latency: 350,
    moderation_latency: null,
    generation_time: 10 * tokens.completion,
    service_tier: textOf(job.extras.tier) ?? null,
    data_region: 'global',
    app_id: null,
    origin: '',
    http_referer: null,
    user_agent: null,
    external_user: textOf(job.body.user) ?? null,
    preset_id: null,
    workspace_id: null,
    web_search_engine: null,
    response_cache_source_id: null,
    provider_responses: fieldsOf(job.extras.trail).list ?? null,
  }
}
