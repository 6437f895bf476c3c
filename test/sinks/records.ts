import type { AttemptRecord, Tokens, UsageRecord } from 'modelfirst'

export const tokens: Tokens = {
  prompt: 100,
  cachedPrompt: 40,
  cacheWrite: 0,
  completion: 20,
  reasoning: null,
  total: 120,
}

/** An attempt that went well, or as it is said. */
export function attemptOf(more: Partial<AttemptRecord> = {}): AttemptRecord {
  return {
    n: 1,
    role: 'first',
    model: 'openai/gpt-oss-20b',
    provider: 'fast',
    host: null,
    outcome: 'ok',
    status: 200,
    phase: 'done',
    startedMs: 0,
    durationMs: 100,
    firstTokenMs: 40,
    tokens,
    cost: { usd: 0.001, low: 0.001, high: 0.001, source: 'reported' },
    billed: 'yes',
    generationId: 'gen-1',
    because: 'first of the policy',
    ...more,
  }
}

/** A call as a router records it. */
export function recordOf(more: Partial<UsageRecord> = {}): UsageRecord {
  const attempts = more.attempts ?? [attemptOf()]
  return {
    v: 1,
    id: 'call_1',
    task: 'tag',
    session: null,
    at: '2026-03-04T05:06:07.089Z',
    outcome: 'ok',
    model: { asked: 'openai/gpt-oss-20b', served: 'openai/gpt-oss-20b' },
    provider: attempts.at(-1)?.provider ?? null,
    host: null,
    generationId: 'gen-1',
    tokens,
    cost: { usd: 0.001, low: 0.001, high: 0.001, source: 'reported' },
    cache: { discountUsd: 0.0002, coldUsd: 0.0012, source: 'computed' },
    alternatives: [],
    latency: { totalMs: 100, firstTokenMs: 40, queueMs: null, tokensPerSecond: 200 },
    attempts,
    pin: 'off',
    pinBecause: 'no session',
    drift: [],
    metadata: {},
    ...more,
  }
}

/** So many of them, `call_0`, `call_1` and so on. */
export function recordsOf(count: number, name = 'call'): readonly UsageRecord[] {
  return Array.from({ length: count }, (_, index) => recordOf({ id: `${name}_${index}` }))
}
