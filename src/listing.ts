import { isoTime } from './clock.ts'
import { type Fields, fields, list, string } from './fields.ts'
import type { PriceList, PriceTier } from './price.ts'

export type Modality = 'text' | 'image' | 'audio' | 'video' | 'file'
/** What a model can be asked to do beyond answering in text. */
export type Ability = 'tools' | 'json' | 'schema' | 'reasoning' | 'logprobs'

/** One model as one provider lists it. Everything but the id may be unknown. */
export interface ListedModel {
  /** What goes on the wire. */
  readonly id: string
  /** The canonical slug, where it differs from the id: `llama-3.3-70b-versatile` is `meta-llama/llama-3.3-70b-instruct`. */
  readonly model?: string
  /** Other names for it: dated slugs. */
  readonly aliases?: readonly string[]
  /** For a slug such as `~openai/gpt-latest`: the model that it stands for today. */
  readonly aliasOf?: string
  readonly name?: string
  /** ISO dates, `YYYY-MM-DD`. */
  readonly released?: string
  readonly retires?: string
  /** The canonical slug of what should be used instead. */
  readonly successor?: string
  readonly context?: number
  readonly maxOutput?: number
  /** Left out: text. */
  readonly input?: readonly Modality[]
  readonly output?: readonly Modality[]
  /** Left out: unknown, which keeps nothing away. */
  readonly abilities?: readonly Ability[]
  /** Request parameters the provider says it takes, by OpenAI's and OpenRouter's names. */
  readonly parameters?: readonly string[]
  readonly prices?: PriceList
  /** Who runs it behind an aggregator, where that is known. */
  readonly hosts?: readonly ListedHost[]
}

/** One host of a model behind an aggregator. */
export interface ListedHost {
  /** The slug that pins it, e.g. `anthropic` or `google-vertex/us-east5`. */
  readonly host: string
  /** The display name that answers carry, e.g. `Google`. */
  readonly name?: string
  readonly context?: number
  readonly maxOutput?: number
  readonly parameters?: readonly string[]
  readonly prices?: PriceList
  /** The host caches prompts without being asked. */
  readonly implicitCaching?: boolean
}

/** What one provider sells, and how fresh that knowledge is. */
export interface Listing {
  readonly date: string
  readonly source: 'live' | 'snapshot' | 'user'
  readonly models: readonly ListedModel[]
}

/** Rows without an id are not models; a date this far off is how a list says "never". */
const NEVER = '2090'

/**
 * Reads any `/models` answer: OpenAI's bare ids, Groq's and OpenRouter's richer rows. What is odd in a row is left
 * out of it, never guessed.
 */
export function readListing(json: unknown): ListedModel[] {
  return list(fields(json)?.data ?? json).flatMap((row) => {
    const id = string(row.id)
    if (id === null || id === '') return []
    const provided = fields(row.top_provider)
    const architecture = fields(row.architecture)
    const canonical = string(row.canonical_slug)
    const target = string(fields(row.alias_target)?.slug)
    const retires = string(row.expiration_date)
    const created = positive(row.created)
    return [
      {
        id,
        ...compact({
          name: string(row.name),
          aliases: [...(canonical !== null && canonical !== id ? [canonical] : [])],
          aliasOf: target,
          released: created === null ? null : isoDay(created),
          retires: retires === null || retires >= NEVER ? null : retires.slice(0, 10),
          context: smallest(row.context_window, row.context_length, provided?.context_length),
          maxOutput: smallest(row.max_completion_tokens, row.max_output_length, provided?.max_completion_tokens),
          input: modalities(row.input_modalities ?? architecture?.input_modalities),
          output: modalities(row.output_modalities ?? architecture?.output_modalities),
          abilities: abilitiesOf(row),
          parameters: strings(row.supported_parameters),
          prices: readPrices(row.pricing),
        }),
      },
    ]
  })
}

/** Reads OpenRouter's `/models/:author/:slug/endpoints`. Rows for a service tier are other prices, not other hosts. */
export function readHosts(json: unknown): ListedHost[] {
  return list(fields(fields(json)?.data)?.endpoints).flatMap((row) => {
    const host = string(row.tag)
    if (host === null || host === '' || /\/(priority|flex)$/.test(host)) return []
    return [
      {
        host,
        ...compact({
          name: string(row.provider_name),
          context: smallest(row.context_length),
          maxOutput: smallest(row.max_completion_tokens),
          parameters: strings(row.supported_parameters),
          prices: readPrices(row.pricing),
          implicitCaching: typeof row.supports_implicit_caching === 'boolean' ? row.supports_implicit_caching : null,
        }),
      },
    ]
  })
}

/** Per-token decimal strings; a negative one is how a router says that it depends. */
export function readPrices(value: unknown): PriceList | null {
  const row = fields(value)
  const input = perMillion(row?.prompt)
  const output = perMillion(row?.completion)
  if (row === undefined || input === null || output === null) return null
  const tiers = list(row.overrides).map(
    (tier): PriceTier =>
      compact({
        abovePromptTokens: positive(tier.min_prompt_tokens),
        fromUtc: clock(tier.utc_start),
        untilUtc: clock(tier.utc_end),
        input: perMillion(tier.prompt),
        output: perMillion(tier.completion),
        ...cachePrices(tier),
      }),
  )
  const reasoning = perMillion(row.internal_reasoning)
  return {
    input,
    output,
    ...compact({
      ...cachePrices(row),
      // Listed beside the completion's mostly to say that it is the same.
      reasoning: reasoning === output ? null : reasoning,
      audioInput: perMillion(row.audio),
      request: each(row.request),
      webSearch: each(row.web_search),
      tiers,
    }),
  }
}

function cachePrices(row: Fields) {
  return {
    cachedInput: perMillion(row.input_cache_read),
    cacheWrite: perMillion(row.input_cache_write),
    cacheWrite1h: perMillion(row.input_cache_write_1h),
  }
}

/** `"0.00000015"` a token is 0.15 a million: the point is moved in the digits, where nothing is lost. */
function perMillion(value: unknown): number | null {
  const price = typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(`${value}e6`) : null
  return price !== null && Number.isFinite(price) ? price : null
}

/** USD each; 0 says nothing that leaving it out does not say. */
function each(value: unknown): number | null {
  const price = typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : null
  return price !== null && price > 0 && Number.isFinite(price) ? price : null
}

function abilitiesOf(row: Fields): Ability[] | null {
  const features = strings(row.supported_features)
  const parameters = strings(row.supported_parameters)
  if (features === null && parameters === null) return null
  const named = new Set([...(features ?? []), ...(parameters ?? [])])
  const has = (...names: string[]) => names.some((name) => named.has(name))
  const abilities: Ability[] = []
  if (has('tools')) abilities.push('tools')
  if (has('json_mode', 'response_format')) abilities.push('json')
  if (has('structured_outputs')) abilities.push('schema')
  if (has('reasoning', 'reasoning_effort', 'include_reasoning')) abilities.push('reasoning')
  if (has('logprobs')) abilities.push('logprobs')
  return abilities
}

const MODALITIES: readonly string[] = ['text', 'image', 'audio', 'video', 'file'] satisfies Modality[]

function modalities(value: unknown): Modality[] | null {
  const named = strings(value)
  return named === null ? null : named.filter(isModality)
}

function isModality(name: string): name is Modality {
  return MODALITIES.includes(name)
}

function strings(value: unknown): string[] | null {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : null
}

function positive(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : null
}

function clock(value: unknown): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 2400 ? value : null
}

function smallest(...values: unknown[]): number | null {
  const known = values.map(positive).filter((value) => value !== null)
  return known.length === 0 ? null : Math.min(...known)
}

/** Seconds since 1970, as OpenAI's `created`. */
function isoDay(seconds: number): string | null {
  return seconds < LATEST ? isoTime(seconds * 1000).slice(0, 10) : null
}

const LATEST = 4e9

/** Leaves out what is not known. */
function compact<T extends object>(row: T): { [Key in keyof T]?: Exclude<T[Key], null> } {
  const kept = { ...row }
  for (const [key, value] of Object.entries(row)) {
    if (value === null || (Array.isArray(value) && value.length === 0)) Reflect.deleteProperty(kept, key)
  }
  // The compiler does not follow what was deleted.
  return kept as { [Key in keyof T]?: Exclude<T[Key], null> }
}
