import { type Reading, type ReadingDifferences, type Reply, readAnswer, readFailure } from '../answer.ts'
import type { CachedAt, Caching } from '../caching.ts'
import type { ChatMessage, ChatRequest } from '../chat.ts'
import type { Failure } from '../failure.ts'
import { withoutStrangers } from '../history.ts'
import type { Ability } from '../listing.ts'
import type { Taste } from '../strict.ts'
import { OPENAI } from '../tastes.ts'
import { withToolIds } from '../tool-ids.ts'

/** A rule on what may happen to the data, for every attempt of a call. */
export interface DataRule {
  /** `deny`: nobody may train on it. */
  readonly training?: 'deny' | undefined
  /** `zero`: nobody may keep it. */
  readonly retention?: 'zero' | undefined
}

/** What one request is sent to. */
export interface Target {
  readonly wireModel: string
  readonly abilities: ReadonlySet<Ability> | null
  /** The hosts behind an aggregator, in order; none: any. */
  readonly hosts: readonly string[]
  readonly othersAllowed: boolean
  /** Hosts that must not be used. */
  readonly avoided: readonly string[]
  /** A keyed hash, for providers that keep a conversation where its cache is. */
  readonly session: string | null
  readonly data: DataRule
  /** USD per million tokens that a host may ask at the most, so that an estimate holds wherever it runs. */
  readonly dearest?: { readonly input: number; readonly output: number } | null
  /** Whether to mark what a cache is to keep, where nothing is kept without; left out: no. */
  readonly marks?: boolean
  /** A host that overlooks the schema is of no use; left out: the request has none of ours. */
  readonly strict?: boolean
}

/** One provider's protocol, as pure functions. */
export interface Dialect {
  readonly name: string
  readonly supports: {
    /** Aggregates hosts, which can be asked for by name. */
    readonly hosts: boolean
    /** Enforces a data rule by itself on each request. */
    readonly dataRules: boolean
    /** Takes a session key. */
    readonly sessions: boolean
    /** Serves variants of a model by a suffix (`:nitro`). */
    readonly variants: boolean
    /** Takes a JSON format and tools in one request. */
    readonly formatWithTools: boolean
    /** Streams what follows a strict schema. */
    readonly schemaWithStream: boolean
    /** Does not charge for an answer that ends in an error. */
    readonly insured: boolean
  }
  /** Whether the id stands for a choice the provider makes itself, so that any model may answer. */
  isRouter(wireModel: string): boolean
  /** What a strict schema may say there. */
  taste(wireModel: string): Taste
  /** How prompts are cached there. */
  caching(at: CachedAt): Caching
  body(request: ChatRequest, target: Target): Record<string, unknown>
  /** What a request for a stream says besides `stream: true`. */
  readonly streaming: Readonly<Record<string, unknown>>
  /** Headers that depend on the request; `null` for none. */
  headers(request: ChatRequest, target: Target): Record<string, string> | null
  /** The provider's own record of an answer, for a bill that was not told with it; `null`: it keeps none. */
  readonly generation: { path(id: string): string; read(body: unknown): Generation | null } | null
  read(body: unknown, reply: Reply): Reading
  fail(body: unknown, reply: Reply): Failure
}

/** What was billed for one answer, as the provider remembers it. */
export interface Generation {
  readonly usd: number | null
  /** + was saved by reading from the cache, − was paid for writing to it. */
  readonly discountUsd: number | null
  readonly host: string | null
  readonly prompt: number | null
  readonly cachedPrompt: number | null
  readonly completion: number | null
  readonly reasoning: number | null
}

/** Where a dialect differs from OpenAI's. All but the name may be left out. */
export interface Differences extends ReadingDifferences {
  readonly name: string
  readonly supports?: Partial<Dialect['supports']>
  readonly isRouter?: Dialect['isRouter']
  readonly taste?: Dialect['taste']
  readonly caching?: Dialect['caching']
  readonly generation?: Dialect['generation']
  readonly body?: Dialect['body']
  readonly streaming?: Dialect['streaming']
  readonly headers?: Dialect['headers']
}

/** Keys that only OpenRouter takes, wherever a caller has put them. */
const OPENROUTER_ONLY = [
  'models',
  'provider',
  'plugins',
  'transforms',
  'route',
  'session_id',
  'trace',
  'preset',
  'usage',
  'include_reasoning',
  'cache_control',
  'debug',
  'image_config',
  'stop_server_tools_when',
  'x_search_filter',
  'top_a',
]

/** OpenAI's own words: without marks, from 1,024 tokens on, gone after five to ten minutes without use. */
const OPENAI_CACHING: Caching = Object.freeze({ ttlMs: 300_000, least: 1024, marked: false })

/** OpenAI's dialect, which every compatible endpoint speaks, with the differences of one that is not quite it. */
export function createDialect(differences: Differences): Dialect {
  const supports = {
    hosts: false,
    dataRules: false,
    sessions: false,
    variants: false,
    formatWithTools: true,
    schemaWithStream: true,
    insured: false,
    ...differences.supports,
  }
  return Object.freeze({
    name: differences.name,
    supports: Object.freeze(supports),
    isRouter: differences.isRouter ?? (() => false),
    generation: differences.generation ?? null,
    taste: differences.taste ?? (() => OPENAI),
    caching: differences.caching ?? (() => OPENAI_CACHING),
    body: differences.body ?? plainBody,
    // Without it, OpenAI and those who follow it send no usage at the end of a stream.
    streaming: differences.streaming ?? { stream_options: { include_usage: true } },
    headers: differences.headers ?? (() => null),
    read: (body, reply) => readAnswer(body, reply, differences),
    fail: (body, reply) => readFailure(body, reply, differences),
  } satisfies Dialect)
}

export const openai: Dialect = createDialect({ name: 'openai' })

/** What is not set is not sent. */
export function present(settings: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
}

/**
 * What is the plan's or the call's to say, whatever a request that was written for another client says of it; and the
 * one name that an assignment would not take for a key.
 */
export const OURS: ReadonlySet<string> = new Set(['model', 'messages', 'stream', 'stream_options', '__proto__'])

/** What each provider has its own words for, besides `more`. */
export function translated(...more: readonly string[]): ReadonlySet<string> {
  return new Set([...OURS, 'openrouter', 'groq', 'reasoning', 'reasoning_effort', ...more])
}

/** Puts into a body what is asked for, below the model and the messages that were planned. */
export function put(asked: object, body: Record<string, unknown>, without: ReadonlySet<string>): void {
  for (const [key, value] of Object.entries(asked)) if (value !== undefined && !without.has(key)) body[key] = value
}

const STRANGE = translated(...OPENROUTER_ONLY)

function plainBody(request: ChatRequest, target: Target): Record<string, unknown> {
  const { reasoning, reasoning_effort } = request
  const body: Record<string, unknown> = { model: target.wireModel, messages: plainMessages(request, target) }
  put(request, body, STRANGE)
  const effort = reasoning?.effort ?? reasoning_effort
  if (effort && effort !== 'default') body.reasoning_effort = effort
  return body
}

const PLAIN_KEYS = new Set([
  'role',
  'content',
  'name',
  'tool_calls',
  'tool_call_id',
  'refusal',
  'audio',
  'function_call',
])

function plainMessages({ messages }: ChatRequest, { wireModel }: Target): readonly ChatMessage[] {
  return withToolIds(
    withoutStrangers(messages, () => PLAIN_KEYS),
    wireModel,
  )
}
