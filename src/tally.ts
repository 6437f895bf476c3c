import type { FailureKind } from './failure.ts'
import {
  AT,
  at,
  bump,
  carry,
  emptySums,
  measure,
  merge,
  money,
  SOURCES,
  type Sums,
  take,
  usdOf,
  zeros,
} from './measures.ts'
import type { CostSource } from './money.ts'
import { type Histogram, quantileOf, sizeOf } from './quantiles.ts'
import type { Drift, Role, Tokens, UsageRecord } from './usage.ts'

export {
  emptyMeasures,
  emptySums,
  type Measures,
  measure,
  measureAttempt,
  measureCall,
  merge,
  type Sums,
  take,
} from './measures.ts'

/** A sum of which parts may be missing: `unknown` says of how many attempts nobody knows the count. */
export interface TokenSum {
  readonly sum: number
  readonly unknown: number
}

/** USD that lie between two bounds; `high: null`: some of it has no upper bound. */
export interface Range {
  readonly low: number
  readonly high: number | null
}

/** Within 1 % of the exact ones; `null` when nothing was measured. */
export interface Percentiles {
  /** How many were measured. */
  readonly count: number
  readonly p50: number | null
  readonly p95: number | null
  readonly p99: number | null
}

/** What many calls used, cost and saved: plain JSON. Unknown is counted beside every sum, and never added as 0. */
export interface TallyRow {
  readonly calls: number
  readonly ok: number
  /** Calls that failed, by what went wrong in the end. */
  readonly failures: Readonly<Partial<Record<FailureKind, number>>>
  /** Calls for which at least one other offer was asked because one had failed. */
  readonly failovers: number
  readonly attempts: {
    readonly count: number
    readonly byRole: Readonly<Record<Role, number>>
    /** Failed attempts, also those of calls that went well in the end. */
    readonly failures: Readonly<Partial<Record<FailureKind, number>>>
  }
  /** Of every attempt, losers and failures included. */
  readonly tokens: Readonly<Record<keyof Tokens, TokenSum>>
  /** Of every attempt: exact to a pico-dollar, up to what a number can show (1e-9 USD below eight million USD). */
  readonly cost: Range & {
    /** Set only when every part of it is known exactly. */
    readonly usd: number | null
    /** What it can be at the most, the parts without an upper bound left at their least. */
    readonly knownHigh: number
    /** Attempts whose cost has no upper bound. */
    readonly unknownParts: number
    /** Attempts whose cost is not known exactly, those without an upper bound included. */
    readonly inexactParts: number
    /** `parts` are attempts. */
    readonly bySource: Readonly<Record<CostSource, Range & { readonly parts: number }>>
  }
  readonly cache: {
    /** + was saved in all, − was paid in all: `savedUsd − paidUsd`. */
    readonly discountUsd: number
    /** Of calls that saved. */
    readonly savedUsd: number
    /** Of calls that paid more for writing than they saved by reading. */
    readonly paidUsd: number
    /** What the same tokens would have cost with no cache. */
    readonly coldUsd: number
    /** Calls of which the discount is known, and paid ones of which it is not. */
    readonly known: number
    readonly unknown: number
    /** Cached tokens in all prompt tokens, of attempts that tell both; `null` when none does. */
    readonly share: number | null
    readonly cachedTokens: number
    readonly promptTokens: number
  }
  /** What was paid above the cheapest alternative with no cache, of calls that had one. */
  readonly premium: Range & {
    readonly calls: number
    /** The upper bound, those without one left at their least. */
    readonly knownHigh: number
    /** Calls that certainly cost more than their cheapest alternative, and by how much at the least. */
    readonly dearer: number
    readonly overpaidUsd: number
  }
  /** Of calls that went well. */
  readonly latency: {
    readonly firstTokenMs: Percentiles
    readonly totalMs: Percentiles
    /** For a pace the slow end is the low one. */
    readonly tokensPerSecond: { readonly count: number; readonly p5: number | null; readonly p50: number | null }
  }
  readonly drift: Readonly<Partial<Record<Drift['kind'], number>>>
  /** Calls with any drift. */
  readonly drifted: number
}

/** Records, summed: constant memory however many there are. */
export interface Tally {
  add(record: UsageRecord): void
  /** Takes back a record that was added: to the last digit. */
  remove(record: UsageRecord): void
  merge(other: Tally): void
  row(): TallyRow
  /** What it stands on; changes as it grows. */
  readonly sums: Sums
}

export function rowOf(sums: Sums): TallyRow {
  const { figures } = sums
  const figure = (place: number) => at(figures, place)
  const promptTokens = figure(AT.promptTokens)
  const premiums = figure(AT.premiums)
  const premiumHigh = money(figures, AT.premiumHigh)
  return Object.freeze<TallyRow>({
    calls: figure(AT.calls),
    ok: figure(AT.ok),
    failures: told(sums.failures),
    failovers: figure(AT.failovers),
    attempts: Object.freeze({
      count: figure(AT.attempts),
      byRole: Object.freeze({
        first: figure(AT.role),
        retry: figure(AT.role + 1),
        failover: figure(AT.role + 2),
        hedge: figure(AT.role + 3),
        repair: figure(AT.role + 4),
        escalation: figure(AT.role + 5),
        continuation: figure(AT.role + 6),
      }),
      failures: told(sums.attemptFailures),
    }),
    tokens: Object.freeze({
      prompt: tokenSum(figures, 0),
      cachedPrompt: tokenSum(figures, 1),
      cacheWrite: tokenSum(figures, 2),
      completion: tokenSum(figures, 3),
      reasoning: tokenSum(figures, 4),
      total: tokenSum(figures, 5),
    }),
    cost: costOf(figures),
    cache: Object.freeze({
      discountUsd: usdOf(figure(AT.saved) - figure(AT.paid), figure(AT.saved + 1) - figure(AT.paid + 1)),
      savedUsd: money(figures, AT.saved),
      paidUsd: money(figures, AT.paid),
      coldUsd: money(figures, AT.cold),
      known: figure(AT.discounts),
      unknown: figure(AT.noDiscounts),
      share: promptTokens > 0 ? figure(AT.cachedTokens) / promptTokens : null,
      cachedTokens: figure(AT.cachedTokens),
      promptTokens,
    }),
    premium: Object.freeze({
      calls: premiums,
      low: money(figures, AT.premiumLow),
      high: figure(AT.openPremiums) > 0 ? null : premiumHigh,
      knownHigh: premiumHigh,
      dearer: figure(AT.dearer),
      overpaidUsd: money(figures, AT.overpaid),
    }),
    latency: Object.freeze({
      firstTokenMs: percentiles(sums.firstTokenMs),
      totalMs: percentiles(sums.totalMs),
      tokensPerSecond: Object.freeze({
        count: sizeOf(sums.tokensPerSecond),
        p5: quantileOf(sums.tokensPerSecond, 0.05),
        p50: quantileOf(sums.tokensPerSecond, 0.5),
      }),
    }),
    drift: told(sums.drifts),
    drifted: figure(AT.drifted),
  })
}

function tokenSum(figures: readonly number[], index: number): TokenSum {
  const place = AT.tokens + 2 * index
  return Object.freeze({ sum: at(figures, place), unknown: at(figures, place + 1) })
}

function costOf(figures: readonly number[]): TallyRow['cost'] {
  const total = zeros()
  for (let index = 0; index < SOURCES.length; index += 1) {
    for (const place of [0, 1]) {
      bump(total, AT.low + place, at(figures, AT.low + 2 * index + place))
      bump(total, AT.high + place, at(figures, AT.high + 2 * index + place))
    }
  }
  carry(total, AT.low)
  carry(total, AT.high)
  const unknownParts = at(figures, AT.unbounded)
  const inexactParts = at(figures, AT.inexact)
  const low = money(total, AT.low)
  const knownHigh = money(total, AT.high)
  return Object.freeze({
    usd: inexactParts === 0 ? low : null,
    low,
    high: unknownParts === 0 ? knownHigh : null,
    knownHigh,
    unknownParts,
    inexactParts,
    bySource: Object.freeze({
      reported: sourceOf(figures, 0),
      computed: sourceOf(figures, 1),
      bounded: sourceOf(figures, 2),
      unknown: sourceOf(figures, 3),
    }),
  })
}

function sourceOf(figures: readonly number[], index: number): Range & { readonly parts: number } {
  const parts = at(figures, AT.parts + index)
  const isOpen = SOURCES[index] === 'unknown' && parts > 0
  return Object.freeze({
    parts,
    low: money(figures, AT.low + 2 * index),
    high: isOpen ? null : money(figures, AT.high + 2 * index),
  })
}

function percentiles(histogram: Histogram | null): Percentiles {
  return Object.freeze({
    count: sizeOf(histogram),
    p50: quantileOf(histogram, 0.5),
    p95: quantileOf(histogram, 0.95),
    p99: quantileOf(histogram, 0.99),
  })
}

/** The most frequent first. */
function told<Kind extends string>(counts: ReadonlyMap<Kind, number> | null): Readonly<Partial<Record<Kind, number>>> {
  const found: Partial<Record<Kind, number>> = {}
  for (const [kind, times] of [...(counts ?? [])].sort(([, one], [, other]) => other - one)) found[kind] = times
  return Object.freeze(found)
}

export function createTally(): Tally {
  const sums = emptySums()
  return Object.freeze<Tally>({
    add: (record) => take(sums, measure(record), 1),
    remove: (record) => take(sums, measure(record), -1),
    merge: (other) => merge(sums, other.sums),
    row: () => rowOf(sums),
    sums,
  })
}
