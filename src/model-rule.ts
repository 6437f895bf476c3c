import type { Catalog, Model, Offer } from './catalog.ts'
import type { Needs, RequestSettings } from './chat.ts'
import { ConfigError } from './errors.ts'
import { fields, isFields } from './fields.ts'
import type { Interval } from './money.ts'
import { kindOf, ruled } from './options.ts'

/** What a rule may look at, besides the models or offers it ranks. Everything here was read before planning began. */
export interface Facts {
  /** What the request itself asks of a model. */
  readonly needs: Needs
  /** `YYYY-MM-DD`, in UTC. */
  readonly day: string
  readonly utcMinutes: number
  readonly catalog: Catalog
  /** What this request can cost at an offer, in pico-dollars; `high: null` is unknown. */
  estimate(offer: Offer): Interval
  /** How fast an offer has been of late, as this router has seen it; `null` before it has seen any. */
  speed(offer: Offer): number | null
}

/** A model's canonical id, a provider's own id, or either with a variant; with its own settings if need be. */
export type ModelRef = string | { readonly model: string; readonly request?: RequestSettings }

export interface ModelChoice {
  readonly model: string
  readonly because: string
  readonly request?: RequestSettings | undefined
}

/**
 * Which models to try, the first choice first. `models` are those that can be had for this request under the policy,
 * each with the offers that may be used. A rule is pure: the same models and facts, the same choice.
 */
export type ModelRule = (models: readonly Model[], facts: Facts) => readonly ModelChoice[]

/** What a model must be able to do to be considered, beyond what the request asks anyway. */
export interface ModelNeeds {
  readonly context?: number
  readonly tools?: boolean
  readonly vision?: boolean
  readonly schema?: boolean
  readonly reasoning?: boolean
  /** USD per million tokens of output. */
  readonly maxPrice?: number
}

export interface Among {
  /** Only these; default: every model on sale. */
  readonly among?: readonly string[]
  readonly needs?: ModelNeeds
}

/** The models in the order they are written: the first that can be had. */
export function firstOf(...references: readonly ModelRef[]): ModelRule {
  const choices = references.map((reference, index): ModelChoice => {
    const because = index === 0 ? 'the first choice' : `choice ${index + 1}`
    return typeof reference === 'string' ? { model: reference, because } : { ...reference, because }
  })
  return () => choices
}

/** The model that costs least for this very request, by its cheapest offer. Models with no known price come last. */
export function cheapest(options: Among = {}): ModelRule {
  return (models, facts) => {
    const priced = candidates(models, facts, options).map((model) => ({ model, usd: cheapestHigh(model, facts) }))
    priced.sort((a, b) => (a.usd ?? Number.POSITIVE_INFINITY) - (b.usd ?? Number.POSITIVE_INFINITY))
    return priced.slice(0, MOST_CHOICES).map(({ model, usd }, index) => ({
      model: model.id,
      because: usd === null ? 'its price is unknown' : index === 0 ? 'the cheapest' : `cheapest no. ${index + 1}`,
    }))
  }
}

/** The model that has answered fastest of late; those not seen yet keep their order, after the ones that were. */
export function fastest(options: Among = {}): ModelRule {
  return (models, facts) => {
    const timed = candidates(models, facts, options).map((model) => {
      const speeds = model.offers.map((offer) => facts.speed(offer)).filter((speed) => speed !== null)
      return { model, speed: speeds.length === 0 ? null : Math.max(...speeds) }
    })
    timed.sort((a, b) => (b.speed ?? -1) - (a.speed ?? -1))
    return timed.slice(0, MOST_CHOICES).map(({ model, speed }) => ({
      model: model.id,
      because: speed === null ? 'not measured yet' : `${Math.round(speed)} tokens a second of late`,
    }))
  }
}

/**
 * The models that clear a bar on your own cases, the cheapest first: `scores` from an evaluation, by model. Models
 * below the bar follow, the best first, for when none above it can be had.
 */
export function clears(bar: {
  readonly scores: Readonly<Record<string, number>>
  readonly atLeast: number
}): ModelRule {
  const scored = Object.entries(bar.scores)
  const above = scored.filter(([, score]) => score >= bar.atLeast)
  const below = scored.filter(([, score]) => score < bar.atLeast).sort((a, b) => b[1] - a[1])
  const cheapestAbove = cheapest({ among: above.map(([model]) => model) })
  // A score may stand under any of a model's names.
  const scoreOf = (id: string, { catalog }: Facts) =>
    above.find(([name]) => {
      const found = catalog.lookup(name)
      return 'model' in found && found.model.id === id
    })?.[1]
  return (models, facts) => [
    ...cheapestAbove(models, facts).map((choice) => ({
      ...choice,
      because: `clears ${bar.atLeast} with ${scoreOf(choice.model, facts)}; ${choice.because}`,
    })),
    ...below.map(([model, score]) => ({ model, because: `below the bar with ${score}` })),
  ]
}

/** Nobody walks a longer plan, and a plan of hundreds of models could not be read. */
const MOST_CHOICES = 8

function candidates(models: readonly Model[], facts: Facts, { among, needs = {} }: Among): readonly Model[] {
  const listed = among?.flatMap((reference) => {
    const found = facts.catalog.lookup(reference)
    // As it is sold under the policy; one that is not is left in, so that the plan can say why it is not.
    return 'model' in found ? [models.find(({ id }) => id === found.model.id) ?? found.model] : []
  })
  return (listed === undefined ? models : [...new Set(listed)]).filter((model) => fits(model, facts, needs))
}

function fits(model: Model, { needs: asked, day }: Facts, needs: ModelNeeds): boolean {
  const able = (ability: 'tools' | 'schema' | 'reasoning') => model.abilities === null || model.abilities.has(ability)
  if (model.retires !== null && model.retires <= day) return false
  if ((asked.tools || needs.tools) && !able('tools')) return false
  if ((asked.schema === 'schema' || needs.schema) && !able('schema')) return false
  if (needs.reasoning && !able('reasoning')) return false
  if ((asked.image || needs.vision) && !model.input.has('image')) return false
  const context = Math.max(asked.promptTokens + (asked.maxTokens ?? 0), needs.context ?? 0)
  if (model.context !== null && model.context < context) return false
  const most = needs.maxPrice
  return most === undefined || model.offers.some((offer) => offer.prices !== null && offer.prices.output <= most)
}

function cheapestHigh(model: Model, facts: Facts): number | null {
  let least: number | null = null
  for (const offer of model.offers) {
    const { high } = facts.estimate(offer)
    if (high !== null && (least === null || high < least)) least = high
  }
  return least
}

/** References become the rule they stand for. */
export function modelRuleOf(given: ModelRef | readonly ModelRef[] | ModelRule): {
  rule: ModelRule
  named: readonly string[]
} {
  if (typeof given === 'function') return { rule: given, named: [] }
  const references = isList(given) ? given : [given]
  return {
    rule: firstOf(...references),
    named: references.map((reference) => (typeof reference === 'string' ? reference : reference.model)),
  }
}

/** A rule of the user's: whatever it throws or gives, the plan is made of choices. */
export function guardedModels(rule: ModelRule, field: string): ModelRule {
  return (models, facts) => {
    const chosen: unknown = ruled(field, () => rule(models, facts))
    if (!Array.isArray(chosen)) throw new ConfigError(field, `expected the rule to give a list, got ${kindOf(chosen)}`)
    return chosen.map((choice: unknown, index): ModelChoice => {
      const { model, because = 'as its rule says', request } = fields(choice) ?? {}
      if (typeof model === 'string' && model !== '' && typeof because === 'string' && isSettings(request)) {
        return { model, because, request }
      }
      const expected = 'expected the rule to give { model, because }'
      throw new ConfigError(field, `${expected}, got ${kindOf(choice)} at place ${index + 1}`)
    })
  }
}

function isSettings(value: unknown): value is RequestSettings | undefined {
  return value === undefined || isFields(value)
}

function isList(given: ModelRef | readonly ModelRef[]): given is readonly ModelRef[] {
  return Array.isArray(given)
}
