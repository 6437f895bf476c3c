import type { Caching } from './caching.ts'
import type { Tariff } from './price.ts'

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
