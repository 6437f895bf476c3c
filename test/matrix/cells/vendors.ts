import type { Cell, Expected } from '../cell.ts'
import { type Act, body, chunk, DONE, event, events, FINISH, HALF, type Mode, ROLE, TEXT, words } from '../script.ts'

/** What Groq and OpenRouter really say when they fail, word for word as it was seen in the field and in recordings. */
interface Said {
  readonly what: string
  readonly status: number
  readonly content: object | string
  readonly headers?: Readonly<Record<string, string>>
  readonly kind: string
  /** As the record has it, where a 200 carries another. */
  readonly seen?: number
  readonly goes: 'on' | 'stop'
  readonly retryAfterMs?: number
}

type Vendor = 'groq' | 'openrouter'

const MODEL = 'openai/gpt-oss-20b'
const UPGRADE = 'Need more tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing'
const LIMITED = `for model \`${MODEL}\` in organization \`org_01kjh7p9n8f1qs6nz2bz77vy6b\` service tier \`on_demand\` on`
const groqs = (message: string, more: object = {}) => ({ error: { message, type: 'invalid_request_error', ...more } })
const limit = (words: string) => ({ error: { message: words, type: 'tokens', code: 'rate_limit_exceeded' } })

// biome-ignore format: a table is read by its columns
const GROQ: readonly Said[] = [
  { what: 'requests by the minute', status: 429, headers: { 'retry-after': '2' }, content: limit(`Rate limit reached ${LIMITED} requests per minute (RPM): Limit 30, Used 30, Requested 1. Please try again in 2s. ${UPGRADE}`), kind: 'rate-limited', goes: 'on', retryAfterMs: 2000 },
  { what: 'tokens by the minute', status: 429, headers: { 'retry-after': '6' }, content: limit(`Rate limit reached ${LIMITED} tokens per minute (TPM): Limit 15000, Used 11972, Requested 4351. Please try again in 5.289s.`), kind: 'rate-limited', goes: 'on', retryAfterMs: 6000 },
  { what: 'tokens by the day', status: 429, headers: { 'retry-after': '579' }, content: limit(`Rate limit reached ${LIMITED} tokens per day (TPD): Limit 100000, Used 97050, Requested 3619. Please try again in 9m38.016s. ${UPGRADE}`), kind: 'quota-exhausted', goes: 'on', retryAfterMs: 579_000 },
  { what: 'more tokens than the minute has, as a 429', status: 429, content: limit('Rate limit reached for model `llama3-70b-8192` in organization `org_01` on tokens per minute (TPM): Limit 7000, Used 0, Requested ~12903. Please try again in 50.597142857s.'), kind: 'too-large-for-limit', goes: 'on' },
  { what: 'more tokens than the minute has', status: 413, content: limit(`Request too large ${LIMITED} tokens per minute (TPM): Limit 6000, Requested 10338, please reduce your message size and try again.`), kind: 'too-large-for-limit', goes: 'on' },
  { what: 'an entity that is too large', status: 413, content: 'Request Entity Too Large', kind: 'too-large-for-limit', goes: 'on' },
  { what: 'flex without capacity', status: 498, content: groqs('Flex Tier Capacity Exceeded', { type: 'capacity', code: 'capacity_exceeded' }), kind: 'overloaded', goes: 'on' },
  { what: 'over capacity', status: 503, content: groqs(`${MODEL} is currently over capacity. Please try again and back off exponentially.`, { type: 'internal_server_error' }), kind: 'overloaded', goes: 'on' },
  { what: 'an internal error', status: 500, content: groqs('Internal Server Error', { type: 'internal_server_error' }), kind: 'server-error', goes: 'on' },
  { what: 'a bad gateway’s page', status: 502, headers: { 'content-type': 'text/html; charset=UTF-8' }, content: '<!DOCTYPE html><title>api.groq.com | 502: Bad gateway</title>', kind: 'server-error', goes: 'on' },
  { what: 'a firewall’s page', status: 403, headers: { 'content-type': 'text/html; charset=UTF-8' }, content: '<!DOCTYPE html><title>Attention Required! | Cloudflare</title>', kind: 'forbidden', goes: 'on' },
  { what: 'a wrong key', status: 401, content: groqs('Invalid API Key', { code: 'invalid_api_key' }), kind: 'unauthorized', goes: 'on' },
  { what: 'access denied', status: 403, content: groqs('Access denied. Please check your network settings.', { type: 'permissions_error' }), kind: 'forbidden', goes: 'on' },
  { what: 'a model that is decommissioned', status: 400, content: groqs(`The model \`${MODEL}\` has been decommissioned and is no longer supported.`, { code: 'model_decommissioned' }), kind: 'model-gone', goes: 'on' },
  { what: 'a model that is not found', status: 404, content: groqs(`The model \`${MODEL}\` does not exist or you do not have access to it.`, { code: 'model_not_found' }), kind: 'model-gone', goes: 'on' },
  { what: 'a spend limit', status: 400, content: groqs('Organization has blocked API access because a spend alert threshold was met.', { code: 'blocked_api_access' }), kind: 'quota-exhausted', goes: 'on' },
  { what: 'a context that is too small', status: 400, content: groqs('Please reduce the length of the messages or completion.', { param: 'messages', code: 'context_length_exceeded' }), kind: 'context-too-long', goes: 'stop' },
  { what: 'a context that is too small, without a code', status: 400, content: groqs('Please reduce the length of the messages or completion.', { param: 'messages' }), kind: 'context-too-long', goes: 'stop' },
  { what: 'a setting it does not know', status: 400, content: groqs("property 'foo' is unsupported"), kind: 'invalid-request', goes: 'stop' },
  { what: 'an unprocessable request', status: 422, content: groqs('Unprocessable.'), kind: 'invalid-request', goes: 'stop' },
]

const routed = (code: number, message: string, metadata?: object, more: object = {}) => ({
  error: { message, code, ...(metadata && { metadata }), ...more },
  user_id: 'user_3D0IVsejFIV6kOYwkxFE9nKiq0g',
})
const RETURNED = 'Provider returned error'

// biome-ignore format: a table is read by its columns
const OPENROUTER: readonly Said[] = [
  { what: 'a host’s limit', status: 429, content: routed(429, RETURNED, { raw: 'z-ai/glm is temporarily rate-limited upstream.', provider_name: 'BaseTen', limit_source: 'upstream_provider_shared_pool' }), kind: 'rate-limited', goes: 'on' },
  { what: 'a host’s limit with a hint', status: 429, headers: { 'retry-after': '3' }, content: routed(429, RETURNED, { provider_name: 'DeepInfra' }), kind: 'rate-limited', goes: 'on', retryAfterMs: 3000 },
  { what: 'a hint in the body', status: 429, content: routed(429, RETURNED, undefined, { availability: { code: 'capacity_exhausted', retryable: true, retry_after: 4 } }), kind: 'rate-limited', goes: 'on', retryAfterMs: 4000 },
  { what: 'the day’s free requests', status: 429, content: routed(429, 'Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day', { headers: { 'X-RateLimit-Limit': '50', 'X-RateLimit-Remaining': '0' } }), kind: 'quota-exhausted', goes: 'on' },
  { what: 'the day’s free requests, by its source', status: 429, content: routed(429, 'Rate limit exceeded', { limit_source: 'openrouter_free_tier_daily' }), kind: 'quota-exhausted', goes: 'on' },
  { what: 'no credit', status: 402, content: routed(402, 'This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 3395.', { provider_name: null }), kind: 'out-of-credit', goes: 'on' },
  { what: 'a key’s own limit', status: 403, content: routed(403, 'Key limit exceeded (monthly limit). Manage it using https://openrouter.ai/settings/keys'), kind: 'out-of-credit', goes: 'on' },
  { what: 'a wrong key', status: 401, content: routed(401, 'User not found.'), kind: 'unauthorized', goes: 'on' },
  { what: 'moderation', status: 403, content: routed(403, `${MODEL} requires moderation on DeepInfra. Your input was flagged for "violence".`, { reasons: ['violence'], flagged_input: '@prompt@', provider_name: 'DeepInfra' }), kind: 'refused', goes: 'stop' },
  { what: 'moderation by its type', status: 400, content: routed(400, RETURNED, { error_type: 'content_policy_violation' }), kind: 'refused', goes: 'stop' },
  { what: 'a model that is no model', status: 400, content: routed(400, `${MODEL} is not a valid model ID`), kind: 'model-gone', goes: 'on' },
  { what: 'a model nobody serves', status: 404, content: routed(404, `No endpoints found for ${MODEL}.`), kind: 'model-gone', goes: 'on' },
  { what: 'a model that was withdrawn', status: 404, content: routed(404, 'It is gone.', undefined, { availability: { code: 'model_deprecated', retryable: false } }), kind: 'model-gone', goes: 'on' },
  { what: 'no allowed host', status: 404, content: routed(404, 'No allowed providers are available for the selected model'), kind: 'no-offer', goes: 'on' },
  { what: 'no host for the data rule', status: 404, content: routed(404, 'No endpoints available matching your guardrail restrictions and data policy. Configure: https://openrouter.ai/settings/privacy'), kind: 'policy-refused', goes: 'on' },
  { what: 'no host for the data rule, by its code', status: 404, content: routed(404, 'None.', undefined, { availability: { code: 'privacy_restricted', retryable: false, excluded_by: ['data_collection'] } }), kind: 'policy-refused', goes: 'on' },
  { what: 'a region', status: 403, content: routed(403, 'Not here.', undefined, { availability: { code: 'region_restricted' } }), kind: 'forbidden', goes: 'on' },
  { what: 'a context that is too small', status: 400, content: routed(400, "This endpoint's maximum context length is 131072 tokens. However, you requested about 231072 tokens.", { provider_name: null }), kind: 'context-too-long', goes: 'stop' },
  { what: 'a request its host refuses', status: 400, content: routed(400, RETURNED, { raw: '{"error":{"message":"Invalid request @prompt@"}}', provider_name: 'DeepInfra' }), kind: 'invalid-request', goes: 'stop' },
  { what: 'an entity that is too large', status: 413, content: routed(413, 'Request Entity Too Large'), kind: 'invalid-request', goes: 'stop' },
  { what: 'a host that fails', status: 502, content: routed(502, RETURNED, { raw: { error: { type: 'Service Unavailable' } }, provider_name: 'Morph', is_byok: false }), kind: 'server-error', goes: 'on' },
  { what: 'no host up', status: 503, content: routed(503, RETURNED, { raw: { error: { code: 'no_available_workers', message: 'No available workers' } }, provider_name: 'Morph' }), kind: 'overloaded', goes: 'on' },
  { what: 'an edge’s time', status: 524, content: routed(524, 'Edge network timeout'), kind: 'timed-out', goes: 'on' },
  { what: 'a request’s time', status: 408, content: routed(408, 'Request timed out'), kind: 'timed-out', goes: 'on' },
  { what: 'an overloaded host', status: 529, content: routed(529, 'Provider overloaded', { provider_name: 'DeepInfra' }), kind: 'overloaded', goes: 'on' },
  { what: 'an internal error', status: 500, content: routed(500, 'Internal Server Error'), kind: 'server-error', goes: 'on' },
  { what: 'a lost connection in a 200', status: 200, content: { error: { code: 502, message: 'Network connection lost.', metadata: { error_type: 'provider_unavailable' } } }, seen: 502, kind: 'server-error', goes: 'on' },
  { what: 'a limit in a 200', status: 200, content: routed(429, RETURNED, { error_type: 'rate_limit_exceeded' }), seen: 429, kind: 'rate-limited', goes: 'on' },
]

const TOKENS = { prompt_tokens: 10, completion_tokens: 20, total_tokens: 30 }
const BILLED = { ...TOKENS, cost: 0.00001234, cost_details: { upstream_inference_cost: null } }

/** A good answer in their own shape. */
function answerOf(vendor: Vendor, mode: Mode): Act {
  const more =
    vendor === 'groq'
      ? { id: 'chatcmpl-9', model: MODEL, x_groq: { id: 'req_1' } }
      : { id: 'gen-9', model: MODEL, provider: 'DeepInfra' }
  const usage = vendor === 'groq' ? TOKENS : BILLED
  if (mode === 'whole') {
    return body(200, {
      ...more,
      object: 'chat.completion',
      choices: [{ index: 0, message: { role: 'assistant', content: TEXT }, finish_reason: 'stop' }],
      usage,
    })
  }
  return events(': OPENROUTER PROCESSING\n\n', ROLE, words(TEXT), FINISH, event({ ...more, choices: [], usage }), DONE)
}

const OTHER: Readonly<Record<Vendor, Vendor>> = { groq: 'openrouter', openrouter: 'groq' }

function cellsOf(vendor: Vendor, mode: Mode, said: Said): Cell[] {
  const { what, status, content, headers, kind, seen, goes, retryAfterMs } = said
  const other = OTHER[vendor]
  const attempts = [`${vendor} first ${kind} ${seen ?? status} no`]
  const act = body(status, content, headers)
  const cell = (place: string, attemptsLeft: number, script: Cell['script'], expected: Expected): Cell => ({
    title: `${mode} · ${vendor} · ${what} · ${place}`,
    given: { mode, chain: [vendor, other], policy: { limits: { attempts: attemptsLeft } } },
    script,
    expect: [expected],
  })
  const stopped: Expected = { outcome: kind, attempts, retryAfterMs: retryAfterMs ?? null }
  const alone = cell('one attempt is allowed', 1, { [vendor]: [act] }, stopped)
  if (goes === 'stop') return [alone, cell('the other has the model', 4, { [vendor]: [act] }, stopped)]
  const goesOn: Expected = { outcome: 'ok', attempts: [...attempts, `${other} failover ok 200 yes`], gaps: [[0, 0]] }
  return [alone, cell('the other has the model', 4, { [vendor]: [act], [other]: [answerOf(other, mode)] }, goesOn)]
}

/** In the middle of a stream; what OpenRouter's insurance covers costs nothing. */
// biome-ignore format: a table is read by its columns
const INSIDE: readonly { readonly vendor: Vendor; readonly what: string; readonly act: Act; readonly line: string; readonly text?: string }[] = [
  { vendor: 'openrouter', what: 'an error with no choices, before anything', act: events(event({ id: 'gen-1', model: MODEL, provider: 'Stealth', choices: [], error: { code: 502, message: 'JSON error injected into SSE stream', metadata: { error_type: 'provider_unavailable' } } })), line: 'server-error 502 no' },
  { vendor: 'openrouter', what: 'an error with an empty model, before anything', act: events(': OPENROUTER PROCESSING\n\n', event({ id: 'gen-1', model: '', provider: 'Amazon Bedrock', choices: [], error: { code: 502, message: 'Internal server error', metadata: { error_type: 'provider_unavailable' } } })), line: 'server-error 502 no' },
  { vendor: 'openrouter', what: 'an error after text', act: events(ROLE, words(HALF), event({ id: 'gen-1', choices: [{ index: 0, delta: { content: '' }, finish_reason: 'error' }], error: { code: 502, message: 'Network connection lost.' } })), line: 'server-error 502 no', text: HALF },
  { vendor: 'openrouter', what: 'an error after text, with its cost', act: events(ROLE, words(HALF), event({ id: 'gen-1', choices: [{ index: 0, delta: { content: '' }, finish_reason: 'error' }], error: { code: 502, message: 'Network connection lost.' } }), event({ id: 'gen-1', choices: [], usage: BILLED }), DONE), line: 'server-error 502 yes', text: HALF },
  { vendor: 'openrouter', what: 'a finish that is an error, and nothing said', act: events(ROLE, chunk({}, 'error'), DONE), line: 'server-error 200 no' },
  { vendor: 'openrouter', what: 'the end without a word', act: events(': OPENROUTER PROCESSING\n\n', ROLE), line: 'cut-off 200 maybe' },
  { vendor: 'groq', what: 'an error in an event of its own, before anything', act: events(`event: error\n${event({ error: { message: 'Service Unavailable', type: 'internal_server_error', status_code: 503 } })}`), line: 'overloaded 503 no' },
  { vendor: 'groq', what: 'over capacity after text', act: events(ROLE, words(HALF), `event: error\n${event({ error: { message: 'over capacity', type: 'internal_server_error', status_code: 503 } })}`), line: 'overloaded 503 maybe', text: HALF },
  { vendor: 'groq', what: 'the end after text', act: events(ROLE, words(HALF)), line: 'cut-off 200 maybe', text: HALF },
]

const IN_STREAMS: readonly Cell[] = INSIDE.map(({ vendor, what, act, line, text }) => {
  const other = OTHER[vendor]
  const attempts = [`${vendor} first ${line}`]
  return {
    title: `stream · ${vendor} · ${what}`,
    given: { mode: 'stream', chain: [vendor, other], policy: {} },
    script: { [vendor]: [act], ...(text === undefined && { [other]: [answerOf(other, 'stream')] }) },
    expect: [
      text === undefined
        ? { outcome: 'ok', attempts: [...attempts, `${other} failover ok 200 yes`] }
        : { outcome: line.split(' ')[0] ?? '', attempts, shown: 'text', text },
    ],
  }
})

const VENDORS = { groq: GROQ, openrouter: OPENROUTER } as const
const EACH = ['groq', 'openrouter'] as const
const MODES = ['whole', 'stream'] as const

/** What the model wrote did not have the shape: another answer may have it at once. Nobody says who pays for the first. */
const SHAPES: readonly Cell[] = MODES.flatMap((mode) =>
  ['json_validate_failed', 'tool_use_failed', 'output_parse_failed'].map((code): Cell => {
    const content = groqs("Failed. Please adjust your prompt. See 'failed_generation' for more details.", {
      code,
      failed_generation: '@answer@',
    })
    return {
      title: `${mode} · groq · ${code}`,
      given: { mode, chain: ['groq', 'openrouter'], policy: {} },
      script: { groq: [body(400, content), answerOf('groq', mode)] },
      expect: [
        { outcome: 'ok', attempts: ['groq first bad-output 400 maybe', 'groq retry ok 200 yes'], gaps: [[0, 0]] },
      ],
    }
  }),
)

/** The data rule is said with every request, to those who can keep it by themselves. */
const STRICT: readonly Cell[] = MODES.map((mode) => ({
  title: `${mode} · groq and openrouter · a data rule goes along`,
  given: {
    mode,
    chain: ['groq', 'openrouter'],
    policy: { data: { training: 'deny', retention: 'zero' } },
    terms: { groq: { training: false, retention: 'zero' } },
    calls: [{ session: true }],
  },
  script: { groq: [body(500, groqs('No.'))], openrouter: [answerOf('openrouter', mode)] },
  expect: [{ outcome: 'ok', attempts: ['groq first server-error 500 no', 'openrouter failover ok 200 yes'] }],
}))

/** Nothing of their own dialect goes wrong where nothing fails. */
const PLAIN: readonly Cell[] = EACH.flatMap((vendor) =>
  MODES.map((mode) => ({
    title: `${mode} · ${vendor} · an answer`,
    given: { mode, chain: [vendor, OTHER[vendor]], policy: {}, calls: [{ session: true }] },
    script: { [vendor]: [answerOf(vendor, mode)] },
    expect: [{ outcome: 'ok', attempts: [`${vendor} first ok 200 yes`] }],
  })),
)

export const SAID: readonly Cell[] = [
  ...EACH.flatMap((vendor) => MODES.flatMap((mode) => VENDORS[vendor].flatMap((said) => cellsOf(vendor, mode, said)))),
  ...IN_STREAMS,
  ...SHAPES,
  ...STRICT,
  ...PLAIN,
]
