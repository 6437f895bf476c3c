import { type Catalog, tariffOf } from './catalog.ts'
import type { AttemptResult, Call } from './exchange.ts'
import { type Cost, type Interval, sum, toUsd } from './money.ts'
import type { Plan } from './plan.ts'
import { sameHost } from './provider-rule.ts'
import {
  type Alternative,
  cacheOf,
  coldCost,
  costRecord,
  type Drift,
  NO_CACHE,
  NO_TOKENS,
  sumTokens,
  type UsageRecord,
} from './usage.ts'
import type { Outcome } from './walk.ts'
import type { Way } from './way.ts'

/** What a record is made of. */
export interface Settling {
  readonly call: Call
  readonly plan: Plan
  readonly ways: readonly Way[]
  readonly outcome: Outcome
  readonly catalog: Catalog
  readonly metadata: Readonly<Record<string, string>>
}

/** The call as plain data. Every attempt is on the bill: their sum is the call's cost. */
export function recordOf(settling: Settling): UsageRecord {
  const { call, plan, outcome, catalog } = settling
  const { attempts, won, last } = outcome
  const cost = sum(attempts.map((attempt) => attempt.cost))
  const served = won?.answer?.model ?? null
  const totalMs = call.clock.now() - call.startedAt
  const completion = won?.record.tokens.completion ?? null
  const seconds = won === null ? 0 : won.record.durationMs / 1000
  return Object.freeze<UsageRecord>({
    v: 1,
    id: call.id,
    task: call.policy.task,
    session: call.session?.hash ?? null,
    at: call.at,
    outcome: outcome.failure?.kind ?? 'ok',
    model: Object.freeze({
      asked: plan.steps[0]?.model ?? plan.rejected[0]?.model ?? '',
      served: served === null ? (won?.way.step.model ?? null) : canonical(served, catalog),
    }),
    provider: last?.record.provider ?? null,
    host: last?.record.host ?? null,
    generationId: last?.record.generationId ?? null,
    tokens: attempts.length === 0 ? NO_TOKENS : sumTokens(attempts.map(({ record }) => record.tokens)),
    cost: costRecord(cost),
    cache:
      won === null ? NO_CACHE : cacheOf(won.record.tokens, tariffOf(won.way.offer, won.record.host), call.utcMinutes),
    alternatives: won === null ? NONE : alternativesTo(won, settling, cost),
    latency: Object.freeze({
      totalMs,
      firstTokenMs: won?.record.firstTokenMs == null ? null : won.record.startedMs + won.record.firstTokenMs,
      queueMs: won?.answer?.queueMs ?? null,
      tokensPerSecond: completion === null || seconds <= 0 ? null : completion / seconds,
    }),
    attempts: Object.freeze(attempts.map(({ record }) => record)),
    pin: plan.session.pin,
    pinBecause: plan.session.because,
    drift: won === null ? NONE : driftOf(won, settling),
    metadata: settling.metadata,
  })
}

/** The other ways of the plan, on this call's real tokens, with no cache to help them. */
function alternativesTo(won: AttemptResult, { ways, call }: Settling, paid: Cost): readonly Alternative[] {
  const found: Alternative[] = []
  for (const { offer, step } of ways) {
    const { model, provider, host } = step
    if (model === won.way.step.model && provider === won.way.step.provider) continue
    const cold = coldCost(won.record.tokens, offer.tariff, call.utcMinutes)
    if (cold.high === null) continue
    found.push(Object.freeze({ model, provider, host, usd: usd(cold), premiumUsd: usd(difference(paid, cold)) }))
  }
  return Object.freeze(found)
}

const NONE: readonly never[] = Object.freeze([])

function difference(paid: Interval, other: Interval): Interval {
  return {
    low: paid.low - (other.high ?? other.low),
    high: paid.high === null ? null : paid.high - other.low,
  }
}

function usd({ low, high }: Interval): { low: number; high: number | null } {
  return Object.freeze({ low: toUsd(low), high: high === null ? null : toUsd(high) })
}

/** A bill may differ from the list by rounding; beyond this it is another price. */
const PRICE_TOLERANCE = 0.01

function driftOf({ way, answer, cost, record }: AttemptResult, { catalog, call }: Settling): readonly Drift[] {
  const drifts: Drift[] = []
  const { step, offer, provider } = way
  const served = answer?.model ?? null
  if (served !== null && !provider.dialect.isRouter(step.wireModel)) {
    const model = canonical(served, catalog)
    // A wire id and a dated slug are names of the same model.
    if (model !== step.model && served !== step.wireModel)
      drifts.push(Object.freeze({ kind: 'model', planned: step.model, served: model }))
  }
  const host = answer?.host ?? null
  if (step.host !== null && host !== null && !step.hosts.some((planned) => sameHost(planned, host))) {
    drifts.push(Object.freeze({ kind: 'host', planned: step.hosts.join(', '), served: host }))
  }
  const listed = tariffOf(offer, host)
  if (cost.source === 'reported' && listed !== null) {
    const { coldUsd, discountUsd } = cacheOf(record.tokens, listed, call.utcMinutes)
    const computed = coldUsd === null || discountUsd === null ? null : coldUsd - discountUsd
    const billed = toUsd(cost.low)
    if (computed !== null && Math.abs(billed - computed) > PRICE_TOLERANCE * Math.max(computed, billed)) {
      drifts.push(Object.freeze({ kind: 'price', planned: `$${computed}`, served: `$${billed}` }))
    }
  }
  return drifts.length === 0 ? NONE : Object.freeze(drifts)
}

function canonical(id: string, catalog: Catalog): string {
  const found = catalog.lookup(id)
  return 'model' in found ? found.model.id : id
}
