import type { OpenRouterPreferences } from '../chat.ts'
import type { DataRule } from '../dialects/dialect.ts'
import { type Fields, fields, isPresent } from '../fields.ts'
import { type Expectation, expected } from '../options.ts'
import { cheapestOffer, fastestOffer, type ProviderRef, type ProviderRule, type RankedOffer } from '../provider-rule.ts'
import { BadRequest } from './bad-request.ts'

/** A provider of the router, as far as a request can be about it. */
export interface KnownProvider {
  readonly name: string
  /** It aggregates hosts. */
  readonly hosts: boolean
}

/** What OpenRouter's `provider` object of a request asks for. */
export interface Preferences {
  /** For OpenRouter, in its own words, except for what would take a rule of the router back. */
  readonly kept: OpenRouterPreferences
  readonly data: DataRule | undefined
  /** The same, where it binds everybody. */
  readonly places: readonly (ProviderRef | ProviderRule)[]
  /** What these follow from: the same words, the same places. */
  readonly key: string
  /** The first key that only a policy could follow, so that a task with its own cannot. */
  readonly binding: string | null
}

const NAMES = expected('a list of names', isNames)
const YES_OR_NO = expected('true or false', (value) => typeof value === 'boolean')
const SORTS = ['price', 'throughput', 'latency', 'exacto']
const CUT_OFFS = expected('a number or { p50, p75, p90, p99 }', (value) => typeof value === 'number' || isObject(value))

const KEYS: Readonly<Record<string, Expectation>> = {
  order: NAMES,
  only: NAMES,
  ignore: NAMES,
  allow_fallbacks: YES_OR_NO,
  require_parameters: YES_OR_NO,
  data_collection: expected('"allow" or "deny"', (value) => value === 'allow' || value === 'deny'),
  zdr: YES_OR_NO,
  enforce_distillable_text: YES_OR_NO,
  quantizations: NAMES,
  sort: expected(
    `one of ${SORTS.join(', ')}`,
    (value) => SORTS.includes(String(fields(value)?.by ?? value)) || isObject(value),
  ),
  max_price: expected(
    'prices in USD per million tokens',
    (value) => isObject(value) && Object.values(value).every(isPrice),
  ),
  preferred_min_throughput: CUT_OFFS,
  preferred_max_latency: CUT_OFFS,
}

/** What OpenRouter looks up at its hosts and nobody tells of a provider's own endpoint. */
const OF_HOSTS = ['quantizations', 'enforce_distillable_text']

const NONE: Preferences = Object.freeze({
  kept: {},
  data: undefined,
  places: Object.freeze([]),
  key: '',
  binding: null,
})

/** `parameters`: what the request sets, by the names in a model's list of parameters. */
export function preferencesOf(
  given: unknown,
  about: { readonly providers: readonly KnownProvider[]; readonly parameters: () => readonly string[] },
): Preferences {
  const asked = checked(given)
  if (asked === null) return NONE
  const { zdr, data_collection: collection, ...others } = asked
  const training = collection === 'deny' ? ('deny' as const) : undefined
  const retention = zdr === true ? ('zero' as const) : undefined
  const places = placesOf(asked, about)
  return {
    // Saying that something may be kept would take back what the router's own settings say.
    kept: others,
    data: training === undefined && retention === undefined ? undefined : { training, retention },
    places,
    key: places.length === 0 ? '' : JSON.stringify([others, asked.require_parameters === true && about.parameters()]),
    binding: Object.keys(others).find((key) => BINDING.has(key)) ?? null,
  }
}

const BINDING = new Set(['order', 'only', 'ignore', 'allow_fallbacks', 'require_parameters', 'max_price', ...OF_HOSTS])

function checked(given: unknown): OpenRouterPreferences | null {
  if (!isPresent(given)) return null
  const preferences = fields(given)
  if (preferences === undefined) throw wrong('provider', 'an object of preferences')
  const said = Object.fromEntries(Object.entries(preferences).filter(([, value]) => isPresent(value)))
  for (const [key, value] of Object.entries(said)) {
    const expectation = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined
    if (expectation?.holds(value) === false) throw wrong(`provider.${key}`, expectation.says)
  }
  return Object.keys(said).length === 0 ? null : said
}

function wrong(param: string, says: string): BadRequest {
  return new BadRequest(`${param}: expected ${says}`, { param, code: 'invalid_type' })
}

function placesOf(
  asked: OpenRouterPreferences,
  {
    providers,
    parameters,
  }: { readonly providers: readonly KnownProvider[]; readonly parameters: () => readonly string[] },
): readonly (ProviderRef | ProviderRule)[] {
  const { order, only, ignore, allow_fallbacks: fallbacks, max_price: most, sort } = asked
  const hosts = new Set(providers.filter((provider) => provider.hosts).map(({ name }) => name))
  const places: (ProviderRef | ProviderRule)[] = []
  if (order !== undefined && order.length > 0) places.push(...ordered(order, providers, fallbacks !== false))
  else if (sort !== undefined) places.push(...sorted(sort))
  /** An aggregator follows the preferences by itself; whoever has no hosts is held to them here. */
  const hold = (holds: (ranked: RankedOffer) => boolean) =>
    places.push((offers) => offers.filter((ranked) => hosts.has(ranked.offer.provider) || holds(ranked)))
  if (only !== undefined && only.length > 0) hold(({ offer }) => names(only, offer.provider))
  if (ignore !== undefined && ignore.length > 0) hold(({ offer }) => !names(ignore, offer.provider))
  if (most !== undefined) hold(({ offer }) => isWithin(offer.prices, most))
  if (asked.require_parameters === true) {
    const needed = parameters()
    hold(({ offer }) => offer.parameters !== null && needed.every((name) => offer.parameters?.has(name)))
  }
  const { quantizations: kinds, enforce_distillable_text: distillable } = asked
  if ((kinds !== undefined && !kinds.includes('unknown')) || distillable === true) hold(() => false)
  return places
}

/** A host's name may be that of a provider of our own, which then comes in its place. */
function ordered(
  order: readonly string[],
  providers: readonly KnownProvider[],
  fallbacks: boolean,
): readonly ProviderRef[] {
  const places: string[] = []
  const aggregators = providers.filter(({ hosts }) => hosts)
  let hosts: string[] = []
  const flush = () => {
    for (const { name } of aggregators) for (const host of hosts) places.push(`${name}/${host}`)
    hosts = []
  }
  for (const host of order) {
    const own = providers.find((provider) => !provider.hosts && names([host], provider.name))
    if (own !== undefined) {
      flush()
      places.push(own.name)
    }
    hosts.push(host)
  }
  flush()
  if (fallbacks) places.push(...aggregators.map(({ name }) => name), ...providers.map(({ name }) => name))
  return places.filter((place, index) => place.includes('/') || places.indexOf(place) === index)
}

function sorted(sort: NonNullable<OpenRouterPreferences['sort']>): readonly ProviderRule[] {
  const by = typeof sort === 'string' ? sort : sort.by
  if (by === 'price') return [cheapestOffer()]
  return by === 'throughput' || by === 'latency' ? [fastestOffer()] : []
}

/** Display names are taken as well as slugs, as OpenRouter does. */
function names(list: readonly string[], provider: string): boolean {
  return list.some((name) => name.trim().toLowerCase().replaceAll(' ', '-') === provider.toLowerCase())
}

/** A price that nobody knows may be any. */
function isWithin(
  prices: { readonly input: number; readonly output: number; readonly request?: number } | null,
  most: NonNullable<OpenRouterPreferences['max_price']>,
): boolean {
  const holds = (price: number | undefined, limit: unknown) =>
    !isPresent(limit) || (price !== undefined && price <= Number(limit))
  return (
    holds(prices?.input, most.prompt) &&
    holds(prices?.output, most.completion) &&
    holds(prices?.request ?? NONE_EACH, most.request)
  )
}

/** What is sold by the token has no price by the request. */
const NONE_EACH = 0

function isNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length <= 100 && value.every((name) => typeof name === 'string' && name !== '')
}

function isPrice(value: unknown): boolean {
  if (!isPresent(value)) return true
  return (typeof value === 'number' || typeof value === 'string') && value !== '' && Number(value) >= 0
}

function isObject(value: unknown): value is Fields {
  return fields(value) !== undefined
}
