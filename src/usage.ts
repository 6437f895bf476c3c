import type { Billed, FailureKind } from './failure.ts'
import { type Cost, type CostSource, sum, toUsd } from './money.ts'

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

/**
 * What is odd about counts as a provider tells them: more tokens were read from the cache and written to it than the
 * prompt has, more were thought than answered, the total is another sum; or nothing was used because the answer came
 * out of a cache of answers.
 */
export type UsageFlag = 'cache-exceeds-prompt' | 'reasoning-exceeds-completion' | 'total-differs' | 'answer-cache'

/** How many of the tokens were sound or pictures; `null` is unknown. */
export interface MediaTokens {
  readonly audioPrompt: number | null
  readonly audioCompletion: number | null
  readonly imageCompletion: number | null
}

/** What an answer says of its bill besides tokens and the sum. */
export interface BillNotes {
  readonly media: MediaTokens | null
  /** USD for what was done besides (searches, files that were read), where that is told apart. */
  readonly besidesUsd: number | null
  readonly searches: number | null
  /** With the caller's own key at the host: what the aggregator takes for itself. `null`: no such key. */
  readonly feeUsd: number | null
  /** The service tier that was served, where it has prices of its own. */
  readonly tier: string | null
  /** It came out of a cache of answers. */
  readonly replayed: boolean
  readonly flags: readonly UsageFlag[]
}

export const NO_NOTES: BillNotes = Object.freeze({
  media: null,
  besidesUsd: null,
  searches: null,
  feeUsd: null,
  tier: null,
  replayed: false,
  flags: Object.freeze([]),
})

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
  /** How many of its parts have no upper bound. Left out: none. */
  readonly unknownParts?: number
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
  /** What is odd about the tokens as they are told. Left out: they fit together. */
  readonly flags?: readonly UsageFlag[]
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

/** What it has cost to begin with a smaller model, whose answers were not taken. */
export interface Escalation {
  readonly from: string
  readonly to: string
  /** What was tried with other models. */
  readonly extraUsd: { readonly low: number; readonly high: number | null }
  /** What it would have cost to begin with the model that has answered: all that was tried with it. */
  readonly directUsd: { readonly low: number; readonly high: number | null }
}

export interface Drift {
  readonly kind: 'host' | 'model' | 'tier' | 'price' | 'latency'
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
  /** What is odd about the tokens of its attempts as they are told. Left out: they fit together. */
  readonly flags?: readonly UsageFlag[]
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
  /** A bigger model had to be asked. Left out: it had not. */
  readonly escalation?: Escalation
  /** It came in pieces. Left out: it came whole. */
  readonly stream?: boolean
  /** When the provider's own look-up has narrowed it, ISO; left out: it has not. */
  readonly reconciledAt?: string
  readonly metadata: Readonly<Record<string, string>>
}

export function costRecord(cost: Cost, unknownParts = 0): CostRecord {
  const exact = cost.low === cost.high
  const usd = cost.usd ?? toUsd(cost.low)
  return Object.freeze({
    usd: exact ? usd : null,
    low: exact ? usd : toUsd(cost.low),
    high: exact ? usd : cost.high === null ? null : toUsd(cost.high),
    source: cost.source,
    ...(unknownParts > 0 && { unknownParts }),
  })
}

/** The sum of several, and how many of the parts have no upper bound. */
export function costSum(costs: readonly Cost[]): CostRecord {
  return costRecord(sum(costs), costs.length > 1 ? costs.filter(({ high }) => high === null).length : 0)
}

/** What is not told may be any number, and is none at the least. */
export function atLeast(count: number | null | undefined): number {
  return count ?? NONE
}

const NONE = 0

/** Notes with what is odd about the tokens as they are told. */
export function flagged(notes: BillNotes, tokens: Tokens): BillNotes {
  const { prompt, cachedPrompt, cacheWrite, completion, reasoning, total } = tokens
  const flags: UsageFlag[] = []
  if (notes.replayed) flags.push('answer-cache')
  if (prompt !== null && atLeast(cachedPrompt) + atLeast(cacheWrite) > prompt) flags.push('cache-exceeds-prompt')
  if (completion !== null && atLeast(reasoning) > completion) flags.push('reasoning-exceeds-completion')
  if (prompt !== null && completion !== null && total !== prompt + completion) flags.push('total-differs')
  return flags.length === 0 ? notes : { ...notes, flags: Object.freeze(flags) }
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
