import type { ChatRequest, RequestSettings } from './chat.ts'

/** What a call is asked to do, layer by layer; what belongs to a provider or to a candidate comes in between. */
export interface Settings {
  /** The router's, for every request. */
  readonly defaults: RequestSettings
  /** The task's. */
  readonly policy: RequestSettings
  /** What the call brings, its options on top. */
  readonly asked: ChatRequest
}

/** Whose turn it is. */
export interface Between {
  readonly provider?: RequestSettings | undefined
  readonly candidate?: RequestSettings | undefined
}

/**
 * One request of them all. From the most general to the most particular, and the later wins: the router's defaults, the
 * provider's, the task's, the candidate's own, the call's input, the call's options.
 */
export function requestFor({ defaults, policy, asked }: Settings, { provider = NONE, candidate = NONE }: Between = {}) {
  const general = merged(merged(defaults, provider), policy)
  return merged(isEmpty(candidate) ? general : merged(general, candidate), asked)
}

/** The same for one attempt: most providers and candidates bring nothing of their own. */
export function requestAt(request: ChatRequest, settings: Settings, between: Between): ChatRequest {
  const { provider = NONE, candidate = NONE } = between
  return isEmpty(provider) && isEmpty(candidate) ? request : requestFor(settings, between)
}

/** What a call brings, under its options. */
export function withOptions(request: ChatRequest, options: RequestSettings | undefined): ChatRequest {
  return options === undefined ? request : { ...merged(request, options), messages: request.messages }
}

const NONE: RequestSettings = Object.freeze({})

/**
 * Later settings win, key by key; what is only for one provider is merged in its own compartment. `undefined` says
 * nothing, so it wins over nothing.
 */
export function merged<T extends RequestSettings>(base: RequestSettings, over: T): T {
  if (isEmpty(base)) return over
  const said = stated(over)
  const both = { ...base, ...said }
  // Two names of one setting: the later one means it, whichever name the earlier one used.
  if (isSet(said.max_tokens) && !isSet(said.max_completion_tokens)) delete both.max_completion_tokens
  if (isSet(said.max_completion_tokens) && !isSet(said.max_tokens)) delete both.max_tokens
  if (isSet(said.reasoning_effort) && !isSet(said.reasoning) && both.reasoning) {
    const { effort: _, max_tokens: __, ...others } = both.reasoning
    both.reasoning = others
  }
  if (base.openrouter !== undefined && said.openrouter !== undefined) {
    const preferences = { ...base.openrouter.preferences, ...said.openrouter.preferences }
    both.openrouter = { ...base.openrouter, ...said.openrouter, ...(isEmpty(preferences) ? {} : { preferences }) }
  }
  if (base.groq !== undefined && said.groq !== undefined) both.groq = { ...base.groq, ...said.groq }
  return both
}

function stated<T extends object>(settings: T): T
function stated(settings: object): object {
  if (!Object.values(settings).includes(undefined)) return settings
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null
}

function isEmpty(settings: object): boolean {
  for (const _ in settings) return false
  return true
}
