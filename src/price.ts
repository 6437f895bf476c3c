import type { Money } from './money.ts'

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
}

export interface Priced {
  readonly cost: Money
  /** The same tokens with no cache at all. */
  readonly cold: Money
  /** cold − cost: positive was saved by reading, negative was paid for writing. */
  readonly discount: Money
}
