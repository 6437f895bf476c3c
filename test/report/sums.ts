import type { UsageRecord } from '../../src/usage.ts'

/** Sums made another way: in whole pico-dollars, which no float rounds. */
export interface Sums {
  readonly calls: number
  readonly failed: number
  readonly failovers: number
  readonly open: number
  readonly low: number
  readonly discount: number
  readonly premium: number
  readonly firstTokens: readonly number[]
}

const pico = (usd: number) => BigInt(Math.round(usd * 1e12))
const usd = (sum: bigint) => Number(sum) / 1e12

export function sumsOf(records: readonly UsageRecord[]): Sums {
  let [low, discount, premium] = [0n, 0n, 0n]
  for (const { attempts, cache, alternatives } of records) {
    for (const { cost } of attempts) low += pico(cost.low)
    discount += pico(cache.discountUsd ?? 0)
    if (alternatives.length > 0) premium += pico(Math.max(...alternatives.map(({ premiumUsd }) => premiumUsd.low)))
  }
  return {
    calls: records.length,
    failed: records.filter(({ outcome }) => outcome !== 'ok').length,
    failovers: records.filter(({ attempts }) => attempts.some(({ role }) => role === 'failover')).length,
    open: records.filter(({ cost }) => cost.high === null).length,
    low: usd(low),
    discount: usd(discount),
    premium: usd(premium),
    firstTokens: records
      .flatMap(({ outcome, latency }) =>
        outcome === 'ok' && latency.firstTokenMs !== null ? [latency.firstTokenMs] : [],
      )
      .sort((a, b) => a - b),
  }
}

/** What each attempt cost, by whatever is asked. */
export function spendBy(
  records: readonly UsageRecord[],
  nameOf: (record: UsageRecord, attempt: UsageRecord['attempts'][number]) => string,
): ReadonlyMap<string, number> {
  const sums = new Map<string, bigint>()
  for (const record of records) {
    for (const attempt of record.attempts) {
      const name = nameOf(record, attempt)
      sums.set(name, (sums.get(name) ?? 0n) + pico(attempt.cost.low))
    }
  }
  return new Map([...sums].map(([name, sum]) => [name, usd(sum)]))
}
