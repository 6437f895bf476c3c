import type {
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionMessageParam,
} from 'openai/resources/chat/completions'
import { fields, list } from './fields.ts'

/** The words spoken with a model: OpenAI's shapes, plus what OpenRouter and Groq add to them. */
export type ChatMessage = ChatCompletionMessageParam | AssistantMessage

type OpenAIParameters = Omit<
  ChatCompletionCreateParamsNonStreaming,
  // Ours to decide (`model`, `stream`), deprecated, or wider at OpenRouter and Groq than at OpenAI.
  | 'model'
  | 'messages'
  | 'stream'
  | 'stream_options'
  | 'functions'
  | 'function_call'
  | 'service_tier'
  | 'reasoning_effort'
  | 'verbosity'
>

export type Effort = 'none' | 'default' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max'

/** The settings of a request: OpenAI's own names. A provider that does not take one never sees it. */
export interface RequestSettings extends OpenAIParameters {
  service_tier?:
    | 'auto'
    | 'default'
    | 'flex'
    | 'scale'
    | 'priority'
    | 'fast'
    | 'on_demand'
    | 'performance'
    | null
    | undefined
  reasoning_effort?: Effort | null | undefined
  /** OpenRouter's form; mapped for providers that have another. `effort` and `max_tokens` exclude each other. */
  reasoning?: ReasoningSettings | null | undefined
  verbosity?: 'low' | 'medium' | 'high' | 'xhigh' | 'max' | null | undefined
  top_k?: number | undefined
  top_a?: number | undefined
  min_p?: number | undefined
  repetition_penalty?: number | undefined
  /** What only OpenRouter understands; other providers never see it. */
  openrouter?: OpenRouterSettings | undefined
  /** What only Groq understands; other providers never see it. */
  groq?: GroqSettings | undefined
}

export interface ReasoningSettings {
  effort?: Effort | null | undefined
  max_tokens?: number | undefined
  exclude?: boolean | undefined
  enabled?: boolean | undefined
  summary?: 'auto' | 'concise' | 'detailed' | null | undefined
}

export interface ChatRequest extends RequestSettings {
  messages: readonly ChatMessage[]
}

/** What a call may be given: a prompt, a conversation, or a whole request. */
export type Input = string | readonly ChatMessage[] | ChatRequest

type Percentiles = number | { p50?: number; p75?: number; p90?: number; p99?: number }

/** OpenRouter's `provider` object. */
export interface OpenRouterPreferences {
  order?: readonly string[]
  only?: readonly string[]
  ignore?: readonly string[]
  allow_fallbacks?: boolean
  require_parameters?: boolean
  data_collection?: 'allow' | 'deny'
  zdr?: boolean
  enforce_distillable_text?: boolean
  quantizations?: readonly (
    | 'int4'
    | 'int8'
    | 'fp4'
    | 'mxfp4'
    | 'nvfp4'
    | 'fp6'
    | 'fp8'
    | 'mxfp8'
    | 'fp16'
    | 'bf16'
    | 'fp32'
    | 'unknown'
  )[]
  sort?:
    | 'price'
    | 'throughput'
    | 'latency'
    | 'exacto'
    | { by?: 'price' | 'throughput' | 'latency' | 'exacto'; partition?: 'model' | 'none' }
  /** USD per million tokens; `image` and `request` each. */
  max_price?: {
    prompt?: number | string
    completion?: number | string
    image?: number | string
    audio?: number | string
    request?: number | string
  }
  preferred_min_throughput?: Percentiles
  preferred_max_latency?: Percentiles
}

export interface OpenRouterPlugin {
  id: string
  enabled?: boolean
  [setting: string]: unknown
}

export interface OpenRouterSettings {
  preferences?: OpenRouterPreferences
  plugins?: readonly OpenRouterPlugin[]
  /** Models OpenRouter itself falls back to, at most three with the first. */
  models?: readonly string[]
  preset?: string
  transforms?: readonly string[]
  trace?: Readonly<Record<string, unknown>>
  /** Asks for `openrouter_metadata`: how the request was routed. */
  metadata?: boolean
  /** OpenRouter's own answer cache: seconds to live, or false. */
  cache?: boolean | { ttl?: number; clear?: boolean }
  /** Any other field of OpenRouter's request, by its own name. */
  extra?: Readonly<Record<string, unknown>>
}

export interface GroqSettings {
  reasoning_format?: 'hidden' | 'raw' | 'parsed'
  citation_options?: 'enabled' | 'disabled'
  documents?: readonly unknown[]
  search_settings?: Readonly<Record<string, unknown>>
  disable_tool_validation?: boolean
}

export interface ToolCall {
  readonly id: string
  readonly name: string
  /** Parsed; always an object or another JSON value, never a broken string. */
  readonly arguments: unknown
  /** As the model wrote them. */
  readonly json: string
}

/** An answer as a message: push it to the history as it is; each dialect takes out what it may not send. */
export interface AssistantMessage {
  role: 'assistant'
  content: string | null
  tool_calls?: { id: string; type: 'function'; function: { name: string; arguments: string } }[]
  reasoning?: string
  reasoning_details?: unknown[]
  refusal?: string
  annotations?: unknown[]
  images?: unknown[]
}

export interface Finish {
  readonly reason: 'stop' | 'length' | 'tool-calls' | 'content-filter' | 'unknown'
  readonly raw: string | null
}

/** What a request asks of a model, read off the request itself. */
export interface Needs {
  readonly tools: boolean
  readonly image: boolean
  readonly audio: boolean
  readonly video: boolean
  readonly file: boolean
  readonly schema: 'schema' | 'json' | null
  /** It comes in pieces. */
  readonly stream: boolean
  readonly reasoning: boolean
  /** Something acts on it that is not the model: plugins, web search, tools that the provider runs. */
  readonly others: boolean
  /** A rough count, about four characters a token; images count as 1,000. */
  readonly promptTokens: number
  readonly maxTokens: number | null
}

export const CHARACTERS_PER_TOKEN = 4
const TOKENS_PER_MESSAGE = 4
const TOKENS_PER_IMAGE = 1000

export function requestOf(input: Input): ChatRequest {
  if (typeof input === 'string') return { messages: [{ role: 'user', content: input }] }
  return isMessages(input) ? { messages: input } : input
}

function isMessages(input: readonly ChatMessage[] | ChatRequest): input is readonly ChatMessage[] {
  return Array.isArray(input)
}

export function needsOf(request: ChatRequest): Needs {
  let characters = 0
  let tokens = TOKENS_PER_MESSAGE * request.messages.length
  const seen = new Set<string>()
  for (const message of request.messages) {
    const content = message.content
    if (typeof content === 'string') characters += content.length
    else if (Array.isArray(content)) {
      for (const part of content) {
        if ('text' in part && typeof part.text === 'string') characters += part.text.length
        else {
          seen.add(part.type)
          tokens += TOKENS_PER_IMAGE
        }
      }
    }
    if ('tool_calls' in message && Array.isArray(message.tool_calls)) {
      for (const call of message.tool_calls) {
        if ('function' in call) characters += call.function.name.length + call.function.arguments.length
      }
    }
  }
  const tools = request.tools !== undefined && request.tools.length > 0
  if (tools) characters += JSON.stringify(request.tools).length
  const format = request.response_format?.type
  const effort = request.reasoning?.effort ?? request.reasoning_effort
  return {
    tools,
    image: seen.has('image_url'),
    audio: seen.has('input_audio'),
    video: seen.has('video_url'),
    file: seen.has('file'),
    schema: format === 'json_schema' ? 'schema' : format === 'json_object' ? 'json' : null,
    stream: false,
    reasoning: (effort !== undefined && effort !== null && effort !== 'none') || request.reasoning?.enabled === true,
    others: asksOthers(request),
    promptTokens: tokens + Math.ceil(characters / CHARACTERS_PER_TOKEN),
    maxTokens: request.max_completion_tokens ?? request.max_tokens ?? null,
  }
}

/** Plugins, and tools that are run where the model is: they do what they do each time, and see what it sees. */
export function asksOthers(settings: RequestSettings): boolean {
  const { tools, openrouter } = settings
  if (list(tools).some(({ type }) => type !== 'function' && type !== 'custom')) return true
  const plugins = [...list(openrouter?.plugins), ...list(fields(settings)?.plugins)]
  return plugins.some(({ id }) => id !== 'response-healing')
}
