import type { ListedModel } from '../listing.ts'
import { pricesAt } from './charge.ts'
import { baseOf, type Host } from './hosts.ts'
import { type Fields, fieldsOf, isFields, listOf, numberOf, stringsOf, textOf } from './json.ts'
import { fingerprint } from './prompt.ts'

/** Why no host is left. */
export interface NoHost {
  readonly message: string
  readonly availability: string
  readonly excludedBy?: string
  readonly metadata?: Fields
}

export interface Routing {
  readonly body: Fields
  readonly model: ListedModel
  readonly hosts: readonly Host[]
  readonly promptTokens: number
  readonly variant: string | null
  readonly date: number
  readonly random: () => number
  /** Where the conversation's cache is warm. */
  readonly sticky: string | undefined
}

const PRIVACY = 'Configure: https://openrouter.ai/settings/privacy'
const LEARN = 'To learn more about provider routing, visit: https://openrouter.ai/docs/provider-routing'

/** The hosts that may serve a request, the first one first; or why there is none. */
export function route(routing: Routing): { readonly hosts: readonly Host[] } | { readonly none: NoHost } {
  const preferences = fieldsOf(routing.body.provider)
  const none = filters(routing, preferences)
  if ('none' in none) return none
  return { hosts: ranked(none.hosts, routing, preferences) }
}

function filters(
  { body, model, hosts, promptTokens, date }: Routing,
  preferences: Fields,
): { readonly hosts: readonly Host[] } | { readonly none: NoHost } {
  const can = (ability: string) => model.abilities?.some((known) => known === ability) ?? true
  if (listOf(body.tools).length > 0 && !can('tools')) {
    return { none: { message: `No endpoints found that support tool use. ${LEARN}`, availability: 'no_endpoints' } }
  }
  if (hasImage(body) && model.input !== undefined && !model.input.includes('image')) {
    return { none: { message: 'No endpoints found that support image input', availability: 'no_endpoints' } }
  }
  let left = hosts
  const only = stringsOf(preferences.only)
  const order = stringsOf(preferences.order)
  const ignore = stringsOf(preferences.ignore)
  const closed = preferences.allow_fallbacks === false && order.length > 0
  if (only.length > 0) left = left.filter((host) => only.some((name) => isNamed(host, name)))
  if (closed) left = left.filter((host) => order.some((name) => isNamed(host, name)))
  left = left.filter((host) => !ignore.some((name) => isNamed(host, name)))
  if (left.length === 0) return { none: notAllowed(model, hosts, only.length > 0 ? only : closed ? order : ignore) }

  const steps: readonly [keep: (host: Host) => boolean, none: NoHost][] = [
    [
      (host) => preferences.data_collection !== 'deny' || host.trains !== true,
      policy('data_policy:training', 'No endpoints found matching your data policy (Data collection).'),
    ],
    [
      (host) => preferences.zdr !== true || host.zeroRetention === true,
      policy('data_policy:zdr', 'No endpoints found matching your data policy (Zero data retention).'),
    ],
    [
      (host) => fitsQuantization(host, stringsOf(preferences.quantizations)),
      constrained('quantization', 'No endpoints found that support the requested quantizations.'),
    ],
    [
      (host) => preferences.require_parameters !== true || takes(host, model, body),
      constrained('require_parameters', `No endpoints found that can handle the requested parameters. ${LEARN}`),
    ],
    [
      (host) => isAffordable(host, fieldsOf(preferences.max_price), promptTokens, date),
      constrained('max_price', `No endpoints found that meet your max price. ${LEARN}`),
    ],
  ]
  for (const [keep, none] of steps) {
    left = left.filter(keep)
    if (left.length === 0) return { none }
  }
  const wanted = numberOf(body.max_completion_tokens) ?? numberOf(body.max_tokens) ?? 0
  const long = left.filter((host) => (host.maxOutput ?? model.maxOutput ?? wanted) >= wanted)
  // Who cannot answer at that length is passed over, as long as somebody can.
  return { hosts: long.length > 0 ? long : left }
}

function ranked(hosts: readonly Host[], routing: Routing, preferences: Fields): readonly Host[] {
  const { promptTokens, date, random, variant, sticky } = routing
  const price = (host: Host) => {
    const now = pricesAt(host.prices, promptTokens, date)
    return now.input + now.output
  }
  const wanted = isFields(preferences.sort) ? preferences.sort.by : preferences.sort
  const sort = textOf(wanted) ?? (variant === 'floor' ? 'price' : variant === 'nitro' ? 'throughput' : undefined)
  let list = [...hosts]
  if (sort === 'price') list.sort((a, b) => price(a) - price(b))
  else if (sort === 'throughput') list.sort((a, b) => speedOf(b).throughput - speedOf(a).throughput)
  else if (sort === 'latency') list.sort((a, b) => speedOf(a).latency - speedOf(b).latency)
  else list = weighted(list, price, random)

  const order = stringsOf(preferences.order)
  if (order.length > 0) {
    const place = (host: Host) => {
      const found = order.findIndex((name) => isNamed(host, name))
      return found < 0 ? order.length : found
    }
    return list.sort((a, b) => place(a) - place(b))
  }
  const stuck = list.findIndex((host) => host.host === sticky)
  if (stuck > 0) list.unshift(...list.splice(stuck, 1))
  return preferences.allow_fallbacks === false ? list.slice(0, 1) : list
}

/** The first with a chance of 1/price², the rest by price. */
function weighted(list: Host[], price: (host: Host) => number, random: () => number): Host[] {
  list.sort((a, b) => price(a) - price(b))
  const weights = list.map((host) => 1 / Math.max(price(host), 1e-6) ** 2)
  let left = random() * weights.reduce((sum, weight) => sum + weight, 0)
  const chosen = weights.findIndex((weight) => {
    left -= weight
    return left < 0
  })
  if (chosen > 0) list.unshift(...list.splice(chosen, 1))
  return list
}

/** A slug names the host and its regions, a full tag one of them, and the display name is taken as well. */
export function isNamed(host: Host, name: string): boolean {
  return host.host === name || baseOf(host.host) === name || host.name.toLowerCase() === name.toLowerCase()
}

/** Made up, but always the same for a host. */
export function speedOf(host: Host): { readonly throughput: number; readonly latency: number } {
  const chance = (fingerprint(host.host) % 1000) / 1000
  if (host.host === 'cerebras') return { throughput: 1500, latency: 180 }
  if (host.host === 'groq') return { throughput: 480, latency: 150 }
  return { throughput: Math.round(40 + 80 * chance), latency: Math.round(350 + 600 * (1 - chance)) }
}

function notAllowed(model: ListedModel, hosts: readonly Host[], wanted: readonly string[]): NoHost {
  return {
    message: 'No allowed providers are available for the selected model.',
    availability: 'constraint_filtered',
    excludedBy: 'allowed_providers',
    metadata: {
      available_providers: hosts.map((host) => host.host),
      requested_providers: wanted,
      model: model.id,
    },
  }
}

function policy(excludedBy: string, message: string): NoHost {
  return { message: `${message} ${PRIVACY}`, availability: 'privacy_restricted', excludedBy }
}

function constrained(excludedBy: string, message: string): NoHost {
  return { message, availability: 'constraint_filtered', excludedBy }
}

const FAMILIES: Readonly<Record<string, readonly string[]>> = { fp4: ['mxfp4', 'nvfp4'], fp8: ['mxfp8'] }

function fitsQuantization(host: Host, wanted: readonly string[]): boolean {
  const own = host.quantization ?? 'unknown'
  return wanted.length === 0 || wanted.some((name) => name === own || FAMILIES[name]?.includes(own) === true)
}

/** What every request has, and what is OpenRouter's own, is no parameter of a host. */
const NO_PARAMETERS = new Set(
  (
    'model models messages provider plugins session_id user trace cache_control stream stream_options usage ' +
    'metadata route transforms preset service_tier prompt_cache_key max_tokens max_completion_tokens'
  ).split(' '),
)

function takes(host: Host, model: ListedModel, body: Fields): boolean {
  const known = host.parameters ?? model.parameters
  if (known === undefined) return true
  return Object.keys(body).every((key) => NO_PARAMETERS.has(key) || known.includes(key))
}

function isAffordable(host: Host, most: Fields, promptTokens: number, date: number): boolean {
  const now = pricesAt(host.prices, promptTokens, date)
  const within = (limit: unknown, price: number | undefined) => (price ?? 0) <= (numberOf(limit) ?? price ?? 0)
  return within(most.prompt, now.input) && within(most.completion, now.output) && within(most.request, now.request)
}

function hasImage(body: Fields): boolean {
  return listOf(body.messages).some((message) =>
    listOf(fieldsOf(message).content).some((part) => fieldsOf(part).type === 'image_url'),
  )
}
