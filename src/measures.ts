import type { FailureKind } from './failure.ts'
import { type CostSource, fromUsd, toUsd } from './money.ts'
import { count, countAll, type Histogram, markOf } from './quantiles.ts'
import type { AttemptRecord, CostRecord, Drift, Role, Tokens, UsageRecord } from './usage.ts'

const ROLES: readonly Role[] = ['first', 'retry', 'failover', 'hedge', 'repair', 'escalation', 'continuation']
export const SOURCES: readonly CostSource[] = ['reported', 'computed', 'bounded', 'unknown']

/** Where each figure stands: a row of numbers adds up faster than an object, and is an eighth of its size. */
export const AT = {
  calls: 0,
  ok: 1,
  failovers: 2,
  drifted: 3,
  attempts: 4,
  role: 5,
  /** In the order of the row; each a sum, and how many are unknown. */
  tokens: 12,
  cachedTokens: 24,
  promptTokens: 25,
  // 26 is free: what is money begins at an even place.
  discounts: 27,
  noDiscounts: 28,
  premiums: 29,
  openPremiums: 30,
  dearer: 31,
  inexact: 32,
  unbounded: 33,
  parts: 34,
  // From here on money: each in whole dollars and pico-dollars, so that a sum of millions of calls stays exact.
  low: 38,
  high: 46,
  saved: 54,
  paid: 56,
  cold: 58,
  premiumLow: 60,
  premiumHigh: 62,
  overpaid: 64,
  end: 66,
} as const
const DOLLAR = 1e12

/** What a tally stands on, as bare data, for those who keep thousands of them. */
export interface Sums {
  readonly figures: number[]
  /** `null` while there are none. */
  failures: Map<FailureKind, number> | null
  attemptFailures: Map<FailureKind, number> | null
  drifts: Map<Drift['kind'], number> | null
  /** `null` while there are none. */
  firstTokenMs: Histogram | null
  totalMs: Histogram | null
  tokensPerSecond: Histogram | null
}

/** What one record, or a part of one, adds to a tally: worked out once, however many tallies it goes into. */
export interface Measures {
  readonly figures: number[]
  /** The places that are not 0: a third of all at the most. */
  readonly places: number[]
  /** How many of them are of this record. */
  filled: number
  failure: FailureKind | null
  readonly attemptFailures: FailureKind[]
  drifts: readonly Drift[]
  /** As marks of a histogram. */
  firstTokenMs: number | null
  totalMs: number | null
  tokensPerSecond: number | null
}

export function emptySums(): Sums {
  return {
    figures: zeros(),
    failures: null,
    attemptFailures: null,
    drifts: null,
    firstTokenMs: null,
    totalMs: null,
    tokensPerSecond: null,
  }
}

export function zeros(): number[] {
  return NO_FIGURES.slice()
}

/** Filled with halves at first, so that the engine keeps these numbers as they are and not each in a box. */
const NO_FIGURES: readonly number[] = Array.from({ length: AT.end }, () => 0.5).fill(0)
const NO_DRIFTS: readonly Drift[] = Object.freeze([])

export function emptyMeasures(): Measures {
  return {
    figures: zeros(),
    places: Array.from({ length: AT.end }, () => 0),
    filled: 0,
    failure: null,
    attemptFailures: [],
    drifts: NO_DRIFTS,
    firstTokenMs: null,
    totalMs: null,
    tokensPerSecond: null,
  }
}

function emptied(measures: Measures): Measures {
  const { figures, places, attemptFailures } = measures
  for (let index = 0; index < measures.filled; index += 1) figures[placeIn(places, index)] = 0
  measures.filled = 0
  measures.failure = null
  if (attemptFailures.length > 0) attemptFailures.length = 0
  measures.drifts = NO_DRIFTS
  measures.firstTokenMs = null
  measures.totalMs = null
  measures.tokensPerSecond = null
  return measures
}

/** All of a record. `into`: measures that nobody needs any more, for those who measure thousands in a second. */
export function measure(record: UsageRecord, into = emptyMeasures()): Measures {
  const measures = measureCall(record, into)
  const { attempts, tokens, cost } = record
  for (const attempt of attempts) takeAttempt(measures, attempt)
  // A record of which only the sums were kept.
  if (attempts.length === 0) takePart(measures, tokens, cost)
  return measures
}

/** What belongs to the call as a whole: without its attempts, and so without tokens and cost. */
export function measureCall(record: UsageRecord, into = emptyMeasures()): Measures {
  const { outcome, attempts, drift, latency } = record
  const measures = emptied(into)
  measures.drifts = drift
  put(measures, AT.calls, 1)
  if (drift.length > 0) put(measures, AT.drifted, 1)
  for (const { role } of attempts) {
    if (role !== 'failover') continue
    put(measures, AT.failovers, 1)
    break
  }
  takeCache(measures, record)
  takePremium(measures, record)
  if (outcome !== 'ok') {
    measures.failure = outcome
    return measures
  }
  put(measures, AT.ok, 1)
  measures.firstTokenMs = latency.firstTokenMs === null ? null : markOf(latency.firstTokenMs)
  measures.totalMs = markOf(latency.totalMs)
  measures.tokensPerSecond = latency.tokensPerSecond === null ? null : markOf(latency.tokensPerSecond)
  return measures
}

export function measureAttempt(attempt: AttemptRecord, into = emptyMeasures()): Measures {
  const measures = emptied(into)
  takeAttempt(measures, attempt)
  return measures
}

function takeAttempt(measures: Measures, { role, outcome, tokens, cost }: AttemptRecord): void {
  put(measures, AT.attempts, 1)
  const place = ROLES.indexOf(role)
  if (place !== -1) put(measures, AT.role + place, 1)
  if (outcome !== 'ok') measures.attemptFailures.push(outcome)
  takePart(measures, tokens, cost)
}

function takePart(measures: Measures, tokens: Tokens, cost: CostRecord): void {
  const { prompt, cachedPrompt } = tokens
  // One by one and not by name: this runs for every attempt there is.
  takeTokens(measures, AT.tokens, prompt)
  takeTokens(measures, AT.tokens + 2, cachedPrompt)
  takeTokens(measures, AT.tokens + 4, tokens.cacheWrite)
  takeTokens(measures, AT.tokens + 6, tokens.completion)
  takeTokens(measures, AT.tokens + 8, tokens.reasoning)
  takeTokens(measures, AT.tokens + 10, tokens.total)
  if (prompt !== null && cachedPrompt !== null) {
    put(measures, AT.promptTokens, prompt)
    put(measures, AT.cachedTokens, cachedPrompt)
  }
  const found = SOURCES.indexOf(cost.source)
  const source = found === -1 ? SOURCES.length - 1 : found
  put(measures, AT.parts + source, 1)
  if (cost.usd === null) put(measures, AT.inexact, 1)
  if (cost.high === null) put(measures, AT.unbounded, 1)
  pay(measures, AT.low + 2 * source, cost.low)
  pay(measures, AT.high + 2 * source, cost.high ?? cost.low)
}

function takeTokens(measures: Measures, place: number, tokens: number | null): void {
  if (tokens === null) put(measures, place + 1, 1)
  else put(measures, place, tokens)
}

function takeCache(measures: Measures, { cache, cost }: UsageRecord): void {
  const { discountUsd, coldUsd } = cache
  if (discountUsd === null || coldUsd === null) {
    // What cost nothing had nothing to save.
    if (cost.high !== 0) put(measures, AT.noDiscounts, 1)
    return
  }
  put(measures, AT.discounts, 1)
  pay(measures, AT.cold, coldUsd)
  if (discountUsd > 0) pay(measures, AT.saved, discountUsd)
  else pay(measures, AT.paid, -discountUsd)
}

/** Above the cheapest is above all of them: the highest premium. */
function takePremium(measures: Measures, { alternatives }: UsageRecord): void {
  if (alternatives.length === 0) return
  let low = Number.NEGATIVE_INFINITY
  let high = Number.NEGATIVE_INFINITY
  let isOpen = false
  for (const { premiumUsd } of alternatives) {
    if (premiumUsd.low > low) low = premiumUsd.low
    if (premiumUsd.high === null) isOpen = true
    else if (premiumUsd.high > high) high = premiumUsd.high
  }
  put(measures, AT.premiums, 1)
  if (isOpen) put(measures, AT.openPremiums, 1)
  pay(measures, AT.premiumLow, low)
  pay(measures, AT.premiumHigh, isOpen ? low : high)
  if (low <= 0) return
  put(measures, AT.dearer, 1)
  pay(measures, AT.overpaid, low)
}

/** A figure never comes back to 0: nothing that is put twice can be below it. */
function put(measures: Measures, place: number, by: number): void {
  if (by === 0) return
  const { figures, places } = measures
  const before = at(figures, place)
  if (before === 0) {
    places[measures.filled] = place
    measures.filled += 1
  }
  figures[place] = before + by
}

/** In pico-dollars; what makes a whole dollar is carried over where it is added up. */
function pay(measures: Measures, place: number, usd: number): void {
  put(measures, place + 1, fromUsd(usd))
}

export function bump(figures: number[], place: number, by: number): void {
  figures[place] = at(figures, place) + by
}

export function at(figures: readonly number[], place: number): number {
  return figures[place] ?? Number.NaN
}

function placeIn(places: readonly number[], index: number): number {
  return places[index] ?? Number.NaN
}

/** Whole dollars to the dollars: both numbers stay far below where a number skips integers. */
export function carry(figures: number[], place: number): void {
  const pico = at(figures, place + 1)
  if (pico < DOLLAR && pico > -DOLLAR) return
  const dollars = Math.trunc(pico / DOLLAR)
  figures[place] = at(figures, place) + dollars
  figures[place + 1] = pico - dollars * DOLLAR
}

export function money(figures: readonly number[], place: number): number {
  return usdOf(at(figures, place), at(figures, place + 1))
}

/** In one division where that is exact: the two may have different signs, and a sum of fractions loses digits. */
export function usdOf(dollars: number, pico: number): number {
  const whole = dollars * DOLLAR + pico
  return Number.isSafeInteger(whole) ? toUsd(whole) : dollars + toUsd(pico)
}

/** Adds what was measured; `times` -1 takes it back. */
export function take(sums: Sums, measures: Measures, times: 1 | -1): void {
  const { failure, attemptFailures, drifts, firstTokenMs, totalMs, tokensPerSecond } = measures
  addMeasured(sums.figures, measures, times)
  if (failure !== null) sums.failures = counted(sums.failures, failure, times)
  for (const kind of attemptFailures) sums.attemptFailures = counted(sums.attemptFailures, kind, times)
  for (const { kind } of drifts) sums.drifts = counted(sums.drifts, kind, times)
  if (firstTokenMs !== null) sums.firstTokenMs = count(sums.firstTokenMs, firstTokenMs, times)
  if (totalMs !== null) sums.totalMs = count(sums.totalMs, totalMs, times)
  if (tokensPerSecond !== null) sums.tokensPerSecond = count(sums.tokensPerSecond, tokensPerSecond, times)
}

export function merge(sums: Sums, other: Sums): void {
  addFigures(sums.figures, other.figures)
  for (const [kind, times] of other.failures ?? NOTHING) sums.failures = counted(sums.failures, kind, times)
  for (const [kind, times] of other.attemptFailures ?? NOTHING)
    sums.attemptFailures = counted(sums.attemptFailures, kind, times)
  for (const [kind, times] of other.drifts ?? NOTHING) sums.drifts = counted(sums.drifts, kind, times)
  sums.firstTokenMs = countAll(sums.firstTokenMs, other.firstTokenMs)
  sums.totalMs = countAll(sums.totalMs, other.totalMs)
  sums.tokensPerSecond = countAll(sums.tokensPerSecond, other.tokensPerSecond)
}

const NOTHING: readonly never[] = Object.freeze([])

function addMeasured(figures: number[], { figures: more, places, filled }: Measures, times: 1 | -1): void {
  for (let index = 0; index < filled; index += 1) {
    const place = placeIn(places, index)
    figures[place] = at(figures, place) + times * at(more, place)
    if (place > AT.low) carry(figures, place - 1)
  }
}

function addFigures(figures: number[], more: readonly number[]): void {
  for (let place = 0; place < AT.end; place += 1) {
    const by = at(more, place)
    if (by !== 0) figures[place] = at(figures, place) + by
  }
  for (let place: number = AT.low; place < AT.end; place += 2) carry(figures, place)
}

function counted<Kind extends string>(
  counts: Map<Kind, number> | null,
  kind: Kind,
  times: number,
): Map<Kind, number> | null {
  const all = counts ?? new Map<Kind, number>()
  const left = (all.get(kind) ?? NONE_YET) + times
  if (left === 0) all.delete(kind)
  else all.set(kind, left)
  return all.size === 0 ? null : all
}

const NONE_YET = 0
