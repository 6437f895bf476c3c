import { fromUsd, type Money, toUsd } from './money.ts'
import {
  type CacheRecord,
  type CostRecord,
  costRecord,
  sumCosts,
  sumTokens,
  type Tokens,
  type UsageRecord,
} from './usage.ts'

/** What a run used, cost and saved: the sum of its calls, each of which has a record of its own. */
export interface RunUsage {
  readonly calls: number
  readonly attempts: number
  /** `null` is unknown, where one of the calls does not tell. */
  readonly tokens: Tokens
  /** Adds as intervals; `unknownParts` are attempts. */
  readonly cost: CostRecord
  readonly cache: CacheRecord
}

export function runUsageOf(records: readonly UsageRecord[]): RunUsage {
  return Object.freeze<RunUsage>({
    calls: records.length,
    attempts: records.reduce((sum, { attempts }) => sum + attempts.length, 0),
    tokens: sumTokens(records.map(({ tokens }) => tokens)),
    cost: costOf(records.map(({ cost }) => cost)),
    cache: cacheOf(records),
  })
}

function costOf(costs: readonly CostRecord[]): CostRecord {
  const all = sumCosts(
    costs.map(({ usd, low, high, source }) => ({
      low: fromUsd(low),
      high: high === null ? null : fromUsd(high),
      source,
      ...(usd !== null && { usd }),
    })),
  )
  const unknown = costs.reduce((sum, { high, unknownParts }) => sum + (high === null ? (unknownParts ?? 1) : NONE), 0)
  return costRecord(all, unknown)
}

const NONE = 0

/** A call that cost nothing saved nothing; of all others each has to say what it saved. */
function cacheOf(records: readonly UsageRecord[]): CacheRecord {
  let discount: Money | null = 0
  let cold: Money | null = 0
  let source: CacheRecord['source'] = 'reported'
  for (const { cache, cost } of records) {
    if (cache.discountUsd === null && cost.high === 0) continue
    discount = added(discount, cache.discountUsd)
    cold = added(cold, cache.coldUsd)
    if (cache.source !== 'reported') source = 'computed'
  }
  if (discount === null) source = 'unknown'
  const usd = (money: Money | null) => (money === null ? null : toUsd(money))
  return Object.freeze({ discountUsd: usd(discount), coldUsd: usd(cold), source })
}

function added(sum: Money | null, usd: number | null): Money | null {
  return sum === null || usd === null ? null : sum + fromUsd(usd)
}
