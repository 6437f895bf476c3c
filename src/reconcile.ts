import { type Cancellation, createCancellation, pause } from './cancellation.ts'
import { type Clock, isoTime } from './clock.ts'
import type { Generation } from './dialects/dialect.ts'
import { RouterError } from './errors.ts'
import { inquire } from './inquiry.ts'
import { type Cost, fromUsd, sum } from './money.ts'
import type { Provider } from './provider.ts'
import { type AttemptRecord, type CostRecord, costRecord, sumTokens, type Tokens, type UsageRecord } from './usage.ts'

export interface ReconcileOptions {
  /** For so long the provider's own record is waited for: it comes a little later than the answer (30,000). */
  readonly patienceMs?: number
  readonly signal?: AbortSignal
}

interface Around {
  readonly providers: readonly Provider[]
  readonly clock: Clock
  readonly closing: Cancellation
}

const PATIENCE = 30_000
const FIRST_PAUSE = 500
const LONGEST_PAUSE = 8000
const UNCHANGED = 'the record stays as it was'

/** Attempts of which the provider keeps a record of its own that may say more than ours. */
export function askable(record: UsageRecord, providers: readonly Provider[]): readonly AttemptRecord[] {
  if (record.reconciledAt !== undefined) return []
  return record.attempts.filter(({ generationId, provider }) => {
    return (
      generationId !== null && providers.some(({ name, dialect }) => name === provider && dialect.generation !== null)
    )
  })
}

/** The record as the provider's own look-up narrows it; the same record where there is nothing to ask. */
export async function reconciled(
  record: UsageRecord,
  around: Around,
  { patienceMs = PATIENCE, signal }: ReconcileOptions = {},
): Promise<UsageRecord> {
  const asked = askable(record, around.providers)
  if (asked.length === 0) return record
  const latest = around.clock.now() + patienceMs
  const found = await Promise.all(asked.map((attempt) => generationOf(attempt, around, { latest, signal })))
  const attempts = record.attempts.map((attempt) => {
    const generation = found[asked.indexOf(attempt)]
    return generation === undefined ? attempt : narrowed(attempt, generation)
  })
  const cost = costRecord(sum(attempts.map((attempt) => costOf(attempt.cost))), attempts.filter(isUnknown).length)
  const own = found[asked.findIndex(({ generationId }) => generationId === record.generationId)]
  return Object.freeze<UsageRecord>({
    ...record,
    host: record.host ?? own?.host ?? null,
    tokens: sumTokens(attempts.map(({ tokens }) => tokens)),
    cost,
    cache: own === undefined ? record.cache : cacheOf(record.cache, own),
    alternatives: Object.freeze(
      record.alternatives.map((other) =>
        Object.freeze({ ...other, premiumUsd: Object.freeze(premium(cost, other.usd)) }),
      ),
    ),
    attempts: Object.freeze(attempts),
    reconciledAt: isoTime(around.clock.date()),
  })
}

async function generationOf(
  { provider: name, generationId }: AttemptRecord,
  { providers, clock, closing }: Around,
  { latest, signal }: { latest: number; signal: AbortSignal | undefined },
): Promise<Generation> {
  const provider = providers.find((each) => each.name === name)
  const generation = provider?.dialect.generation ?? null
  if (provider === undefined || generation === null)
    throw new RouterError(`nobody to ask: ${UNCHANGED}`, { kind: 'no-offer' })
  const path = generation.path(generationId ?? '')
  const cancellation = createCancellation(signal, closing)
  try {
    for (let wait = FIRST_PAUSE; ; wait = Math.min(wait * 2, LONGEST_PAUSE)) {
      const body = await inquire(provider, path, { clock, closing, signal, otherwise: UNCHANGED, mayLack: true })
      const found = body === undefined ? null : generation.read(body)
      if (found !== null) return found
      if (cancellation.canceled || clock.now() + wait > latest) {
        const message = `${name} has no record of the generation yet: ${UNCHANGED}; try again later`
        throw new RouterError(message, { kind: 'timed-out' })
      }
      await pause(clock, wait, cancellation)
    }
  } finally {
    cancellation.release()
  }
}

function narrowed(attempt: AttemptRecord, found: Generation): AttemptRecord {
  const { usd, host } = found
  const cost: CostRecord =
    usd === null || attempt.cost.source === 'reported'
      ? attempt.cost
      : Object.freeze({ usd, low: usd, high: usd, source: 'reported' })
  return Object.freeze({
    ...attempt,
    host: attempt.host ?? host,
    tokens: tokensOf(attempt.tokens, found),
    cost,
    billed: usd === null ? attempt.billed : usd > 0 ? 'yes' : 'no',
  })
}

/** What was told with the answer counts; the look-up fills what is missing. */
function tokensOf(tokens: Tokens, { prompt, cachedPrompt, completion, reasoning }: Generation): Tokens {
  const filled = {
    ...tokens,
    prompt: tokens.prompt ?? prompt,
    cachedPrompt: tokens.cachedPrompt ?? cachedPrompt,
    completion: tokens.completion ?? completion,
    reasoning: tokens.reasoning ?? reasoning,
  }
  const { prompt: read, completion: said } = filled
  return Object.freeze({ ...filled, total: tokens.total ?? (read === null || said === null ? null : read + said) })
}

function cacheOf(cache: UsageRecord['cache'], { usd, discountUsd }: Generation): UsageRecord['cache'] {
  if (discountUsd === null) return cache
  const coldUsd = usd === null ? cache.coldUsd : (fromUsd(usd) + fromUsd(discountUsd)) / 1e12
  return Object.freeze({ discountUsd, coldUsd, source: 'reported' })
}

function costOf({ usd, low, high, source }: CostRecord): Cost {
  const cost: Cost = { low: fromUsd(low), high: high === null ? null : fromUsd(high), source }
  return usd === null ? cost : { ...cost, usd }
}

function isUnknown({ cost }: AttemptRecord): boolean {
  return cost.high === null
}

function premium(
  paid: { readonly low: number; readonly high: number | null },
  other: { readonly low: number; readonly high: number | null },
): { low: number; high: number | null } {
  const difference = (one: number, two: number) => (fromUsd(one) - fromUsd(two)) / 1e12
  return {
    low: difference(paid.low, other.high ?? other.low),
    high: paid.high === null ? null : difference(paid.high, other.low),
  }
}
