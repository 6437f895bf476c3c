import type { Offer } from './catalog.ts'
import type { Tariff } from './price.ts'

/** USD per million tokens at the most, however long the prompt is and whatever the time of day. */
export function dearestOf({ prices }: Offer): { readonly input: number; readonly output: number } | null {
  if (prices === null) return null
  const all = [prices, ...(prices.tiers ?? [])]
  return {
    input: Math.max(...all.map(({ input = 0 }) => input)),
    output: Math.max(...all.map(({ output = 0 }) => output)),
  }
}

/** The prices of the host that really answered, where they are known; else those of the offer. */
export function tariffOf(offer: Offer, host: string | null): Tariff | null {
  if (host === null || offer.hosts.length === 0) return offer.tariff
  const exact = offer.hosts.find((known) => known.host === host)
  return (exact ?? offer.hosts.find((known) => isAt(known, host)))?.tariff ?? offer.tariff
}

/** The price lists of which one was charged, as far as it is known who answered. */
export interface Asked {
  /** None: nobody knows a price. */
  readonly tariffs: readonly Tariff[]
  /** `exact`: it is one of these. `most`: it is none that is dearer. `open`: somebody else's may have held. */
  readonly sure: 'exact' | 'most' | 'open'
}

/**
 * An answer names its host, but not which of the host's endpoints it was (`deepinfra/turbo`), and one that broke off may
 * not even do that: then all of them are asked for.
 */
export function askedOf(
  offer: Offer,
  served: { readonly host: string | null; readonly tier: string | null; readonly aggregated: boolean },
): Asked {
  const { host, tier, aggregated } = served
  const own: readonly Tariff[] = offer.tariff === null ? NO_TARIFFS : [offer.tariff]
  if (!aggregated) return tier === null ? { tariffs: own, sure: 'exact' } : dearer(own, tier)
  if (offer.hosts.length === 0) return { tariffs: own, sure: 'open' }
  const fitting = host === null ? offer.hosts : offer.hosts.filter((known) => isAt(known, host))
  const tariffs = fitting.flatMap(({ tariff: listed }) => listed ?? [])
  if (tariffs.length === 0 || tariffs.length < fitting.length) return { tariffs: own, sure: 'open' }
  if (tier === null) return { tariffs, sure: 'exact' }
  const tiered = fitting.flatMap(({ tierTariffs }) => tierTariffs?.[tier] ?? [])
  return tiered.length === fitting.length ? { tariffs: tiered, sure: 'exact' } : dearer(tariffs, tier)
}

const NO_TARIFFS: readonly Tariff[] = Object.freeze([])

/** What is slower on purpose is sold for less; what is faster, for more, and nobody says how much more. */
function dearer(tariffs: readonly Tariff[], tier: string): Asked {
  return { tariffs, sure: tier === 'flex' ? 'most' : 'open' }
}

/** `deepinfra` is one of the names of `deepinfra/turbo`. */
function isAt({ host: known }: Offer, host: string): boolean {
  return known !== null && (known === host || known.startsWith(`${host}/`) || host.startsWith(`${known}/`))
}
