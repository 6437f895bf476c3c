import { describe, expect, it } from 'vitest'
import { fail, virtualClock } from '../../src/sandbox/sandbox.ts'
import { ask, CLAUDE, events, GPT, get, type Loose, post, start, tokens, user, WEATHER } from './client.ts'

const HI = { model: CLAUDE, messages: [user('Hi')] }
const PRICES = { input: 1, output: 2, cachedInput: 0.1 }
const HOSTS = [
  { host: 'deepinfra', prices: PRICES, quantization: 'fp4' },
  { host: 'together', prices: { input: 2, output: 4, cachedInput: 0.2 }, quantization: 'bf16' },
  { host: 'chutes', prices: { input: 3, output: 6, cachedInput: 0.3 }, quantization: 'fp8' },
]
const hosts = { [GPT]: HOSTS }

describe('OpenRouter refuses', () => {
  it.each<[what: string, body: object, status: number, message: string | RegExp]>([
    ['an unknown model', { model: 'no/model' }, 400, 'no/model is not a valid model ID'],
    ['more than three models', { models: ['a', 'b', 'c', 'd'] }, 400, "'models' array must have 3 items or fewer."],
    ['two budgets for thinking', { reasoning: { effort: 'low', max_tokens: 5 } }, 400, /Only one of/],
    ['no messages', { messages: undefined }, 400, /Input required/],
    [
      'hosts that do not serve the model',
      { provider: { only: ['groq'] } },
      404,
      'No allowed providers are available for the selected model.',
    ],
    ['what nobody sells at that price', { provider: { max_price: { prompt: 0.01 } } }, 404, /max price/],
    ['quantizations that nobody has', { provider: { quantizations: ['int4'] } }, 404, /quantization/],
    [
      'too long a prompt',
      { messages: [user(tokens(1_100_000))] },
      400,
      /^This endpoint's maximum context length is \d+ tokens/,
    ],
  ])('%s', async (_, body, status, message) => {
    const { openrouter } = await start()
    const answer = await ask(openrouter, { ...HI, ...body })
    expect([answer.status, answer.body.error.code]).toEqual([status, status])
    expect(answer.body.error.message).toMatch(message)
  })

  it('data policies that no host satisfies, and says so', async () => {
    const { openrouter } = await start({ hosts: { [GPT]: [{ host: 'chutes' }] } })
    for (const provider of [{ data_collection: 'deny' }, { zdr: true }]) {
      const { status, body } = await ask(openrouter, { ...HI, model: GPT, provider })
      expect([status, body.error.availability.code]).toEqual([404, 'privacy_restricted'])
    }
    expect((await ask(openrouter, { ...HI, model: GPT })).status).toBe(200)
  })

  it('what the credit does not cover, with what it would', async () => {
    const { openrouter } = await start({ hosts, credits: 0.01 })
    const poor = await ask(openrouter, { ...HI, model: GPT, max_tokens: 50_000, provider: { only: ['deepinfra'] } })
    expect(poor.status).toBe(402)
    expect(poor.body.error.message).toContain('You requested up to 50000 tokens, but can only afford 4998.')
    expect((await ask(openrouter, { ...HI, model: GPT, max_tokens: 100 })).status).toBe(200)
  })

  it('keys: a wrong one and none at all', async () => {
    const { openrouter } = await start()
    expect(await ask({ ...openrouter, apiKey: 'wrong' }, HI)).toEqual({
      status: 401,
      body: { error: { message: 'User not found.', code: 401 } },
    })
    const none = await fetch(`${openrouter.url}/chat/completions`, { method: 'POST', body: '{}' })
    expect(await none.json()).toEqual({ error: { message: 'No cookie auth credentials found', code: 401 } })
  })
})

describe('OpenRouter routes', () => {
  const servedBy = async (openrouter: Loose, more: object) =>
    (await ask(openrouter, { ...HI, model: GPT, max_tokens: 1, ...more })).body.provider

  it('to the cheapest host most often, by one over the price squared', async () => {
    const { openrouter } = await start({ hosts })
    const seen: Record<string, number> = {}
    for (let count = 0; count < 300; count++) {
      const name = await servedBy(openrouter, {})
      seen[name] = (seen[name] ?? 0) + 1
    }
    // 1 : 1/4 : 1/9, so 73 %, 18 %, 8 %
    expect(seen.DeepInfra).toBeGreaterThan(190)
    expect(seen.DeepInfra).toBeLessThan(250)
    expect(seen.Together).toBeGreaterThan(30)
    expect(seen.Chutes).toBeGreaterThan(8)
  })

  it('as it is told', async () => {
    const { openrouter } = await start({ hosts })
    const to = (provider: object) => servedBy(openrouter, { provider })
    expect(await to({ order: ['chutes', 'together'] })).toBe('Chutes')
    expect(await to({ order: ['nobody', 'Together'] })).toBe('Together')
    expect(await to({ only: ['together'] })).toBe('Together')
    expect(await to({ ignore: ['deepinfra', 'together'] })).toBe('Chutes')
    expect(await to({ sort: 'price' })).toBe('DeepInfra')
    expect(await to({ max_price: { prompt: 2 }, ignore: ['deepinfra'] })).toBe('Together')
    expect(await to({ quantizations: ['bf16'] })).toBe('Together')
    expect(await to({ data_collection: 'deny', ignore: ['deepinfra'] })).toBe('Together')
  })

  it('around a host that is down, unless it may not', async () => {
    const { openrouter } = await start({ hosts })
    const over = openrouter.outage('deepinfra')
    const headers = { 'x-openrouter-metadata': 'enabled' }
    const { body } = await ask(openrouter, { ...HI, model: GPT, provider: { sort: 'price' } }, { headers })
    expect(body.provider).toBe('Together')
    expect(body.openrouter_metadata).toMatchObject({
      attempt: 2,
      attempts: [
        { provider: 'DeepInfra', status: 503 },
        { provider: 'Together', status: 200 },
      ],
    })
    const alone = await ask(openrouter, {
      ...HI,
      model: GPT,
      provider: { order: ['deepinfra'], allow_fallbacks: false },
    })
    expect(alone.status).toBe(503)
    over()
    expect(await servedBy(openrouter, { provider: { sort: 'price' } })).toBe('DeepInfra')
  })

  it('to the next model on any failure', async () => {
    const { openrouter } = await start({ hosts })
    for (const { host } of HOSTS) openrouter.outage(host)
    const { body } = await ask(openrouter, { messages: HI.messages, models: [GPT, CLAUDE] })
    expect(body.model).toBe(CLAUDE)
  })

  it('a named conversation to where it was, for ten idle minutes', async () => {
    const clock = virtualClock()
    const { openrouter } = await start({ hosts, clock, seed: 11 })
    const first = await servedBy(openrouter, { session_id: 's', provider: { ignore: ['deepinfra'] } })
    for (let count = 0; count < 30; count++) {
      await clock.advance(599_000)
      expect(await servedBy(openrouter, { session_id: 's' })).toBe(first)
    }
    const others = new Set<string>()
    for (let count = 0; count < 10; count++) {
      await clock.advance(600_000)
      others.add(await servedBy(openrouter, { session_id: 's' }))
    }
    expect(others.size).toBeGreaterThan(1)
  })

  it('an unnamed conversation to where its cache was used', async () => {
    const { openrouter } = await start({ hosts, seed: 5 })
    const messages = [{ role: 'system', content: tokens(2000) }, user('Hi')]
    let warm: string | undefined
    const later: string[] = []
    for (let count = 0; count < 40; count++) {
      const { body } = await ask(openrouter, { model: GPT, messages, max_tokens: 1 })
      if (warm !== undefined) later.push(body.provider)
      else if (body.usage.prompt_tokens_details.cached_tokens > 0) warm = body.provider
    }
    expect(later.length).toBeGreaterThan(20)
    expect(new Set(later)).toEqual(new Set([warm]))
  })

  it('variants and routers', async () => {
    const { openrouter } = await start({ hosts })
    expect(await servedBy(openrouter, { model: `${GPT}:floor` })).toBe('DeepInfra')
    const { body } = await ask(openrouter, { ...HI, model: 'openrouter/auto' })
    expect(body.model).not.toContain('openrouter/')
  })
})

describe('OpenRouter answers', () => {
  it('names the generation in a header, and its words fit the stream', async () => {
    const { openrouter } = await start()
    const response = await post(openrouter, HI)
    const body = JSON.parse(await response.text())
    expect(response.headers.get('x-generation-id')).toBe(body.id)
    const chunks = await events(await post(openrouter, { ...HI, stream: true }))
    expect(
      chunks
        .slice(0, -1)
        .map((chunk) => chunk.choices[0].delta.content)
        .join(''),
    ).toBe(body.choices[0].message.content)
    expect(chunks.filter((chunk) => chunk.usage !== undefined)).toHaveLength(1)
    expect(chunks.at(-2).usage.cost).toBeGreaterThan(0)
  })

  it('hides the thinking on request, and bills it all the same', async () => {
    const { openrouter } = await start()
    const { body } = await ask(openrouter, { ...HI, reasoning: { effort: 'high', exclude: true } })
    expect(body.choices[0].message.reasoning).toBe(null)
    expect(body.usage.completion_tokens_details.reasoning_tokens).toBeGreaterThan(40)
  })

  it('with a call in pieces that make up the arguments', async () => {
    const { openrouter } = await start()
    const chunks = await events(
      await post(openrouter, { ...HI, stream: true, tools: [WEATHER], tool_choice: 'required' }),
    )
    const calls = chunks.slice(0, -1).flatMap((chunk) => chunk.choices[0].delta.tool_calls ?? [])
    expect(calls.length).toBeGreaterThan(2)
    expect(JSON.parse(calls.map((call) => call.function.arguments).join(''))).toEqual({
      city: expect.any(String),
      unit: expect.any(String),
    })
  })

  it("costs nothing with a key of one's own, but says what the host takes", async () => {
    const { openrouter, bill } = await start({
      hosts: { [GPT]: [{ host: 'deepinfra', prices: PRICES }] },
      byok: ['deepinfra'],
    })
    const { body } = await ask(openrouter, { ...HI, model: GPT })
    expect(body.usage).toMatchObject({ cost: 0, is_byok: true })
    expect(body.usage.cost_details.upstream_inference_cost).toBe(Number(bill().usd))
  })

  it('lists models and their hosts, with prices per token', async () => {
    const { openrouter } = await start({ hosts })
    const { data } = JSON.parse(await (await get(openrouter, '/models')).text())
    expect(data.length).toBeGreaterThan(100)
    const rows = JSON.parse(await (await get(openrouter, `/models/${GPT}/endpoints`)).text()).data.endpoints
    expect(rows.map((row: Loose) => [row.tag, row.provider_name, row.pricing.prompt])).toEqual([
      ['deepinfra', 'DeepInfra', '0.000001'],
      ['together', 'Together', '0.000002'],
      ['chutes', 'Chutes', '0.000003'],
    ])
  })

  it('has at least two hosts at different prices for every model', async () => {
    const { openrouter } = await start()
    for (const model of [GPT, CLAUDE, 'deepseek/deepseek-chat', 'google/gemini-2.5-flash']) {
      const rows = JSON.parse(await (await get(openrouter, `/models/${model}/endpoints`)).text()).data.endpoints
      expect(new Set(rows.map((row: Loose) => row.pricing.completion)).size).toBeGreaterThan(1)
    }
  })

  it('keeps scripts apart from the other provider, and forgets all on reset', async () => {
    const sandbox = await start()
    sandbox.openrouter.script([fail(500)])
    expect((await ask(sandbox.groq, { ...HI, model: GPT })).status).toBe(200)
    sandbox.reset()
    expect((await ask(sandbox.openrouter, HI)).status).toBe(200)
    expect([sandbox.requests.length, sandbox.bill().lines.length]).toEqual([1, 1])
  })

  it('keeps no more requests than it should', async () => {
    const sandbox = await start({ keep: 8 })
    for (let count = 0; count < 30; count++) await ask(sandbox.groq, { model: GPT, messages: [user(`${count}`)] })
    expect(sandbox.requests.map(({ body }) => (body as Loose).messages[0].content)).toEqual([
      '22',
      '23',
      '24',
      '25',
      '26',
      '27',
      '28',
      '29',
    ])
    expect(sandbox.bill().lines).toHaveLength(8)
  })
})
