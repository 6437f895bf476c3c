import { isoTime } from './clock.ts'
import { type Fields, fields, isFields, isPresent, string } from './fields.ts'
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
  /** Other names for it: dated slugs, the target of a `~latest` slug. */
  readonly aliases?: readonly string[]
  readonly name?: string
  /** ISO dates, `YYYY-MM-DD`. */
  readonly released?: string
  /** `null`, in a row of your own: your account keeps it, whatever the lists say. */
  readonly retires?: string | null
  /** The canonical slug of what should be used instead. */
  readonly successor?: string
  readonly context?: number
  readonly maxOutput?: number
  /** Left out: unknown, which keeps nothing away. */
  readonly input?: readonly Modality[]
  /** Left out: text. */
  readonly output?: readonly Modality[]
  /** Left out: unknown, which keeps nothing away. */
  readonly abilities?: readonly Ability[]
  /** Request parameters the provider says it takes, by OpenAI's and OpenRouter's names. */
  readonly parameters?: readonly string[]
  readonly prices?: PriceList
  /** The day the prices were seen, where it is not the listing's. */
  readonly pricedOn?: string
  /** Gives verdicts instead of answers (a guard): used when it is named, never chosen by a rule. */
  readonly guard?: boolean
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
  /** What it asks where another service tier was served, as far as it is listed. */
  readonly tierPrices?: Readonly<Record<string, PriceList>>
  /** The host caches prompts without being asked. */
  readonly implicitCaching?: boolean
}

/** What one provider sells, and how fresh that knowledge is. */
export interface Listing {
  readonly date: string
  readonly source: 'live' | 'snapshot' | 'user'
  readonly models: readonly ListedModel[]
}

type Writable<T> = { -readonly [key in keyof T]: T[key] }

/**
 * Reads the answer of `GET /models`: Groq's, OpenRouter's, or that of any server that speaks OpenAI's protocol. Odd
 * rows are left out, odd fields of a row are unknown; it never throws. Models that answer in something other than
 * text alone (speech, transcripts, embeddings) are left out: the chat endpoint refuses them, and a rule that looks for
 * the cheapest model would find them first. So are `:batch` rows, which are sold at another endpoint.
 */
export function readListing(json: unknown): ListedModel[] {
  return rowsOf(json, 'data', 'models').flatMap((row) => {
    const model = readModel(row)
    return model === null ? [] : [model]
  })
}

/**
 * Reads OpenRouter's answer to `GET /models/:author/:slug/endpoints`; never throws. Rows for a service tier
 * (`openai/priority`) are other prices of the same host, not other hosts.
 */
export function readHosts(json: unknown): ListedHost[] {
  const data = isFields(json) ? (fields(json.data) ?? json) : json
  const rows = rowsOf(data, 'endpoints')
  return rows.flatMap((row) => {
    const host = text(row.tag)
    if (host === undefined || tierOf(host) !== null) return []
    return [
      known<ListedHost>({
        host,
        name: text(row.provider_name),
        context: limit(row.context_length),
        maxOutput: limit(row.max_completion_tokens),
        parameters: texts(row.supported_parameters),
        prices: readPrices(row.pricing),
        tierPrices: tierPrices(host, rows),
        implicitCaching: typeof row.supports_implicit_caching === 'boolean' ? row.supports_implicit_caching : undefined,
      }),
    ]
  })
}

/** `google-vertex/flex` sells what `google-vertex` and `google-vertex/global` sell, at other prices. */
function tierPrices(host: string, rows: readonly Fields[]): Readonly<Record<string, PriceList>> | undefined {
  const found: Record<string, PriceList> = {}
  for (const row of rows) {
    const tier = tierOf(text(row.tag) ?? '')
    if (tier === null || (tier.host !== host && !host.startsWith(`${tier.host}/`))) continue
    const prices = readPrices(row.pricing)
    if (prices !== undefined) found[tier.name] = prices
  }
  return Object.keys(found).length === 0 ? undefined : found
}

function tierOf(tag: string): { readonly host: string; readonly name: string } | null {
  const [, host, name] = /^(.+)\/(priority|flex)$/.exec(tag) ?? []
  return host === undefined || name === undefined ? null : { host, name }
}

function readModel(row: Fields): ListedModel | null {
  const id = text(row.id)
  if (id === undefined || id.endsWith(':batch')) return null
  const shape = fields(row.architecture) ?? row
  const output = modalities(shape.output_modalities)
  if (Array.isArray(shape.output_modalities) && output?.includes('text') !== true) return null
  const top = fields(row.top_provider)
  const parameters = texts(row.supported_parameters)
  return known<ListedModel>({
    id,
    aliases: aliasesOf(row, id),
    name: text(row.name),
    released: dayOf(row.created),
    retires: retirementOf(row.expiration_date),
    context: limit(row.context_length) ?? limit(row.context_window) ?? limit(row.max_model_len),
    maxOutput: limit(top?.max_completion_tokens) ?? limit(row.max_completion_tokens),
    input: modalities(shape.input_modalities),
    output: output?.length === 1 ? undefined : output,
    abilities: abilitiesOf(texts(row.supported_features), parameters),
    parameters,
    prices: readPrices(row.pricing),
    guard: /guard|moderation|content-safety/i.test(id) || undefined,
  })
}

/** A dated slug is shared by all variants of a model, so a variant's other name keeps its suffix. */
function aliasesOf(row: Fields, id: string): readonly string[] | undefined {
  const variant = id.includes(':') ? id.slice(id.indexOf(':')) : ''
  const dated = text(row.canonical_slug)
  const target = text(fields(row.alias_target)?.slug)
  const aliases = [dated === undefined ? undefined : `${dated}${variant}`, target].filter(
    (alias): alias is string => alias !== undefined && alias !== id,
  )
  return aliases.length === 0 ? undefined : aliases
}

function abilitiesOf(
  features: readonly string[] | undefined,
  parameters: readonly string[] | undefined,
): readonly Ability[] | undefined {
  if (features === undefined && parameters === undefined) return undefined
  const has = (...names: readonly string[]) =>
    names.some((name) => features?.includes(name) === true || parameters?.includes(name) === true)
  const abilities: Ability[] = []
  if (has('tools')) abilities.push('tools')
  if (has('json_mode', 'response_format')) abilities.push('json')
  if (has('structured_outputs')) abilities.push('schema')
  if (has('reasoning', 'include_reasoning', 'reasoning_effort')) abilities.push('reasoning')
  if (has('logprobs')) abilities.push('logprobs')
  return abilities
}

/** Both vendors write prices as decimal strings, in USD per token. */
function readPrices(value: unknown): PriceList | undefined {
  const pricing = fields(value)
  if (pricing === undefined) return undefined
  const { input, output, ...rest } = pricesOf(pricing)
  // Half a price is no price; a negative one says that it depends on the model a router picks.
  if (input === undefined || output === undefined) return undefined
  const prices: Writable<PriceList> = { input, output, ...rest }
  if (prices.reasoning === 0 || prices.reasoning === output) delete prices.reasoning
  if (prices.request === 0) delete prices.request
  if (prices.discount === 0) delete prices.discount
  const tiers = rowsOf(pricing.overrides).flatMap((row) => readTier(row))
  if (tiers.length > 0) prices.tiers = tiers
  return prices
}

function pricesOf(pricing: Fields): Partial<Writable<PriceList>> {
  const input = perMillion(pricing.prompt)
  // Some lists say 0 for "no cache price"; only where the prompt is free is the cache free as well.
  const cachePrice = (value: unknown) => perMillion(value) || (input === 0 ? perMillion(value) : undefined)
  return known<Partial<PriceList>>({
    input,
    output: perMillion(pricing.completion),
    cachedInput: cachePrice(pricing.input_cache_read),
    cacheWrite: cachePrice(pricing.input_cache_write),
    cacheWrite1h: perMillion(pricing.input_cache_write_1h),
    reasoning: perMillion(pricing.internal_reasoning),
    audioInput: perMillion(pricing.audio),
    audioCachedInput: cachePrice(pricing.input_audio_cache),
    audioOutput: perMillion(pricing.audio_output),
    imageOutput: perMillion(pricing.image_output),
    discount: share(pricing.discount),
    request: decimal(pricing.request, ''),
    webSearch: decimal(pricing.web_search, '') || undefined,
  })
}

function readTier(row: Fields): PriceTier[] {
  const above = limit(row.min_prompt_tokens)
  const fromUtc = clockTime(row.utc_start)
  const untilUtc = clockTime(row.utc_end)
  const window = fromUtc !== undefined && untilUtc !== undefined
  // A condition that is not understood would let its prices hold always.
  if ((above === undefined && !window) || isPresent(row.utc_days)) return []
  const { discount: _discount, ...rates } = pricesOf(row)
  return [
    { ...(above === undefined ? {} : { abovePromptTokens: above }), ...(window && { fromUtc, untilUtc }), ...rates },
  ]
}

function share(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 && value <= 1 ? value : undefined
}

function perMillion(value: unknown): number | undefined {
  return decimal(value, 'e6')
}

/** The decimal point moves in the digits: a multiplication would be off by a binary fraction. */
function decimal(value: unknown, exponent: string): number | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined
  const [digits = '', given = '0'] = String(value).trim().toLowerCase().split('e', 2)
  if (digits === '') return undefined
  const places = Number(given) + (exponent === '' ? 0 : Number(exponent.slice(1)))
  const amount = Number(`${digits}e${places}`)
  return Number.isFinite(amount) && amount >= 0 ? amount : undefined
}

/** OpenRouter writes 2098-12-31 for "not planned". */
function retirementOf(value: unknown): string | undefined {
  const day = string(value)?.slice(0, 10)
  return day !== undefined && /^\d{4}-\d\d-\d\d$/.test(day) && day < '2090' ? day : undefined
}

/** Groq writes 0 for "not known". */
function dayOf(created: unknown): string | undefined {
  if (typeof created !== 'number' || !(created > 0 && created < 1e11)) return undefined
  return isoTime(created * 1000).slice(0, 10)
}

export const MODALITIES: readonly Modality[] = ['text', 'image', 'audio', 'video', 'file']
export const ABILITIES: readonly Ability[] = ['tools', 'json', 'schema', 'reasoning', 'logprobs']

function modalities(value: unknown): Modality[] | undefined {
  const given = texts(value)
  return given && MODALITIES.filter((modality) => given.includes(modality))
}

function limit(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 ? value : undefined
}

function clockTime(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 2400 ? value : undefined
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined
}

function texts(value: unknown): string[] | undefined {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : undefined
}

/** A list of rows, bare or under one of these keys. */
function rowsOf(value: unknown, ...keys: readonly string[]): readonly Fields[] {
  if (Array.isArray(value)) return value.filter(isFields)
  const container = fields(value)
  for (const key of keys) {
    const rows = container?.[key]
    if (Array.isArray(rows)) return rows.filter(isFields)
  }
  return []
}

/** Leaves out what is undefined: unknown is not there. */
function known<T>(value: { [key in keyof T]: T[key] | undefined }): T
function known(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined))
}
