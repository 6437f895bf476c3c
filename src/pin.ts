import type { Caching } from './caching.ts'
import { frozen } from './frozen.ts'
import { type Money, toUsd } from './money.ts'
import type { Tariff } from './price.ts'
import { chanceRead, chanceWarm, lived, type SessionHistory } from './stay.ts'
import type { Tokens } from './usage.ts'

/** An offer and, behind an aggregator, the host that runs it. */
export interface Place {
  readonly model: string
  readonly provider: string
  readonly host: string | null
}

/** A place whose cache holds a part of the conversation. */
export interface WarmPlace extends Place {
  /** Milliseconds since 1970 until which it is kept there. */
  readonly until: number
  /** Tokens that lie there. */
  readonly tokens: number
}

/** What is known of a session between its calls: names of offers and numbers, nothing of what was said. */
export interface Pin {
  readonly home: WarmPlace
  /** Who answered in its place of late. */
  readonly standIn: WarmPlace | null
  /** How often in a row it was asked at home, and another answered. */
  readonly misses: number
  /** Milliseconds since 1970 of its last answer. */
  readonly at: number
  /** Tokens of its last prompt, as they were counted there. */
  readonly promptTokens: number | null
  /** Tokens that are counted for each that is estimated. */
  readonly scale: number
  readonly history: SessionHistory
  readonly balance: CacheBalance
}

/** What caching has come to in a session, by the list where a host's own prices are not known. */
export interface CacheBalance {
  /** By reading. */
  readonly saved: Money
  /** For writing, above what the same tokens cost unwritten. */
  readonly paid: Money
  /** Calls of which nobody knows. */
  readonly unknown: number
  /** Its owner has been told that it loses. */
  readonly told: boolean
}

/** An answer of the session's, as far as its pin goes. */
export interface Served {
  readonly place: Place
  readonly caching: Caching
  /** Milliseconds since 1970. */
  readonly at: number
  readonly tokens: Tokens
  /** What the prompt was estimated at. */
  readonly estimated: number
  /** `null`: unknown. */
  readonly cached: { readonly saved: Money; readonly paid: Money } | null
  /** Where this is not its home: it lives here from now on. */
  readonly leaves: boolean
  /** Its home was asked first. */
  readonly wasAsked: boolean
}

/** A home that is missed once is come back to; one that is missed again costs more than its cache is worth. */
const MOST_MISSES = 2

const NOTHING: CacheBalance = Object.freeze({ saved: 0, paid: 0, unknown: 0, told: false })

/** The pin after an answer; only an answer makes or changes one. */
export function pinned(pin: Pin | null, served: Served): Pin {
  const { place, at, tokens } = served
  const before = pin === null ? null : warmAt(pin, place, at)
  const here: WarmPlace = {
    model: place.model,
    provider: place.provider,
    // One that does not name its host is at the same as before, as far as anybody knows.
    host: place.host ?? before?.host ?? null,
    until: at + served.caching.ttlMs,
    tokens: lyingThere(served),
  }
  const misses = pin === null || isSamePlace(pin.home, place) ? 0 : pin.misses + (served.wasAsked ? 1 : 0)
  const isAway = pin !== null && !isSamePlace(pin.home, place)
  const standIn = pin?.standIn ?? null
  const keepsStandIn = standIn !== null && standIn.until > at && !isSamePlace(standIn, place)
  const stays = isAway && !served.leaves && misses < MOST_MISSES && pin.home.until > at
  return {
    home: stays ? pin.home : here,
    standIn: stays ? here : keepsStandIn ? standIn : null,
    misses: stays ? misses : 0,
    at,
    promptTokens: tokens.prompt,
    scale: tokens.prompt === null || served.estimated === 0 ? (pin?.scale ?? 1) : tokens.prompt / served.estimated,
    history: lived(pin?.history ?? null, {
      gapMs: pin === null ? null : Math.max(0, at - pin.at),
      promptTokens: tokens.prompt ?? Math.round(served.estimated * (pin?.scale ?? 1)),
      previousPromptTokens: pin?.promptTokens ?? null,
      completionTokens: tokens.completion,
      readable: before === null ? null : before.tokens,
      cachedTokens: tokens.cachedPrompt,
    }),
    balance: balanced(pin?.balance ?? NOTHING, served.cached),
  }
}

/** What of the conversation lies in the cache after an answer. */
function lyingThere({ tokens, caching, estimated }: Served): number {
  const prompt = tokens.prompt ?? estimated
  if (prompt < caching.least) return 0
  // What was not marked was not kept, and whoever marks is told what was.
  return caching.marked ? (tokens.cachedPrompt ?? 0) + (tokens.cacheWrite ?? 0) : prompt
}

function balanced(balance: CacheBalance, cached: Served['cached']): CacheBalance {
  return cached === null
    ? { ...balance, unknown: balance.unknown + 1 }
    : { ...balance, saved: balance.saved + cached.saved, paid: balance.paid + cached.paid }
}

/** Two writes may wait for their first reading; what then still has not paid, does not pay. */
const PATIENCE = 3

/** Whether caching has cost more than it has saved, and its owner is to be told. */
export function isLosing(pin: Pin): boolean {
  return !pin.balance.told && hasLost(pin)
}

function hasLost({ balance, history }: Pin): boolean {
  return history.turns >= PATIENCE && balance.paid > balance.saved
}

/**
 * Whether writing to the cache is expected to pay: that what is written will be read before it is cold. `returning` is
 * how likely there is a second call at all.
 */
export function isWorthWriting(
  { pin, returning }: { readonly pin: Pin | null; readonly returning: number },
  { tariff, ttlMs }: { readonly tariff: Tariff | null; readonly ttlMs: number },
): boolean {
  if (tariff === null) return true
  const { input, cachedInput = input, cacheWrite = input } = tariff.base
  const chance = pin === null ? returning * chanceWarm(null, ttlMs) : chanceRead(pin.history, ttlMs)
  // A session that has lost by it needs better prospects than one that has not.
  if (pin !== null && hasLost(pin) && chance < EVEN) return false
  return chance * (input - cachedInput) > cacheWrite - input
}

const EVEN = 0.5

/** Where the cache is still warm at a place, and how far. */
export function warmAt({ home, standIn }: Pin, place: Place, at: number): WarmPlace | null {
  for (const warm of [home, standIn]) if (warm !== null && warm.until > at && isSamePlace(warm, place)) return warm
  return null
}

/** A session as its owner sees it: where it is at home, and what caching has come to. */
export interface SessionStanding {
  readonly home: Place
  /** Milliseconds that the cache there stays warm; 0: it is cold. */
  readonly warmForMs: number
  /** Tokens that lie in it. */
  readonly cachedTokens: number
  /** Who answered in its place of late. */
  readonly standIn: Place | null
  /** Calls that were answered. */
  readonly calls: number
  /** Read minus written: negative where caching has lost money. Calls of which nobody knows are not in it. */
  readonly cache: {
    readonly savedUsd: number
    readonly paidUsd: number
    readonly profitUsd: number
    readonly unknownCalls: number
  }
}

export function standingOf({ home, standIn, history, balance }: Pin, date: number): SessionStanding {
  const { saved, paid, unknown } = balance
  const placeOf = ({ model, provider, host }: Place) => ({ model, provider, host })
  const warmForMs = Math.max(0, home.until - date)
  return frozen<SessionStanding>({
    home: placeOf(home),
    warmForMs,
    cachedTokens: warmForMs === 0 ? 0 : home.tokens,
    standIn: standIn === null || standIn.until <= date ? null : placeOf(standIn),
    calls: history.turns,
    cache: {
      savedUsd: toUsd(saved),
      paidUsd: toUsd(paid),
      profitUsd: toUsd(saved - paid),
      unknownCalls: unknown,
    },
  })
}

/** One that is not known may be the other. */
export function isSamePlace(one: Place, other: Place): boolean {
  if (one.model !== other.model || one.provider !== other.provider) return false
  return one.host === null || other.host === null || one.host === other.host
}
