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
  /** Thinking, where it is priced apart from the rest of the answer. */
  readonly reasoning?: number
  readonly audioInput?: number
  /** Sound that was read from the cache. Left out: it costs what other cached input costs. */
  readonly audioCachedInput?: number
  readonly audioOutput?: number
  readonly imageOutput?: number
  readonly request?: number
  readonly image?: number
  readonly webSearch?: number
  /**
   * The share by which the listed prices are said to be lowered. Bills disagree about who gets it and whether the list
   * has it in it already, so costs that are computed from such prices have that much room both ways.
   */
  readonly discount?: number
  /** Other prices for long prompts; the last entry whose condition holds wins, key by key. */
  readonly tiers?: readonly PriceTier[]
}

export interface PriceTier extends Partial<Omit<PriceList, 'tiers' | 'discount'>> {
  /** Holds for prompts strictly longer than this. */
  readonly abovePromptTokens?: number
  /** Holds in a daily window, `HHMM` in UTC, end excluded; it may wrap past midnight. */
  readonly fromUtc?: number
  readonly untilUtc?: number
}

/** The tokens that a price is asked for; what is not there was not used. */
export interface PricedTokens {
  /** All of the prompt, cached and written tokens included. */
  readonly prompt: number
  readonly cachedPrompt: number
  readonly cacheWrite: number
  /** All of the answer, thinking included. */
  readonly completion: number
  /** The part of the answer that was thinking; only counts where it is priced apart. */
  readonly reasoning?: number
  /** The part of what was written that is kept for an hour. */
  readonly cacheWrite1h?: number
  /** The parts that were sound or pictures; they only count where these are priced apart. */
  readonly audioPrompt?: number
  /** The part of the sound in the prompt that was read from the cache. */
  readonly audioCached?: number
  readonly audioCompletion?: number
  readonly imageCompletion?: number
}

export interface Priced {
  readonly cost: Money
  /** The same tokens with no cache at all. */
  readonly cold: Money
  /** cold − cost: positive was saved by reading, negative was paid for writing. */
  readonly discount: Money
}

/** A price list, compiled once: pico-dollars per token. */
export interface Tariff {
  /** Reading from the cache has a price of its own. */
  readonly cached: boolean
  /** Writing to the cache has a price of its own. */
  readonly written: boolean
  /** Thinking has a price of its own. */
  readonly reasoned: boolean
  /** Writing for an hour has a price of its own. */
  readonly hourly: boolean
  /** Sound in the prompt has a price of its own. */
  readonly heard: boolean
  /** Sound or pictures in the answer have a price of their own. */
  readonly shown: boolean
  /** Pico-dollars for one search by the model's own host; `null` is unknown. */
  readonly search: number | null
  /** 0 to 1: how much lower than usual the listed prices are said to be. */
  readonly discount: number
  readonly base: Rates
  readonly tiers: readonly RateTier[]
}

/**
 * Pico-dollars per token (`request`: each); what is undefined follows `input` or `output`. Every key is always there:
 * objects of one shape are read several times faster than objects of many.
 */
interface Rates {
  readonly input: number
  readonly output: number
  readonly cachedInput: number | undefined
  readonly cacheWrite: number | undefined
  readonly cacheWrite1h: number | undefined
  readonly reasoning: number | undefined
  readonly audioInput: number | undefined
  readonly audioCachedInput: number | undefined
  readonly audioOutput: number | undefined
  readonly imageOutput: number | undefined
  readonly request: number
}

type RateKey = keyof Rates

interface RateTier {
  readonly above: number
  /** Minutes of the UTC day; `null`: all day. */
  readonly window: { readonly from: number; readonly until: number } | null
  readonly rates: Partial<Rates>
}

/** What may still become of a call, as far as its price goes. */
export interface Prospect {
  /** The prompt's length, or the most that it can be. */
  readonly promptTokens: number
  /** The least that the prompt can be, when its length is not known exactly. Left out: `promptTokens`. */
  readonly fewestPromptTokens?: number
  /** `null`: nothing limits the answer, so nothing limits the price. */
  readonly maxCompletionTokens: number | null
  /** Left out: at any time of the day. */
  readonly utcMinutes?: number
  /** Sound or pictures may be among the tokens. */
  readonly media?: boolean
}

const PER_TOKEN = [
  'input',
  'output',
  'cachedInput',
  'cacheWrite',
  'cacheWrite1h',
  'reasoning',
  'audioInput',
  'audioCachedInput',
  'audioOutput',
  'imageOutput',
] as const

/** Nearly everything off is nothing to go by. */
const MOST_DISCOUNT = 0.95

/** Compiles a price list, once per offer. */
export function tariff(list: PriceList): Tariff {
  const { cachedInput, cacheWrite, cacheWrite1h, reasoning, request = 0 } = ratesOf(list)
  const { audioInput, audioCachedInput, audioOutput, imageOutput } = ratesOf(list)
  const [input, output] = [picos(list.input, 6), picos(list.output, 6)]
  const base = Object.freeze({
    ...{ input, output, cachedInput, cacheWrite, cacheWrite1h, reasoning },
    ...{ audioInput, audioCachedInput, audioOutput, imageOutput, request },
  })
  const tiers = (list.tiers ?? []).map((tier) => Object.freeze(compileTier(tier)))
  const has = (key: RateKey) => base[key] !== undefined || tiers.some(({ rates }) => rates[key] !== undefined)
  // Most lists repeat the price of text.
  const differs = (key: RateKey, usual: RateKey) =>
    [{ rates: base }, ...tiers].some(
      ({ rates }) => rates[key] !== undefined && rates[key] !== (rates[usual] ?? base[usual]),
    )
  return Object.freeze({
    cached: has('cachedInput'),
    written: has('cacheWrite'),
    reasoned: has('reasoning'),
    hourly: has('cacheWrite1h'),
    heard: differs('audioInput', 'input') || differs('audioCachedInput', 'cachedInput'),
    shown: differs('audioOutput', 'output') || differs('imageOutput', 'output'),
    search: list.webSearch === undefined ? null : Math.round(picos(list.webSearch, 12)),
    discount: Math.min(Math.max(list.discount ?? 0, 0), MOST_DISCOUNT),
    base,
    tiers: Object.freeze(tiers),
  })
}

/**
 * What tokens cost. Every product is rounded once, to whole pico-dollars, so parts add up to the sum. Without
 * `utcMinutes`, prices that hold at certain times of the day are left aside.
 */
export function price(asked: Tariff, tokens: PricedTokens, utcMinutes?: number): Priced {
  const rates = asked.tiers.length === 0 ? asked.base : ratesFor(asked, tokens.prompt, utcMinutes)
  const { input, output, cachedInput = input, cacheWrite = input, reasoning = output, request } = rates
  const { prompt, completion } = tokens
  // Tokens that a host counts both as read and as written are in the prompt only once.
  const read = Math.min(tokens.cachedPrompt, prompt)
  const written = Math.min(tokens.cacheWrite, prompt)
  const fresh = Math.max(0, prompt - read - written)
  const thought = Math.min(tokens.reasoning ?? 0, completion)
  let answer = Math.round((completion - thought) * output) + Math.round(thought * reasoning) + request
  let cost = Math.round(fresh * input) + Math.round(read * cachedInput) + Math.round(written * cacheWrite)
  let cold = Math.round(prompt * input)
  if (asked.hourly && tokens.cacheWrite1h !== undefined) {
    const { cacheWrite1h = cacheWrite } = rates
    cost += Math.round(Math.min(tokens.cacheWrite1h, written) * (cacheWrite1h - cacheWrite))
  }
  if (asked.heard && tokens.audioPrompt !== undefined) {
    const { audioInput = input, audioCachedInput = cachedInput } = rates
    const sound = Math.min(tokens.audioPrompt, prompt)
    const heardAgain = Math.min(tokens.audioCached ?? 0, sound, read)
    // Sound is never kept by asking for it: what was not read was fresh.
    const heard = Math.min(sound - heardAgain, fresh)
    cost += Math.round(heard * (audioInput - input)) + Math.round(heardAgain * (audioCachedInput - cachedInput))
    cold += Math.round((heard + heardAgain) * (audioInput - input))
  }
  if (asked.shown) {
    const { audioOutput = output, imageOutput = output } = rates
    const { audioCompletion = 0, imageCompletion = 0 } = tokens
    const pictures = Math.min(imageCompletion, completion - thought)
    const spoken = Math.min(audioCompletion, completion - thought - pictures)
    answer += Math.round(pictures * (imageOutput - output)) + Math.round(spoken * (audioOutput - output))
  }
  cost += answer
  cold += answer
  return { cost, cold, discount: cold - cost }
}

/**
 * The least and the most that a call can cost: all of the prompt read from the cache and no answer, up to all of it
 * written and the longest answer, at the dearest prices in reach. `high: null`: nothing limits the answer. Images and
 * searches are not in it.
 */
export function bound(asked: Tariff, prospect: Prospect): Interval {
  const { promptTokens, fewestPromptTokens = promptTokens, maxCompletionTokens } = prospect
  let low = asked.base
  let high = asked.base
  for (const { above, window, rates } of asked.tiers) {
    if (promptTokens <= above) continue
    if (window !== null && prospect.utcMinutes !== undefined && !isWithin(window, prospect.utcMinutes)) continue
    const certain = fewestPromptTokens > above && (window === null || prospect.utcMinutes !== undefined)
    low = certain ? { ...low, ...rates } : extreme(low, rates, Math.min)
    high = certain ? { ...high, ...rates } : extreme(high, rates, Math.max)
  }
  const sounds = prospect.media === true
  let least = Math.min(low.input, low.cachedInput ?? low.input, low.cacheWrite ?? low.input)
  const { input, output, cachedInput = input, cacheWrite = input, cacheWrite1h = input, reasoning = output } = high
  let most = Math.max(input, cachedInput, cacheWrite, cacheWrite1h)
  let word = Math.max(output, reasoning)
  if (sounds) {
    least = Math.min(least, low.audioInput ?? least, low.audioCachedInput ?? least)
    most = Math.max(most, high.audioInput ?? 0, high.audioCachedInput ?? 0)
    word = Math.max(word, high.audioOutput ?? 0, high.imageOutput ?? 0)
  }
  return {
    low: Math.round(fewestPromptTokens * least) + low.request,
    high: highest(Math.round(promptTokens * most) + high.request, word, maxCompletionTokens),
  }
}

function highest(prompt: Money, word: number, maxCompletionTokens: number | null): Money | null {
  if (maxCompletionTokens !== null) return prompt + Math.round(maxCompletionTokens * word)
  // Any number of free tokens is free.
  return word === 0 ? prompt : null
}

/** The prices that hold for a prompt of this length at this time. */
export function ratesFor(asked: Tariff, promptTokens: number, utcMinutes: number | undefined): Rates {
  let rates = asked.base
  for (const tier of asked.tiers) {
    if (promptTokens <= tier.above) continue
    if (tier.window !== null && (utcMinutes === undefined || !isWithin(tier.window, utcMinutes))) continue
    rates = { ...rates, ...tier.rates }
  }
  return rates
}

/** Key by key, the cheaper or the dearer of two prices of which either may come to hold. */
function extreme(rates: Rates, tier: Partial<Rates>, choose: (a: number, b: number) => number): Rates {
  const chosen: { -readonly [key in RateKey]: Rates[key] } = { ...rates }
  for (const key of [...PER_TOKEN, 'request'] as const) {
    const value = tier[key]
    if (value !== undefined) chosen[key] = choose(chosen[key] ?? value, value)
  }
  return chosen
}

function compileTier(tier: PriceTier): RateTier {
  const { abovePromptTokens = -1, fromUtc, untilUtc } = tier
  const always = fromUtc === undefined && untilUtc === undefined
  const window = always ? null : { from: minutesOf(fromUtc ?? 0), until: minutesOf(untilUtc ?? 2400) }
  return { above: abovePromptTokens, window, rates: Object.freeze(ratesOf(tier)) }
}

function ratesOf(list: Partial<PriceList>): Partial<Rates> {
  const rates: { -readonly [key in RateKey]?: number } = {}
  for (const key of PER_TOKEN) {
    const usd = list[key]
    if (usd !== undefined) rates[key] = picos(usd, 6)
  }
  if (list.request !== undefined) rates.request = Math.round(picos(list.request, 12))
  return rates
}

/** Moves the decimal point in the decimal digits: `0.0375 * 1e6` and its like are off by a binary fraction. */
function picos(usd: number, places: number): number {
  const [digits, exponent = '0'] = String(usd).split('e')
  return Number(`${digits}e${Number(exponent) + places}`)
}

function minutesOf(hoursAndMinutes: number): number {
  return Math.floor(hoursAndMinutes / 100) * 60 + (hoursAndMinutes % 100)
}

function isWithin({ from, until }: { from: number; until: number }, minutes: number): boolean {
  return from <= until ? minutes >= from && minutes < until : minutes >= from || minutes < until
}
