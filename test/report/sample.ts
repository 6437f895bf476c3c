import { seeded } from 'modelfirst/sandbox'
import type { FailureKind } from '../../src/failure.ts'
import type { AttemptRecord, CostRecord, Role, Tokens, UsageRecord } from '../../src/usage.ts'

interface Offer {
  readonly model: string
  readonly provider: string
  readonly host: string | null
  /** USD per million tokens: prompt, read from a cache, written to it, completion. */
  readonly prices: readonly [number, number, number, number]
  readonly firstTokenMs: number
  readonly perSecond: number
  readonly weight: number
}

const TASKS: Readonly<Record<string, readonly Offer[]>> = {
  tag: [
    offer('openai/gpt-oss-20b', 'groq', null, [0.075, 0.0375, 0.075, 0.3], 110, 900, 0.8),
    offer('openai/gpt-oss-20b', 'openrouter', 'DeepInfra', [0.03, 0.03, 0.03, 0.14], 480, 120, 0.15),
    offer('openai/gpt-oss-120b', 'groq', null, [0.15, 0.075, 0.15, 0.6], 190, 480, 0.05),
  ],
  reply: [
    offer('anthropic/claude-sonnet-4.5', 'openrouter', 'Anthropic', [3, 0.3, 3.75, 15], 1300, 65, 0.7),
    offer('anthropic/claude-sonnet-4.5', 'openrouter', 'Amazon Bedrock', [3, 0.3, 3.75, 15], 1700, 55, 0.2),
    offer('openai/gpt-5-mini', 'openrouter', 'OpenAI', [0.25, 0.025, 0.25, 2], 2100, 90, 0.1),
  ],
  extract: [
    offer('openai/gpt-oss-120b', 'groq', null, [0.15, 0.075, 0.15, 0.6], 210, 460, 0.6),
    offer('openai/gpt-oss-120b', 'openrouter', 'Cerebras', [0.35, 0.35, 0.35, 0.75], 230, 1500, 0.4),
  ],
  summarise: [offer('qwen/qwen3-32b', 'openrouter', 'Nebius', [0.1, 0.1, 0.1, 0.3], 600, 70, 1)],
  draft: [offer('qwen3:8b', 'ollama', null, [0, 0, 0, 0], 350, 40, 1)],
}
const WEIGHTS: readonly (readonly [string, number])[] = [
  ['tag', 0.55],
  ['extract', 0.2],
  ['reply', 0.15],
  ['summarise', 0.07],
  ['draft', 0.03],
]

function offer(
  model: string,
  provider: string,
  host: string | null,
  prices: Offer['prices'],
  firstTokenMs: number,
  perSecond: number,
  weight: number,
): Offer {
  return { model, provider, host, prices, firstTokenMs, perSecond, weight }
}

const FAILURES: readonly (readonly [FailureKind, number, number])[] = [
  ['rate-limited', 429, 0.5],
  ['overloaded', 503, 0.2],
  ['timed-out', 0, 0.12],
  ['cut-off', 200, 0.1],
  ['bad-output', 200, 0.08],
]

const nano = (usd: number) => Math.round(usd * 1e9) / 1e9
const NOTHING: Tokens = { prompt: 0, cachedPrompt: 0, cacheWrite: 0, completion: 0, reasoning: 0, total: 0 }
const UNTOLD: Tokens = {
  prompt: null,
  cachedPrompt: null,
  cacheWrite: null,
  completion: null,
  reasoning: null,
  total: null,
}

export const exactly = (usd: number): CostRecord => ({ usd, low: usd, high: usd, source: 'reported' })

/** What a few weeks of an application leave behind: the same seed, the same records. */
export function* sample(count: number, seed = 1, days = 21): Generator<UsageRecord> {
  const random = seeded(seed)
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  const pick = <T>(among: readonly T[], weightOf: (each: T) => number): T => {
    let left = random() * among.reduce((sum, each) => sum + weightOf(each), 0)
    for (const each of among) {
      left -= weightOf(each)
      if (left < 0) return each
    }
    const [first] = among
    if (first === undefined) throw new Error('nothing to pick from')
    return first
  }
  const begin = Date.parse('2026-11-02T00:00:00Z')
  for (let n = 0; n < count; n += 1) {
    const at = begin + ((n + random()) / count) * days * 86_400_000
    const [task] = pick(WEIGHTS, ([, weight]) => weight)
    const offers = TASKS[task] ?? []
    const won = pick(offers, ({ weight }) => weight)
    const attempts: AttemptRecord[] = []
    let startedMs = 0
    const fails = random() < 0.06
    const first = fails && offers.length > 1 ? (offers.find((each) => each !== won) ?? won) : won
    if (fails) {
      const [kind, status] = pick(FAILURES, ([, , weight]) => weight)
      const maybe = kind === 'timed-out' || kind === 'cut-off'
      const cost: CostRecord = !maybe
        ? { usd: 0, low: 0, high: 0, source: 'computed' }
        : random() < 0.2
          ? { usd: null, low: 0, high: null, source: 'unknown' }
          : { usd: null, low: 0, high: nano((first.prices[0] * 2000 + first.prices[3] * 500) / 1e6), source: 'bounded' }
      const durationMs = kind === 'timed-out' ? 15_000 : 80 + random() * 200
      attempts.push(attempt(1, 'first', first, kind, status, durationMs, maybe ? UNTOLD : NOTHING, cost, null))
      startedMs += durationMs
    }
    const lost = fails && random() < 0.12
    const prompt = Math.round(300 + 4000 * random() ** 3 + (task === 'reply' ? 6000 : 0))
    const warm = (task === 'reply' || task === 'extract') && random() < 0.7
    const cached = warm ? Math.floor((prompt * (0.5 + 0.4 * random())) / 128) * 128 : 0
    const written =
      task === 'reply' && !(warm && random() < 0.6) ? Math.floor(((prompt - cached) * 0.8) / 128) * 128 : 0
    const completion = Math.round(20 + 400 * random() ** 2)
    const [full, read, write, out] = won.prices
    const cold = nano((prompt * full + completion * out) / 1e6)
    const discount = nano((cached * (full - read) - written * (write - full)) / 1e6)
    const paid = nano(cold - discount)
    const unknown = won.host === 'Nebius' && random() < 0.02
    const cost: CostRecord = unknown
      ? { usd: null, low: 0, high: null, source: 'unknown' }
      : { usd: paid, low: paid, high: paid, source: won.host === null ? 'computed' : 'reported' }
    const firstTokenMs = won.firstTokenMs * Math.exp(0.35 * normal()) * (random() < 0.02 ? 6 : 1)
    const durationMs = firstTokenMs + (completion / won.perSecond) * 1000
    const tokens = {
      prompt,
      cachedPrompt: cached,
      cacheWrite: written,
      completion,
      reasoning: task === 'tag' ? Math.round(completion / 3) : 0,
      total: prompt + completion,
    }
    if (!lost) {
      const role: Role = !fails ? 'first' : first === won ? 'retry' : 'failover'
      attempts.push(attempt(attempts.length + 1, role, won, 'ok', 200, durationMs, tokens, cost, firstTokenMs))
    }
    const sum = together(attempts.map((each) => each.cost))
    const drifts = !lost && won.host === 'Amazon Bedrock' && random() < 0.5
    yield {
      v: 1,
      id: `call-${seed}-${n}`,
      task,
      session: task === 'reply' ? `session-${Math.floor(random() * (count / 20 + 1))}` : null,
      at: new Date(Math.floor(at)).toISOString(),
      outcome: lost ? (attempts[0]?.outcome ?? 'ok') : 'ok',
      model: { asked: offers[0]?.model ?? '', served: lost ? null : won.model },
      provider: lost ? first.provider : won.provider,
      host: lost ? first.host : won.host,
      generationId: null,
      tokens: attempts.length === 1 ? (attempts[0]?.tokens ?? UNTOLD) : UNTOLD,
      cost: sum,
      cache:
        lost || unknown
          ? { discountUsd: null, coldUsd: null, source: 'unknown' }
          : { discountUsd: discount, coldUsd: cold, source: 'computed' },
      alternatives: lost
        ? []
        : offers
            .filter((each) => each !== won)
            .map(({ model, provider, host, prices }) => {
              const usd = nano((prompt * prices[0] + completion * prices[3]) / 1e6)
              const high = sum.high === null ? null : nano(sum.high - usd)
              return {
                model,
                provider,
                host,
                usd: { low: usd, high: usd },
                premiumUsd: { low: nano(sum.low - usd), high },
              }
            }),
      latency: {
        totalMs: startedMs + (lost ? 0 : durationMs),
        firstTokenMs: lost ? null : startedMs + firstTokenMs,
        queueMs: null,
        tokensPerSecond: lost ? null : (completion / durationMs) * 1000,
      },
      attempts,
      pin: 'off',
      pinBecause: 'no session',
      drift: drifts ? [{ kind: 'host', planned: 'anthropic', served: 'Amazon Bedrock' }] : [],
      metadata: {},
    }
  }
}

function attempt(
  n: number,
  role: Role,
  { model, provider, host }: Offer,
  outcome: AttemptRecord['outcome'],
  status: number,
  durationMs: number,
  tokens: Tokens,
  cost: CostRecord,
  firstTokenMs: number | null,
): AttemptRecord {
  return {
    n,
    role,
    model,
    provider,
    host,
    outcome,
    status: status === 0 ? null : status,
    phase: outcome === 'ok' ? 'done' : 'waiting',
    startedMs: 0,
    durationMs,
    firstTokenMs,
    tokens,
    cost,
    billed: outcome === 'ok' ? 'yes' : 'maybe',
    generationId: null,
    because: '',
  }
}

function together(costs: readonly CostRecord[]): CostRecord {
  const low = nano(costs.reduce((sum, cost) => sum + cost.low, 0))
  const high = costs.reduce<number | null>(
    (sum, cost) => (sum === null || cost.high === null ? null : sum + cost.high),
    0,
  )
  const exact = high !== null && nano(high) === low
  const source =
    costs.find((cost) => cost.source === 'unknown')?.source ??
    costs.find((cost) => cost.source === 'bounded')?.source ??
    costs.at(-1)?.source ??
    'unknown'
  return { usd: exact ? low : null, low, high: high === null ? null : nano(high), source }
}
