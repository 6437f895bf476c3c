import fc from 'fast-check'
import { type Clock, type FailureKind, type FallbackRule, type Limits, type TaskPolicy, when } from 'modelfirst'
import { FAILURE_KINDS } from '../../src/failure.ts'
import type { When } from '../../src/fallback.ts'
import type { Account, Act } from './world.ts'

export const MODELS = ['alpha', 'beta', 'gamma'] as const
const CONTEXTS: Readonly<Record<string, number>> = { alpha: 4000, beta: 8000 }
const NAMES = ['one', 'two', 'three'] as const

const soon = fc.nat(400)

export const acts: fc.Arbitrary<Act> = fc.oneof(
  { weight: 2, arbitrary: soon.map((afterMs): Act => ({ does: 'answer', afterMs })) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        fc.constantFrom<Act['does']>(
          'refuse-content',
          'bad-arguments',
          'empty',
          'page',
          'cut',
          'break',
          'silent',
          'hang',
          'unreachable',
        ),
        soon,
      )
      .map(([does, afterMs]): Act => ({ does, afterMs })),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      does: fc.constant('status' as const),
      status: fc.constantFrom(429, 429, 500, 502, 503, 529, 504, 408, 403),
      hint: fc.option(fc.constantFrom(0, 20, 700, 3000, 29_000, 31_000, 600_000)),
      afterMs: soon,
    }),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        fc.constantFrom(
          { status: 404, code: 'model_not_found' },
          { status: 400, code: 'context_length_exceeded' },
          { status: 400, code: 'odd' },
          { status: 401, code: 'invalid_api_key' },
          { status: 402, code: 'insufficient_quota' },
          { status: 302, code: 'elsewhere' },
        ),
        soon,
      )
      .map(([said, afterMs]): Act => ({ does: 'status', afterMs, ...said })),
  },
)

const prices = fc.constantFrom(0.001, 0.002, 0.01)

export const accounts: fc.Arbitrary<Account[]> = fc
  .tuple(
    fc.integer({ min: 1, max: 3 }),
    fc.array(fc.tuple(fc.uniqueArray(fc.constantFrom(...MODELS), { minLength: 1 }), prices, fc.nat(2)), {
      minLength: 3,
      maxLength: 3,
    }),
  )
  .map(([count, parts]) =>
    parts.slice(0, count).map(([models, usd, terms], index) => ({
      name: NAMES[index] ?? 'more',
      models: models.map((id) => ({ id, usd, ...(CONTEXTS[id] !== undefined && { context: CONTEXTS[id] }) })),
      ...(terms > 0 && { terms: { training: false, retention: terms === 2 ? 'zero' : 'provider' } }),
    })),
  )

export const scripts: fc.Arbitrary<Record<string, Act[]>> = fc.record(
  Object.fromEntries(
    NAMES.flatMap((name) => MODELS.map((model) => [`${name} ${model}`, fc.array(acts, { maxLength: 4 })])),
  ),
)

/** A rule as plain data, so that what breaks a property can be read. */
export type Said =
  | { readonly kinds: readonly FailureKind[]; readonly verbs: readonly Verb[]; readonly stops: boolean }
  | { readonly moves: readonly unknown[]; readonly thinksMs: number | null }
  | { readonly odd: 'throws' | 'garbage' | 'rejects' | 'never' }

export type Verb =
  | { readonly verb: 'retry'; readonly times: number }
  | { readonly verb: 'wait'; readonly ms: number }
  | { readonly verb: 'nextProvider' | 'nextModel' }

export const verbs: fc.Arbitrary<Verb> = fc.oneof(
  fc.integer({ min: 1, max: 4 }).map((times): Verb => ({ verb: 'retry', times })),
  fc.constantFrom(0, 10, 500, 20_000).map((ms): Verb => ({ verb: 'wait', ms })),
  fc.constantFrom<Verb>({ verb: 'nextProvider' }, { verb: 'nextModel' }),
)

const after = fc.constantFrom(undefined, 0, 100, 5000)
const moves = fc.oneof(
  fc.record({ move: fc.constantFrom('retry', 'next', 'next-provider', 'next-model', 'stop'), afterMs: after }),
  fc.record({
    move: fc.constant('use'),
    model: fc.constantFrom(...MODELS),
    provider: fc.constantFrom(undefined, ...NAMES),
    afterMs: after,
  }),
)

const kinds = fc.subarray([...FAILURE_KINDS], { minLength: 1 })
const sentences: fc.Arbitrary<Said> = fc.record({
  kinds,
  verbs: fc.array(verbs, { minLength: 1, maxLength: 4 }),
  stops: fc.boolean(),
})

export const rules = (slowest: number): fc.Arbitrary<Said[]> =>
  fc.array(
    fc.oneof(
      { weight: 3, arbitrary: sentences },
      {
        weight: 2,
        arbitrary: fc.record({
          moves: fc.array(moves, { maxLength: 3 }),
          thinksMs: fc.constantFrom(null, ...[0, 40, 900, 1500].filter((ms) => ms <= slowest)),
        }),
      },
      {
        weight: 1,
        arbitrary: fc
          .constantFrom<'throws' | 'garbage' | 'rejects' | 'never'>('throws', 'garbage', 'rejects', 'never')
          .filter((odd) => odd !== 'never' || slowest >= 1000)
          .map((odd) => ({ odd })),
      },
    ),
    { maxLength: 3 },
  )

/** Says these words after what was said before; the rule is what was said last, `null` where that was only to wait. */
export function spoken(
  before: When,
  words: readonly Verb[],
): { readonly begun: When; readonly rule: FallbackRule | null } {
  let begun = before
  let rule: FallbackRule | null = null
  for (const each of words) {
    if (each.verb === 'wait') {
      begun = begun.wait(each.ms)
      continue
    }
    const next = each.verb === 'retry' ? begun.retry(each.times) : begun[each.verb]()
    begun = next
    rule = next
  }
  return { begun, rule }
}

/** The whole sentence; `null` where it has no verb. */
export function sentence(kinds: readonly FailureKind[], words: readonly Verb[], stops: boolean): FallbackRule | null {
  const { begun, rule } = spoken(when(kinds), words)
  return stops ? begun.stop() : rule
}

/** Timers that a rule has set itself are no timers of the library. */
export function ruleOf(said: Said, clock: () => Clock): FallbackRule {
  if ('kinds' in said) return sentence(said.kinds, said.verbs, said.stops) ?? (() => null)
  if ('moves' in said) {
    const { moves, thinksMs } = said
    // What a rule says at run time may be anything.
    const says = () => moves as ReturnType<FallbackRule>
    if (thinksMs === null) return says
    return async () => {
      await new Promise<void>((resolve) => clock().timer(thinksMs, resolve))
      return says()
    }
  }
  switch (said.odd) {
    case 'throws':
      return () => {
        throw new Error('a rule of the user')
      }
    case 'rejects':
      return () => Promise.reject(new Error('a rule of the user'))
    case 'never':
      return () => new Promise(() => {})
    case 'garbage':
      return () => ({ move: 'somewhere' }) as unknown as ReturnType<FallbackRule>
  }
}

export interface Wanted {
  readonly models: readonly string[]
  readonly rules: readonly Said[]
  readonly limits: Limits
  readonly hedgeMs: number | null
  readonly zero: boolean
  readonly streamed: boolean
  readonly onBroken: 'fail' | 'restart' | 'continue'
}

export const limits: fc.Arbitrary<Limits> = fc.record(
  {
    attempts: fc.integer({ min: 1, max: 6 }),
    timeoutMs: fc.constantFrom(3, 50, 400, 2000, 20_000, 100_000),
    maxCostUsd: fc.constantFrom(0.0015, 0.003, 0.012, 1),
    firstTokenMs: fc.constantFrom(30, 1000),
    idleMs: fc.constantFrom(30, 1000),
  },
  { requiredKeys: [] },
)

export const wanted = (more: { readonly slowest?: number; readonly hedge?: boolean } = {}): fc.Arbitrary<Wanted> =>
  fc.record({
    models: fc.shuffledSubarray([...MODELS], { minLength: 1 }),
    rules: rules(more.slowest ?? 0),
    limits,
    hedgeMs: more.hedge === false ? fc.constant(null) : fc.option(fc.constantFrom(1, 60, 300), { freq: 1 }),
    zero: fc.boolean(),
    streamed: fc.boolean(),
    onBroken: fc.constantFrom('fail', 'restart', 'continue'),
  })

export function policyOf(given: Wanted, clock: () => Clock): TaskPolicy {
  const { models, rules, limits, hedgeMs, zero, onBroken } = given
  return {
    model: models,
    fallback: rules.map((said) => ruleOf(said, clock)),
    limits,
    onBroken,
    ...(hedgeMs !== null && { hedge: { afterMs: hedgeMs } }),
    ...(zero && { data: { retention: 'zero' } }),
  }
}
