import * as z from 'zod/mini'
import type { RequestSettings } from './chat.ts'
import type { DataRule } from './dialects/dialect.ts'
import { ConfigError } from './errors.ts'
import { guardedModels, type ModelRef, type ModelRule, modelRuleOf } from './model-rule.ts'
import { kindOf, unknown } from './options.ts'
import { type ProviderRef, type ProviderRule, providerRuleOf } from './provider-rule.ts'

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

/** Which model, then where to run it, then under which rules. */
export interface TaskPolicy<Model = ModelRef, Place = ProviderRef> {
  /** 1. Which model: one, several in order of preference, or a rule. */
  readonly model: Model | readonly Model[] | ModelRule
  /** 2. Where to run it; default: the order of `providers`. */
  readonly provider?: Place | readonly (Place | ProviderRule)[] | ProviderRule | undefined
  /** `sticky` (the default) keeps a session where its cache is warm. */
  readonly session?: 'sticky' | 'off' | undefined
  /** A hard rule, for every attempt. */
  readonly data?: DataRule | undefined
  readonly limits?: Limits | undefined
  /** What to do when a stream breaks after its first content; default `fail`. */
  readonly onBroken?: OnBroken | undefined
  /** Settings for every request of the task: temperature, max_tokens, reasoning and so on. */
  readonly request?: RequestSettings | undefined
}

/** A policy made ready: checked once, asked often. */
export interface Policy {
  readonly task: string
  readonly models: ModelRule
  readonly places: readonly ProviderRule[]
  /** The references written in it, for checks that need no request. */
  readonly named: { readonly models: readonly string[]; readonly places: readonly string[] }
  readonly sticky: boolean
  readonly data: DataRule
  readonly limits: {
    readonly attempts: number
    readonly timeoutMs: number
    readonly firstTokenMs: number
    readonly idleMs: number
    readonly maxCostUsd: number | null
  }
  readonly onBroken: OnBroken
  readonly request: RequestSettings
}

const DEFAULT_ATTEMPTS = 4
const DEFAULT_TIMEOUT = 600_000
const DEFAULT_FIRST_TOKEN = 60_000
const DEFAULT_IDLE = 30_000

const positive = z.number().check(z.gt(0))
const dataRule = z.strictObject({
  training: z.optional(z.literal('deny')),
  retention: z.optional(z.literal('zero')),
})
const limits = z.strictObject({
  attempts: z.optional(z.int().check(z.gte(1), z.lte(100))),
  timeoutMs: z.optional(positive),
  firstTokenMs: z.optional(positive),
  idleMs: z.optional(positive),
  maxCostUsd: z.optional(positive),
})
const rule = z.custom<(...args: never[]) => unknown>((value) => typeof value === 'function', 'expected a rule')
const reference = z.string().check(z.minLength(1))
const settings = z.record(z.string(), z.unknown())
const modelRef = z.union([reference, z.strictObject({ model: reference, request: z.optional(settings) })])
const taskPolicy = z.strictObject({
  model: z.union([modelRef, z.array(modelRef).check(z.minLength(1)), rule]),
  provider: z.optional(z.union([reference, z.array(z.union([reference, rule])).check(z.minLength(1)), rule])),
  session: z.optional(z.enum(['sticky', 'off'])),
  data: z.optional(dataRule),
  limits: z.optional(limits),
  onBroken: z.optional(z.enum(['fail', 'restart', 'continue'])),
  request: z.optional(settings),
})

const EXPECTED: Readonly<Record<string, string>> = {
  model: 'a model id, a list of them, or a rule such as cheapest()',
  provider: 'a provider name, a list of names and rules, or a rule such as cheapestOffer()',
  session: '"sticky" or "off"',
  data: "{ training: 'deny' } or { retention: 'zero' }",
  'data.training': '"deny"',
  'data.retention': '"zero"',
  limits: 'an object of limits',
  'limits.attempts': 'a whole number from 1 to 100',
  'limits.timeoutMs': 'milliseconds above 0',
  'limits.firstTokenMs': 'milliseconds above 0',
  'limits.idleMs': 'milliseconds above 0',
  'limits.maxCostUsd': 'USD above 0',
  onBroken: '"fail", "restart" or "continue"',
  request: 'an object of request settings',
}

/** Checks a policy and makes it ready. `field` is where it stands, for the error. */
export function policyOf(given: unknown, about: { task: string; field: string; providers: readonly string[] }): Policy {
  const { task, field, providers } = about
  check(taskPolicy, given, field)
  // What the schema let through is a policy: its rules are functions, which no schema can look into.
  const policy = given as TaskPolicy
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
    sticky: policy.session !== 'off',
    data: Object.freeze({ ...policy.data }),
    limits: Object.freeze({ attempts, timeoutMs, firstTokenMs, idleMs, maxCostUsd }),
    onBroken: policy.onBroken ?? 'fail',
    request: policy.request ?? {},
  })
}

/** Options may tighten what the policy allows, never relax it. */
export function tightened(
  policy: Policy,
  given: { limits?: Limits | undefined; data?: DataRule | undefined },
  of = 'options',
): Policy {
  if (given.limits === undefined && given.data === undefined) return policy
  if (given.limits !== undefined) check(limits, given.limits, `${of}.limits`, 'limits')
  if (given.data !== undefined) check(dataRule, given.data, `${of}.data`, 'data')
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

/** Throws for the first thing that is wrong, by its place, by what was expected and by the kind of what came. */
export function check(schema: z.ZodMiniType, value: unknown, field: string, within = ''): void {
  const result = z.safeParse(schema, value)
  if (result.success) return
  // A name that is not known is most likely the one that is missing, written wrong.
  const { issues } = result.error
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? deepest(issues)
  if (issue === undefined) throw new ConfigError(field, `expected something else, got ${kindOf(value)}`)
  const path = issue.path.map(String)
  const where = issue.path.reduce<string>(
    (at, key) => (typeof key === 'number' ? `${at}[${key}]` : `${at}.${String(key)}`),
    field,
  )
  if (issue.code === 'unrecognized_keys') {
    const inside = [...(within === '' ? [] : [within]), ...path].filter((key) => !/^\d+$/.test(key)).join('.')
    throw new ConfigError(`${where}.${issue.keys[0]}`, unknown('option', issue.keys[0] ?? '', OPTIONS[inside] ?? []))
  }
  const got = path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined),
    value,
  )
  const named = [...(within === '' ? [] : [within]), ...path.filter((key) => !/^\d+$/.test(key))].join('.')
  const expected = EXPECTED[named] ?? EXPECTED[path[0] ?? ''] ?? 'an object with at least { model }'
  throw new ConfigError(where, `expected ${expected}, got ${shown(got)}`)
}

const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  '': ['model', 'provider', 'session', 'data', 'limits', 'onBroken', 'request'],
  limits: ['attempts', 'timeoutMs', 'firstTokenMs', 'idleMs', 'maxCostUsd'],
  data: ['training', 'retention'],
  model: ['model', 'request'],
}

/** Of the branches of a union, the one that came furthest is the one that was meant. */
function deepest(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue | undefined {
  const [issue] = issues
  if (issue?.code !== 'invalid_union') return issue
  const branches = issue.errors.flatMap((errors) => {
    const inner = deepest(errors)
    return inner === undefined || inner.path.length === 0 ? [] : [inner]
  })
  const [best] = branches.sort((a, b) => b.path.length - a.path.length)
  return best === undefined ? issue : { ...best, path: [...issue.path, ...best.path] }
}

/** A number or a short word can be told; anything else is told by its kind. */
function shown(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return kindOf(value)
}
