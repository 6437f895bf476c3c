import type { Clock } from '../clock.ts'
import type { ListedModel } from '../listing.ts'
import type { Till } from './bill.ts'
import type { Book } from './book.ts'
import { type Caching, createPromptCache } from './cache.ts'
import { charge } from './charge.ts'
import { decimal, perToken } from './decimal.ts'
import { framesOfGroq, jsonOfGroq } from './groq-answer.ts'
import { failureOfGroq } from './groq-failures.ts'
import { faultForModel, faultOfRequest, refuse } from './groq-rules.ts'
import { createIdentity } from './identity.ts'
import { type Fields, numberOf, textOf } from './json.ts'
import { createRateLimits, GENEROUS, type GroqLimits } from './limits.ts'
import { readPrompt } from './prompt.ts'
import { makeReply } from './reply.ts'
import { type Plain, settled, type Vendor } from './vendor.ts'

export interface GroqVendorOptions {
  readonly book: Book
  readonly clock: Clock
  /** The day that retirement dates are compared with; left out: the clock's. */
  readonly today: string | undefined
  readonly seed: number
  readonly till: Till
  readonly limits: GroqLimits | undefined
}

/** Blocks of 128 tokens, kept for two hours without use; only models with a cached price have them. */
const CACHING: Caching = { kind: 'implicit', block: 128, least: 128, ttlMs: 7_200_000, billsWrites: false }
const NO_CACHING: Caching = { kind: 'none' }
/** Gone before any catalogue that still lists them. */
const LONG_GONE = new Set(
  (
    'llama3-70b-8192 llama3-8b-8192 gemma2-9b-it mixtral-8x7b-32768 playai-tts qwen-qwq-32b mistral-saba-24b ' +
    'deepseek-r1-distill-llama-70b groq/compound groq/compound-mini qwen/qwen3-32b moonshotai/kimi-k2-instruct ' +
    'moonshotai/kimi-k2-instruct-0905 meta-llama/llama-4-maverick-17b-128e-instruct ' +
    'meta-llama/llama-4-scout-17b-16e-instruct meta-llama/llama-guard-4-12b'
  ).split(' '),
)
const THINKING: Readonly<Record<string, number>> = {
  none: 0,
  minimal: 8,
  low: 12,
  medium: 32,
  high: 72,
  xhigh: 96,
  max: 120,
}
const TIERS = new Set(['flex', 'performance'])

export function createGroq(options: GroqVendorOptions): Vendor {
  const { book, clock, seed, till } = options
  let identity = createIdentity(seed)
  const cache = createPromptCache(() => clock.now())
  const limits = createRateLimits(options.limits ?? GENEROUS, () => clock.now())
  const today = () => options.today ?? new Date(clock.date()).toISOString().slice(0, 10)

  function gone(id: string, model: ListedModel | undefined): Plain | null {
    if (model === undefined && LONG_GONE.has(id)) return failureOfGroq(400, { code: 'model_decommissioned' }, id)
    if (model === undefined) return failureOfGroq(404, {}, id)
    if (typeof model.retires === 'string' && model.retires <= today()) {
      return failureOfGroq(400, { code: 'model_decommissioned' }, id)
    }
    return null
  }

  return {
    name: 'groq',
    base: '/openai/v1',
    keepAlive: null,
    unauthorized: () => failureOfGroq(401, {}, ''),
    unreadable: () => refuse('could not parse the JSON body of the request. The API expects a JSON payload.'),
    tooLarge: () => ({
      status: 413,
      body: {
        error: { message: 'Request Entity Too Large', type: 'invalid_request_error', code: 'request_too_large' },
      },
    }),
    notFound: (method, path) => ({
      status: 404,
      body: {
        error: {
          message: `Unknown request URL: ${method} ${path}. Please check the URL for typos, or see the docs at https://console.groq.com/docs/`,
          type: 'invalid_request_error',
          code: 'unknown_url',
        },
      },
    }),
    failure: (status, details, model) => failureOfGroq(status, details, model),
    errorIn200: (code) => failureOfGroq(Number(code) || 500, { code }, 'the model').body,
    errorFrame(code) {
      const status = typeof code === 'number' ? code : code.endsWith('_failed') ? 400 : 500
      const { body } = failureOfGroq(status, typeof code === 'string' ? { code } : {}, 'the model')
      const error = { ...(body as { error: object }).error, status_code: status }
      return `event: error\ndata: ${JSON.stringify({ error })}\n\n`
    },
    run({ body, given }) {
      const malformed = faultOfRequest(body)
      if (malformed !== null) return { refusal: malformed }
      const id = textOf(body.model) ?? ''
      const model = book.groq(id)
      const missing = gone(id, model)
      if (missing !== null || model === undefined) return { refusal: missing ?? failureOfGroq(404, {}, id) }
      const prompt = readPrompt(body)
      const fault = faultForModel(body, model, prompt)
      if (fault !== null) return { refusal: { ...fault, headers: limits.headers(id) } }

      const asked = numberOf(body.max_completion_tokens) ?? numberOf(body.max_tokens)
      const limit = limits.admit(id, prompt.tokens + (asked ?? 0))
      const tier = TIERS.has(textOf(body.service_tier) ?? '') ? String(body.service_tier) : 'on_demand'
      if (limit !== null) {
        const seconds = limit.retryAfterMs === null ? undefined : Math.max(1, Math.ceil(limit.retryAfterMs / 1000))
        const head = limit.status === 413 ? 'Request too large' : 'Rate limit reached'
        const message = `${head} for model \`${id}\` in organization \`org_sandbox\` service tier \`${tier}\` ${limit.words} Need more tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing`
        return {
          refusal: {
            status: limit.status,
            headers: { ...limits.headers(id), ...(seconds !== undefined && { 'retry-after': String(seconds) }) },
            body: { error: { message, type: limit.type, code: 'rate_limit_exceeded' } },
          },
        }
      }

      const room = (model.context ?? Number.POSITIVE_INFINITY) - prompt.tokens
      const reply = makeReply({
        body,
        prompt,
        seed,
        given,
        maxTokens: Math.min(asked ?? model.maxOutput ?? room, room),
        thinking: model.abilities?.includes('reasoning') ? thinkingOf(body, id) : 0,
      })
      const prices = model.prices ?? { input: 0, output: 0 }
      const caching = prices.cachedInput === undefined ? NO_CACHING : CACHING
      const tokens = {
        prompt: prompt.tokens,
        ...cache.use(id, prompt, caching),
        completion: reply.completionTokens,
        reasoning: reply.reasoningTokens,
      }
      limits.spend(id, tokens.prompt - tokens.cached + tokens.completion)
      const requestId = `req_${identity.word(26).toLowerCase()}`
      return {
        job: {
          provider: 'groq',
          id: `chatcmpl-${identity.uuid()}`,
          created: Math.floor(clock.date() / 1000),
          body,
          stream: body.stream === true,
          model: id,
          host: 'groq',
          hostName: 'Groq',
          prices,
          prompt,
          reply,
          tokens,
          charge: charge(prices, tokens, clock.date()),
          headers: { ...limits.headers(id), 'x-request-id': requestId, 'x-groq-region': 'sandbox' },
          // Nothing says that Groq stops the bill when the caller hangs up.
          stopsOnAbort: false,
          extras: { requestId, tier, seed: identity.number(2 ** 31), fingerprint: 'fp_5a9db0c7e1' },
        },
      }
    },
    look(path) {
      if (path === '/models') return { status: 200, body: { object: 'list', data: book.groqModels.map(listed) } }
      if (!path.startsWith('/models/')) return undefined
      const id = decodeURIComponent(path.slice('/models/'.length))
      const model = book.groq(id)
      return model === undefined ? failureOfGroq(404, {}, id) : { status: 200, body: listed(model) }
    },
    json: jsonOfGroq,
    frames: framesOfGroq,
    settle(job, ending) {
      const { tokens, charge: costs, why } = settled(job, ending, clock.date())
      const line = { provider: job.provider, model: job.model, host: job.host, generationId: job.id, tokens, why }
      till.add({ line, amount: costs.total, discount: costs.discount })
    },
    reset() {
      cache.clear()
      limits.clear()
      identity = createIdentity(seed)
    },
  }
}

function thinkingOf(body: Fields, id: string): number {
  const effort = textOf(body.reasoning_effort) ?? (id.includes('gpt-oss') ? 'medium' : 'none')
  return THINKING[effort] ?? THINKING.medium ?? 0
}

function listed(model: ListedModel): object {
  const { prices } = model
  const features = model.abilities
    ?.map(
      (ability) =>
        ({ json: 'json_mode', schema: 'structured_outputs', logprobs: undefined })[ability as string] ?? ability,
    )
    .filter((feature) => feature !== undefined)
  return {
    active: true,
    context_length: model.context ?? null,
    context_window: model.context ?? null,
    created: model.released === undefined ? 0 : Math.floor(Date.parse(model.released) / 1000),
    id: model.id,
    input_modalities: model.input ?? ['text'],
    max_completion_tokens: model.maxOutput ?? null,
    max_output_length: model.maxOutput ?? null,
    name: model.name ?? model.id,
    object: 'model',
    output_modalities: model.output ?? ['text'],
    owned_by: model.id.includes('/') ? model.id.split('/')[0] : 'Meta',
    ...(prices && {
      pricing: {
        completion: decimal(perToken(prices.output)),
        image: '0',
        ...(prices.cachedInput !== undefined && { input_cache_read: decimal(perToken(prices.cachedInput)) }),
        prompt: decimal(perToken(prices.input)),
        request: '0',
      },
    }),
    public_apps: null,
    supported_features: features ?? null,
    supported_sampling_parameters: ['temperature', 'top_p', 'stop', 'seed', 'max_tokens'],
  }
}
