import type { Offer } from './catalog.ts'
import { ConfigError } from './errors.ts'
import { fields } from './fields.ts'
import type { Facts } from './model-rule.ts'
import { kindOf, ruled } from './options.ts'

/** A provider, or a host behind one: `openrouter/anthropic`. */
export type ProviderRef = string

/** An offer in its place, and why it stands there. */
export interface RankedOffer {
  readonly offer: Offer
  readonly because: readonly string[]
  /** The hosts to ask for, in order; none: any. */
  readonly hosts: readonly string[]
  /** Whether other hosts may step in for those. */
  readonly othersAllowed: boolean
  /** Hosts that must not be used. */
  readonly avoided: readonly string[]
}

/**
 * Where to run a model: one offer per provider comes in, ranked offers come out. Rules in a list are applied one after
 * another. A rule is pure.
 */
export type ProviderRule = (offers: readonly RankedOffer[], facts: Facts) => readonly RankedOffer[]

/**
 * These places, in this order. Neighbours of one aggregator fold into one request: `openrouter/anthropic` followed by
 * `openrouter` asks for that host and keeps the others as fallback; alone, it means only that host.
 */
export function inOrder(...references: readonly ProviderRef[]): ProviderRule {
  const places = fold(references).map((place, index) => ({
    ...place,
    because: index === 0 ? 'the first place' : `place ${index + 1}`,
  }))
  return (offers) => {
    const ordered: RankedOffer[] = []
    for (const place of places) {
      for (const ranked of offers) {
        if (ranked.offer.provider !== place.provider) continue
        const narrowed = within(ranked, place)
        if (narrowed === null) continue
        const { offer, because, hosts, othersAllowed, avoided } = narrowed
        ordered.push({ offer, because: [...because, place.because], hosts, othersAllowed, avoided })
      }
    }
    return ordered
  }
}

/** The cheapest offer for this very request first; offers with no known price last. */
export function cheapestOffer(): ProviderRule {
  return (offers, facts) =>
    sorted(
      offers,
      ({ offer }) => facts.estimate(offer).high ?? Number.POSITIVE_INFINITY,
      (usd) => (usd === Number.POSITIVE_INFINITY ? 'its price is unknown' : 'by price'),
    )
}

/** The offer that has been fastest of late first; those not seen yet keep their order. */
export function fastestOffer(): ProviderRule {
  return (offers, facts) =>
    sorted(
      offers,
      ({ offer }) => -(facts.speed(offer) ?? 0),
      (speed) => (speed === 0 ? 'not measured yet' : `${Math.round(-speed)} tokens a second of late`),
    )
}

/** Only these places; their order is left as it is. */
export function only(...references: readonly ProviderRef[]): ProviderRule {
  const places = fold([...references].sort((a, b) => providerOf(a).localeCompare(providerOf(b))))
  return (offers) =>
    offers.flatMap((ranked) => {
      const place = places.find(({ provider }) => provider === ranked.offer.provider)
      const narrowed = place === undefined ? null : within(ranked, place)
      return narrowed === null ? [] : [narrowed]
    })
}

/** Anywhere but here: a provider is left out, a host behind an aggregator is not asked. */
export function avoid(...references: readonly ProviderRef[]): ProviderRule {
  const providers = new Set(references.filter((reference) => hostOf(reference) === null))
  const hosts = references.filter((reference) => hostOf(reference) !== null)
  return (offers) =>
    offers
      .filter(({ offer }) => !providers.has(offer.provider))
      .flatMap((ranked) => {
        const avoided = hosts
          .filter((host) => providerOf(host) === ranked.offer.provider)
          .map((host) => hostOf(host) ?? '')
        if (avoided.length === 0) return [ranked]
        const left = ranked.hosts.filter((host) => !avoided.some((name) => isPartOf(host, name)))
        if (left.length === 0 && !ranked.othersAllowed) return []
        return [{ ...ranked, hosts: left, avoided: [...ranked.avoided, ...avoided] }]
      })
}

/** References become the rules they stand for; neighbouring references are one order. */
export function providerRuleOf(
  given: ProviderRef | readonly (ProviderRef | ProviderRule)[] | ProviderRule,
  field: string,
): {
  rules: readonly ProviderRule[]
  named: readonly string[]
} {
  const parts = typeof given === 'string' || typeof given === 'function' ? [given] : given
  const rules: ProviderRule[] = []
  const named: string[] = []
  let references: string[] = []
  const flush = () => {
    if (references.length > 0) rules.push(inOrder(...references))
    references = []
  }
  for (const part of parts) {
    if (typeof part === 'string') {
      references.push(part)
      named.push(part)
    } else {
      flush()
      rules.push(guardedPlaces(part, field))
    }
  }
  flush()
  return { rules, named }
}

/** A rule of the user's: it ranks what it is given, and nothing else gets into a plan past the data policy. */
export function guardedPlaces(rule: ProviderRule, field: string): ProviderRule {
  return (offers, facts) => {
    const given = [...offers]
    const ranked: unknown = ruled(field, () => rule(offers, facts))
    if (!Array.isArray(ranked)) throw new ConfigError(field, `expected the rule to give a list, got ${kindOf(ranked)}`)
    for (const [index, place] of ranked.entries()) {
      if (isPlace(place, given)) continue
      const expected = 'expected the rule to give some of the places it was given'
      throw new ConfigError(field, `${expected}, got ${kindOf(place)} at place ${index + 1}`)
    }
    return ranked
  }
}

function isPlace(value: unknown, given: readonly RankedOffer[]): boolean {
  const place = fields(value)
  if (place === undefined || !given.some(({ offer }) => offer === place.offer)) return false
  const { because, hosts, avoided, othersAllowed } = place
  return [because, hosts, avoided].every(isWords) && typeof othersAllowed === 'boolean'
}

function isWords(value: unknown): boolean {
  return Array.isArray(value) && value.every((word) => typeof word === 'string')
}

interface Place {
  readonly provider: string
  readonly hosts: readonly string[]
  readonly othersAllowed: boolean
}

/** Rules only narrow: what an earlier one keeps to itself, a later one cannot open. `null` where nothing is left. */
function within(ranked: RankedOffer, { hosts, othersAllowed }: Place): RankedOffer | null {
  if (hosts.length === 0) return ranked
  const wanted = hosts.filter((host) => !ranked.avoided.some((name) => isPartOf(host, name)))
  const isClosed = ranked.hosts.length > 0 && !ranked.othersAllowed
  if (!isClosed) return wanted.length === 0 && !othersAllowed ? null : { ...ranked, hosts: wanted, othersAllowed }
  const both = wanted.flatMap((host) =>
    ranked.hosts.flatMap((kept) => (isPartOf(host, kept) ? [host] : isPartOf(kept, host) ? [kept] : [])),
  )
  const after = othersAllowed ? ranked.hosts.filter((kept) => !both.includes(kept)) : []
  return both.length + after.length === 0 ? null : { ...ranked, hosts: [...both, ...after] }
}

/** `google-vertex/us-east5` is an endpoint of `google-vertex`. */
function isPartOf(host: string, whole: string): boolean {
  return host === whole || host.startsWith(`${whole}/`)
}

/** Whether two names, of which either may be the more exact, can mean the same host. */
export function sameHost(one: string, other: string): boolean {
  return isPartOf(one, other) || isPartOf(other, one)
}

function fold(references: readonly ProviderRef[]): readonly Place[] {
  const places: { provider: string; hosts: string[]; othersAllowed: boolean }[] = []
  for (const reference of references) {
    const provider = providerOf(reference)
    const host = hostOf(reference)
    const last = places.at(-1)
    if (last?.provider === provider && !last.othersAllowed && last.hosts.length > 0) {
      if (host === null) last.othersAllowed = true
      else last.hosts.push(host)
    } else places.push({ provider, hosts: host === null ? [] : [host], othersAllowed: host === null })
  }
  return places
}

function sorted(
  offers: readonly RankedOffer[],
  by: (ranked: RankedOffer) => number,
  says: (value: number) => string,
): readonly RankedOffer[] {
  return offers
    .map((ranked) => ({ ranked, value: by(ranked) }))
    .sort((a, b) => (a.value === b.value ? 0 : a.value - b.value))
    .map(({ ranked, value }) => ({ ...ranked, because: [...ranked.because, says(value)] }))
}

function providerOf(reference: ProviderRef): string {
  return reference.split('/', 1)[0] ?? reference
}

function hostOf(reference: ProviderRef): string | null {
  const slash = reference.indexOf('/')
  return slash === -1 ? null : reference.slice(slash + 1)
}
