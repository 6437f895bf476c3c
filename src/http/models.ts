import type { Model, Offer } from '../catalog.ts'
import { unixSeconds } from '../clock.ts'
import type { Ability } from '../listing.ts'
import type { RouterCatalog } from '../router.ts'
import { BadRequest } from './bad-request.ts'

/** The lists that clients ask for: the tasks first, then every model that can be asked for. */
export interface ModelPages {
  all(): string
  /** Of one; throws what is answered when there is none. */
  one(id: string): string
}

export function createModelPages(catalog: RouterCatalog, tasks: readonly string[]): ModelPages {
  /** Written once for as long as the catalogue stays as it is. */
  let written: { readonly of: readonly Model[]; readonly page: string } | null = null
  return {
    all() {
      const models = catalog.models()
      if (written?.of !== models) {
        const data = [...tasks.map(taskRow), ...models.map(modelRow)]
        written = {
          of: models,
          page: JSON.stringify({ object: 'list', data, total_count: data.length, links: { next: null } }),
        }
      }
      return written.page
    },
    one(id) {
      const task = id.startsWith('task:') ? id.slice('task:'.length) : id
      if (tasks.includes(task)) return JSON.stringify(taskRow(task))
      const found = catalog.lookup(id)
      if ('model' in found) return JSON.stringify(modelRow(found.model))
      const close = 'several' in found ? found.several : found.nearest
      const hint = close.length === 0 ? '' : `; did you mean ${close.slice(0, 3).join(', ')}?`
      throw new BadRequest(`there is no such model${hint}`, { status: 404, param: 'model', code: 'model_not_found' })
    },
  }
}

/** A price that is not known beforehand, as OpenRouter lists its own routers. */
const UNKNOWN_PRICE = '-1'
/** OpenAI's list has a day for each model: this is none. */
const NO_DAY = 0

function taskRow(task: string): object {
  return row({ id: `task:${task}`, name: task, owner: 'modelfirst' })
}

function modelRow(model: Model): object {
  const { id, name, released, context, maxOutput, input, retires, abilities, offers } = model
  return row({
    id,
    name: name ?? id,
    owner: id.includes('/') ? (id.split('/', 1)[0] ?? '') : (offers[0]?.provider ?? ''),
    created: released === null ? NO_DAY : unixSeconds(released),
    context,
    maxOutput,
    input: [...input],
    retires,
    parameters: parametersOf(offers, abilities),
    pricing: pricingOf(offers),
    offers: offers.map(({ provider, wireModel, prices }) => ({ provider, id: wireModel, pricing: pricesOf(prices) })),
  })
}

function row(about: {
  readonly id: string
  readonly name: string
  readonly owner: string
  readonly created?: number
  readonly context?: number | null
  readonly maxOutput?: number | null
  readonly input?: readonly string[]
  readonly retires?: string | null
  readonly parameters?: readonly string[]
  readonly pricing?: object
  readonly offers?: readonly object[]
}): object {
  const {
    id,
    name,
    owner,
    created = NO_DAY,
    context = null,
    maxOutput = null,
    input = ['text'],
    parameters = [],
  } = about
  return {
    id,
    object: 'model',
    created,
    owned_by: owner,
    canonical_slug: id,
    name,
    context_length: context,
    architecture: {
      modality: `${input.join('+')}->text`,
      input_modalities: input,
      output_modalities: ['text'],
      instruct_type: null,
    },
    pricing: about.pricing ?? pricesOf(null),
    top_provider: { context_length: context, max_completion_tokens: maxOutput, is_moderated: false },
    per_request_limits: null,
    supported_parameters: parameters,
    default_parameters: null,
    supported_voices: null,
    expiration_date: about.retires ?? null,
    links: { details: `/models/${id}` },
    ...(about.offers !== undefined && { offers: about.offers }),
  }
}

/** What the cheapest offer asks, since that is where a call without preferences may go. */
function pricingOf(offers: readonly Offer[]): object {
  let cheapest: Offer['prices'] = null
  for (const { prices } of offers) {
    if (prices !== null && (cheapest === null || sumOf(prices) < sumOf(cheapest))) cheapest = prices
  }
  return pricesOf(cheapest)
}

function sumOf({ input, output }: { readonly input: number; readonly output: number }): number {
  return input + output
}

/** USD a token, as decimal text. */
function pricesOf(prices: Offer['prices']): object {
  if (prices === null) return { prompt: UNKNOWN_PRICE, completion: UNKNOWN_PRICE }
  const { input, output, cachedInput, cacheWrite, request, image } = prices
  return {
    prompt: perToken(input),
    completion: perToken(output),
    ...(cachedInput !== undefined && { input_cache_read: perToken(cachedInput) }),
    ...(cacheWrite !== undefined && { input_cache_write: perToken(cacheWrite) }),
    ...(request !== undefined && { request: String(request) }),
    ...(image !== undefined && { image: String(image) }),
  }
}

/** Never as `2.25e-7`. */
function perToken(perMillion: number): string {
  return (perMillion / 1e6).toFixed(15).replace(/\.?0+$/, '')
}

const WORDS: Readonly<Record<Ability, readonly string[]>> = {
  tools: ['tools', 'tool_choice'],
  json: ['response_format'],
  schema: ['response_format', 'structured_outputs'],
  reasoning: ['reasoning', 'include_reasoning'],
  logprobs: ['logprobs', 'top_logprobs'],
}

function parametersOf(offers: readonly Offer[], abilities: ReadonlySet<Ability> | null): readonly string[] {
  const listed = offers.flatMap(({ parameters }) => [...(parameters ?? [])])
  const able = [...(abilities ?? [])].flatMap((ability) => WORDS[ability])
  return [...new Set([...listed, ...able])].sort()
}
