import type { Offer } from './catalog.ts'
import { chargedFor } from './charged.ts'
import { billedCache, coldCost, NO_CACHE } from './cost.ts'
import { canonical, type Drifting, driftOf } from './drift.ts'
import type { AttemptResult, Call } from './exchange.ts'
import { type Cost, type Interval, sum, toUsd } from './money.ts'
import type { Plan } from './plan.ts'
import { sameHost } from './provider-rule.ts'
import { type Alternative, costSum, NO_TOKENS, sumTokens, type UsageRecord } from './usage.ts'
import type { Outcome } from './walk.ts'
import type { Way } from './way.ts'

/** What a record is made of. */
export interface Settling extends Drifting {
  readonly plan: Plan
  readonly ways: readonly Way[]
  readonly outcome: Outcome
  readonly metadata: Readonly<Record<string, string>>
  readonly stream: boolean
}

/** The call as plain data. Every attempt is on the bill: their sum is the call's cost. */
export function recordOf(settling: Settling): UsageRecord {
  const { call, plan, outcome, catalog } = settling
  const { attempts, won, last } = outcome
  const cost = sum(attempts.map((attempt) => attempt.cost))
  const flags = new Set(attempts.flatMap(({ record }) => record.flags ?? NONE))
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
    ...(flags.size > 0 && { flags: Object.freeze([...flags]) }),
    cost: costSum(attempts.map((attempt) => attempt.cost)),
    cache: won === null ? NO_CACHE : billedCache(won.record.tokens, chargedFor(won, call)),
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
    ...escalationOf(outcome),
    ...(settling.stream && { stream: true }),
    metadata: settling.metadata,
  })
}

/** Only where an answer was not taken for what it says; a model that could not be asked costs nothing more. */
function escalationOf({ attempts, won }: Outcome): Pick<UsageRecord, 'escalation'> {
  const isJudged = ({ record: { outcome } }: AttemptResult) => outcome === 'bad-output' || outcome === 'below-bar'
  const first = attempts.find((attempt) => isJudged(attempt) && attempt.record.model !== won?.record.model)
  if (won === null || first === undefined) return {}
  const { model: from } = first.record
  const { model: to } = won.record
  // What the bigger one needed more than one attempt for, it would have needed from the start as well.
  const costs = (own: boolean) =>
    usd(sum(attempts.filter(({ record }) => (record.model === to) === own).map(({ cost }) => cost)))
  return { escalation: Object.freeze({ from, to, extraUsd: costs(false), directUsd: costs(true) }) }
}

/** Of the hosts behind one offer, the cheapest few are enough to see what was left on the table. */
const MOST_HOSTS = 3

/**
 * The road not taken: the other ways of the plan, and of the hosts behind an aggregator, as far as their prices are
 * known and the policy allows them, the cheapest; cheapest first. It assumes that they would have used the very same
 * tokens, although another model's tokenizer counts the same text differently and another model answers at another
 * length; that nothing would have come from a cache, not even what might have been warm there; and that they would
 * have answered at the first attempt. Searches and files are left aside. What was paid is all of the call, failed
 * attempts included.
 */
function alternativesTo(won: AttemptResult, { ways, call }: Settling, paid: Cost): readonly Alternative[] {
  const media = won.answer?.notes?.media ?? null
  // Nothing was used: there is nothing to compare.
  if (won.answer?.notes?.replayed === true) return NONE
  const { tokens, host: served } = won.record
  const found: { readonly cold: Cost; readonly alternative: Alternative }[] = []
  const add = (way: Way, cold: Cost, host: string | null) => {
    const { model, provider } = way.step
    const alternative = { model, provider, host, usd: usd(cold), premiumUsd: usd(difference(paid, cold)) }
    found.push({ cold, alternative: Object.freeze(alternative) })
  }
  const named = new Set<string>()
  for (const way of ways) {
    const { offer, step } = way
    const isOwn = step.model === won.way.step.model && step.provider === won.way.step.provider
    const hosts = hostsOf(way, call)
    if (hosts.length === 0) {
      if (isOwn) continue
      const cold = coldCost(tokens, offer.tariff, call.utcMinutes, media)
      if (cold.high !== null) add(way, cold, step.host)
      continue
    }
    const cheapest: { readonly host: string; readonly cold: Cost }[] = []
    for (const { host, tariff } of hosts) {
      if (host === null || (isOwn && served !== null && sameHost(host, served))) continue
      const cold = coldCost(tokens, tariff, call.utcMinutes, media)
      const last = cheapest.at(-1)
      // Of many hosts only the cheapest few are ever sorted.
      if (cold.high === null || (last !== undefined && cheapest.length === MOST_HOSTS && cold.low >= last.cold.low))
        continue
      if (cheapest.length === MOST_HOSTS) cheapest.pop()
      cheapest.push({ host, cold })
      cheapest.sort((one, other) => one.cold.low - other.cold.low)
    }
    for (const { host, cold } of cheapest) {
      // Two ways may lead to one host.
      const name = `${step.provider} ${step.model} ${host}`
      if (!named.has(name)) add(way, cold, host)
      named.add(name)
    }
  }
  return Object.freeze(found.sort((one, other) => one.cold.low - other.cold.low).map(({ alternative }) => alternative))
}

/** The hosts at which a way may end, each with its own prices. None: they are not known, or not ours to tell. */
function hostsOf({ offer, step, ranked }: Way, { policy, request }: Call): readonly Offer[] {
  if (offer.hosts.length === 0) return NONE
  const isNamed = (host: string) => step.hosts.some((name) => sameHost(name, host))
  // Which of its hosts keep to a data rule or to preferences is only known to the aggregator.
  const isOpen =
    (step.hosts.length === 0 || step.othersAllowed) &&
    policy.data.training !== 'deny' &&
    policy.data.retention !== 'zero' &&
    request.openrouter?.preferences === undefined &&
    request.openrouter?.extra === undefined
  return offer.hosts.filter(
    ({ host }) =>
      host !== null &&
      (isOpen || isNamed(host)) &&
      !ranked.avoided.some((avoided) => host === avoided || host.startsWith(`${avoided}/`)),
  )
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
