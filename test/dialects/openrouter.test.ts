import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ChatMessage, ChatRequest } from '../../src/chat.ts'
import { openrouter } from '../../src/dialects/openrouter.ts'
import { hostOf } from '../../src/dialects/openrouter-hosts.ts'
import { list } from '../../src/fields.ts'
import { runs } from '../support/runs.ts'
import { anyRequest, target } from './requests.ts'

const hello: readonly ChatMessage[] = [{ role: 'user', content: 'Hello' }]
const anywhere = target({ wireModel: 'openai/gpt-5' })

function sent(request: Partial<ChatRequest>, to = anywhere) {
  const { model: _, messages: __, ...settings } = openrouter.body({ messages: hello, ...request }, to)
  return settings
}

function saidIn(messages: unknown) {
  return list(messages).map(({ role, content }) => ({ role, content }))
}

describe("OpenRouter's requests", () => {
  test('are made without a mark on what they are made of, and say what was said', () => {
    fc.assert(
      fc.property(anyRequest, (request) => {
        const before = structuredClone(request)
        const body = openrouter.body(request, anywhere)
        expect(request).toEqual(before)
        expect(saidIn(body.messages)).toEqual(saidIn(request.messages))
      }),
      // Requests with all there is in them take long to make.
      runs(2),
    )
  })

  test('go to the model of the plan, streamed or not as the call says, whatever the request says', () => {
    fc.assert(
      fc.property(anyRequest, (request) => {
        const extra = { ...request.openrouter?.extra, model: 'other/model', messages: [], stream: true }
        const body = openrouter.body({ ...request, openrouter: { ...request.openrouter, extra } }, anywhere)
        expect(body.model).toBe('openai/gpt-5')
        expect(saidIn(body.messages)).toEqual(saidIn(request.messages))
        expect(body).not.toHaveProperty('stream')
        expect(body).not.toHaveProperty('stream_options')
        expect(body).not.toHaveProperty('openrouter')
        expect(body).not.toHaveProperty('groq')
      }),
      // Requests with all there is in them take long to make.
      runs(2),
    )
  })

  test('carry plugins, models, preset, transforms, trace, and anything else by its own name', () => {
    const settings = {
      plugins: [{ id: 'file-parser', pdf: { engine: 'native' } }],
      models: ['openai/gpt-5-mini'],
      preset: 'support',
      transforms: ['middle-out'],
      trace: { trace_id: 't' },
    }
    const extra = { image_config: { aspect_ratio: '1:1' } }
    expect(sent({ openrouter: { ...settings, extra } })).toEqual({ ...settings, ...extra })
  })

  test('carry the session of the plan, and that of the request before it', () => {
    const inSession = target({ session: 'hash' })
    expect(sent({}, inSession)).toEqual({ session_id: 'hash' })
    expect(sent({ openrouter: { extra: { session_id: 'mine' } } }, inSession)).toEqual({ session_id: 'mine' })
    expect(sent({})).toEqual({})
  })

  test('carry all preferences', () => {
    const preferences = {
      order: ['anthropic'],
      only: ['anthropic', 'azure'],
      ignore: ['novita'],
      allow_fallbacks: false,
      require_parameters: true,
      quantizations: ['fp8'],
      sort: { by: 'price', partition: 'none' },
      max_price: { prompt: 1, completion: '2' },
      preferred_min_throughput: { p90: 50 },
      preferred_max_latency: 2,
    } as const
    expect(sent({ openrouter: { preferences } })).toEqual({ provider: preferences })
  })

  test("let the plan's hosts win over the preferences, and add the hosts to avoid", () => {
    const to = target({ hosts: ['anthropic'], othersAllowed: false, avoided: ['novita', 'azure'] })
    const preferences = { order: ['openai'], allow_fallbacks: true, ignore: ['azure'], sort: 'price' } as const
    expect(sent({ openrouter: { preferences } }, to).provider).toEqual({
      order: ['anthropic'],
      allow_fallbacks: false,
      ignore: ['azure', 'novita'],
      sort: 'price',
    })
  })

  test('never widen the data rule, wherever the wider one stands', () => {
    const wide = { data_collection: 'allow', zdr: false } as const
    const requests: readonly Partial<ChatRequest>[] = [
      { openrouter: { preferences: wide } },
      { openrouter: { extra: { provider: wide } } },
      { provider: wide } as Partial<ChatRequest>,
    ]
    for (const request of requests) {
      const zero = sent(request, target({ data: { retention: 'zero' } }))
      expect(zero.provider).toEqual({ data_collection: 'deny', zdr: true })
      expect(sent(request, target({ data: { training: 'deny' } })).provider).toMatchObject({ data_collection: 'deny' })
    }
    const strict = sent({ openrouter: { preferences: { zdr: true } } }, target({ data: { training: 'deny' } }))
    expect(strict.provider).toEqual({ zdr: true, data_collection: 'deny' })
  })

  test('ask for thinking in one object, by effort or by tokens and never by both', () => {
    expect(sent({ reasoning_effort: 'high' })).toEqual({ reasoning: { effort: 'high' } })
    expect(sent({ reasoning: { effort: 'low', exclude: true } })).toEqual({
      reasoning: { effort: 'low', exclude: true },
    })
    expect(sent({ reasoning: { max_tokens: 99, effort: 'low' } })).toEqual({ reasoning: { max_tokens: 99 } })
    expect(sent({ reasoning: { max_tokens: 99 }, reasoning_effort: 'low' })).toEqual({ reasoning: { max_tokens: 99 } })
    expect(sent({ reasoning: { effort: 'low' }, reasoning_effort: 'high' })).toEqual({ reasoning: { effort: 'low' } })
    // Groq's word; OpenRouter does not know it.
    expect(sent({ reasoning_effort: 'default' })).toEqual({})
    expect(sent({ reasoning: {} })).toEqual({ reasoning: {} })
  })

  test("leave out Groq's tiers, which OpenRouter refuses", () => {
    expect(sent({ service_tier: 'on_demand' })).toEqual({ service_tier: 'default' })
    expect(sent({ service_tier: 'performance' })).toEqual({})
    expect(sent({ service_tier: 'flex' })).toEqual({ service_tier: 'flex' })
  })

  test('ask for metadata and for the answer cache by header', () => {
    const headersFor = (openrouterSettings: NonNullable<ChatRequest['openrouter']>) =>
      openrouter.headers({ messages: hello, openrouter: openrouterSettings }, target())
    expect(openrouter.headers({ messages: hello }, target())).toBeNull()
    // Where nothing may be kept, no answer is cached, whoever asks for it.
    const closed = target({ data: { retention: 'zero' } })
    expect(openrouter.headers({ messages: hello }, closed)).toEqual({ 'x-openrouter-cache': 'false' })
    expect(openrouter.headers({ messages: hello, openrouter: { cache: true } }, closed)).toEqual({
      'x-openrouter-cache': 'false',
    })
    expect(headersFor({})).toBeNull()
    expect(headersFor({ metadata: true })).toEqual({ 'x-openrouter-metadata': 'enabled' })
    expect(headersFor({ cache: false })).toEqual({ 'x-openrouter-cache': 'false' })
    expect(headersFor({ cache: { ttl: 60.5, clear: true } })).toEqual({
      'x-openrouter-cache': 'true',
      'x-openrouter-cache-ttl': '60',
      'x-openrouter-cache-clear': 'true',
    })
  })
})

describe("OpenRouter's answers", () => {
  const reply = { status: 200, headers: new Headers() }
  const choices = [{ message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }]
  const costOf = (usage: object) => openrouter.read({ choices, usage }, reply).answer?.reportedUsd

  test("add the host's own bill only when the key at the host is the caller's", () => {
    const cost_details = { upstream_inference_cost: 0.25 }
    expect(costOf({ cost: 0.25, is_byok: false, cost_details })).toBe(0.25)
    expect(costOf({ cost: 0.0125, is_byok: true, cost_details })).toBe(0.2625)
    expect(costOf({ cost: 0, is_byok: true })).toBeNull()
    expect(costOf({ cost: 0 })).toBe(0)
    expect(costOf({ cost: null })).toBeNull()
    expect(costOf({ cost: -1 })).toBeNull()
  })

  test('name the host as it has to be named to pin it', () => {
    const names = [
      'Google',
      'Google AI Studio',
      'Amazon Bedrock',
      'Moonshot AI',
      'Z.AI',
      'Mancer 2',
      'AtlasCloud',
      'xAI',
    ]
    expect(names.map(hostOf)).toEqual([
      'google-vertex',
      'google-ai-studio',
      'amazon-bedrock',
      'moonshotai',
      'z-ai',
      'mancer',
      'atlas-cloud',
      'xai',
    ])
    expect(hostOf('constructor')).toBe('constructor')
  })

  test.each([
    ['openrouter/auto', true],
    ['~anthropic/claude-sonnet-latest', true],
    ['@preset/support', true],
    ['openai/gpt-5@preset/support', true],
    ['openai/gpt-5:nitro', false],
  ])('of %s may come from any model: %s', (model, router) => {
    expect(openrouter.isRouter(model)).toBe(router)
  })

  const kindOf = (status: number, error: object) => openrouter.fail({ error }, { status, headers: new Headers() }).kind

  test.each([
    [
      404,
      { code: 404, message: 'x', availability: { code: 'no_endpoints', excluded_by: ['data_policy:zdr'] } },
      'policy-refused',
    ],
    [
      404,
      { code: 404, message: 'x', availability: { code: 'constraint_filtered', excluded_by: ['max_price'] } },
      'no-offer',
    ],
    [404, { message: 'x', http_status: 404, availability: { code: 'privacy_restricted' } }, 'policy-refused'],
    [404, { code: 404, message: 'x', availability: { code: 'model_unavailable_upstream' } }, 'overloaded'],
    [404, { code: 404, message: 'x', availability: { code: 'free_variant_ended' } }, 'model-gone'],
    [403, { code: 403, message: 'x', availability: { code: 'region_restricted' } }, 'forbidden'],
    [403, { code: 403, message: 'x', metadata: { reasons: ['violence'], flagged_input: 'y' } }, 'refused'],
    [403, { code: 403, message: 'Key limit exceeded (total limit).' }, 'out-of-credit'],
    [429, { code: 429, message: 'x', availability: { code: 'capacity_exhausted' } }, 'rate-limited'],
    [429, { code: 429, message: 'x', metadata: { limit_source: 'openrouter_free_tier_daily' } }, 'quota-exhausted'],
    [400, { code: 400, message: 'x', metadata: { error_type: 'token_limit_exceeded' } }, 'context-too-long'],
    [400, { code: 400, message: 'x', metadata: { error_type: 'content_policy_violation' } }, 'refused'],
    [500, { code: 500, message: 'x', metadata: { error_type: 'something_new' } }, 'server-error'],
    [400, { code: 400, message: 'x', metadata: { error_type: 'constructor' } }, 'invalid-request'],
    [529, { code: 529, message: 'x' }, 'overloaded'],
    [524, { code: 524, message: 'x' }, 'timed-out'],
  ])('of status %i and %j are %s', (status, error, kind) => {
    expect(kindOf(status, error)).toBe(kind)
  })

  test('say how long to wait, and never longer than a timer can take', () => {
    const waitOf = (retry_after: unknown) =>
      openrouter.fail({ error: { code: 429, availability: { retry_after } } }, { status: 429, headers: new Headers() })
        .retryAfterMs
    expect(waitOf(3)).toBe(3000)
    expect(waitOf(1e12)).toBe(86_400_000)
    expect(waitOf(-3)).toBeNull()
    expect(waitOf(null)).toBeNull()
  })
})
