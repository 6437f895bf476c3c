import type { Caching } from '../caching.ts'
import type { ChatRequest, Effort } from '../chat.ts'
import { entry, type Fields, isPresent } from '../fields.ts'
import { withoutStrangers } from '../history.ts'
import { withToolIds } from '../tool-ids.ts'
import { createDialect, type Dialect, type Target } from './dialect.ts'

/**
 * Groq's requests and messages are closed schemas: a key it does not know is a 400, so what may go out is listed, and
 * all else stays behind.
 */
const SETTINGS = [
  'citation_options',
  'disable_tool_validation',
  'documents',
  'frequency_penalty',
  'metadata',
  'parallel_tool_calls',
  'presence_penalty',
  'response_format',
  'search_settings',
  'seed',
  'stop',
  'temperature',
  'tool_choice',
  'tools',
  'top_p',
  'user',
] as const

const TIERS: Readonly<Record<string, string>> = {
  auto: 'auto',
  default: 'on_demand',
  on_demand: 'on_demand',
  flex: 'flex',
  performance: 'performance',
  // OpenRouter's and OpenAI's word for "as fast as this account gets it".
  priority: 'auto',
  fast: 'auto',
}

const MESSAGE_KEYS: Readonly<Record<string, ReadonlySet<string>>> = {
  assistant: new Set(['role', 'content', 'tool_calls', 'reasoning']),
  tool: new Set(['role', 'content', 'tool_call_id']),
}
const OTHER_KEYS = new Set(['role', 'content'])
const SILENT_ASSISTANT = new Set(['role', 'content', 'tool_calls'])

/** Two hours without use. From 128 tokens on "or more, depending on the model": which model, nobody says. */
const CACHING: Caching = Object.freeze({ ttlMs: 7_200_000, least: 128, marked: false })

export const groq: Dialect = createDialect({
  name: 'groq',
  supports: { formatWithTools: false, schemaWithStream: false },
  caching: () => CACHING,
  body,
  // Both are left out when there is nothing to tell: no hit, no reasoning.
  tokens: (_usage, tokens) => ({
    ...tokens,
    cachedPrompt: tokens.cachedPrompt ?? (tokens.prompt === null ? null : 0),
    cacheWrite: 0,
    reasoning: tokens.reasoning ?? (tokens.completion === null ? null : 0),
  }),
  // `flex` costs what is usual; provisioned throughput is paid for by contract, not by the token.
  notes: (notes, { body }) => {
    const tier = body.service_tier === 'performance' ? 'performance' : null
    return notes.tier === tier ? notes : { ...notes, tier }
  },
  kind(error, status) {
    const { code, message, param } = error
    const words = typeof message === 'string' ? message : ''
    if (code === 'rate_limit_exceeded') {
      if (status === 413) return 'too-large-for-limit'
      const limit = LIMIT.exec(words)
      // Waiting never helps a request that is larger than the limit itself.
      if (limit !== null && Number(limit[3]) > Number(limit[2])) return 'too-large-for-limit'
      return limit?.[1] === 'D' ? 'quota-exhausted' : 'rate-limited'
    }
    if (code === 'json_validate_failed' || code === 'tool_use_failed' || code === 'output_parse_failed')
      return 'bad-output'
    if (isSpent(code)) return 'quota-exhausted'
    if (status === 413) return 'too-large-for-limit'
    if (typeof code === 'string' || status !== 400) return null
    // Without a code there is only Groq's own fixed wording.
    if (words.startsWith('Please reduce the length of the messages')) return 'context-too-long'
    if (words.endsWith('is not supported with this model') && words.startsWith('`') && param !== 'messages')
      return 'no-offer'
    return null
  },
  // All other limits are those of one model.
  scope: ({ code }) => (isSpent(code) ? 'account' : 'model'),
})

/** What the organization allowed itself to spend, on all models together. */
function isSpent(code: unknown): boolean {
  return code === 'blocked_api_access' || (typeof code === 'string' && code.startsWith('spend_'))
}

/** `(TPD): Limit 100000, Used 97050, Requested 3619`: by day or by minute, the limit, what was asked. */
const LIMIT = /\((?:R|T|AS|IT|OT)P?(M|D|H)\): Limit (\d+)(?:, Used \d+)?, Requested ~?(\d+)/

function body(request: ChatRequest, target: Target): Record<string, unknown> {
  const reasons = target.abilities === null || target.abilities.has('reasoning')
  const assistant = reasons ? MESSAGE_KEYS.assistant : SILENT_ASSISTANT
  const messages = withoutStrangers(request.messages, (role) =>
    role === 'assistant' ? (assistant ?? OTHER_KEYS) : (MESSAGE_KEYS[role] ?? OTHER_KEYS),
  )
  const sent: Record<string, unknown> = {
    model: target.wireModel,
    messages: withToolIds(messages, target.wireModel),
  }
  const asked: Fields = { ...request, ...request.groq }
  for (const key of SETTINGS) if (isPresent(asked[key])) sent[key] = asked[key]
  const most = request.max_completion_tokens ?? request.max_tokens
  if (most !== undefined && most !== null) sent.max_completion_tokens = most
  const tier = entry(TIERS, request.service_tier)
  if (tier !== undefined) sent.service_tier = tier
  if (!reasons) return sent
  Object.assign(sent, reasoningOf(request, target.wireModel))
  // Two ways to say it that exclude each other: the one that was asked for by Groq's own name wins.
  const { reasoning_format: format, include_reasoning: included } = asked
  if (isPresent(format) || isPresent(included)) {
    delete sent.include_reasoning
    delete sent.reasoning_format
    if (isPresent(format)) sent.reasoning_format = format
    else sent.include_reasoning = included
  }
  return sent
}

function reasoningOf(request: ChatRequest, model: string): Record<string, unknown> {
  const asked = request.reasoning?.effort ?? request.reasoning_effort
  const excluded = request.reasoning?.exclude === true
  const effort = request.reasoning?.enabled === false ? 'none' : asked
  if (model.startsWith('openai/gpt-oss')) {
    // It always reasons: `none` is a 400, and the least it can do is `low`, out of sight.
    const sent: Record<string, unknown> = {}
    if (effort) sent.reasoning_effort = entry(GPT_OSS_EFFORT, effort)
    if (excluded || effort === 'none') sent.include_reasoning = false
    return sent
  }
  const sent: Record<string, unknown> = {}
  if (effort) sent.reasoning_effort = entry(QWEN_EFFORT, effort)
  if (excluded) sent.reasoning_format = 'hidden'
  return sent
}

const GPT_OSS_EFFORT: Readonly<Record<Effort, string>> = {
  none: 'low',
  minimal: 'low',
  low: 'low',
  default: 'medium',
  medium: 'medium',
  high: 'high',
  xhigh: 'high',
  max: 'high',
}

const QWEN_EFFORT: Readonly<Record<Effort, string>> = {
  none: 'none',
  minimal: 'low',
  low: 'low',
  default: 'default',
  medium: 'medium',
  high: 'high',
  xhigh: 'high',
  max: 'high',
}
