import { FAILURE_KINDS } from '../failure.ts'
import { type Fields, isFields } from '../fields.ts'
import type { UsageRecord } from '../usage.ts'
import { instantOf } from './calendar.ts'

/** Why a value is no usage record: something else, or one of a version that is not known here. */
export type Strange = 'foreign' | 'version'

/**
 * A usage record, or why it is none. What sums are made of is looked at whole: a file may have been written by another
 * program, by another version, or by somebody who means harm. Fields that are not known are left alone.
 */
export function recordFrom(value: unknown): UsageRecord | Strange {
  if (!isFields(value)) return 'foreign'
  if (isRecord(value)) return value
  const versioned = 'v' in value && value.v !== 1 && text(value.id) && text(value.task)
  return versioned ? 'version' : 'foreign'
}

/** Beyond this a figure is no bill, no count and no time, but damage: sums stay finite. */
const MOST_USD = 1e9
const MOST_COUNT = 1e12
const MOST_MS = 1e12

type Check = (value: unknown) => boolean

function isRecord(value: Fields): value is Fields & UsageRecord {
  return value.v === 1 && whole(value)
}

const text: Check = (value) => typeof value === 'string'
const textOrNull: Check = (value) => value === null || typeof value === 'string'
const within = (least: number, most: number): Check => {
  return (value) => typeof value === 'number' && value >= least && value <= most
}
const orNull = (check: Check): Check => {
  return (value) => value === null || check(value)
}
const one = (...words: readonly string[]): Check => {
  const known = new Set<unknown>(words)
  return (value) => known.has(value)
}
const each = (check: Check): Check => {
  return (value) => Array.isArray(value) && value.every(check)
}
/** Only what an object has itself counts: what all objects inherit is not from the file. */
const shape = (checks: Readonly<Record<string, Check>>): Check => {
  const wanted = Object.entries(checks)
  return (value) => isFields(value) && wanted.every(([key, check]) => Object.hasOwn(value, key) && check(value[key]))
}

const usd = within(0, MOST_USD)
const signedUsd = within(-MOST_USD, MOST_USD)
const count = orNull(within(0, MOST_COUNT))
const milliseconds = within(0, MOST_MS)
/** A word that may have grown since: short, and none that every object answers to. */
const word: Check = (value) => typeof value === 'string' && /^[a-z][a-z-]{0,39}$/.test(value) && !(value in {})

const outcome = one('ok', ...FAILURE_KINDS)
const tokens = shape({
  prompt: count,
  cachedPrompt: count,
  cacheWrite: count,
  completion: count,
  reasoning: count,
  total: count,
})
const cost = shape({
  usd: orNull(usd),
  low: usd,
  high: orNull(usd),
  source: one('reported', 'computed', 'bounded', 'unknown'),
})

const attempt = shape({
  role: word,
  model: text,
  provider: text,
  host: textOrNull,
  outcome,
  durationMs: milliseconds,
  firstTokenMs: orNull(milliseconds),
  tokens,
  cost,
})

const whole = shape({
  id: text,
  task: text,
  session: textOrNull,
  at: (value) => typeof value === 'string' && instantOf(value) !== null,
  outcome,
  model: shape({ asked: text, served: textOrNull }),
  provider: textOrNull,
  host: textOrNull,
  tokens,
  cost,
  cache: shape({
    discountUsd: orNull(signedUsd),
    coldUsd: orNull(usd),
    source: one('reported', 'computed', 'unknown'),
  }),
  alternatives: each(
    shape({
      model: text,
      provider: text,
      host: textOrNull,
      usd: shape({ low: usd, high: orNull(usd) }),
      premiumUsd: shape({ low: signedUsd, high: orNull(signedUsd) }),
    }),
  ),
  latency: shape({
    totalMs: milliseconds,
    firstTokenMs: orNull(milliseconds),
    queueMs: orNull(milliseconds),
    tokensPerSecond: orNull(within(0, MOST_COUNT)),
  }),
  attempts: each(attempt),
  pin: word,
  drift: each(shape({ kind: word, planned: text, served: text })),
  metadata: isFields,
})
