import type { Answer } from './answer.ts'
import type { Catalog } from './catalog.ts'
import { chargedFor } from './charged.ts'
import { cacheOf, isPrice, tokenUsd } from './cost.ts'
import type { AttemptResult, Call } from './exchange.ts'
import { type Failure, failure } from './failure.ts'
import { entry } from './fields.ts'
import type { Policy } from './policy.ts'
import { sameHost } from './provider-rule.ts'
import { requestAt } from './settings.ts'
import type { Drift } from './usage.ts'
import type { Way } from './way.ts'

/** What an answer says of who gave it. */
type Served = Pick<Answer, 'model' | 'host' | 'tier'>

/** What was planned and what came, side by side. */
export interface Drifting {
  readonly call: Call
  readonly catalog: Catalog
  /** Milliseconds that 19 of 20 answers there have not exceeded of late; `null`: nobody knows. */
  usualMs(way: Way): number | null
  /** Milliseconds that this one took to show something. */
  tookMs(result: AttemptResult): number | null
}

/** So much slower than usual, by so many times and by so many milliseconds, is another speed. */
const SLOWER = 2
const SLOWER_BY = 250

/** Words for one tier; what leaves the choice to the provider plans none. */
const TIERS: Readonly<Record<string, string>> = {
  default: 'default',
  on_demand: 'default',
  standard: 'default',
  flex: 'flex',
  priority: 'priority',
  fast: 'priority',
  performance: 'performance',
}

/** Where an answer came from somewhere else, at another price, or at another speed than was planned. */
export function driftOf(result: AttemptResult, about: Drifting): readonly Drift[] {
  const { way, answer } = result
  const drifts = answer === null ? [] : [...servedOtherwise(way, answer, about)]
  const price = otherPrice(result, about.call)
  if (price !== null) drifts.push(price)
  const usual = about.usualMs(way)
  const took = about.tookMs(result)
  if (usual !== null && took !== null && took > usual * SLOWER && took > usual + SLOWER_BY) {
    drifts.push(drift('latency', `${Math.round(usual)} ms`, `${Math.round(took)} ms`))
  }
  return drifts.length === 0 ? NONE : Object.freeze(drifts)
}

const NONE: readonly never[] = Object.freeze([])

/** Who answered, as soon as the answer says so. */
function servedOtherwise(
  way: Way,
  { model, host, tier }: Served,
  { call, catalog }: Pick<Drifting, 'call' | 'catalog'>,
): readonly Drift[] {
  const { step, provider } = way
  const drifts: Drift[] = []
  if (model !== null && !provider.dialect.isRouter(step.wireModel)) {
    const served = canonical(model, catalog)
    // A wire id and a dated slug are names of the same model.
    if (served !== step.model && model !== step.wireModel) drifts.push(drift('model', step.model, served))
  }
  if (step.host !== null && host !== null && !step.hosts.some((planned) => sameHost(planned, host))) {
    drifts.push(drift('host', step.hosts.join(', '), host))
  }
  const { service_tier: asked } = requestAt(call.request, call.settings, {
    provider: provider.settings,
    candidate: way.settings,
  })
  const [planned, got] = [entry(TIERS, asked), entry(TIERS, tier)]
  if (planned !== undefined && got !== undefined && planned !== got) drifts.push(drift('tier', planned, got))
  return drifts
}

/** What was billed, where no list that can have held comes to it. */
function otherPrice(result: AttemptResult, call: Call): Drift | null {
  const charged = chargedFor(result, call)
  const billed = tokenUsd(charged)
  if (billed === null) return null
  const listed = charged.tariffs.flatMap((tariff) => {
    const { coldUsd, discountUsd } = cacheOf(result.record.tokens, tariff, call.utcMinutes, charged.notes.media)
    return coldUsd === null || discountUsd === null ? [] : [coldUsd - discountUsd]
  })
  const [planned] = listed
  if (planned === undefined || listed.some((computed) => isPrice(computed, billed))) return null
  return drift('price', `$${planned}`, `$${billed}`)
}

/** What the policy will not have; `null`: it takes what comes. */
export function refusalsOf(policy: Policy, catalog: Catalog): Call['refuses'] {
  const refused = (kind: Drift['kind']) => policy.drift[kind] === 'reject'
  if (!Object.values(policy.drift).includes('reject')) return null
  return (call, way, served, result) => {
    const price = result === null || !refused('price') ? null : otherPrice(result, call)
    const found = [...servedOtherwise(way, served, { call, catalog }), ...(price === null ? [] : [price])]
    const first = found.find(({ kind }) => refused(kind))
    return first === undefined ? null : refusal(first)
  }
}

function refusal({ kind, planned, served }: Drift): Failure {
  return failure('no-offer', { code: `drift:${kind}`, detail: `planned ${planned}, served ${served}` })
}

function drift(kind: Drift['kind'], planned: string, served: string): Drift {
  return Object.freeze({ kind, planned, served })
}

export function canonical(id: string, catalog: Catalog): string {
  const found = catalog.lookup(id)
  return 'model' in found ? found.model.id : id
}
