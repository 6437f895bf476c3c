import { type Catalog, type Model, type Offer, parseReference } from './catalog.ts'
import { asksOthers, type Needs, type RequestSettings } from './chat.ts'
import { type HealthView, LONGEST_WAIT, wholeMs } from './health.ts'
import type { Ability } from './listing.ts'
import type { Facts, ModelChoice } from './model-rule.ts'
import { fromUsd, toUsd } from './money.ts'
import { freezePlan, type Plan, type Rejection, type RejectionCode, type Step, type UsdInterval } from './plan.ts'
import type { Policy } from './policy.ts'
import { type Provider, satisfies } from './provider.ts'
import type { RankedOffer } from './provider-rule.ts'
import type { Shape } from './schema.ts'
import { NO_SESSION, type SessionFacts, withSession } from './stickiness.ts'
import { type Form, formOf } from './structured.ts'
import { type Way, wayOf } from './way.ts'

/** Everything a plan follows from. */
export interface Planning {
  readonly policy: Policy
  readonly providers: readonly Provider[]
  readonly facts: Facts
  /** The same with a candidate's own settings, which may need other things. */
  factsWith(candidate: RequestSettings): Facts
  readonly session: SessionFacts
  /** What the answer has to look like. */
  readonly shape: Shape | null
  /** What speaks against offers now; `null`: nothing does. */
  readonly health: HealthView | null
}

export interface Planned {
  readonly plan: Plan
  readonly ways: readonly Way[]
  /** The session's home is given up for where the plan leads. */
  readonly leavesHome: boolean
}

/** Pure: the same planning gives the same plan. */
export function makePlan(planning: Planning): Planned {
  const planned = planOf(planning)
  if (planned.ways.length > 0 || planning.health === null) return planned
  // The last candidates are never locked out by what is known against them; only a closed gate is what it is.
  const { health } = planning
  const blockOf = (step: Step) => {
    const block = health.blockOf(step)
    return block?.opens ? block : null
  }
  return planOf({ ...planning, health: { ...health, blockOf } })
}

/** Ways to a model, whether or not the policy names it; all its other rules hold. */
export function waysTo(model: string, planning: Planning, provider?: string): readonly Way[] {
  const { policy } = planning
  const models = () => [{ model, because: 'asked for after a failure' }]
  const named = { ...policy.named, models: [model] }
  const { ways } = makePlan({
    ...planning,
    policy: { ...policy, models, named },
    session: NO_SESSION,
  })
  return provider === undefined ? ways : ways.filter(({ step }) => step.provider === provider)
}

function planOf(planning: Planning): Planned {
  const { policy, facts } = planning
  const rejected: Rejection[] = []
  const ways: Way[] = []
  const late: Way[] = []
  const seen: string[] = []
  for (const chosen of policy.models(policy.named.models.length > 0 ? NONE : onSale(planning), facts)) {
    for (let choice: ModelChoice | null = chosen; choice !== null; ) {
      const candidates = offersOf(choice.model, planning.providers, facts)
      // One model by two names is one candidate.
      if (seen.includes(candidates.key)) break
      seen.push(candidates.key)
      const before = ways.length
      const successor = addWays(choice, candidates, { planning, rejected, late, ways })
      const next = ways.length > before ? null : successor
      choice = next === null ? null : { ...choice, model: next, because: `the successor of ${choice.model}` }
    }
  }
  const { session, ordered, leaves } = withSession(planning, { open: ways, late, rejected })
  const [first] = ordered
  const plan = freezePlan({
    task: policy.task,
    steps: ordered.map(({ step }) => step),
    rejected,
    estimate: {
      usd: first?.step.estimate.usd ?? FREE,
      worstCaseUsd: worstOf(ordered, policy.limits.attempts),
    },
    session,
  })
  return { plan, ways: ordered, leavesHome: leaves }
}

/** USD, if every attempt is made and paid for. */
function worstOf(ways: readonly Way[], attempts: number): number | null {
  let sum = 0
  for (let n = 0; n < ways.length && n < attempts; n += 1) {
    const { high } = ways[n]?.step.estimate.usd ?? FREE
    if (high === null) return null
    sum += fromUsd(high)
  }
  return toUsd(sum)
}

/** Adds the ways to a chosen model, or why there are none; gives its successor where it has gone. */
function addWays(
  choice: ModelChoice,
  { offers, model, problem }: Candidates,
  { planning, rejected, late, ways }: { planning: Planning; rejected: Rejection[]; late: Way[]; ways: Way[] },
): string | null {
  const { policy, providers, health, shape } = planning
  const facts = choice.request === undefined ? planning.facts : planning.factsWith(choice.request)
  let successor: string | null = null
  const allowed: RankedOffer[] = []
  const because = [choice.because]
  for (const { provider, offer } of offers) {
    if (offer === null) {
      const code: RejectionCode = 'not-sold'
      rejected.push({ model, provider: provider.name, code, because: problem ?? `${provider.name} does not list it` })
      continue
    }
    const refused = refusal(offer, provider, policy, facts)
    if (refused === null) {
      allowed.push(anywhere(offer, because))
    } else {
      rejected.push(refused)
      if (refused.code === 'retired') successor ??= offer.successor
    }
  }
  const ranked = placed(allowed, policy, facts)
  for (const { offer } of allowed) {
    if (ranked.some((kept) => kept.offer.provider === offer.provider)) continue
    rejected.push(rejection(offer, 'avoided', 'the policy does not name this provider'))
  }
  for (const place of ranked) {
    const provider = providers.find(({ name }) => name === place.offer.provider)
    if (provider === undefined) continue
    if (place.hosts.length > 0 && !provider.dialect.supports.hosts) {
      rejected.push({ model, provider: provider.name, code: 'lacks:hosts', because: 'it has no hosts to choose from' })
      continue
    }
    const form = shape === null ? null : formAt(place.offer, provider, { shape, needs: facts.needs })
    const way = wayOf(place, { provider, choice, facts, form })
    const block = health?.blockOf(way.step) ?? null
    if (health === null || block === null) {
      ways.push(way)
      continue
    }
    const { code, because, opens } = block
    const waitMs = block.until - health.now
    if (opens && waitMs <= LONGEST_WAIT) {
      late.push({ ...way, step: { ...way.step, because: [...way.step.because, because] } })
    } else {
      rejected.push({ model, provider: provider.name, code, because, value: wholeMs(waitMs) })
      if (code === 'retired') successor ??= place.offer.successor
    }
  }
  return successor
}

/** What nobody knows the abilities of is asked in words, which everybody takes. */
function formAt(
  { abilities, wireModel }: Offer,
  { dialect }: Provider,
  { shape, needs }: { shape: Shape; needs: Needs },
): Form {
  const { formatWithTools, schemaWithStream } = dialect.supports
  const takes = (ability: Ability) => abilities?.has(ability) === true
  const takesSchema = takes('schema') && (schemaWithStream || !needs.stream)
  return formOf(shape, {
    taste: takesSchema ? dialect.taste(wireModel) : null,
    json: takes('json') || takes('schema'),
    tools: takes('tools'),
    withTools: needs.tools,
    formatWithTools,
  })
}

/** What a rule may choose from: the models that can be had under this policy, each with the offers it may use. */
function onSale({ policy, providers, facts }: Planning): readonly Model[] {
  const models = facts.catalog.models().flatMap((model) => {
    const allowed = model.offers.filter((offer) => {
      const provider = providers.find(({ name }) => name === offer.provider)
      return provider !== undefined && refusal(offer, provider, policy, facts) === null
    })
    const ranked = placed(
      allowed.map((offer) => anywhere(offer, [])),
      policy,
      facts,
    )
    const offers = allowed.filter((offer) => ranked.some((place) => place.offer === offer))
    if (offers.length === model.offers.length) return [model]
    return offers.length === 0 ? [] : [{ ...model, offers }]
  })
  return Object.freeze(models)
}

function anywhere(offer: Offer, because: readonly string[]): RankedOffer {
  return { offer, because, hosts: NONE, othersAllowed: true, avoided: NONE }
}

function placed(offers: readonly RankedOffer[], { places }: Policy, facts: Facts): readonly RankedOffer[] {
  let ranked = offers
  for (const rule of places) ranked = rule(ranked, facts)
  return ranked
}

const NONE: readonly never[] = Object.freeze([])
const FREE: UsdInterval = Object.freeze({ low: 0, high: 0 })

interface Candidates {
  /** The same for all names of one model, or of one of its variants. */
  readonly key: string
  readonly model: string
  readonly offers: readonly { provider: Provider; offer: Offer | null }[]
  readonly problem: string | null
}

/** What each provider has under a reference: listed, or not known to any list and asked for all the same. */
function offersOf(reference: string, providers: readonly Provider[], { catalog }: Facts): Candidates {
  // A variant with a list entry of its own (`:free`) is a model of its own.
  const exact = catalog.lookup(reference)
  if ('model' in exact) return listed(exact.model, providers, catalog)
  const { base, suffix } = takenApart(reference)
  const found = catalog.lookup(base)
  if ('model' in found) {
    const { model } = found
    const offers = providers.map((provider) => {
      const offer = catalog.offer(provider.name, model.id)
      const served = offer !== null && provider.dialect.supports.variants
      return { provider, offer: served ? { ...offer, wireModel: `${offer.wireModel}${suffix}` } : null }
    })
    return { key: `${model.id}${suffix}`, model: model.id, offers, problem: `it has no variant "${suffix}"` }
  }
  if ('several' in found) {
    const offers = providers.map((provider) => ({ provider, offer: null }))
    const problem = `"${reference}" fits several models: ${found.several.join(', ')}`
    return { key: reference, model: reference, offers, problem }
  }
  const offers = providers.map((provider) => {
    return { provider, offer: isAskedFor(reference, provider) ? catalog.unlisted(provider.name, reference) : null }
  })
  const [closest] = found.nearest
  const hint = closest === undefined ? '' : `; did you mean "${closest}"?`
  return { key: reference, model: reference, offers, problem: `no list knows this model${hint}` }
}

/** Found once for each model as it stands in the catalogue: whatever changes there makes other models. */
const found = new WeakMap<Model, { readonly providers: readonly Provider[]; readonly candidates: Candidates }>()

function listed(model: Model, providers: readonly Provider[], catalog: Catalog): Candidates {
  const known = found.get(model)
  if (known?.providers === providers) return known.candidates
  const offers = providers.map((provider) => ({ provider, offer: catalog.offer(provider.name, model.id) }))
  const candidates = { key: model.id, model: model.id, offers, problem: null }
  found.set(model, { providers, candidates })
  return candidates
}

function takenApart(reference: string): { base: string; suffix: string } {
  const { base, variant, preset } = parseReference(reference)
  return { base, suffix: `${variant === null ? '' : `:${variant}`}${preset === null ? '' : `@preset/${preset}`}` }
}

/** Whether a model that no list knows is asked for all the same. */
export function isAskedFor(reference: string, { open, dialect }: Provider): boolean {
  // OpenRouter's slugs are `author/model`; what has no author is not one of its models.
  return open && (!dialect.supports.hosts || reference.includes('/'))
}

/** Why an offer may not be used for this request under this policy; `null` when it may. */
function refusal(offer: Offer, provider: Provider, policy: Policy, facts: Facts): Rejection | null {
  const { needs, day } = facts
  if (offer.retires !== null && offer.retires <= day) {
    const next = offer.successor === null ? '' : `; its successor is ${offer.successor}`
    return rejection(offer, 'retired', `it retired there on ${offer.retires}${next}`)
  }
  if (!satisfies(provider, policy.data)) {
    return rejection(
      offer,
      'data-policy',
      `${provider.name} does not guarantee it: declare dataTerms if the account does`,
    )
  }
  if (policy.data.retention === 'zero' && provider.dialect.supports.dataRules && leaks(offer, provider, needs)) {
    const because = 'zero retention does not cover plugins, web search and tools run by others: leave them out'
    return rejection(offer, 'data-policy', because)
  }
  const lacks = lackOf(offer, provider, needs)
  if (lacks !== null) return rejection(offer, `lacks:${lacks}`, `it does not take ${WORDS[lacks] ?? lacks}`)
  const value = needs.promptTokens + (needs.maxTokens ?? 0)
  if (offer.context !== null && value > offer.context) {
    return rejection(offer, 'context', `about ${value} tokens do not fit ${offer.context}`, {
      limit: offer.context,
      value,
    })
  }
  if (offer.maxOutput !== null && needs.maxTokens !== null && needs.maxTokens > offer.maxOutput) {
    const because = `it answers in at most ${offer.maxOutput} tokens`
    return rejection(offer, 'max-output', because, { limit: offer.maxOutput, value: needs.maxTokens })
  }
  const { maxCostUsd } = policy.limits
  if (maxCostUsd !== null) {
    const { high } = facts.estimate(offer)
    if (high === null) return rejection(offer, 'too-dear', 'its price is unknown, and limits.maxCostUsd is set')
    const usd = toUsd(high)
    if (usd > maxCostUsd) {
      const because = `it may cost $${usd.toPrecision(3)}; set max_tokens or raise limits.maxCostUsd`
      return rejection(offer, 'too-dear', because, { limit: maxCostUsd, value: usd })
    }
  }
  return null
}

function rejection(
  { model, provider }: Offer,
  code: RejectionCode,
  because: string,
  numbers?: { limit: number; value: number },
): Rejection {
  return { model, provider, code, because, ...numbers }
}

const WORDS: Readonly<Record<string, string>> = {
  'format-with-tools': 'a JSON format and tools in one request',
  'schema-with-stream': 'a JSON schema for an answer in pieces',
  schema: 'a JSON schema',
  json: 'a JSON format',
}

const MEDIA = ['image', 'audio', 'video', 'file'] as const

/** Whether somebody sees the request to whom a provider does not pass its data rules on. */
function leaks({ wireModel }: Offer, { settings }: Provider, needs: Needs): boolean {
  return needs.others || asksOthers(settings) || wireModel.endsWith(':online')
}

/** What the request needs and the offer is known not to have; unknown abilities keep nothing away. */
function lackOf(offer: Offer, provider: Provider, needs: Needs): string | null {
  for (const kind of MEDIA) {
    if (!needs[kind]) continue
    // An aggregator parses files for models that cannot read them.
    if (kind === 'file' && provider.dialect.supports.hosts) continue
    if (offer.input !== null && !offer.input.has(kind)) return kind
  }
  if (needs.schema !== null && needs.tools && !provider.dialect.supports.formatWithTools) return 'format-with-tools'
  if (needs.schema === 'schema' && needs.stream && !provider.dialect.supports.schemaWithStream)
    return 'schema-with-stream'
  const { abilities } = offer
  if (abilities === null) return null
  if (needs.tools && !abilities.has('tools')) return 'tools'
  if (needs.schema === 'schema' && !abilities.has('schema')) return 'schema'
  if (needs.schema === 'json' && !abilities.has('json') && !abilities.has('schema')) return 'json'
  return null
}
