/**
 * Money is counted in whole pico-dollars (1e-12 USD), as plain numbers: exact for any single call (up to about
 * 9,000 USD), a thousand times finer than a nano-dollar, and free of float drift when added.
 * Unknown is `null`, never 0.
 */
export type Money = number

/** Where a figure comes from, the most trustworthy first. */
export type CostSource = 'reported' | 'computed' | 'bounded' | 'unknown'

/** What something costs, as far as it is known: `high: null` means that no upper bound is known. */
export interface Interval {
  readonly low: Money
  readonly high: Money | null
}

export interface Cost extends Interval {
  readonly source: CostSource
  /** A reported cost as it came, to the last digit: real ones may be finer than a nano-dollar. */
  readonly usd?: number
}

const PICO = 1e12
const TRUST: readonly CostSource[] = ['reported', 'computed', 'bounded', 'unknown']

export const FREE: Cost = Object.freeze({ low: 0, high: 0, source: 'computed' })
export const UNKNOWN: Cost = Object.freeze({ low: 0, high: null, source: 'unknown' })

export function fromUsd(usd: number): Money {
  return Math.round(usd * PICO)
}

export function toUsd(money: Money): number {
  return money / PICO
}

/** Sums add as intervals; the sum is no more certain than its least certain part. */
export function sum(costs: readonly Cost[]): Cost {
  // A part that is certainly free says nothing about where the rest comes from.
  const paid = costs.filter((cost) => cost.low !== 0 || cost.high !== 0)
  const [first] = paid
  if (first === undefined) return costs.length === 1 ? (costs[0] ?? FREE) : FREE
  if (paid.length === 1) return first
  let low = 0
  let high: Money | null = 0
  let trust = 0
  for (const cost of paid) {
    low += cost.low
    high = high === null || cost.high === null ? null : high + cost.high
    trust = Math.max(trust, TRUST.indexOf(cost.source))
  }
  return { low, high, source: TRUST[trust] ?? 'unknown' }
}
