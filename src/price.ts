import type { Interval, Money } from './money.ts'

/**
 * What an offer asks, in USD per million tokens (`request`, `image`, `webSearch`: USD each), as people write prices.
 * What is left out is unknown; `0` is free.
 */
export interface PriceList {
  readonly input: number
  readonly output: number
  /** Tokens read from the prompt cache. Left out: the offer has no cache price, so they cost what input costs. */
  readonly cachedInput?: number
  /** Tokens written to the prompt cache. Left out: writing costs what input costs. */
  readonly cacheWrite?: number
  readonly cacheWrite1h?: number
  readonly reasoning?: number
  readonly audioInput?: number
  readonly request?: number
  readonly image?: number
  readonly webSearch?: number
  /** Other prices for long prompts; the last entry whose condition holds wins, key by key. */
  readonly tiers?: readonly PriceTier[]
}

export interface PriceTier extends Partial<Omit<PriceList, 'tiers'>> {
  /** Holds for prompts strictly longer than this. */
  readonly abovePromptTokens?: number
  /** Holds in a daily window, `HHMM` in UTC, end excluded; it may wrap past midnight. */
  readonly fromUtc?: number
  readonly untilUtc?: number
}

/** The tokens that a price is asked for; what is not there was not used. */
export interface PricedTokens {
  readonly prompt: number
  readonly cachedPrompt: number
  readonly cacheWrite: number
  readonly completion: number
  /** Of the completion. */
  readonly reasoning: number
}

export interface Priced {
  readonly cost: Money
  /** The same tokens with no cache at all. */
  readonly cold: Money
  /** cold − cost: positive was saved by reading, negative was paid for writing. */
  readonly discount: Money
}

/** A price list compiled for arithmetic: pico-dollars per token, `each` per request. */
export interface Tariff {
  /** Reading from the cache has a price of its own. */
  readonly cached: boolean
  /** Writing to the cache has a price of its own. */
  readonly written: boolean
  readonly base: Rates
  readonly tiers: readonly { readonly when: PriceTier; readonly rates: Partial<Rates> }[]
}

interface Rates {
  readonly input: number
  readonly output: number
  readonly cachedInput: number | null
  readonly cacheWrite: number | null
  readonly cacheWrite1h: number | null
  readonly reasoning: number | null
  readonly request: number
}

/**
 * USD per million tokens become pico-dollars per token by moving the decimal point of the digits as they are written:
 * a multiplication in binary would leave a rest.
 */
function rate(usdPerMillion: number): Money {
  return Number(`${usdPerMillion}e6`.replace(/e([+-]?\d+)e6$/, (_, exponent: string) => `e${Number(exponent) + 6}`))
}

/** USD each. */
function each(usd: number): Money {
  return Math.round(
    Number(`${usd}e12`.replace(/e([+-]?\d+)e12$/, (_, exponent: string) => `e${Number(exponent) + 12}`)),
  )
}

export function tariff(list: PriceList): Tariff {
  const base: Rates = {
    input: rate(list.input),
    output: rate(list.output),
    cachedInput: list.cachedInput === undefined ? null : rate(list.cachedInput),
    cacheWrite: list.cacheWrite === undefined ? null : rate(list.cacheWrite),
    cacheWrite1h: list.cacheWrite1h === undefined ? null : rate(list.cacheWrite1h),
    reasoning: list.reasoning === undefined ? null : rate(list.reasoning),
    request: list.request === undefined ? 0 : each(list.request),
  }
  const tiers = (list.tiers ?? []).map((when) => {
    const rates: { -readonly [Key in keyof Rates]?: Rates[Key] } = {}
    if (when.input !== undefined) rates.input = rate(when.input)
    if (when.output !== undefined) rates.output = rate(when.output)
    if (when.cachedInput !== undefined) rates.cachedInput = rate(when.cachedInput)
    if (when.cacheWrite !== undefined) rates.cacheWrite = rate(when.cacheWrite)
    if (when.cacheWrite1h !== undefined) rates.cacheWrite1h = rate(when.cacheWrite1h)
    if (when.reasoning !== undefined) rates.reasoning = rate(when.reasoning)
    if (when.request !== undefined) rates.request = each(when.request)
    return { when, rates }
  })
  const any = (key: 'cachedInput' | 'cacheWrite') => base[key] !== null || tiers.some(({ rates }) => rates[key] != null)
  return Object.freeze({ base, tiers, cached: any('cachedInput'), written: any('cacheWrite') })
}

/** What known tokens cost, with the cache as it was used and without it. Each product is rounded once. */
export function price(tariff: Tariff, tokens: PricedTokens, utcMinutes: number): Priced {
  const rates = ratesFor(tariff, tokens.prompt, utcMinutes)
  const { prompt, cachedPrompt, cacheWrite, completion, reasoning } = tokens
  // Some hosts count the same tokens as written and as read: what is left for fresh ones is never below none.
  const fresh = Math.max(0, prompt - cachedPrompt - cacheWrite)
  const thinking = rates.reasoning === null ? 0 : Math.min(reasoning, completion)
  const answer =
    Math.round((completion - thinking) * rates.output) +
    Math.round(thinking * (rates.reasoning ?? rates.output)) +
    rates.request
  const cost =
    Math.round(fresh * rates.input) +
    Math.round(cachedPrompt * (rates.cachedInput ?? rates.input)) +
    Math.round(cacheWrite * (rates.cacheWrite ?? rates.input)) +
    answer
  const cold = Math.round(prompt * rates.input) + answer
  return { cost, cold, discount: cold - cost }
}

/** Between what a request may cost at the least (all read from the cache, no answer) and at the most. */
export function bound(
  tariff: Tariff,
  most: { readonly promptTokens: number; readonly maxCompletionTokens: number | null },
): Interval {
  const { promptTokens, maxCompletionTokens } = most
  let { input, output, request } = tariff.base
  let dearest = dearestInput(tariff.base)
  let cheapest = Math.min(input, tariff.base.cachedInput ?? input)
  for (const { when, rates } of tariff.tiers) {
    // Whether the hour will have come when the request arrives is not known; whether the prompt is long enough is.
    if (when.abovePromptTokens !== undefined && when.abovePromptTokens >= promptTokens) continue
    const all = { ...tariff.base, ...rates }
    input = Math.max(input, all.input)
    output = Math.max(output, all.output, all.reasoning ?? 0)
    request = Math.max(request, all.request)
    dearest = Math.max(dearest, dearestInput(all))
    cheapest = Math.min(cheapest, all.input, all.cachedInput ?? all.input)
  }
  output = Math.max(output, tariff.base.reasoning ?? 0)
  return {
    low: Math.round(promptTokens * cheapest) + tariff.base.request,
    high:
      maxCompletionTokens === null
        ? null
        : Math.round(promptTokens * dearest) + Math.round(maxCompletionTokens * output) + request,
  }
}

function dearestInput({ input, cachedInput, cacheWrite, cacheWrite1h }: Rates): number {
  return Math.max(input, cachedInput ?? input, cacheWrite ?? input, cacheWrite1h ?? input)
}

function ratesFor({ base, tiers }: Tariff, promptTokens: number, utcMinutes: number): Rates {
  let rates = base
  for (const { when, rates: over } of tiers) {
    if (when.abovePromptTokens !== undefined && promptTokens <= when.abovePromptTokens) continue
    if (!isWithin(when, utcMinutes)) continue
    rates = { ...rates, ...over }
  }
  return rates
}

function isWithin({ fromUtc, untilUtc }: PriceTier, minutes: number): boolean {
  if (fromUtc === undefined || untilUtc === undefined) return true
  const from = minutesOf(fromUtc)
  const until = minutesOf(untilUtc)
  return from <= until ? minutes >= from && minutes < until : minutes >= from || minutes < until
}

function minutesOf(clock: number): number {
  return Math.floor(clock / 100) * 60 + (clock % 100)
}
