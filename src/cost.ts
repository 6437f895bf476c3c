import type { Billed } from './failure.ts'
import { type Cost, FREE, fromUsd, type Interval, type Money, toUsd, UNKNOWN } from './money.ts'
import { bound, type Priced, price, type Tariff } from './price.ts'
import { span } from './span.ts'
import { atLeast, type BillNotes, type CacheRecord, type MediaTokens, type Tokens } from './usage.ts'

/** What an attempt has to go by when its cost is asked. */
export interface Bill {
  readonly tokens: Tokens
  /** USD as the provider reports them, `null` where it does not. */
  readonly reported: number | null
  readonly billed: Billed
  readonly tariff: Tariff | null
  /** Prices that may have held instead: of another endpoint of the host, of another host. */
  readonly others?: readonly Tariff[]
  /** The prices are the most that can have been asked, not what was asked. */
  readonly atMost?: boolean
  /** `false`: somebody dearer may have answered, so nothing limits the price. Left out: nobody can. */
  readonly dearest?: boolean
  /** What was charged for besides tokens. Left out: nothing. */
  readonly besides?: Interval
  /** Of the caller's own key at a host: what is known of the bill, which is settled there. */
  readonly fee?: Money | null
  /** Left out: neither sound nor pictures are among the tokens. */
  readonly media?: MediaTokens
  /** Some of what was written may be kept for an hour, at another price. */
  readonly mayKeepAnHour?: boolean
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
  const { fee = null, besides = NOTHING } = bill
  if (fee !== null) return { low: fee, high: null, source: 'unknown' }
  // What was done besides is charged for also where an answer that failed is not.
  if (bill.billed === 'no') return besides.high === 0 ? FREE : added(FREE, besides)
  if (bill.tariff === null || bill.dearest === false) return UNKNOWN
  let all = costAt(bill, bill.tariff)
  for (const other of bill.others ?? NO_OTHERS) all = either(all, costAt(bill, other))
  const cost = besides.high === 0 ? all : added(all, besides)
  if (bill.billed === 'yes' && bill.atMost !== true) return cost
  return { low: 0, high: cost.high, source: cost.high === null ? 'unknown' : 'bounded' }
}

const NOTHING: Interval = Object.freeze({ low: 0, high: 0 })
const NO_OTHERS: readonly Tariff[] = Object.freeze([])
const ALL_TEXT: MediaTokens = Object.freeze({ audioPrompt: 0, audioCompletion: 0, imageCompletion: 0 })

/** What the tokens cost at these prices. */
function costAt({ tokens, media = ALL_TEXT, most, mayKeepAnHour = false, utcMinutes }: Bill, tariff: Tariff): Cost {
  const { prompt, cachedPrompt, cacheWrite, completion, reasoning } = tokens
  const promptTokens = prompt ?? most.promptTokens
  if (promptTokens === null) return UNKNOWN
  const isCertain =
    tariff.discount === 0 &&
    !tariff.shown &&
    !(tariff.heard && media.audioPrompt !== 0) &&
    !(tariff.hourly && mayKeepAnHour) &&
    atLeast(cachedPrompt) + atLeast(cacheWrite) <= promptTokens
  const priced = isCertain ? pricedOf(tokens, tariff, utcMinutes) : null
  if (priced !== null) return { low: priced.cost, high: priced.cost, source: 'computed' }
  const range =
    prompt === null
      ? bound(tariff, {
          promptTokens,
          // The most that it can have been says nothing about the least.
          fewestPromptTokens: 0,
          utcMinutes,
          maxCompletionTokens: completion ?? most.completionTokens,
          media: true,
        })
      : span(
          tariff,
          { prompt, cachedPrompt, cacheWrite, completion, reasoning, mayKeepAnHour, ...media },
          { maxCompletionTokens: most.completionTokens, utcMinutes },
        )
  const low = Math.floor(range.low * (1 - tariff.discount))
  const high = range.high === null ? null : Math.ceil(range.high / (1 - tariff.discount))
  return { low, high, source: high === null ? 'unknown' : low === high ? 'computed' : 'bounded' }
}

/** What holds whichever of two holds. */
function either(one: Cost, other: Cost): Cost {
  const low = Math.min(one.low, other.low)
  const high = one.high === null || other.high === null ? null : Math.max(one.high, other.high)
  return { low, high, source: high === null ? 'unknown' : low === high ? 'computed' : 'bounded' }
}

function added(cost: Cost, besides: Interval): Cost {
  const low = cost.low + besides.low
  if (cost.high === null || besides.high === null) return { low, high: null, source: 'unknown' }
  const high = cost.high + besides.high
  return { low, high, source: low === high ? cost.source : 'bounded' }
}

/** Where a part has no price of its own, any number of it gives the same sum: it is left with the rest. */
const PRICED_ALIKE = 0

/** The price of known tokens; `null` when what they are is not known well enough. */
function pricedOf(tokens: Tokens, tariff: Tariff, utcMinutes: number, media: MediaTokens | null = null): Priced | null {
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
      ...(media !== null && (tariff.heard || tariff.shown) && mediaOf(media)),
    },
    utcMinutes,
  )
}

function mediaOf({ audioPrompt, audioCompletion, imageCompletion }: MediaTokens) {
  return {
    audioPrompt: atLeast(audioPrompt),
    audioCompletion: atLeast(audioCompletion),
    imageCompletion: atLeast(imageCompletion),
  }
}

export function cacheOf(
  tokens: Tokens,
  tariff: Tariff | null,
  utcMinutes: number,
  media: MediaTokens | null = null,
): CacheRecord {
  const priced = tariff === null ? null : pricedOf(tokens, tariff, utcMinutes, media)
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

/** A bill may differ from the list by rounding; beyond this it is another price. */
export const PRICE_TOLERANCE = 0.01

/** What is known of the price of one answer. */
export interface Charged {
  /** The price lists of which one was charged, if that is sure. */
  readonly tariffs: readonly Tariff[]
  readonly isSure: boolean
  readonly cost: Cost
  readonly notes: BillNotes
  readonly utcMinutes: number
}

/**
 * What the cache saved or cost, at the prices of whoever answered. Where the bill is told, it is also the judge of the
 * prices: a list that does not come to the bill says nothing about what the cache saved there.
 */
export function billedCache(tokens: Tokens, charged: Charged): CacheRecord {
  const { tariffs, isSure, cost, notes, utcMinutes } = charged
  const billed = tokenUsd(charged)
  if (billed === null) {
    const [only = null] = tariffs
    return isSure && tariffs.length === 1 && cost.low === cost.high ? cacheOf(tokens, only, utcMinutes) : NO_CACHE
  }
  for (const tariff of tariffs) {
    const cache = cacheOf(tokens, tariff, utcMinutes, notes.media)
    if (cache.coldUsd === null || cache.discountUsd === null) continue
    if (isPrice(cache.coldUsd - cache.discountUsd, billed)) return cache
  }
  // Where no cache had a part in it, its prices do not matter.
  if (tokens.cachedPrompt !== 0 || tokens.cacheWrite !== 0) return NO_CACHE
  return Object.freeze({ discountUsd: 0, coldUsd: billed, source: 'computed' })
}

/** What the bill says that the tokens cost; `null`: nothing. */
export function tokenUsd({ cost, notes }: Pick<Charged, 'cost' | 'notes'>): number | null {
  if (cost.source !== 'reported') return null
  return Math.max(0, toUsd(cost.low) - atLeast(notes.besidesUsd) - atLeast(notes.feeUsd))
}

/** Whether a bill is what a list comes to. */
export function isPrice(listed: number, billed: number): boolean {
  return Math.abs(billed - listed) <= PRICE_TOLERANCE * Math.max(listed, billed)
}

export const NO_CACHE: CacheRecord = Object.freeze({ discountUsd: null, coldUsd: null, source: 'unknown' })

/** What the same tokens would have cost elsewhere, with no cache to read from. */
export function coldCost(
  tokens: Tokens,
  tariff: Tariff | null,
  utcMinutes: number,
  media: MediaTokens | null = null,
): Cost {
  const { prompt, completion, reasoning } = tokens
  if (tariff === null || prompt === null || completion === null) return UNKNOWN
  const cold = (thoughts: number) =>
    price(
      tariff,
      {
        prompt,
        completion,
        cachedPrompt: 0,
        cacheWrite: 0,
        reasoning: thoughts,
        ...(media !== null && (tariff.heard || tariff.shown) && mediaOf(media)),
      },
      utcMinutes,
    ).cold
  if (reasoning !== null || !tariff.reasoned) {
    const usd = cold(reasoning ?? PRICED_ALIKE)
    return { low: usd, high: usd, source: 'computed' }
  }
  const [one, other] = [cold(0), cold(completion)]
  const [low, high] = [Math.min(one, other), Math.max(one, other)]
  return { low, high, source: low === high ? 'computed' : 'bounded' }
}
