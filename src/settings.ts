import type { ChatRequest, RequestSettings } from './chat.ts'

/** Later settings win, key by key; what is only for one provider is merged in its own compartment. */
export function merged<T extends RequestSettings>(base: RequestSettings, over: T): T {
  if (isEmpty(base)) return over
  const both = { ...base, ...over }
  if (base.openrouter !== undefined && over.openrouter !== undefined) {
    const preferences = { ...base.openrouter.preferences, ...over.openrouter.preferences }
    both.openrouter = { ...base.openrouter, ...over.openrouter, ...(isEmpty(preferences) ? {} : { preferences }) }
  }
  if (base.groq !== undefined && over.groq !== undefined) both.groq = { ...base.groq, ...over.groq }
  return both
}

/** The settings of a call: the policy's, then what the call brings, then its options. */
export function withSettings(
  request: ChatRequest,
  below: RequestSettings,
  above: RequestSettings | undefined,
): ChatRequest {
  const filled = merged(below, request)
  return above === undefined ? filled : { ...merged(filled, above), messages: filled.messages }
}

function isEmpty(settings: object): boolean {
  for (const _ in settings) return false
  return true
}
