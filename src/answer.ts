import type { AssistantMessage, Finish, ToolCall } from './chat.ts'
import { type Failure, type FailureKind, failure, kindOfStatus } from './failure.ts'
import {
  amount,
  count,
  entry,
  type Fields,
  fields,
  isFields,
  isPresent,
  jsonOf,
  list,
  replayable,
  string,
} from './fields.ts'
import { type BillNotes, flagged, NO_NOTES, type Tokens, UNKNOWN_TOKENS } from './usage.ts'

export interface HeaderReader {
  get(name: string): string | null
}

/** What came back, before anybody has judged it. */
export interface Reply {
  readonly status: number
  readonly headers: HeaderReader
}

/** An answer in one shape, whoever gave it. */
export interface Answer {
  readonly id: string | null
  readonly model: string | null
  readonly host: string | null
  readonly message: AssistantMessage
  readonly text: string
  readonly reasoning: string | null
  readonly toolCalls: readonly ToolCall[]
  readonly finish: Finish
  readonly tokens: Tokens
  /** USD, where the provider says what it charges. */
  readonly reportedUsd: number | null
  readonly notes?: BillNotes
  readonly tier: string | null
  readonly queueMs: number | null
}

/** An answer may be there and still be a failure: it has been paid for, and its tokens count. */
export interface Reading {
  readonly answer: Answer | null
  readonly failure: Failure | null
}

/** Where a provider's answers and errors differ from OpenAI's. */
export interface ReadingDifferences {
  readonly host?: (body: Fields) => string | null
  readonly tokens?: (usage: Fields, tokens: Tokens) => Tokens
  readonly reportedUsd?: (usage: Fields) => number | null
  /** What else is said of the bill; what is said in OpenAI's own words is read already. */
  readonly notes?: (notes: BillNotes, about: { body: Fields; usage: Fields; reply: Reply }) => BillNotes
  /** A kind that this provider's error gives away; `null` leaves it to the common codes and the status. */
  readonly kind?: (error: Fields, status: number) => FailureKind | null
  readonly retryAfterMs?: (error: Fields, reply: Reply) => number | null
  /** How far a limit reaches, where it is not the model's alone. */
  readonly scope?: (error: Fields) => Failure['scope']
}

/** Codes with one meaning wherever they appear. */
const KINDS: Readonly<Record<string, FailureKind>> = {
  invalid_api_key: 'unauthorized',
  model_not_found: 'model-gone',
  model_decommissioned: 'model-gone',
  model_deprecated: 'model-gone',
  context_length_exceeded: 'context-too-long',
  string_above_max_length: 'context-too-long',
  rate_limit_exceeded: 'rate-limited',
  insufficient_quota: 'out-of-credit',
  billing_hard_limit_reached: 'out-of-credit',
  content_filter: 'refused',
  content_policy_violation: 'refused',
  server_error: 'server-error',
}

export function readAnswer(body: unknown, reply: Reply, differences: ReadingDifferences): Reading {
  if (!isFields(body)) return { answer: null, failure: failure('bad-response', { status: reply.status }) }
  // An error beside a status of 200 is an error all the same.
  if (isPresent(body.error)) return { answer: null, failure: readFailure(body, reply, differences) }
  const choice = list(body.choices)[0]
  const message = fields(choice?.message)
  if (choice === undefined || message === undefined) {
    return { answer: null, failure: failure('bad-response', { status: reply.status, detail: 'no choices' }) }
  }
  const usage = fields(body.usage)
  // An empty string says as little as null.
  const reason = string(choice.finish_reason) || null
  const raw = string(choice.native_finish_reason) || reason
  const calls = toolCalls(message.tool_calls)
  const text = textOf(message.content)
  const reasoning = string(message.reasoning) || string(message.reasoning_content) || null
  const told = usage === undefined ? null : tokensOf(usage)
  const tokens =
    told === null || usage === undefined ? UNKNOWN_TOKENS : Object.freeze(differences.tokens?.(usage, told) ?? told)
  const said = notesOf(body, usage)
  const notes = flagged(differences.notes?.(said, { body, usage: usage ?? {}, reply }) ?? said, tokens)
  const answer: Answer = {
    id: string(body.id),
    model: string(body.model),
    host: differences.host?.(body) ?? null,
    message: messageOf(message, { text, reasoning, calls: calls.whole }),
    text,
    reasoning,
    toolCalls: calls.whole,
    finish: { reason: finishOf(reason, calls.whole.length > 0), raw },
    tokens,
    // An answer that was kept and is given again is free, whether or not that is said in figures.
    reportedUsd: notes.replayed ? 0 : usage === undefined ? null : (differences.reportedUsd?.(usage) ?? null),
    notes,
    tier: string(body.service_tier),
    queueMs: seconds(usage?.queue_time),
  }
  const inside = isPresent(choice.error) ? readFailure(choice, reply, differences) : null
  return { answer, failure: inside ?? judge(answer, reason, message, calls.broken, reply) }
}

/** Whether an answer that came whole may pass for one. */
function judge(answer: Answer, reason: string | null, message: Fields, broken: boolean, reply: Reply): Failure | null {
  const { status } = reply
  if (reason === 'error') return failure('server-error', { status, detail: 'finish_reason is "error"' })
  const said = answer.text !== '' || answer.toolCalls.length > 0
  // Some hosts put an empty refusal beside every answer.
  if (answer.finish.reason === 'content-filter' || (!said && string(message.refusal))) {
    return failure('refused', { status })
  }
  if (broken) {
    // Arguments that end in the middle because the answer was cut at its limit, or that were never JSON.
    return failure('bad-output', { status, detail: 'the arguments of a tool call are not JSON' })
  }
  const shown = said || answer.reasoning !== null || answer.message.images !== undefined || isPresent(message.audio)
  if (!shown && reason === null) return failure('empty', { status })
  return null
}

function finishOf(reason: string | null, called: boolean): Finish['reason'] {
  switch (reason) {
    case 'stop':
    case 'end_turn':
    case 'eos':
      // Some hosts say `stop` beside a tool call.
      return called ? 'tool-calls' : 'stop'
    case 'length':
    case 'max_tokens':
      return 'length'
    case 'tool_calls':
    case 'function_call':
    case 'tool_use':
      return 'tool-calls'
    case 'content_filter':
    case 'refusal':
      return 'content-filter'
  }
  return 'unknown'
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  return list(content)
    .map((part) => string(part.text) ?? '')
    .join('')
}

const MOST_TOOL_CALLS = 128

const NO_CALLS = Object.freeze({ whole: Object.freeze([]), broken: false })

function toolCalls(value: unknown): { readonly whole: readonly ToolCall[]; readonly broken: boolean } {
  if (value === undefined || value === null) return NO_CALLS
  const whole: ToolCall[] = []
  const calls = list(value)
  let broken = calls.length > MOST_TOOL_CALLS
  for (const [index, call] of calls.slice(0, MOST_TOOL_CALLS).entries()) {
    const called = fields(call.function)
    const name = string(called?.name)
    const read = argumentsOf(called?.arguments)
    if (name === null || read === null) broken = true
    // The id comes back with the tool's result: without one, the two could not be matched.
    else whole.push({ id: string(call.id) || `call_${index}`, name, arguments: read.parsed, json: read.json })
  }
  return { whole, broken }
}

/** Nothing at all is no arguments. */
function argumentsOf(value: unknown): { json: string; parsed: unknown } | null {
  try {
    const json = jsonOf(value)
    return { json, parsed: JSON.parse(json.trim() === '' ? '{}' : json) }
  } catch {
    return null
  }
}

/** The message for the history: only what some provider can make use of when it is sent back. */
function messageOf(
  message: Fields,
  said: { text: string; reasoning: string | null; calls: readonly ToolCall[] },
): AssistantMessage {
  const { text, reasoning, calls } = said
  const refusal = string(message.refusal)
  const kept: AssistantMessage = {
    role: 'assistant',
    // Some hosts refuse an empty string beside tool calls, and null where nothing else stands.
    content: text === '' && (calls.length > 0 || refusal) ? null : text,
  }
  if (calls.length > 0) {
    kept.tool_calls = calls.map(({ id, name, json }) => ({
      id,
      type: 'function',
      function: { name, arguments: replayable(json) },
    }))
  }
  if (reasoning !== null) kept.reasoning = reasoning
  // Also when it is empty: some hosts ask for exactly what they sent.
  if (Array.isArray(message.reasoning_details)) kept.reasoning_details = message.reasoning_details
  if (refusal) kept.refusal = refusal
  if (Array.isArray(message.annotations) && message.annotations.length > 0) kept.annotations = message.annotations
  if (Array.isArray(message.images) && message.images.length > 0) kept.images = message.images
  return kept
}

function tokensOf(usage: Fields): Tokens {
  const prompt = count(usage.prompt_tokens)
  const completion = count(usage.completion_tokens)
  const details = fields(usage.prompt_tokens_details)
  return {
    prompt,
    cachedPrompt: count(details?.cached_tokens),
    cacheWrite: count(details?.cache_write_tokens),
    completion,
    reasoning: count(fields(usage.completion_tokens_details)?.reasoning_tokens),
    total: count(usage.total_tokens) ?? (prompt === null || completion === null ? null : prompt + completion),
  }
}

/** Tiers with prices of their own; all others are the usual one. */
const PRICED_TIERS: Readonly<Record<string, string>> = { flex: 'flex', priority: 'priority', fast: 'priority' }

function notesOf(body: Fields, usage: Fields | undefined): BillNotes {
  const read = fields(usage?.prompt_tokens_details)
  const written = fields(usage?.completion_tokens_details)
  const audioPrompt = count(read?.audio_tokens)
  const audioCompletion = count(written?.audio_tokens)
  const imageCompletion = count(written?.image_tokens)
  const tier = entry(PRICED_TIERS, body.service_tier) ?? null
  const isSilent = audioPrompt === null && audioCompletion === null && imageCompletion === null
  if (isSilent && tier === null) return NO_NOTES
  return { ...NO_NOTES, tier, media: isSilent ? null : { audioPrompt, audioCompletion, imageCompletion } }
}

export function readFailure(body: unknown, reply: Reply, differences: ReadingDifferences): Failure {
  // Google's compatible endpoint puts its errors into an array of one.
  const outer = fields(Array.isArray(body) ? body[0] : body) ?? {}
  const error = fields(outer.error) ?? { ...outer, message: string(outer.error) ?? outer.message }
  const code = string(error.code)
  // What a provider puts into a 200 counts more than the 200.
  const status = statusOf(error, reply.status)
  const kind = differences.kind?.(error, status) ?? entry(KINDS, code) ?? kindOfStatus(status)
  const detail = string(error.message) ?? (typeof body === 'string' && !body.trimStart().startsWith('<') ? body : null)
  const retryAfterMs = differences.retryAfterMs?.(error, reply) ?? null
  return failure(kind, { status, code, detail, retryAfterMs, scope: differences.scope?.(error) ?? 'model' })
}

function statusOf(error: Fields, status: number): number {
  for (const given of [error.code, error.http_status, error.status_code, error.status]) {
    const value = typeof given === 'string' ? Number(given) : given
    if (typeof value === 'number' && Number.isInteger(value) && value >= 400 && value < 600) return value
  }
  // A 200 that carries an error and no status of its own is the provider's fault.
  return status >= 200 && status < 300 ? 500 : status
}

function seconds(value: unknown): number | null {
  const time = amount(value)
  return time === null ? null : time * 1000
}
