import type { PriceList } from '../price.ts'
import { type Femto, femto, perToken } from './decimal.ts'

/** The tokens of one answer: `prompt` has `cached` and `written` in it, `completion` has `reasoning` in it. */
export interface Tokens {
  readonly prompt: number
  readonly cached: number
  /** Written to a cache that keeps five minutes, or as long as the host keeps it. */
  readonly written: number
  /** Written to a cache that keeps an hour. */
  readonly written1h: number
  readonly completion: number
  readonly reasoning: number
}

export interface Charge {
  readonly total: Femto
  readonly prompt: Femto
  readonly completion: Femto
  /** What caching saved (positive) or cost (negative). */
  readonly discount: Femto
}

/** What these tokens cost at these prices, to the last digit. */
export function charge(prices: PriceList, tokens: Tokens, date: number): Charge {
  const now = pricesAt(prices, tokens.prompt, date)
  const input = perToken(now.input)
  const read = now.cachedInput === undefined ? input : perToken(now.cachedInput)
  const write = now.cacheWrite === undefined ? input : perToken(now.cacheWrite)
  const write1h = now.cacheWrite1h === undefined ? write : perToken(now.cacheWrite1h)
  const cached = BigInt(tokens.cached)
  const written = BigInt(tokens.written)
  const written1h = BigInt(tokens.written1h)
  const fresh = BigInt(tokens.prompt) - cached - written - written1h
  const request = now.request === undefined ? 0n : femto(now.request)
  const prompt = fresh * input + cached * read + written * write + written1h * write1h + request
  const completion = BigInt(tokens.completion) * perToken(now.output)
  return {
    total: prompt + completion,
    prompt,
    completion,
    discount: cached * (input - read) - written * (write - input) - written1h * (write1h - input),
  }
}

/** The prices that hold for a prompt of this length at this time: the last tier whose conditions all hold wins, key by key. */
export function pricesAt(prices: PriceList, promptTokens: number, date: number): PriceList {
  const { tiers, ...base } = prices
  let now: PriceList = base
  for (const tier of tiers ?? []) {
    const { abovePromptTokens, fromUtc, untilUtc, ...changed } = tier
    if (abovePromptTokens !== undefined && promptTokens <= abovePromptTokens) continue
    if (!within(date, fromUtc, untilUtc)) continue
    now = { ...now, ...changed }
  }
  return now
}

function within(date: number, from: number | undefined, until: number | undefined): boolean {
  if (from === undefined || until === undefined) return true
  const day = new Date(date)
  const time = day.getUTCHours() * 100 + day.getUTCMinutes()
  return from <= until ? time >= from && time < until : time >= from || time < until
}
