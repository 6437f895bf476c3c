import { describe, expect, it } from 'vitest'
import { charge } from '../../src/sandbox/charge.ts'
import { decimal } from '../../src/sandbox/decimal.ts'
import { ok, slowFirstToken, virtualClock } from '../../src/sandbox/sandbox.ts'
import { ask, CLAUDE, events, GPT, get, post, start, tokens, user } from './client.ts'

const NONE = { prompt: 0, cached: 0, written: 0, written1h: 0, completion: 0, reasoning: 0 }
const SONNET = { input: 3, output: 15, cachedInput: 0.3, cacheWrite: 3.75, cacheWrite1h: 6 }
const models = { openrouter: [{ id: CLAUDE, prices: SONNET }] }
const hosts = { [CLAUDE]: [{ host: 'anthropic', prices: SONNET }] }

describe('the price of tokens', () => {
  const day = Date.UTC(2026, 0, 1, 12)

  it('counts reads, both kinds of writes and the rest at their own prices', () => {
    const result = charge(
      SONNET,
      { prompt: 10_000, cached: 4000, written: 3000, written1h: 2000, completion: 500, reasoning: 100 },
      day,
    )
    // 1000 × 3 + 4000 × 0.3 + 3000 × 3.75 + 2000 × 6 + 500 × 15, per million
    expect(decimal(result.total)).toBe('0.03495')
    // 4000 × 2.7 − 3000 × 0.75 − 2000 × 3
    expect(decimal(result.discount)).toBe('0.00255')
  })

  it('is what a real answer was billed', () => {
    // A real Sonnet 4.6 answer: 2649 in, of which 2569 read and 79 written, 100 out: 0.00256995.
    const result = charge(SONNET, { ...NONE, prompt: 2649, cached: 2569, written: 79, completion: 100 }, day)
    expect(decimal(result.total)).toBe('0.00256995')
    expect(decimal(result.completion)).toBe('0.0015')
    expect(decimal(result.prompt)).toBe('0.00106995')
  })

  it('charges writes at the input price where they have none', () => {
    const result = charge({ input: 2, output: 8, cachedInput: 0.5 }, { ...NONE, prompt: 100, written: 60 }, day)
    expect(decimal(result.total)).toBe('0.0002')
    expect(decimal(result.discount)).toBe('0')
  })

  it('changes with long prompts, strictly above the limit, and key by key', () => {
    const prices = { input: 2, output: 12, cachedInput: 0.2, tiers: [{ abovePromptTokens: 200_000, input: 4 }] }
    expect(decimal(charge(prices, { ...NONE, prompt: 200_000, completion: 1 }, day).total)).toBe('0.400012')
    expect(decimal(charge(prices, { ...NONE, prompt: 200_001, completion: 1 }, day).total)).toBe('0.800016')
  })

  it('changes with the hour, also over midnight', () => {
    const prices = { input: 1, output: 1, tiers: [{ fromUtc: 2200, untilUtc: 600, input: 0.5 }] }
    const at = (hour: number) =>
      decimal(charge(prices, { ...NONE, prompt: 1_000_000 }, Date.UTC(2026, 0, 1, hour)).total)
    expect([at(21), at(22), at(3), at(6)]).toEqual(['1', '0.5', '0.5', '1'])
  })

  it('has no float noise', () => {
    const prices = { input: 0.1 + 0.2, output: 0.07, request: 0.000_005 }
    expect(decimal(charge(prices, { ...NONE, prompt: 3, completion: 1 }, day).total)).toBe('0.00000597')
  })
})

describe('the bill', () => {
  it('has a line for each answer, and its sum is exact', async () => {
    const { groq, openrouter, bill } = await start({ models, hosts })
    await ask(groq, { model: GPT, messages: [user(tokens(97))], max_tokens: 1 })
    const { body } = await ask(openrouter, { model: CLAUDE, messages: [user(tokens(97))], max_tokens: 10 })
    // Each message costs three tokens besides its words.
    expect(
      bill().lines.map(({ provider, host, usd, tokens: { prompt, completion } }) => ({
        provider,
        host,
        usd,
        prompt,
        completion,
      })),
    ).toEqual([
      { provider: 'groq', host: 'groq', usd: '0.0000078', prompt: 100, completion: 1 },
      { provider: 'openrouter', host: 'anthropic', usd: '0.00045', prompt: 100, completion: 10 },
    ])
    expect(bill().usd).toBe('0.0004578')
    expect(body.usage.cost).toBe(0.00045)
    expect(bill().lines[1]?.generationId).toBe(body.id)
  })

  it('says the same as the answers, over many calls', async () => {
    const sandbox = await start()
    let sum = 0
    for (let count = 0; count < 40; count++) {
      const { body } = await ask(sandbox.openrouter, {
        model: count % 2 === 0 ? GPT : CLAUDE,
        messages: [user(`Question ${count}`)],
      })
      sum += body.usage.cost
    }
    expect(sandbox.bill().lines).toHaveLength(40)
    expect(Number(sandbox.bill().usd)).toBeCloseTo(sum, 12)
  })

  it('charges Anthropic writes and reads where they were marked, and forgets after five minutes', async () => {
    const clock = virtualClock()
    const { openrouter, bill } = await start({ models, hosts, clock })
    const marked = { type: 'text', text: tokens(2000), cache_control: { type: 'ephemeral' } }
    const body = { model: CLAUDE, max_tokens: 1, messages: [{ role: 'system', content: [marked] }, user(tokens(17))] }
    const write = await ask(openrouter, body)
    expect(write.body.usage.prompt_tokens_details).toMatchObject({ cached_tokens: 0, cache_write_tokens: 2003 })
    await clock.advance(299_000)
    const read = await ask(openrouter, body)
    expect(read.body.usage.prompt_tokens_details).toMatchObject({ cached_tokens: 2003, cache_write_tokens: 0 })
    // A read keeps it alive.
    await clock.advance(299_000)
    await ask(openrouter, body)
    await clock.advance(301_000)
    const again = await ask(openrouter, body)
    expect(again.body.usage.prompt_tokens_details).toMatchObject({ cached_tokens: 0, cache_write_tokens: 2003 })
    // 20 × 3 + 1 × 15 plus 2003 × 3.75 or × 0.3, per million
    expect(bill().lines.map(({ usd }) => usd)).toEqual(['0.00758625', '0.0006759', '0.0006759', '0.00758625'])
    expect(bill().lines.map(({ discountUsd }) => discountUsd)).toEqual([
      '-0.00150225',
      '0.0054081',
      '0.0054081',
      '-0.00150225',
    ])
  })

  it('charges an hour of cache at its own price and keeps it for an hour', async () => {
    const clock = virtualClock()
    const { openrouter, bill } = await start({ models, hosts, clock })
    const cache_control = { type: 'ephemeral', ttl: '1h' }
    const body = {
      model: CLAUDE,
      max_tokens: 1,
      messages: [{ role: 'system', content: [{ type: 'text', text: tokens(2000), cache_control }] }, user('Hi')],
    }
    await ask(openrouter, body)
    await clock.advance(3_500_000)
    await ask(openrouter, body)
    // 4 × 3 + 15 + 2003 × 6, then × 0.3
    expect(bill().lines.map(({ usd }) => usd)).toEqual(['0.012045', '0.0006279'])
  })

  it('does not cache at Anthropic what nobody marked', async () => {
    const { openrouter } = await start({ models, hosts })
    const body = { model: CLAUDE, messages: [{ role: 'system', content: tokens(3000) }, user('Hi')] }
    await ask(openrouter, body)
    const { body: second } = await ask(openrouter, body)
    expect(second.usage.prompt_tokens_details).toMatchObject({ cached_tokens: 0, cache_write_tokens: 0 })
  })

  it('reads prefixes at Groq at half price, in blocks of 128, for two hours', async () => {
    const clock = virtualClock()
    const { groq, bill } = await start({ clock })
    const ask336 = (last: string) =>
      ask(groq, {
        model: GPT,
        max_tokens: 1,
        messages: [{ role: 'system', content: tokens(297) }, user(tokens(33, last))],
      })
    const first = await ask336('one')
    expect(first.body.usage.prompt_tokens).toBe(336)
    expect('prompt_tokens_details' in first.body.usage).toBe(false)
    await clock.advance(7_199_000)
    const second = await ask336('two')
    expect(second.body.usage.prompt_tokens_details).toEqual({ cached_tokens: 256 })
    await clock.advance(7_201_000)
    const third = await ask336('two')
    expect('prompt_tokens_details' in third.body.usage).toBe(false)
    // 336 × 0.075 + 0.3, then 80 × 0.075 + 256 × 0.0375 + 0.3, per million
    expect(bill().lines.map(({ usd }) => usd)).toEqual(['0.0000255', '0.0000159', '0.0000255'])
  })

  it('has nothing on it for what failed', async () => {
    const { groq, openrouter, bill } = await start()
    await ask(groq, { model: 'no-such-model', messages: [user('Hi')] })
    await ask(openrouter, { model: 'no/such-model', messages: [user('Hi')] })
    expect(bill()).toEqual({ usd: '0', lines: [] })
  })

  it('stops with an aborted stream only at hosts that stop', async () => {
    const slow = {
      hosts: {
        [GPT]: [
          { host: 'deepinfra', prices: { input: 1, output: 1 } },
          { host: 'groq', prices: { input: 1, output: 1 } },
        ],
      },
    }
    const sandbox = await start({ ...slow, latency: { tokensPerSecond: 20 } })
    const { openrouter, bill } = sandbox
    for (const only of ['deepinfra', 'groq']) {
      const abort = new AbortController()
      openrouter.script([ok(tokens(400, 'x '))])
      const response = await post(
        openrouter,
        { model: GPT, stream: true, provider: { only: [only] }, messages: [user('Hi')] },
        { signal: abort.signal },
      )
      await response.body?.getReader().read()
      abort.abort()
      await until(() => bill().lines.at(-1)?.host === only)
    }
    const [stopped, whole] = bill().lines
    expect(stopped?.tokens.completion).toBeGreaterThan(0)
    expect(stopped?.tokens.completion).toBeLessThan(20)
    expect(whole?.tokens.completion).toBe(400)
    expect([stopped?.why, whole?.why]).toEqual([
      expect.stringContaining('billed until there'),
      'given up, billed in full',
    ])
    expect(sandbox.requests.map(({ aborted }) => aborted)).toEqual([true, true])
  })

  it('charges in full for an answer that nobody waited for, and nothing before a first token', async () => {
    const { openrouter, bill } = await start()
    for (const stream of [false, true]) {
      openrouter.script([slowFirstToken(60_000)])
      const provider = { only: ['deepinfra'] }
      const signal = AbortSignal.timeout(80)
      await post(openrouter, { model: GPT, stream, provider, messages: [user('Hi')] }, { signal })
        .then((response) => response.text())
        .catch(() => '')
      await until(() => bill().lines.length === (stream ? 2 : 1))
    }
    expect(bill().lines.map(({ why }) => why)).toEqual([
      'answered in full',
      'given up before the first token: not billed',
    ])
  })

  it('is what the generation look-up says, a while later', async () => {
    const clock = virtualClock()
    const { openrouter } = await start({ models, hosts, clock })
    const marked = { type: 'text', text: tokens(2000), cache_control: { type: 'ephemeral' } }
    const body = {
      model: CLAUDE,
      max_tokens: 1,
      stream: true,
      messages: [{ role: 'system', content: [marked] }, user('Hi')],
    }
    const ids: string[] = []
    for (let count = 0; count < 2; count++) ids.push((await events(await post(openrouter, body)))[0].id)
    const look = async (id: string) => {
      const response = await get(openrouter, `/generation?id=${id}`)
      return { status: response.status, body: JSON.parse(await response.text()) }
    }
    expect((await look(ids[0] ?? '')).status).toBe(404)
    await clock.advance(500)
    const found = await Promise.all(ids.map(look))
    expect(
      found.map(({ body: { data } }) => [data.total_cost, data.cache_discount, data.native_tokens_cached]),
    ).toEqual([
      [0.00753825, -0.00150225, 0],
      [0.0006279, 0.0054081, 2003],
    ])
    expect(found[0]?.body.data).toMatchObject({ provider_name: 'Anthropic', streamed: true, cancelled: false })
    expect((await look('gen-nothing')).status).toBe(404)
  })
})

async function until(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; !isTrue(); tries++) {
    if (tries > 400) throw new Error('it did not happen')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
