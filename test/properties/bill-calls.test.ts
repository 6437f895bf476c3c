import { createRouter, groq, openrouter, type UsageRecord } from 'modelfirst'
import { describe, expect, test } from 'vitest'
import type { Fields } from '../../src/fields.ts'
import type { Wire } from '../../src/wires/wire.ts'

const MODEL = 'openai/gpt-oss-120b'

/** What `GET /models/:author/:slug/endpoints` says: two endpoints of one host, and another tier of a third. */
const ENDPOINTS = [
  row('deepinfra/turbo', { prompt: '0.000002', completion: '0.000004' }),
  row('deepinfra/fp4', { prompt: '0.000001', completion: '0.000002' }),
  row('cerebras', { prompt: '0.000003', completion: '0.000006', input_cache_read: '0.000001' }),
  row('novita', { prompt: '0.000004', completion: '0.000004' }),
  row('parasail', { prompt: '0.000005', completion: '0.000005' }),
  row('cerebras/priority', { prompt: '0.000009', completion: '0.000009' }),
]

function row(tag: string, pricing: Fields): Fields {
  return { tag, provider_name: tag, pricing, context_length: 131_072 }
}

/** An OpenRouter in memory that always gives this answer. */
function wireOf(body: Fields, headers: Record<string, string> = {}): Wire {
  return {
    async send({ path }) {
      if (path.endsWith('/endpoints')) return Response.json({ data: { endpoints: ENDPOINTS } })
      if (path.startsWith('/models')) return Response.json({ data: [{ id: MODEL, pricing: ENDPOINTS[1]?.pricing }] })
      const message = { role: 'assistant', content: 'Hello' }
      const choices = [{ index: 0, message, finish_reason: 'stop' }]
      return Response.json({ id: 'gen-1', model: MODEL, choices, ...body }, { headers })
    },
  }
}

/** Never asked for an answer, and its list stays the bundled one. */
const CLOSED: Wire = { send: async () => new Response('', { status: 404 }) }

const USED = {
  prompt_tokens: 1000,
  completion_tokens: 100,
  total_tokens: 1100,
  prompt_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
}

async function recordOf(
  body: Fields,
  {
    headers = {},
    input = {},
    hosts = true,
  }: { headers?: Record<string, string>; input?: object; hosts?: boolean } = {},
): Promise<UsageRecord> {
  const router = createRouter({
    providers: [
      openrouter({ apiKey: 'sk-or-test-0123456789', wire: wireOf(body, headers) }),
      groq({ apiKey: 'gsk_test', wire: CLOSED }),
    ],
    tasks: { say: { model: MODEL, provider: ['openrouter', 'groq'], request: { max_tokens: 200 } } },
  })
  if (hosts) await router.catalog.refresh({ hosts: [MODEL] }).catch(() => {})
  const { usage } = await router.complete('say', { messages: [{ role: 'user', content: 'Hi' }], ...input })
  await router.close()
  return usage
}

const money = ({ cost }: UsageRecord) => [cost.low, cost.high, cost.source]

describe('a call whose cost is not told', () => {
  test('costs what the host that answered asks; what any of its endpoints may have asked where it has several', async () => {
    expect(money(await recordOf({ provider: 'Cerebras', usage: USED }))).toEqual([0.0036, 0.0036, 'computed'])
    expect(money(await recordOf({ provider: 'DeepInfra', usage: USED }))).toEqual([0.0012, 0.0024, 'bounded'])
    expect(money(await recordOf({ provider: 'Cerebras', service_tier: 'priority', usage: USED }))).toEqual([
      0.0099,
      0.0099,
      'computed',
    ])
  })

  test('is unknown where nobody knows what the host asks, or what its tier is sold for', async () => {
    expect(money(await recordOf({ provider: 'Nobody', usage: USED }))).toEqual([0, null, 'unknown'])
    expect(money(await recordOf({ provider: 'Novita', service_tier: 'priority', usage: USED }))).toEqual([
      0,
      null,
      'unknown',
    ])
    // The slower tier is sold for less.
    expect(money(await recordOf({ provider: 'Novita', service_tier: 'flex', usage: USED }))).toEqual([
      0,
      0.0044,
      'bounded',
    ])
  })

  test('has no upper bound where a search may have been made, and has one where the answer says that none was', async () => {
    const input = { openrouter: { plugins: [{ id: 'web' }] } }
    expect(money(await recordOf({ provider: 'Cerebras', usage: USED }, { input }))).toEqual([0.0036, null, 'unknown'])
    const usage = { ...USED, server_tool_use_details: { web_search_requests: 0 } }
    expect(money(await recordOf({ provider: 'Cerebras', usage }, { input }))).toEqual([0.0036, 0.0036, 'computed'])
    const harmless = { openrouter: { plugins: [{ id: 'response-healing' }, { id: 'web', enabled: false }] } }
    expect((await recordOf({ provider: 'Cerebras', usage: USED }, { input: harmless })).cost.usd).toBe(0.0036)
  })

  test("is the fee and more with the caller's own key, and nothing out of a cache of answers", async () => {
    const own = { ...USED, cost: 0.00018, is_byok: true }
    expect(money(await recordOf({ provider: 'Cerebras', usage: own }))).toEqual([0.00018, null, 'unknown'])
    const nothing = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }
    const headers = { 'x-openrouter-cache-status': 'HIT' }
    const replayed = await recordOf({ provider: 'Cerebras', usage: nothing }, { headers })
    expect(replayed).toMatchObject({ cost: { usd: 0, source: 'reported' }, flags: ['answer-cache'], alternatives: [] })
    expect(replayed.attempts[0]?.flags).toEqual(['answer-cache'])
  })

  test('says what is odd about its counts', async () => {
    const usage = { ...USED, total_tokens: 7, prompt_tokens_details: { cached_tokens: 700, cache_write_tokens: 600 } }
    const record = await recordOf({ provider: 'Cerebras', usage })
    expect(record.flags).toEqual(['cache-exceeds-prompt', 'total-differs'])
    expect(record.cost).toMatchObject({ low: 0.0022, high: 0.0031, source: 'bounded' })
    expect('flags' in (await recordOf({ provider: 'Cerebras', usage: USED }))).toBe(false)
  })
})

describe('the road not taken', () => {
  test('leads to the three cheapest hosts that did not answer, and to the other providers, cheapest first', async () => {
    const { alternatives, cost } = await recordOf({ provider: 'Cerebras', usage: { ...USED, cost: 0.0036 } })
    const ofGroq = alternatives.find(({ provider }) => provider === 'groq')
    expect(ofGroq).toMatchObject({ host: null })
    expect(alternatives.filter(({ provider }) => provider !== 'groq').map(({ host, usd }) => [host, usd.low])).toEqual([
      ['deepinfra/fp4', 0.0012],
      ['deepinfra/turbo', 0.0024],
      ['novita', 0.0044],
    ])
    const lows = alternatives.map(({ usd }) => usd.low)
    expect(lows).toEqual([...lows].sort((one, other) => one - other))
    for (const { usd, premiumUsd } of alternatives) {
      expect(premiumUsd.low).toBeCloseTo((cost.usd ?? Number.NaN) - usd.low, 12)
    }
  })

  test('is not told of hosts where a data rule or a preference may close them', async () => {
    const input = { openrouter: { preferences: { quantizations: ['fp8'] } } }
    const { alternatives } = await recordOf({ provider: 'Cerebras', usage: { ...USED, cost: 0.0036 } }, { input })
    expect(alternatives.map(({ provider, host }) => [provider, host])).toEqual([['groq', null]])
  })

  test('shows a cheap cached call that cost more than a plain cold one elsewhere', async () => {
    const usage = { ...USED, cost: 0.0018, prompt_tokens_details: { cached_tokens: 900, cache_write_tokens: 0 } }
    const { cache, alternatives } = await recordOf({ provider: 'Cerebras', usage })
    expect(cache).toEqual({ discountUsd: 0.0018, coldUsd: 0.0036, source: 'computed' })
    const elsewhere = alternatives.find(({ host }) => host === 'deepinfra/fp4')
    expect(elsewhere).toMatchObject({ usd: { low: 0.0012, high: 0.0012 }, premiumUsd: { low: 0.0006, high: 0.0006 } })
  })
})
