import type { Reply } from '../answer.ts'
import { type ChatMessage, type ChatRequest, needsOf, type OpenRouterPreferences } from '../chat.ts'
import type { FailureKind } from '../failure.ts'
import { amount, count, entry, type Fields, fields, isPresent } from '../fields.ts'
import { marked } from '../marks.ts'
import { clamp } from '../retry-after.ts'
import type { Taste } from '../strict.ts'
import { ANTHROPIC, GOOGLE, OPENAI } from '../tastes.ts'
import { withToolIds } from '../tool-ids.ts'
import type { BillNotes } from '../usage.ts'
import { createDialect, type Dialect, OURS, present, put, type Target, translated } from './dialect.ts'
import { openrouterCaching } from './openrouter-caching.ts'
import { readGeneration } from './openrouter-generation.ts'
import { readableBy } from './openrouter-history.ts'
import { hostOf } from './openrouter-hosts.ts'

/** OpenRouter's stable `error.metadata.error_type` and `error.availability.code`. */
const KINDS: Readonly<Record<string, FailureKind>> = {
  context_length_exceeded: 'context-too-long',
  max_tokens_exceeded: 'context-too-long',
  token_limit_exceeded: 'context-too-long',
  string_too_long: 'context-too-long',
  content_policy_violation: 'refused',
  refusal: 'refused',
  authentication: 'unauthorized',
  payment_required: 'out-of-credit',
  permission_denied: 'forbidden',
  region_restricted: 'forbidden',
  not_found: 'model-gone',
  model_not_found: 'model-gone',
  model_deprecated: 'model-gone',
  free_variant_ended: 'model-gone',
  no_endpoints: 'no-offer',
  constraint_filtered: 'no-offer',
  privacy_restricted: 'policy-refused',
  rate_limit_exceeded: 'rate-limited',
  capacity_exhausted: 'rate-limited',
  model_unavailable_upstream: 'overloaded',
  temporarily_unavailable: 'overloaded',
  provider_overloaded: 'overloaded',
  provider_unavailable: 'server-error',
  server: 'server-error',
  unmapped: 'server-error',
  timeout: 'timed-out',
  wrong_endpoint: 'invalid-request',
  invalid_request: 'invalid-request',
  invalid_prompt: 'invalid-request',
  payload_too_large: 'invalid-request',
  precondition_failed: 'invalid-request',
  unprocessable: 'invalid-request',
}

/** What a strict schema may say is up to who serves the model in the end; most have taken over OpenAI's rules. */
const TASTES: Readonly<Record<string, Taste>> = { anthropic: ANTHROPIC, google: GOOGLE }

export const openrouter: Dialect = createDialect({
  name: 'openrouter',
  supports: { hosts: true, dataRules: true, sessions: true, variants: true, insured: true },
  // `openrouter/auto` and its kin, `~author/family-latest`, and presets.
  isRouter: (model) => model.startsWith('openrouter/') || model.startsWith('~') || model.includes('@preset/'),
  taste: (model) => entry(TASTES, model.replace(/^~/, '').split('/', 1)[0]) ?? OPENAI,
  caching: openrouterCaching,
  generation: { path: (id) => `/generation?id=${encodeURIComponent(id)}`, read: readGeneration },
  body,
  // Usage always comes.
  streaming: {},
  headers,
  host: (answer) => (typeof answer.provider === 'string' ? hostOf(answer.provider) : null),
  reportedUsd(usage) {
    const cost = amount(usage.cost)
    // Only with the caller's own key at the host is the host's bill a second one; else it is the same figure again.
    if (cost === null || usage.is_byok !== true) return cost
    const upstream = amount(fields(usage.cost_details)?.upstream_inference_cost)
    return upstream === null ? null : cost + upstream
  },
  notes,
  kind,
  retryAfterMs(error) {
    const seconds = amount(fields(error.availability)?.retry_after)
    return seconds === null ? null : clamp(seconds * 1000)
  },
})

function notes(said: BillNotes, { usage, reply }: { readonly usage: Fields; readonly reply: Reply }): BillNotes {
  const details = fields(usage.cost_details)
  const cost = amount(usage.cost)
  const prompt = amount(details?.upstream_inference_prompt_cost)
  const completion = amount(details?.upstream_inference_completions_cost)
  const ownKey = usage.is_byok === true
  // What tokens cost is told apart from the sum; the rest is for what was done besides.
  const rest = cost === null || prompt === null || completion === null || ownKey ? null : cost - prompt - completion
  const searches = count((fields(usage.server_tool_use_details) ?? fields(usage.server_tool_use))?.web_search_requests)
  return {
    ...said,
    besidesUsd: amount(details?.server_tool_cost) ?? (rest === null ? null : rest > ROUNDING ? rest : 0),
    searches,
    feeUsd: ownKey ? (cost ?? 0) : null,
    replayed: reply.headers.get('x-openrouter-cache-status')?.toUpperCase() === 'HIT',
  }
}

/** Hosts round what they charge; nothing that is done besides is as cheap. */
const ROUNDING = 1e-5

function body(request: ChatRequest, target: Target): Record<string, unknown> {
  const { openrouter: settings, service_tier: tier } = request
  const messages = historyFor(request, target)
  const sent: Record<string, unknown> = { model: target.wireModel, messages }
  put(request, sent, TRANSLATED)
  if (settings !== undefined) {
    const { plugins, models, preset, transforms, trace, extra } = settings
    put({ plugins, models, preset, transforms, trace, ...extra }, sent, OURS)
  }
  const reasoning = reasoningOf(request)
  if (reasoning !== null) sent.reasoning = reasoning
  // Groq's words; provisioned throughput is nothing that OpenRouter sells.
  if (tier && tier !== 'performance') sent.service_tier = tier === 'on_demand' ? 'default' : tier
  const preferences = preferencesOf(fields(sent.provider), settings?.preferences, target)
  if (preferences !== null) sent.provider = preferences
  if (target.marks === true) sent.messages = markedFor(messages, request, sent, target)
  if (target.session !== null && sent.session_id === undefined) sent.session_id = target.session
  return sent
}

function historyFor({ messages }: ChatRequest, { wireModel }: Target): readonly ChatMessage[] {
  // Whom a router or a preset chooses, only OpenRouter knows.
  const readable = /^(openrouter\/|@)/.test(wireModel) ? messages : readableBy(messages, wireModel)
  return withToolIds(readable, wireModel)
}

/** A mark of the caller's own, wherever it stands, is the only one. */
function markedFor(
  messages: readonly ChatMessage[],
  request: ChatRequest,
  { cache_control: whole, tools }: Fields,
  { wireModel, hosts }: Target,
): readonly ChatMessage[] {
  const caching = openrouterCaching({ wireModel, host: hosts[0] ?? null })
  if (!caching.marked || isPresent(whole)) return messages
  return marked(messages, { caching, promptTokens: needsOf(request).promptTokens, tools })
}

const TRANSLATED = translated('service_tier')

/** One object, whichever way it was asked for; OpenRouter refuses an effort beside a number of tokens. */
function reasoningOf({ reasoning, reasoning_effort }: ChatRequest): Record<string, unknown> | null {
  if (!reasoning && !reasoning_effort) return null
  const { effort: asked, ...others } = reasoning ?? {}
  const effort = asked ?? reasoning_effort
  const sent = present(others)
  if (effort && effort !== 'default' && others.max_tokens === undefined) sent.effort = effort
  return reasoning || Object.keys(sent).length > 0 ? sent : null
}

/** The plan's hosts and the data rule stand above any preference: no preference may widen them. */
function preferencesOf(
  given: Fields | undefined,
  preferences: OpenRouterPreferences | undefined,
  target: Target,
): Record<string, unknown> | null {
  const { hosts, othersAllowed, avoided, data, dearest = null, strict = false } = target
  const merged: Record<string, unknown> = { ...given, ...preferences }
  // Hosts that take any format may still not follow a schema, and OpenRouter only prefers those that do.
  if (strict) merged.require_parameters ??= true
  if (hosts.length > 0) Object.assign(merged, orderOf(merged, hosts, othersAllowed))
  if (avoided.length > 0) {
    const ignored = Array.isArray(merged.ignore) ? merged.ignore : []
    merged.ignore = [...new Set([...ignored, ...avoided])]
  }
  if (dearest !== null) {
    const given = fields(merged.max_price) ?? {}
    const lower = (most: number, own: unknown) => Math.min(most, isPresent(own) ? Number(own) : most)
    const { prompt, completion } = given
    merged.max_price = {
      ...given,
      prompt: lower(dearest.input, prompt),
      completion: lower(dearest.output, completion),
    }
  }
  if (data.training === 'deny' || data.retention === 'zero') merged.data_collection = 'deny'
  if (data.retention === 'zero') merged.zdr = true
  return Object.keys(merged).length > 0 ? merged : null
}

/** The plan's order takes the place of one in the preferences; the hosts that this one allowed stay the only ones. */
function orderOf(
  { order, only, allow_fallbacks: fallbacks }: Fields,
  hosts: readonly string[],
  othersAllowed: boolean,
): Record<string, unknown> {
  if (fallbacks !== false || !isNames(order)) {
    return { order: hosts, allow_fallbacks: othersAllowed && fallbacks !== false }
  }
  const allowed = isNames(only) ? order.filter((host) => only.includes(host)) : order
  // Preferences that allow nobody are OpenRouter's to refuse: an empty list would allow everybody.
  return allowed.length === 0 ? {} : { order: hosts, allow_fallbacks: othersAllowed, only: allowed }
}

function isNames(value: unknown): value is readonly unknown[] {
  return Array.isArray(value) && value.length > 0
}

function headers(request: ChatRequest, { data }: Target): Record<string, string> | null {
  // A cache of answers keeps them: whatever a preset says, not where nothing may be kept.
  const closed = data.retention === 'zero'
  const settings = request.openrouter ?? (closed ? {} : undefined)
  if (settings === undefined) return null
  const { metadata, cache } = settings
  const sent: Record<string, string> = {}
  if (metadata === true) sent['x-openrouter-metadata'] = 'enabled'
  if (closed) sent['x-openrouter-cache'] = 'false'
  else if (cache !== undefined) {
    sent['x-openrouter-cache'] = cache === false ? 'false' : 'true'
    if (typeof cache === 'object') {
      if (cache.ttl !== undefined) sent['x-openrouter-cache-ttl'] = String(Math.trunc(cache.ttl))
      if (cache.clear === true) sent['x-openrouter-cache-clear'] = 'true'
    }
  }
  return Object.keys(sent).length > 0 ? sent : null
}

function kind(error: Fields, status: number): FailureKind | null {
  const metadata = fields(error.metadata)
  const availability = fields(error.availability)
  const excluded = availability?.excluded_by
  if (Array.isArray(excluded) && excluded.some((by) => typeof by === 'string' && by.startsWith('data_'))) {
    return 'policy-refused'
  }
  const named = entry(KINDS, availability?.code) ?? entry(KINDS, metadata?.error_type)
  if (named === 'rate-limited') return isDaily(metadata) ? 'quota-exhausted' : named
  if (named !== undefined) return named
  // `flagged_input` quotes the prompt, `reasons` do not: only that they are there is looked at.
  if (Array.isArray(metadata?.reasons) || Array.isArray(metadata?.patterns)) return 'refused'
  if (status === 429 && isDaily(metadata, error.message)) return 'quota-exhausted'
  const words = typeof error.message === 'string' ? error.message : ''
  // Older answers have no code at all: what is left is OpenRouter's own fixed wording, looked for where it stands.
  if (status === 400 && words.endsWith('is not a valid model ID')) return 'model-gone'
  if (status === 400 && words.startsWith("This endpoint's maximum context length is")) return 'context-too-long'
  if (status === 403 && words.startsWith('Key limit exceeded')) return 'out-of-credit'
  if (status === 403 && isSafetyCheck(metadata?.raw)) return 'refused'
  if (status === 404 && /^No endpoints found for [\w./:~-]+\.?$/.test(words)) return 'model-gone'
  if (status === 404 && /^No (allowed providers|endpoints).*(data policy|guardrail)/.test(words))
    return 'policy-refused'
  if (status === 404 && /^No (allowed providers|endpoints)/.test(words)) return 'no-offer'
  return null
}

function isDaily(metadata: Fields | undefined, message?: unknown): boolean {
  const source = metadata?.limit_source
  if (typeof source === 'string') return source.endsWith('_daily')
  return typeof message === 'string' && message.startsWith('Rate limit exceeded: free-models-per-day')
}

/** xAI's own check, passed on inside `raw`. */
function isSafetyCheck(raw: unknown): boolean {
  return typeof raw === 'string' && raw.includes('Failed check: SAFETY_CHECK_TYPE')
}
