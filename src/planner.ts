import { type Model, type Offer, parseReference } from './catalog.ts'
import type { Needs, RequestSettings } from './chat.ts'
import { type Block, LONGEST_WAIT } from './health.ts'
import type { Facts, ModelChoice } from './model-rule.ts'
import { fromUsd, toUsd } from './money.ts'
import { freezePlan, type Plan, type Rejection, type RejectionCode, type Step } from './plan.ts'
import type { Policy } from './policy.ts'
import { type Provider, satisfies } from './provider.ts'
import { type RankedOffer, sameHost } from './provider-rule.ts'
import { leadsTo, pinnedTo, type WarmPlace, type Way, wayOf } from './way.ts'

/** Everything a plan follows from. */
export interface Planning {
  readonly policy: Policy
  readonly providers: readonly Provider[]
  readonly facts: Facts
  /** The same with a candidate's own settings, which may need other things. */
  factsWith(candidate: RequestSettings): Facts
  readonly session: { readonly asked: boolean; readonly warm: WarmPlace | null }
  /** What speaks against offers now; `null`: nothing does. */
  readonly health: { readonly now: number; blockOf(step: Step): Block | null } | null
}

export interface Planned {
  readonly plan: Plan
  readonly ways: readonly Way[]
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
    session: { asked: false, warm: null },
  })
  return provider === undefined ? ways : ways.filter(({ step }) => step.provider === provider)
}

function planOf(planning: Planning): Planned {
  const { policy, facts } = planning
  const rejected: Rejection[] = []
  const ways: Way[] = []
  const late: Way[] = []
  const queue = [...policy.models(policy.named.models.length > 0 ? NONE : onSale(planning), facts)]
  const seen = new Set<string>()
  for (let choice = queue.shift(); choice !== undefined; choice = queue.shift()) {
    const candidates = offersOf(choice.model, planning.providers, facts)
    // One model by two names is one candidate.
    if (seen.has(candidates.key)) continue
    seen.add(candidates.key)
    const found = waysOf(choice, candidates, { planning, rejected, late })
    ways.push(...found.ways)
    if (found.ways.length === 0 && found.successor !== null) {
      queue.unshift({ ...choice, model: found.successor, because: `the successor of ${choice.model}` })
    }
  }
  const { session, ordered } = withSession(ways, late, planning)
  const [first] = ordered
  const worst = ordered.slice(0, policy.limits.attempts).reduce<number | null>((sum, { step }) => {
    const { high } = step.estimate.usd
    return sum === null || high === null ? null : sum + fromUsd(high)
  }, 0)
  const plan = freezePlan({
    task: policy.task,
    steps: ordered.map(({ step }) => step),
    rejected,
    estimate: {
      usd: first?.step.estimate.usd ?? { low: 0, high: 0 },
      worstCaseUsd: worst === null ? null : toUsd(worst),
    },
    session,
  })
  return { plan, ways: ordered }
}

function waysOf(
  choice: ModelChoice,
  { offers, model, problem }: Candidates,
  { planning, rejected, late }: { planning: Planning; rejected: Rejection[]; late: Way[] },
): { ways: Way[]; successor: string | null } {
  const { policy, providers } = planning
  const facts = choice.request === undefined ? planning.facts : planning.factsWith(choice.request)
  let successor: string | null = null
  const allowed: RankedOffer[] = []
  const because = [choice.because]
  for (const { provider, offer } of offers) {
    const rejection = offer === null ? null : refusal(offer, provider, policy, facts)
    if (offer === null) {
      const code: RejectionCode = 'not-sold'
      rejected.push({ model, provider: provider.name, code, because: problem ?? `${provider.name} does not list it` })
    } else if (rejection === null) {
      allowed.push(anywhere(offer, because))
    } else {
      rejected.push(rejection)
      if (rejection.code === 'retired') successor ??= offer.successor
    }
  }
  const ranked = placed(allowed, policy, facts)
  for (const { offer } of allowed) {
    if (ranked.some((kept) => kept.offer.provider === offer.provider)) continue
    rejected.push({
      model,
      provider: offer.provider,
      code: 'avoided',
      because: 'the policy does not name this provider',
    })
  }
  const ways: Way[] = []
  for (const place of ranked) {
    const provider = providers.find(({ name }) => name === place.offer.provider)
    if (provider === undefined) continue
    if (place.hosts.length > 0 && !provider.dialect.supports.hosts) {
      rejected.push({ model, provider: provider.name, code: 'lacks:hosts', because: 'it has no hosts to choose from' })
      continue
    }
    const way = wayOf(place, { provider, choice, facts })
    const block = planning.health?.blockOf(way.step) ?? null
    const waitMs = block === null ? 0 : block.until - (planning.health?.now ?? 0)
    if (block === null) {
      ways.push(way)
    } else if (block.opens && waitMs <= LONGEST_WAIT) {
      late.push({ ...way, step: { ...way.step, because: [...way.step.because, block.because] } })
    } else {
      rejected.push({ model, provider: provider.name, code: block.code, because: block.because, value: waitMs })
      if (block.code === 'retired') successor ??= place.offer.successor
    }
  }
  return { ways, successor }
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
  const { base, suffix } = 'model' in exact ? { base: reference, suffix: '' } : takenApart(reference)
  const found = 'model' in exact ? exact : catalog.lookup(base)
  if ('model' in found) {
    const { model } = found
    const offers = providers.map((provider) => {
      const offer = catalog.offer(provider.name, model.id)
      if (offer === null || suffix === '') return { provider, offer }
      const served = provider.dialect.supports.variants ? { ...offer, wireModel: `${offer.wireModel}${suffix}` } : null
      return { provider, offer: served }
    })
    return {
      key: `${model.id}${suffix}`,
      model: model.id,
      offers,
      problem: suffix === '' ? null : `it has no variant "${suffix}"`,
    }
  }
  if ('several' in found) {
    const offers = providers.map((provider) => ({ provider, offer: null }))
    return {
      key: reference,
      model: reference,
      offers,
      problem: `"${reference}" fits several models: ${found.several.join(', ')}`,
    }
  }
  const offers = providers.map((provider) => {
    return { provider, offer: isAskedFor(reference, provider) ? catalog.unlisted(provider.name, reference) : null }
  })
  const [closest] = found.nearest
  return {
    key: reference,
    model: reference,
    offers,
    problem:
      closest === undefined ? 'no list knows this model' : `no list knows this model; did you mean "${closest}"?`,
  }
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
  const reject = (
    code: RejectionCode,
    because: string,
    numbers: { limit?: number; value?: number } = {},
  ): Rejection => ({
    model: offer.model,
    provider: offer.provider,
    code,
    because,
    ...numbers,
  })
  if (offer.retires !== null && offer.retires <= day) {
    const next = offer.successor === null ? '' : `; its successor is ${offer.successor}`
    return reject('retired', `it retired there on ${offer.retires}${next}`)
  }
  if (!satisfies(provider, policy.data)) {
    return reject('data-policy', `${provider.name} does not guarantee it: declare dataTerms if the account does`)
  }
  const lacks = lackOf(offer, provider, needs)
  if (lacks !== null) return reject(`lacks:${lacks}`, `it does not take ${WORDS[lacks] ?? lacks}`)
  const value = needs.promptTokens + (needs.maxTokens ?? 0)
  if (offer.context !== null && value > offer.context) {
    return reject('context', `about ${value} tokens do not fit ${offer.context}`, { limit: offer.context, value })
  }
  if (offer.maxOutput !== null && needs.maxTokens !== null && needs.maxTokens > offer.maxOutput) {
    const because = `it answers in at most ${offer.maxOutput} tokens`
    return reject('max-output', because, { limit: offer.maxOutput, value: needs.maxTokens })
  }
  const { maxCostUsd } = policy.limits
  if (maxCostUsd !== null) {
    const { high } = facts.estimate(offer)
    if (high === null) return reject('too-dear', 'its price is unknown, and limits.maxCostUsd is set')
    const usd = toUsd(high)
    if (usd > maxCostUsd) {
      const because = `it may cost $${usd.toPrecision(3)}; set max_tokens or raise limits.maxCostUsd`
      return reject('too-dear', because, { limit: maxCostUsd, value: usd })
    }
  }
  return null
}

const WORDS: Readonly<Record<string, string>> = {
  'format-with-tools': 'a JSON format and tools in one request',
  schema: 'a JSON schema',
  json: 'a JSON format',
}

/** What the request needs and the offer is known not to have; unknown abilities keep nothing away. */
function lackOf(offer: Offer, provider: Provider, needs: Needs): string | null {
  for (const kind of ['image', 'audio', 'video', 'file'] as const) {
    if (!needs[kind]) continue
    // An aggregator parses files for models that cannot read them.
    if (kind === 'file' && provider.dialect.supports.hosts) continue
    if (offer.input !== null && !offer.input.has(kind)) return kind
  }
  if (needs.schema !== null && needs.tools && !provider.dialect.supports.formatWithTools) return 'format-with-tools'
  const { abilities } = offer
  if (abilities === null) return null
  if (needs.tools && !abilities.has('tools')) return 'tools'
  if (needs.schema === 'schema' && !abilities.has('schema')) return 'schema'
  if (needs.schema === 'json' && !abilities.has('json') && !abilities.has('schema')) return 'json'
  return null
}

/** A warm cache comes first, where the policy allows that place at all; what opens only later comes last. */
function withSession(
  open: readonly Way[],
  late: readonly Way[],
  { session: asked }: Planning,
): { ordered: readonly Way[]; session: Plan['session'] } {
  const ways = late.length === 0 ? open : [...open, ...late]
  const { warm } = asked
  if (!asked.asked) return { ordered: ways, session: { pin: 'off', because: 'no session' } }
  if (warm === null) return { ordered: ways, session: { pin: 'new', because: 'nothing is warm yet' } }
  const kept = open.find((way) => leadsTo(warm, way))
  if (kept === undefined) {
    const where = late.some((way) => leadsTo(warm, way)) ? 'closed for a while' : 'not in the plan any more'
    const because = `${warm.model} at ${warm.provider} is warm, but ${where}`
    return { ordered: ways, session: { pin: 'moved', because } }
  }
  const place = warm.host === null ? warm.provider : `${warm.provider}/${warm.host}`
  const first = pinnedTo(kept, warm.host)
  const [named] = first.step.hosts
  const elsewhere = warm.host !== null && named !== undefined && !sameHost(named, warm.host)
  const policy = elsewhere ? `, and the policy asks for ${warm.provider}/${named} before it` : ''
  return {
    ordered: [first, ...ways.filter((way) => way !== kept)],
    session: { pin: 'kept', because: `the cache is warm at ${place}${policy}` },
  }
}
