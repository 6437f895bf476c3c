import type { RequestSettings } from './chat.ts'
import type { Accept } from './demand.ts'
import type { DataRule } from './dialects/dialect.ts'
import { ConfigError } from './errors.ts'
import type { FallbackRule } from './fallback.ts'
import { fields } from './fields.ts'
import { guardedModels, type ModelRef, type ModelRule, modelRuleOf } from './model-rule.ts'
import { checkOptions, type Expectation, expected, kindOf, plainly, unknown } from './options.ts'
import { type ProviderRef, type ProviderRule, providerRuleOf } from './provider-rule.ts'
import { type DataOf, type GivenOf, type Schema, type Shape, shapeOf } from './schema.ts'
import { ruledPlace, type SessionRule, whilePaying } from './stay.ts'

/** What one call may use, over all its attempts together. */
export interface Limits {
  /** Attempts at the most; default 4. */
  readonly attempts?: number | undefined
  /**
   * Milliseconds for the whole call; default 600,000. While another step is left, one attempt gets at most half of what
   * remains, so that a provider that never answers leaves time for the next.
   */
  readonly timeoutMs?: number | undefined
  /** Milliseconds until something of a stream can be seen, keep-alives not counted; default 60,000. */
  readonly firstTokenMs?: number | undefined
  /** Milliseconds of silence within a stream, not counting the time nobody reads it; default 30,000. */
  readonly idleMs?: number | undefined
  /**
   * USD at the most, by the high estimate: an attempt that could break it is not made. OpenRouter is told the prices of
   * the plan as the most that a host may ask.
   */
  readonly maxCostUsd?: number | undefined
}

/**
 * A stream that breaks after something of it was seen: `fail` says so and keeps what there is; `restart` says so and
 * begins again; `continue` takes the text up elsewhere, if the seam can be verified.
 */
export type OnBroken = 'fail' | 'restart' | 'continue'

/** A second attempt while the first has nothing to show yet: it costs twice and waits once. */
export interface Hedge {
  /** Milliseconds without any content; `p95`: what 19 of 20 calls of late did not exceed, once that is known. */
  readonly afterMs: number | 'p95'
  /** USD that the second attempt may cost at the most, by its high estimate. */
  readonly maxExtraUsd?: number | undefined
}

export interface DriftPolicy {
  readonly model?: 'accept' | 'warn' | 'reject' | undefined
  readonly host?: 'accept' | 'warn' | 'reject' | undefined
  readonly tier?: 'accept' | 'warn' | 'reject' | undefined
  readonly price?: 'accept' | 'warn' | 'reject' | undefined
  /** What came late is there all the same. */
  readonly latency?: 'accept' | 'warn' | undefined
}

/** How sessions are kept, where `'sticky'` is not exact enough. */
export interface SessionPolicy {
  /** `derived`: without an id, the system text and the first user message make one; default `given`. */
  readonly id?: 'given' | 'derived' | undefined
  /** Stay or move; default `whilePaying()`. */
  readonly rule?: SessionRule | undefined
  /** `off`: nothing is marked for caching but what you mark yourself; default `auto`, where a model needs it. */
  readonly marks?: 'auto' | 'off' | undefined
}

/** Which model, then where to run it, then under which rules. */
export interface TaskPolicy<Model = ModelRef, Place = ProviderRef, Data = unknown> {
  /** 1. Which model: one, several in order of preference, or a rule. */
  readonly model: Model | readonly Model[] | ModelRule
  /** 2. Where to run it; default: the order of `providers`. */
  readonly provider?: Place | readonly (Place | ProviderRule)[] | ProviderRule | undefined
  /** 3. What to do when an attempt fails: rules in order; the table of verdicts answers for what they leave open. */
  readonly fallback?: readonly FallbackRule[] | undefined
  /**
   * `sticky` (the default) keeps a session where its cache is warm while that pays; `derived` also takes calls without an
   * id for one session that begin with the same system text and first user message.
   */
  readonly session?: 'sticky' | 'derived' | 'off' | SessionPolicy | undefined
  /** A hard rule, for every attempt. */
  readonly data?: DataRule | undefined
  readonly limits?: Limits | undefined
  /** Asks a second provider when the first is late; whoever has something to show first is heard. */
  readonly hedge?: Hedge | undefined
  /**
   * What to do when an answer does not come from where it was planned, or not at that price or speed: `accept` writes it
   * on the record, `warn` (the default) is also an event, `reject` moves on to the next way. A stream is rejected for its
   * model, its host or its tier, as long as nothing of it was seen; for its price it cannot be.
   */
  readonly drift?: DriftPolicy | DriftPolicy['model'] | undefined
  /** What to do when a stream breaks after its first content; default `fail`. */
  readonly onBroken?: OnBroken | undefined
  /**
   * The answer's shape, which `completion.data` has: zod or any other Standard Schema. Each model is asked for it in the
   * strictest way that it takes, and each answer is checked here. One that does not fit is sent back once to be mended;
   * then the next model is asked.
   */
  readonly schema?: Schema | undefined
  /**
   * The bar: an answer that it does not take goes to the next model. The smallest model comes first, then. Under a call's
   * own schema, what it is shown has that one's shape.
   */
  readonly accept?: Accept<Data> | undefined
  /** Settings for every request of the task: temperature, max_tokens, reasoning and so on. */
  readonly request?: RequestSettings | undefined
}

/** What the answers of a task are: as its schema gives them, `null` without one. */
export type DataIn<Given> = Given extends { readonly schema: infer S extends Schema }
  ? DataOf<S>
  : 'schema' extends keyof Given
    ? unknown
    : null

/** What the models of a task write: as its schema takes it, any JSON without one. */
export type GivenIn<Task> = Task extends { readonly schema: infer S extends Schema } ? GivenOf<S> : unknown

/** A policy made ready: checked once, asked often. */
export interface Policy {
  readonly task: string
  readonly models: ModelRule
  readonly places: readonly ProviderRule[]
  /** The references written in it, for checks that need no request. */
  readonly named: { readonly models: readonly string[]; readonly places: readonly string[] }
  readonly fallback: readonly FallbackRule[]
  /** `null`: off. */
  readonly session: { readonly derived: boolean; readonly rule: SessionRule; readonly marks: boolean } | null
  readonly data: DataRule
  readonly limits: {
    readonly attempts: number
    readonly timeoutMs: number
    readonly firstTokenMs: number
    readonly idleMs: number
    readonly maxCostUsd: number | null
  }
  readonly hedge: { readonly afterMs: number | 'p95'; readonly maxExtraUsd: number | null } | null
  readonly drift: Readonly<Record<keyof DriftPolicy, 'accept' | 'warn' | 'reject'>>
  readonly onBroken: OnBroken
  readonly shape: Shape | null
  readonly accept: Accept | null
  readonly request: RequestSettings
}

const DEFAULT_ATTEMPTS = 4
const DEFAULT_TIMEOUT = 600_000
const DEFAULT_FIRST_TOKEN = 60_000
const DEFAULT_IDLE = 30_000

const MILLISECONDS = expected('milliseconds above 0', isPositive)

const LIMITS: Readonly<Record<keyof Limits, Expectation>> = {
  attempts: expected(
    'a whole number from 1 to 100',
    (value) => Number.isInteger(value) && isPositive(value) && value <= 100,
  ),
  timeoutMs: MILLISECONDS,
  firstTokenMs: MILLISECONDS,
  idleMs: MILLISECONDS,
  maxCostUsd: expected('USD above 0', isPositive),
}

const HEDGE: Readonly<Record<keyof Hedge, Expectation>> = {
  afterMs: expected('milliseconds above 0, or "p95"', (value) => value === 'p95' || isPositive(value)),
  maxExtraUsd: LIMITS.maxCostUsd,
}

const TAKEN = ['accept', 'warn', 'reject']
const A_WORD_ON_DRIFT = expected('"accept", "warn" or "reject"', (value) => isOneOf(value, TAKEN))
const DRIFT: Readonly<Record<keyof DriftPolicy, Expectation>> = {
  model: A_WORD_ON_DRIFT,
  host: A_WORD_ON_DRIFT,
  tier: A_WORD_ON_DRIFT,
  price: A_WORD_ON_DRIFT,
  latency: expected('"accept" or "warn": what came late is there', (value) => isOneOf(value, ['accept', 'warn'])),
}

function isOneOf(value: unknown, words: readonly string[]): boolean {
  return typeof value === 'string' && words.includes(value)
}

const WORDS_OF_SESSION = ['sticky', 'derived', 'off']
const SESSION: Readonly<Record<keyof SessionPolicy, Expectation>> = {
  id: expected('"given" or "derived"', (value) => value === 'given' || value === 'derived'),
  rule: expected('a rule such as whilePaying()', (value) => typeof value === 'function'),
  marks: expected('"auto" or "off"', (value) => value === 'auto' || value === 'off'),
}

const DATA: Readonly<Record<keyof DataRule, Expectation>> = {
  training: expected('"deny"', (value) => value === 'deny'),
  retention: expected('"zero"', (value) => value === 'zero'),
}

const MODEL = expected('a model id, a list of them, or a rule such as cheapest()', (value) =>
  isOneOrMore(value, () => true),
)
const REFERENCE: Readonly<Record<string, Expectation>> = {
  model: expected('a model id', isName),
  request: expected('an object of request settings', (value) => fields(value) !== undefined),
}

const POLICY: Readonly<Record<keyof TaskPolicy, Expectation>> = {
  model: MODEL,
  provider: expected('a provider name, a list of names and rules, or a rule such as cheapestOffer()', (value) =>
    isOneOrMore(value, isPlace),
  ),
  session: expected(
    '"sticky", "derived", "off" or { id, rule, marks }',
    (value) => isOneOf(value, WORDS_OF_SESSION) || fields(value) !== undefined,
  ),
  data: expected("{ training: 'deny' } or { retention: 'zero' }", (value) => fields(value) !== undefined),
  limits: expected('an object of limits', (value) => fields(value) !== undefined),
  fallback: expected('a list of rules', Array.isArray),
  hedge: expected("{ afterMs: milliseconds or 'p95' }", (value) => fields(value) !== undefined),
  drift: expected(
    '"accept", "warn", "reject" or { model, host, tier, price, latency }',
    (value) => isOneOf(value, TAKEN) || fields(value) !== undefined,
  ),
  onBroken: expected('"fail", "restart" or "continue"', (value) =>
    ['fail', 'restart', 'continue'].includes(String(value)),
  ),
  request: REFERENCE.request ?? MODEL,
  // What a schema has to be is looked at where it is made ready.
  schema: expected('a schema such as z.object({…})', () => true),
  accept: expected('a function of the answer', (value) => typeof value === 'function'),
}

function checkPolicy(given: unknown, field: string): asserts given is TaskPolicy {
  checkOptions(given, { of: field, says: 'an object with at least { model }', known: POLICY, got: plainly })
  const { model, data, limits, hedge, fallback, session, drift } = fields(given) ?? {}
  if (model === undefined) throw new ConfigError(`${field}.model`, `expected ${MODEL.says}, got nothing`)
  for (const [index, reference] of (Array.isArray(model) ? model : [model]).entries()) {
    const where = Array.isArray(model) ? `${field}.model[${index}]` : `${field}.model`
    if (typeof reference === 'function' && !Array.isArray(model)) continue
    if (typeof reference === 'object') checkReference(reference, where)
    else if (!isName(reference)) throw new ConfigError(where, `expected ${MODEL.says}, got ${plainly(reference)}`)
  }
  if (data !== undefined) checkOptions(data, { of: `${field}.data`, says: POLICY.data.says, known: DATA, got: plainly })
  if (limits !== undefined)
    checkOptions(limits, { of: `${field}.limits`, says: POLICY.limits.says, known: LIMITS, got: plainly })
  if (fields(session) !== undefined)
    checkOptions(session, { of: `${field}.session`, says: POLICY.session.says, known: SESSION, got: plainly })
  if (fields(drift) !== undefined)
    checkOptions(drift, { of: `${field}.drift`, says: POLICY.drift.says, known: DRIFT, got: plainly })
  if (hedge !== undefined) checkHedge(hedge, `${field}.hedge`)
  for (const [index, rule] of (Array.isArray(fallback) ? fallback : []).entries()) {
    if (typeof rule === 'function') continue
    const verb =
      typeof fields(rule)?.retry === 'function' ? ': end the sentence with a verb such as .nextProvider()' : ''
    throw new ConfigError(
      `${field}.fallback[${index}]`,
      `expected a rule such as when('refused').stop(), got ${kindOf(rule)}${verb}`,
    )
  }
}

function checkHedge(hedge: unknown, field: string): void {
  checkOptions(hedge, { of: field, says: POLICY.hedge.says, known: HEDGE, got: plainly })
  if (fields(hedge)?.afterMs === undefined) {
    throw new ConfigError(`${field}.afterMs`, `expected ${HEDGE.afterMs.says}, got nothing`)
  }
}

function checkReference(reference: unknown, where: string): void {
  checkOptions(reference, { of: where, says: 'a model id or { model, request }', known: REFERENCE, got: plainly })
  if (fields(reference)?.model === undefined)
    throw new ConfigError(`${where}.model`, 'expected a model id, got nothing')
}

function isOneOrMore(value: unknown, fits: (value: unknown) => boolean): boolean {
  return Array.isArray(value) ? value.length > 0 && value.every(fits) : fits(value)
}

function isPlace(value: unknown): boolean {
  return isName(value) || typeof value === 'function'
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

function isPositive(value: unknown): value is number {
  return typeof value === 'number' && value > 0
}

/** Checks a policy and makes it ready. `field` is where it stands, for the error. */
export function policyOf(given: unknown, about: { task: string; field: string; providers: readonly string[] }): Policy {
  const { task, field, providers } = about
  const policy: unknown = given
  checkPolicy(policy, field)
  const models = modelRuleOf(policy.model)
  const places = providerRuleOf(policy.provider ?? providers, `${field}.provider`)
  for (const [index, place] of places.named.entries()) {
    const [name = ''] = place.split('/', 1)
    if (providers.includes(name)) continue
    const where = Array.isArray(policy.provider) ? `${field}.provider[${index}]` : `${field}.provider`
    throw new ConfigError(where, `${unknown('provider', name, providers)}`)
  }
  const { attempts = DEFAULT_ATTEMPTS, timeoutMs = DEFAULT_TIMEOUT, maxCostUsd = null } = policy.limits ?? {}
  const { firstTokenMs = DEFAULT_FIRST_TOKEN, idleMs = DEFAULT_IDLE } = policy.limits ?? {}
  return Object.freeze({
    task,
    models: typeof policy.model === 'function' ? guardedModels(models.rule, `${field}.model`) : models.rule,
    places: places.rules,
    named: { models: models.named, places: places.named },
    fallback: Object.freeze([...(policy.fallback ?? [])]),
    session: sessionOf(policy.session, `${field}.session`),
    data: Object.freeze({ ...policy.data }),
    limits: Object.freeze({ attempts, timeoutMs, firstTokenMs, idleMs, maxCostUsd }),
    hedge: hedgeOf(policy.hedge),
    drift: driftPolicyOf(policy.drift),
    onBroken: policy.onBroken ?? 'fail',
    shape: policy.schema === undefined ? null : shapeOf(policy.schema, `${field}.schema`),
    accept: policy.accept ?? null,
    request: policy.request ?? {},
  })
}

function sessionOf(given: TaskPolicy['session'], field: string): Policy['session'] {
  if (given === 'off') return null
  const { id, rule, marks }: SessionPolicy =
    typeof given === 'object' ? given : { id: given === 'derived' ? given : 'given' }
  return Object.freeze({
    derived: id === 'derived',
    rule: rule === undefined ? PAYING : (places, history) => ruledPlace(rule, places, history, `${field}.rule`),
    marks: marks !== 'off',
  })
}

const PAYING = whilePaying()

function driftPolicyOf(given: TaskPolicy['drift']): Policy['drift'] {
  const {
    model = 'warn',
    host = 'warn',
    tier = 'warn',
    price = 'warn',
    latency = 'warn',
  }: DriftPolicy = typeof given === 'string' ? { model: given, host: given, tier: given, price: given } : (given ?? {})
  return Object.freeze({ model, host, tier, price, latency })
}

function hedgeOf(hedge: Hedge | undefined): Policy['hedge'] {
  return hedge === undefined ? null : Object.freeze({ afterMs: hedge.afterMs, maxExtraUsd: hedge.maxExtraUsd ?? null })
}

/** Options may tighten what the policy allows, never relax it. */
export function tightened(
  policy: Policy,
  given: { limits?: Limits | undefined; data?: DataRule | undefined },
  of = 'options',
): Policy {
  if (given.limits === undefined && given.data === undefined) return policy
  const { limits, data } = given
  if (limits !== undefined)
    checkOptions(limits, { of: `${of}.limits`, says: POLICY.limits.says, known: LIMITS, got: plainly })
  if (data !== undefined) checkOptions(data, { of: `${of}.data`, says: POLICY.data.says, known: DATA, got: plainly })
  const { attempts, timeoutMs, firstTokenMs, idleMs, maxCostUsd } = policy.limits
  const tighter = given.limits ?? {}
  const cost = Math.min(maxCostUsd ?? Number.POSITIVE_INFINITY, tighter.maxCostUsd ?? Number.POSITIVE_INFINITY)
  return {
    ...policy,
    // Key by key: one that is there and undefined must not take a rule away.
    data: {
      training: given.data?.training ?? policy.data.training,
      retention: given.data?.retention ?? policy.data.retention,
    },
    limits: {
      attempts: Math.min(attempts, tighter.attempts ?? attempts),
      timeoutMs: Math.min(timeoutMs, tighter.timeoutMs ?? timeoutMs),
      firstTokenMs: Math.min(firstTokenMs, tighter.firstTokenMs ?? firstTokenMs),
      idleMs: Math.min(idleMs, tighter.idleMs ?? idleMs),
      maxCostUsd: cost === Number.POSITIVE_INFINITY ? null : cost,
    },
  }
}
