import type { Billed, FailureKind } from './failure.ts'
import { type Cost, type CostSource, FREE, fromUsd, type Money, sum, toUsd, UNKNOWN } from './money.ts'
import { bound, type Priced, price, type Tariff } from './price.ts'

/** What was used, as far as the provider says: `null` is unknown, never 0. */
export interface Tokens {
  /** All of the prompt, cached and written tokens included. */
  readonly prompt: number | null
  readonly cachedPrompt: number | null
  readonly cacheWrite: number | null
  /** All of the answer, reasoning included. */
  readonly completion: number | null
  readonly reasoning: number | null
  readonly total: number | null
}

export const NO_TOKENS: Tokens = Object.freeze({
  prompt: 0,
  cachedPrompt: 0,
  cacheWrite: 0,
  completion: 0,
  reasoning: 0,
  total: 0,
})

export const UNKNOWN_TOKENS: Tokens = Object.freeze({
  prompt: null,
  cachedPrompt: null,
  cacheWrite: null,
  completion: null,
  reasoning: null,
  total: null,
})

/** Money in a record: USD; `usd` is set only when it is known exactly, else it lies between `low` and `high`. */
export interface CostRecord {
  readonly usd: number | null
  readonly low: number
  readonly high: number | null
  readonly source: CostSource
}

export interface CacheRecord {
  /** + was saved by reading from the cache, − was paid for writing to it. */
  readonly discountUsd: number | null
  /** What the same tokens cost with no cache. */
  readonly coldUsd: number | null
  readonly source: 'reported' | 'computed' | 'unknown'
}

export type Role = 'first' | 'retry' | 'failover' | 'hedge' | 'repair' | 'escalation' | 'continuation'
export type Phase = 'queued' | 'connecting' | 'waiting' | 'streaming' | 'done'
export type PinState = 'kept' | 'moved' | 'new' | 'off'

/** One HTTP exchange: the unit of accounting, also for losers and failures. */
export interface AttemptRecord {
  readonly n: number
  readonly role: Role
  readonly model: string
  readonly provider: string
  readonly host: string | null
  readonly outcome: 'ok' | FailureKind
  readonly status: number | null
  /** How far it got. */
  readonly phase: Phase
  /** Since the call began. */
  readonly startedMs: number
  readonly durationMs: number
  readonly firstTokenMs: number | null
  readonly tokens: Tokens
  readonly cost: CostRecord
  readonly billed: Billed
  readonly generationId: string | null
  readonly because: string
}

export interface Alternative {
  readonly model: string
  readonly provider: string
  readonly host: string | null
  readonly usd: { readonly low: number; readonly high: number | null }
  /** What was paid above it: negative when this alternative is dearer. */
  readonly premiumUsd: { readonly low: number; readonly high: number | null }
}

export interface Drift {
  readonly kind: 'host' | 'model' | 'price' | 'latency'
  readonly planned: string
  readonly served: string
}

/** What one call used, cost and saved, and through which attempts: plain JSON, stable, versioned. */
export interface UsageRecord {
  readonly v: 1
  readonly id: string
  readonly task: string
  /** A keyed hash, never the id itself. */
  readonly session: string | null
  readonly at: string
  readonly outcome: 'ok' | FailureKind
  readonly model: { readonly asked: string; readonly served: string | null }
  readonly provider: string | null
  readonly host: string | null
  readonly generationId: string | null
  readonly tokens: Tokens
  readonly cost: CostRecord
  readonly cache: CacheRecord
  /** The other allowed offers, priced on this call's tokens with no cache. */
  readonly alternatives: readonly Alternative[]
  readonly latency: {
    readonly totalMs: number
    readonly firstTokenMs: number | null
    readonly queueMs: number | null
    readonly tokensPerSecond: number | null
  }
  readonly attempts: readonly AttemptRecord[]
  /** Whether a session went on where its cache is. */
  readonly pin: PinState
  readonly pinBecause: string
  readonly drift: readonly Drift[]
  readonly metadata: Readonly<Record<string, string>>
}

/** What an attempt has to go by when its cost is asked. */
export interface Bill {
  readonly tokens: Tokens
  /** USD as the provider reports them, `null` where it does not. */
  readonly reported: number | null
  readonly billed: Billed
  readonly tariff: Tariff | null
  /** `false`: somebody dearer may have answered, so nothing limits the price. Left out: nobody can. */
  readonly dearest?: boolean
  /** No more prompt tokens than this can have been read, no more completion tokens written; `null` is unknown. */
  readonly most: { readonly promptTokens: number | null; readonly completionTokens: number | null }
  /** Minutes of the UTC day, for prices that follow the clock. */
  readonly utcMinutes: number
}

/** A reported figure first, then one computed from tokens and prices, then what it can be at the most. */
export function costOf(bill: Bill): Cost {
  if (bill.reported !== null) {
    const money = fromUsd(bill.reported)
    return { low: money, high: money, source: 'reported', usd: bill.reported }
  }
  if (bill.billed === 'no') return FREE
  if (bill.tariff === null) return UNKNOWN
  const priced = pricedOf(bill.tokens, bill.tariff, bill.utcMinutes)
  if (priced !== null && bill.billed === 'yes') return { low: priced.cost, high: priced.cost, source: 'computed' }
  if (bill.dearest === false) return UNKNOWN
  const { completionTokens } = bill.most
  const promptTokens = bill.tokens.prompt ?? bill.most.promptTokens
  if (promptTokens === null) return UNKNOWN
  const most = bound(bill.tariff, {
    promptTokens,
    // The most that it can have been says nothing about the least.
    fewestPromptTokens: bill.tokens.prompt === null ? 0 : bill.tokens.prompt,
    utcMinutes: bill.utcMinutes,
    maxCompletionTokens: bill.tokens.completion ?? completionTokens,
  })
  const low = bill.billed === 'yes' ? most.low : 0
  return { low, high: most.high, source: most.high === null ? 'unknown' : 'bounded' }
}

/** Where a part has no price of its own, any number of it gives the same sum: it is left with the rest. */
const PRICED_ALIKE = 0

/** The price of known tokens; `null` when what they are is not known well enough. */
function pricedOf(tokens: Tokens, tariff: Tariff, utcMinutes: number): Priced | null {
  const { prompt, completion } = tokens
  if (prompt === null || completion === null) return null
  // A provider that says nothing of a cache that has its own price leaves the cost open.
  if (tokens.cachedPrompt === null && tariff.cached) return null
  if (tokens.cacheWrite === null && tariff.written) return null
  if (tokens.reasoning === null && tariff.reasoned) return null
  return price(
    tariff,
    {
      prompt,
      completion,
      cachedPrompt: tokens.cachedPrompt ?? PRICED_ALIKE,
      cacheWrite: tokens.cacheWrite ?? PRICED_ALIKE,
      reasoning: tokens.reasoning ?? PRICED_ALIKE,
    },
    utcMinutes,
  )
}

export function cacheOf(tokens: Tokens, tariff: Tariff | null, utcMinutes: number): CacheRecord {
  const priced = tariff === null ? null : pricedOf(tokens, tariff, utcMinutes)
  if (priced === null) return NO_CACHE
  return Object.freeze({ discountUsd: toUsd(priced.discount), coldUsd: toUsd(priced.cold), source: 'computed' })
}

/** What reading has saved, and what writing has cost above not writing; `null`: nobody knows. */
export function cacheUse(
  tokens: Tokens,
  tariff: Tariff | null,
  utcMinutes: number,
): { readonly saved: Money; readonly paid: Money } | null {
  const both = tariff === null ? null : pricedOf(tokens, tariff, utcMinutes)
  const written = tariff === null ? null : pricedOf({ ...tokens, cachedPrompt: 0 }, tariff, utcMinutes)
  if (both === null || written === null) return null
  return { saved: both.discount - written.discount, paid: -written.discount }
}

export const NO_CACHE: CacheRecord = Object.freeze({ discountUsd: null, coldUsd: null, source: 'unknown' })

/** What the same tokens would have cost elsewhere, with no cache to read from. */
export function coldCost(tokens: Tokens, tariff: Tariff | null, utcMinutes: number): Cost {
  const { prompt, completion } = tokens
  if (tariff === null || prompt === null || completion === null) return UNKNOWN
  if (tokens.reasoning === null && tariff.reasoned) return UNKNOWN
  const reasoning = tokens.reasoning ?? PRICED_ALIKE
  const priced = price(tariff, { prompt, completion, cachedPrompt: 0, cacheWrite: 0, reasoning }, utcMinutes)
  return { low: priced.cold, high: priced.cold, source: 'computed' }
}

export function costRecord(cost: Cost): CostRecord {
  const exact = cost.low === cost.high
  const usd = cost.usd ?? toUsd(cost.low)
  return Object.freeze({
    usd: exact ? usd : null,
    low: exact ? usd : toUsd(cost.low),
    high: exact ? usd : cost.high === null ? null : toUsd(cost.high),
    source: cost.source,
  })
}

export function sumTokens(parts: readonly Tokens[]): Tokens {
  const [first] = parts
  if (parts.length === 1 && first !== undefined) return first
  const add = (key: keyof Tokens) =>
    parts.reduce<number | null>((total, part) => {
      const value = part[key]
      return total === null || value === null ? null : total + value
    }, 0)
  return Object.freeze({
    prompt: add('prompt'),
    cachedPrompt: add('cachedPrompt'),
    cacheWrite: add('cacheWrite'),
    completion: add('completion'),
    reasoning: add('reasoning'),
    total: add('total'),
  })
}

export { sum as sumCosts }
