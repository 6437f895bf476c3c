import type { Caching } from './caching.ts'
import { ConfigError } from './errors.ts'
import { fields } from './fields.ts'
import { type Money, toUsd } from './money.ts'
import { kindOf, ruled } from './options.ts'
import { price, type Tariff } from './price.ts'

/** What a session has been like, by what its providers said of its calls. */
export interface SessionHistory {
  /** Calls that were answered. */
  readonly turns: number
  /** Milliseconds between two calls, smoothed; `null` before the second. */
  readonly gapMs: number | null
  /** Tokens by which a prompt is longer than the one before, smoothed; `null` before the second. */
  readonly growth: number | null
  /** Tokens of an answer, smoothed; `null` while nobody has said. */
  readonly completionTokens: number | null
  /** How much of what lay in a warm cache was really read from it, smoothed, from 0 to 1; `null` before any chance. */
  readonly share: number | null
}

/** The call to come, as far as it can be told before it is made. */
export interface Coming {
  /** By the session's own measure, where it has one. */
  readonly promptTokens: number
  readonly maxTokens: number | null
  readonly utcMinutes: number
}

/** Where a conversation may go on, and what is there of it. */
export interface Site {
  readonly model: string
  readonly provider: string
  readonly host: string | null
  readonly tariff: Tariff | null
  /** `ttlMs: 0` where nothing will be kept: its cache wants marks, and the request has none. */
  readonly caching: Caching
  /** Tokens of the conversation that its cache still holds; 0: it is cold. */
  readonly warmTokens: number
}

/** What going on there is expected to cost. */
export interface SessionPlace {
  readonly model: string
  readonly provider: string
  readonly host: string | null
  readonly warm: boolean
  /** Tokens of the coming prompt that will be read from the cache. */
  readonly cachedTokens: number
  /** USD for the coming call; `null`: its price is unknown. */
  readonly usd: number | null
  /** USD for this call and for as many more as are to be expected. */
  readonly restUsd: number | null
}

/**
 * Where a session goes on. `places` are those that the policy and the data rule leave open: the session's home first,
 * where it has one, then others where it is warm, then where the policy would go by itself. A rule is pure.
 */
export type SessionRule = (
  places: readonly SessionPlace[],
  history: SessionHistory | null,
) => { readonly place: SessionPlace; readonly because: string }

/** One answered call of a session, by what its provider said; `null` is unknown. */
export interface SeenCall {
  /** Since the call before. */
  readonly gapMs: number | null
  readonly promptTokens: number
  readonly previousPromptTokens: number | null
  readonly completionTokens: number | null
  /** Tokens of its prompt that lay in a warm cache where it was answered. */
  readonly readable: number | null
  /** Tokens that were read from the cache. */
  readonly cachedTokens: number | null
}

/*
 * What is expected of a conversation before it has shown itself. The figures are those of the first half of a public
 * trace of real conversations (Mooncake's, 12,031 calls in an hour), rounded. A quarter of them go on after the first
 * call, and the longer one has lasted, the likelier it is to go on: 4 of 10 after two calls, 6 of 10 after four, 8 of 10
 * after eight. Chances of going on that differ between conversations, as Beta(1, 2.8) has them, give that shape, and
 * then the calls still to come are in proportion to those that were: 0.55 for each.
 */
const GIVING_UP = 2.8
const AHEAD_PER_CALL = 0.55
/** The trace says nothing of longer ones, and prices and people change. */
const MOST_AHEAD = 12
/** Gaps have a long tail: four of five are within five minutes, and one of twenty is beyond ten. */
const GAP_SHAPE = 3
const GAP_MS = 200_000
const GROWTH = 1_600
const COMPLETION = 350
const SHARE = 0.95

/** The latest of these weighs a quarter at the least, so that a habit that changes is noticed within a few calls. */
const MOST_SAMPLES = 4

/**
 * What a session has been like, one answered call later.
 *
 * @example
 * let history = null
 * history = lived(history, {
 *   gapMs: null, promptTokens: 1200, previousPromptTokens: null, completionTokens: 90, readable: null, cachedTokens: 0,
 * })
 * history.turns // 1
 */
export function lived(history: SessionHistory | null, seen: SeenCall): SessionHistory {
  const { gapMs, promptTokens, previousPromptTokens, completionTokens, readable, cachedTokens } = seen
  const turns = history === null ? 0 : history.turns
  // A prompt that has become shorter was cut; how much it grows by, it does not say.
  const growth = previousPromptTokens === null ? null : promptTokens - previousPromptTokens
  const read = readable === null || cachedTokens === null || readable <= 0 ? null : Math.min(1, cachedTokens / readable)
  return Object.freeze({
    turns: turns + 1,
    gapMs: smoothed(history?.gapMs, gapMs, turns),
    growth: smoothed(history?.growth, growth, turns),
    completionTokens: smoothed(history?.completionTokens, completionTokens, turns + 1),
    share: smoothed(history?.share ?? (read === null ? null : SHARE), read, turns + 1),
  })
}

/** A mean of the first few, then one that forgets. What is no figure changes nothing. */
function smoothed(known: number | null | undefined, seen: number | null, samples: number): number | null {
  const before = known ?? null
  if (seen === null || !Number.isFinite(seen) || seen < 0) return before
  return before === null ? seen : before + (seen - before) / Math.min(Math.max(samples, 2), MOST_SAMPLES)
}

/** What it is expected to cost to go on there: the coming call, and those that are still to be expected. */
export function placeAt(
  site: Site,
  { history, coming }: { readonly history: SessionHistory | null; readonly coming: Coming },
): SessionPlace {
  const { model, provider, host, tariff, caching, warmTokens } = site
  const { promptTokens, maxTokens, utcMinutes } = coming
  const share = history?.share ?? SHARE
  const cachedTokens = readableAt(caching, promptTokens, warmTokens, share)
  const warm = warmTokens > 0
  if (tariff === null) return { model, provider, host, warm, cachedTokens, usd: null, restUsd: null }
  const usual = history?.completionTokens ?? COMPLETION
  const completion = Math.round(maxTokens === null ? usual : Math.min(usual, maxTokens))
  const call = { tariff, caching, completion, utcMinutes }
  const now = costOf(call, promptTokens, cachedTokens)
  const calls = callsAhead(history)
  const growth = growthOf(history)
  // All later calls are priced as one in their middle: half of them are shorter, half are longer.
  const before = Math.round(promptTokens + (growth * calls) / 2)
  const later = Math.round(before + growth)
  const read = readableAt(caching, later, before, share)
  const cold = costOf(call, later, 0)
  const each = read === 0 ? cold : cold + chanceWarm(history, caching.ttlMs) * (costOf(call, later, read) - cold)
  const restUsd = toUsd(now + Math.round(calls * each))
  return { model, provider, host, warm, cachedTokens, usd: toUsd(now), restUsd }
}

interface PricedCall {
  readonly tariff: Tariff
  readonly caching: Caching
  readonly completion: number
  readonly utcMinutes: number
}

function costOf({ tariff, caching, completion, utcMinutes }: PricedCall, prompt: number, cached: number): Money {
  // A price for writing below that for reading anew is one for keeping, on top of it: nothing is won by writing.
  const { input, cacheWrite = input } = tariff.base
  const writes = tariff.written && cacheWrite >= input && caching.ttlMs > 0 && prompt >= caching.least
  const tokens = { prompt, cachedPrompt: cached, cacheWrite: writes ? prompt - cached : 0, completion, reasoning: 0 }
  return price(tariff, tokens, utcMinutes).cost
}

function readableAt({ ttlMs, least }: Caching, prompt: number, held: number, share: number): number {
  const most = Math.min(prompt, held)
  return ttlMs <= 0 || most <= 0 || most < least ? 0 : Math.floor(most * share)
}

function callsAhead(history: SessionHistory | null): number {
  return Math.min(MOST_AHEAD, (1 + (history?.turns ?? 0)) * AHEAD_PER_CALL)
}

/** The session's own growth, as far as it has been seen; what is usual weighs as much as one call. */
function growthOf(history: SessionHistory | null): number {
  if (history === null || history.growth === null) return GROWTH
  const seen = Math.min(history.turns, MOST_SAMPLES) - 1
  return (GROWTH + seen * history.growth) / (1 + seen)
}

/**
 * How likely what a call writes to a cache is read before it is cold: there has to be a next call, and it has to come in
 * time.
 */
export function chanceRead(history: SessionHistory | null, ttlMs: number): number {
  const calls = 1 + (history?.turns ?? 0)
  return (calls / (calls + GIVING_UP)) * chanceWarm(history, ttlMs)
}

/** How likely the next call, if there is one, comes before the cache is cold: exponential gaps, whose mean is learnt. */
export function chanceWarm(history: SessionHistory | null, ttlMs: number): number {
  if (ttlMs <= 0) return 0
  const seen = history === null || history.gapMs === null ? 0 : Math.max(0, Math.min(history.turns, MOST_SAMPLES) - 1)
  const scale = GAP_MS * (GAP_SHAPE - 1) + seen * (history?.gapMs ?? 0)
  return 1 - (scale / (scale + ttlMs)) ** (GAP_SHAPE + seen)
}

/**
 * Stays at the home of a session unless another place is expected to be cheaper, over this call and those still to
 * come, by more than `margin` (a share of what staying costs; default 0.05). With nothing warm, it goes where the rest
 * is cheapest. A place whose price is unknown is never moved to for its price, and never left for it; nor is the model
 * changed for it, unless it is the policy's own.
 *
 * @example
 * createRouter({ sessions: { rule: whilePaying({ margin: 0.1 }) }, tasks })
 */
export function whilePaying({ margin = 0.05 }: { readonly margin?: number } = {}): SessionRule {
  if (!(margin >= 0 && margin < 1)) throw new ConfigError('whilePaying.margin', 'expected a number from 0 to below 1')
  return (places) => {
    const own = ownOf(places)
    const home = places.find(({ warm }) => warm)
    if (home === undefined) return cheapestFor(own, places)
    if (home.restUsd === null) return { place: home, because: `${reading(home)}; its price is unknown` }
    const others = places.filter((place) => place !== home && (place.model === home.model || place.model === own.model))
    const best = cheapest(others)
    if (best === null) return { place: home, because: `${reading(home)}: ${usd(home.restUsd)} for the rest` }
    if (best.restUsd >= home.restUsd * (1 - margin))
      return { place: home, because: `${reading(home)}: ${than(home, best)}` }
    return { place: best.place, because: than(best.place, { place: home, restUsd: home.restUsd }) }
  }
}

/**
 * Stays where a session is warm, whatever it costs; with nothing warm, it goes where the policy goes by itself.
 *
 * @example
 * createRouter({ sessions: { rule: whileWarm() }, tasks })
 */
export function whileWarm(): SessionRule {
  return (places) => {
    const home = places.find(({ warm }) => warm)
    if (home !== undefined) return { place: home, because: reading(home) }
    return { place: ownOf(places), because: 'no cache is warm' }
  }
}

/** Runs a rule of the user's: it chooses among what it is given, and nothing else gets past the policy. */
export function ruledPlace(
  rule: SessionRule,
  places: readonly SessionPlace[],
  history: SessionHistory | null,
  field: string,
): { readonly place: SessionPlace; readonly because: string } {
  const given = [...places]
  const chosen = fields(ruled<unknown>(field, () => rule(places, history)))
  const place = given.find((each) => each === chosen?.place)
  if (chosen === undefined || place === undefined) {
    const got = chosen === undefined ? 'something else' : `${kindOf(chosen.place)} as place`
    throw new ConfigError(field, `expected the rule to give one of the places it was given, got ${got}`)
  }
  if (typeof chosen.because === 'string') return { place, because: chosen.because }
  throw new ConfigError(field, `expected the rule to say why, as because: a string, got ${kindOf(chosen.because)}`)
}

/** Where the policy would go by itself. */
function ownOf(places: readonly SessionPlace[]): SessionPlace {
  const own = places.at(-1)
  if (own === undefined) throw new RangeError('A session needs a place to go on.')
  return own
}

/** With nothing warm: among places for the policy's own model. */
function cheapestFor(own: SessionPlace, places: readonly SessionPlace[]): ReturnType<SessionRule> {
  const able = places.filter(({ model }) => model === own.model)
  if (able.some(({ restUsd }) => restUsd === null)) return { place: own, because: 'not all prices are known' }
  const best = cheapest(able)?.place ?? own
  const next = cheapest(able.filter((place) => place !== best))
  return { place: best, because: next === null ? 'there is no other place' : than(best, next) }
}

/** The cheapest of those whose price is known; among equals the first. */
function cheapest(places: readonly SessionPlace[]): { readonly place: SessionPlace; readonly restUsd: number } | null {
  let best: { place: SessionPlace; restUsd: number } | null = null
  for (const place of places) {
    const { restUsd } = place
    if (restUsd !== null && (best === null || restUsd < best.restUsd)) best = { place, restUsd }
  }
  return best
}

/** `$0.0031 for the rest, $0.0124 at openrouter/deepinfra` */
function than(one: SessionPlace, other: { readonly place: SessionPlace; readonly restUsd: number }): string {
  return `${usd(one.restUsd ?? 0)} for the rest, ${usd(other.restUsd)} at ${nameOf(other.place)}`
}

function reading({ cachedTokens }: SessionPlace): string {
  return cachedTokens === 0 ? 'it is warm there' : `reading ${grouped(cachedTokens)} tokens from its cache`
}

function nameOf({ provider, host }: SessionPlace): string {
  return host === null ? provider : `${provider}/${host}`
}

/** By hand: what knows of languages and regions takes longer than all the rest. */
function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** Two digits that count, and cents at the least. */
function usd(amount: number): string {
  if (amount >= 0.1 || amount === 0) return `$${amount.toFixed(2)}`
  return `$${amount.toFixed(Math.min(12, 1 - Math.floor(Math.log10(amount))))}`
}
