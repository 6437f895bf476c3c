import type { ChatMessage } from '../chat.ts'
import { entry, type Fields, isPresent } from '../fields.ts'
import { withThoughts } from '../history.ts'
import { plainModel } from './openrouter-caching.ts'

type Family = 'anthropic' | 'openai' | 'google' | 'xai' | 'meta'

/** Who can read thoughts of a format, and check the signatures in them. */
const FORMATS: Readonly<Record<string, Family>> = {
  'anthropic-claude-v1': 'anthropic',
  'openai-responses-v1': 'openai',
  'azure-openai-responses-v1': 'openai',
  'bedrock-openai-responses-v1': 'openai',
  'google-gemini-v1': 'google',
  'meta-responses-v1': 'meta',
  'xai-responses-v1': 'xai',
  'bedrock-xai-responses-v1': 'xai',
}

/** Models with a format of their own. Open weights have none: gpt-oss thinks in plain text, as others do. */
const FAMILIES: readonly (readonly [RegExp, Family])[] = [
  [/^anthropic\//, 'anthropic'],
  [/^openai\/(?!gpt-oss)/, 'openai'],
  [/^google\/gemini/, 'google'],
  [/^x-ai\//, 'xai'],
  [/^meta\//, 'meta'],
]

/** Thoughts without a signature of their own are a wrong request there. */
const SIGNS: ReadonlySet<Family | null> = new Set<Family>(['anthropic', 'openai'])

/** The history with only those thoughts that the model can read; their plain text, `reasoning`, goes to anybody. */
export function readableBy(messages: readonly ChatMessage[], wireModel: string): readonly ChatMessage[] {
  const model = plainModel(wireModel)
  const family = FAMILIES.find(([pattern]) => pattern.test(model))?.[1] ?? null
  const reads = ({ format, data, signature }: Fields) => {
    const of = entry(FORMATS, format)
    if (of !== undefined) return of === family
    // OpenRouter writes "unknown", or nothing, for plain text. What is sealed and nobody's may be somebody's.
    return !SIGNS.has(family) && !isPresent(data) && !isPresent(signature)
  }
  // DeepSeek refuses an answer that was thought about and has no thoughts, not even none.
  return withThoughts(messages, reads, model.startsWith('deepseek/'))
}
