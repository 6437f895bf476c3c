import type { Offer } from './catalog.ts'
import type { RequestSettings } from './chat.ts'
import type { Facts, ModelChoice } from './model-rule.ts'
import { type Interval, toUsd } from './money.ts'
import type { Place } from './pin.ts'
import type { Step } from './plan.ts'
import type { Provider } from './provider.ts'
import { type RankedOffer, sameHost } from './provider-rule.ts'
import type { Form } from './structured.ts'

/** A step with what it takes to go it. */
export interface Way {
  readonly step: Step
  readonly offer: Offer
  readonly provider: Provider
  /** Settings that belong to this model alone. */
  readonly settings: RequestSettings | undefined
  readonly ranked: RankedOffer
  /** How it is asked for a shape; left out: for none. */
  readonly form?: Form
}

const NONE: readonly never[] = Object.freeze([])

export function wayOf(
  ranked: RankedOffer,
  about: { provider: Provider; choice: ModelChoice; facts: Facts; form: Form | null },
): Way {
  const { form } = about
  const { offer, hosts, othersAllowed } = ranked
  const { low, high } = estimateAt(ranked, about.facts)
  const step: Step = {
    model: offer.model,
    provider: offer.provider,
    host: hosts[0] ?? null,
    hosts: hosts.length === 0 ? NONE : [...hosts],
    othersAllowed,
    wireModel: offer.wireModel,
    because: [...ranked.because],
    estimate: { usd: { low: toUsd(low), high: high === null ? null : toUsd(high) }, cachedTokens: 0 },
    ...(form !== null && { form: form.kind }),
  }
  const way = { step, offer, provider: about.provider, settings: about.choice.request, ranked }
  return form === null ? way : { ...way, form }
}

/** Hosts that are asked for by name have their own prices, where they are known. */
function estimateAt({ offer, hosts }: RankedOffer, facts: Facts): Interval {
  const estimate = facts.estimate(offer)
  if (hosts.length === 0) return estimate
  return offer.hosts
    .filter(({ host, tariff }) => host !== null && tariff !== null && hosts.some((name) => sameHost(name, host)))
    .map((offered) => facts.estimate(offered))
    .reduce(
      (all, one) => ({
        low: Math.min(all.low, one.low),
        high: all.high === null || one.high === null ? null : Math.max(all.high, one.high),
      }),
      estimate,
    )
}

/** Two plans may lead the same way. */
export function isSame({ step: one }: Way, { step: other }: Way): boolean {
  return one.provider === other.provider && one.wireModel === other.wireModel && one.host === other.host
}

/** An offer's name, for what is remembered of it. */
export function offerKey({ provider, model }: { readonly provider: string; readonly model: string }): string {
  return `${provider} ${model}`
}

/** Whether going this way can end at a place. */
export function leadsTo({ model, provider, host }: Place, { step, ranked }: Way): boolean {
  if (step.model !== model || step.provider !== provider) return false
  if (host === null) return true
  if (ranked.avoided.includes(host)) return false
  return step.othersAllowed || step.hosts.some((named) => sameHost(named, host))
}

/**
 * Hosts are asked for by name, in this order, and others stay allowed; hosts that the policy names itself are left as
 * they are.
 */
export function pinnedTo(
  way: Way,
  { hosts, because, cachedTokens }: { hosts: readonly string[]; because: string; cachedTokens: number },
): Way {
  const estimate = { usd: way.step.estimate.usd, cachedTokens }
  const step: Step = { ...way.step, because: [...way.step.because, because], estimate }
  const asked = hosts.filter((host) => !way.ranked.avoided.includes(host))
  const [host] = asked
  const isOpen = way.provider.dialect.supports.hosts && step.hosts.length === 0
  if (host === undefined || !isOpen) return { ...way, step }
  return { ...way, step: { ...step, host, hosts: asked, othersAllowed: true } }
}
