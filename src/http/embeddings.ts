import type { EmbeddingInput, Embeddings, EmbedOptions } from '../embeddings.ts'
import { type Fields, fields, isPresent } from '../fields.ts'
import { usageOf } from '../openai-answer.ts'
import { BadRequest } from './bad-request.ts'
import { headerText } from './chat-answer.ts'
import type { Incoming } from './incoming.ts'
import { preferencesOf } from './preferences.ts'
import { isModel, unsupported } from './request-fields.ts'

/** A request for vectors in the router's own words. */
export interface AskedEmbeddings {
  readonly model: string
  readonly input: EmbeddingInput
  readonly options: EmbedOptions
}

export function askedEmbeddings(body: Fields, { signal }: Pick<Incoming, 'signal'>): AskedEmbeddings {
  const { model, input, metadata: _, stream, ...request } = body
  if (!isModel(model)) {
    throw new BadRequest('model: expected a model id', { param: 'model', code: 'missing_model' })
  }
  if (stream === true) throw unsupported('stream', 'vectors come whole: ask without it')
  if (!isInput(input)) {
    throw new BadRequest('input: expected a text, texts, or tokens', { param: 'input', code: 'invalid_type' })
  }
  const { kept, data } = preferencesOf(request.provider, { providers: [], parameters: () => [] })
  const provider = isPresent(request.provider) ? { provider: kept } : {}
  return {
    model,
    input,
    options: {
      request: { ...request, ...provider },
      ...(data !== undefined && { data }),
      ...(signal !== null && { signal }),
    },
  }
}

/** The provider's own body, with what the call has cost. */
export function embeddingsAnswer({ raw, usage }: Embeddings): string {
  const counted = usageOf(usage, raw)
  const told = fields(raw)
  return JSON.stringify({ ...told, ...(counted !== null && { usage: { ...fields(told?.usage), ...counted } }) })
}

export function embeddingsHeaders({ model, provider, usage }: Embeddings): Record<string, string> {
  const { cost, attempts, id, task } = usage
  return {
    'content-type': 'application/json',
    'x-modelfirst-call': id,
    'x-modelfirst-task': task,
    'x-modelfirst-model': headerText(model),
    'x-modelfirst-provider': provider,
    'x-modelfirst-attempts': String(attempts.length),
    ...(cost.usd !== null && { 'x-modelfirst-cost-usd': String(cost.usd) }),
  }
}

const MOST_INPUTS = 10_000

function isInput(value: unknown): value is EmbeddingInput {
  if (typeof value === 'string') return value !== ''
  if (!Array.isArray(value) || value.length === 0 || value.length > MOST_INPUTS) return false
  return (
    value.every((each) => typeof each === 'string') ||
    value.every((each) => typeof each === 'number') ||
    value.every((each) => Array.isArray(each) && each.every((token) => typeof token === 'number'))
  )
}
