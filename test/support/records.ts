import { seeded } from 'modelfirst/sandbox'
import { FAILURE_KINDS, type FailureKind } from '../../src/failure.ts'
import type { AttemptRecord, CostRecord, Tokens, UsageRecord } from '../../src/usage.ts'

/** What records are made of: as many as somebody wants, like real ones, the same for the same seed. */
export interface RecordsOptions {
  readonly seed?: number
  /** When the first call begins, in milliseconds since 1970. */
  readonly from?: number
  readonly msBetween?: number
  /** Of about ten calls each, as many at a time. */
  readonly sessions?: number
}

const BEGIN = Date.UTC(2026, 0, 5, 9, 30)
const TASKS = ['extract', 'classify', 'reply', 'summarise', 'tag', 'route', 'translate', 'review']
const ROUTES = [
  ['openai/gpt-oss-20b', 'groq', null],
  ['openai/gpt-oss-120b', 'groq', null],
  ['openai/gpt-oss-20b', 'openrouter', 'DeepInfra'],
  ['openai/gpt-oss-120b', 'openrouter', 'Together'],
  ['anthropic/claude-sonnet-4.5', 'openrouter', 'Anthropic'],
  ['anthropic/claude-sonnet-4.5', 'openrouter', 'Amazon Bedrock'],
  ['openai/gpt-5-mini', 'openrouter', 'OpenAI'],
  ['openai/gpt-5-mini', 'openrouter', null],
  ['google/gemini-2.5-flash', 'openrouter', 'Google'],
  ['small', 'ollama', null],
] as const

/** Money as in real bills: whole pico-dollars. */
const usdOf = (pico: number) => Math.round(pico) / 1e12

export function recordsLike(options: RecordsOptions = {}): () => UsageRecord {
  const { seed = 1, from = BEGIN, msBetween = 400, sessions = 100 } = options
  const random = seeded(seed)
  const below = (most: number) => Math.floor(random() * most)
  const pick = <T>(list: readonly [T, ...T[]] | readonly T[]): T => {
    const found = list[below(list.length)]
    if (found === undefined) throw new Error('an empty list')
    return found
  }
  let n = 0
  let date = from

  function tokens(): Tokens {
    const prompt = below(4000) + 20
    const completion = below(900) + 1
    const cachedPrompt = random() < 0.2 ? null : random() < 0.5 ? 0 : below(prompt)
    const reasoning = random() < 0.5 ? null : below(completion)
    return { prompt, cachedPrompt, cacheWrite: 0, completion, reasoning, total: prompt + completion }
  }

  function cost(): CostRecord {
    const low = usdOf(below(40_000_000_000))
    const chance = random()
    if (chance < 0.45) return { usd: low, low, high: low, source: 'reported' }
    if (chance < 0.9) return { usd: low, low, high: low, source: 'computed' }
    if (chance < 0.97) return { usd: null, low, high: usdOf(low * 1e12 + below(9_000_000_000) + 1), source: 'bounded' }
    return { usd: null, low: 0, high: null, source: 'unknown' }
  }

  function attempt(number: number, outcome: 'ok' | FailureKind): AttemptRecord {
    const [model, provider, host] = pick(ROUTES)
    const durationMs = 80 + 4000 * random() ** 3
    const isOk = outcome === 'ok'
    return {
      n: number,
      role: number === 1 ? 'first' : random() < 0.8 ? 'failover' : pick(['retry', 'hedge', 'repair'] as const),
      model,
      provider,
      host,
      outcome,
      status: isOk ? 200 : 503,
      phase: isOk ? 'done' : 'waiting',
      startedMs: 0,
      durationMs,
      firstTokenMs: isOk ? durationMs * random() : null,
      tokens: isOk ? tokens() : { ...NOTHING_KNOWN },
      cost: isOk ? cost() : { usd: 0, low: 0, high: 0, source: 'computed' },
      billed: isOk ? 'yes' : 'no',
      generationId: null,
      because: '',
    }
  }

  return () => {
    n += 1
    date += below(2 * msBetween)
    const attempts: AttemptRecord[] = []
    for (let number = 1; number <= 4; number += 1) {
      const made = attempt(number, random() < 0.07 ? pick(FAILURE_KINDS) : 'ok')
      attempts.push(made)
      if (made.outcome === 'ok') break
    }
    const last = attempts.at(-1)
    if (last === undefined) throw new Error('no attempt')
    const isOk = last.outcome === 'ok'
    const known = attempts.every((each) => each.cost.high !== null)
    const low = attempts.reduce((sum, each) => sum + Math.round(each.cost.low * 1e12), 0)
    const high = attempts.reduce((sum, each) => sum + Math.round((each.cost.high ?? each.cost.low) * 1e12), 0)
    const premium = usdOf(below(4_000_000_000) - 2_000_000_000)
    const discountUsd = random() < 0.15 ? null : usdOf(below(3_000_000_000) - 500_000_000)
    return {
      v: 1,
      id: `call_${n}`,
      task: pick(TASKS),
      session: random() < 0.5 ? null : `hash-${Math.floor(n / 20) + below(sessions)}`,
      at: new Date(date).toISOString(),
      outcome: last.outcome,
      model: { asked: attempts[0]?.model ?? '', served: isOk ? last.model : null },
      provider: last.provider,
      host: last.host,
      generationId: null,
      tokens: isOk && attempts.length === 1 ? last.tokens : { ...NOTHING_KNOWN },
      cost: {
        usd: known && low === high ? usdOf(low) : null,
        low: usdOf(low),
        high: known ? usdOf(high) : null,
        source: known ? last.cost.source : 'unknown',
      },
      cache: {
        discountUsd: isOk ? discountUsd : null,
        coldUsd: isOk && discountUsd !== null ? usdOf(low + 3_000_000_000) : null,
        source: isOk && discountUsd !== null ? 'computed' : 'unknown',
      },
      alternatives: isOk
        ? [premium, premium - 0.001].map((premiumUsd) => ({
            model: 'small',
            provider: 'elsewhere',
            host: null,
            usd: { low: 0.001, high: 0.001 },
            premiumUsd: { low: usdOf(premiumUsd * 1e12), high: usdOf(premiumUsd * 1e12) },
          }))
        : [],
      latency: {
        totalMs: last.durationMs,
        firstTokenMs: last.firstTokenMs,
        queueMs: null,
        tokensPerSecond: isOk ? 20 + 400 * random() : null,
      },
      attempts,
      pin: 'off',
      pinBecause: '',
      drift: random() < 0.03 ? [{ kind: pick(['host', 'price', 'latency'] as const), planned: 'a', served: 'b' }] : [],
      metadata: { customer: `customer-${below(40)}` },
    }
  }
}

const NOTHING_KNOWN: Tokens = {
  prompt: null,
  cachedPrompt: null,
  cacheWrite: null,
  completion: null,
  reasoning: null,
  total: null,
}
