import { compatible, createRouter, openrouter, type Router, RouterError } from 'modelfirst'
import { openaiFetch } from 'modelfirst/http'
import OpenAI from 'openai'
import { describe, expect, test } from 'vitest'
import { createCancellation } from '../../src/cancellation.ts'
import { createCatalog } from '../../src/catalog.ts'
import { systemClock } from '../../src/clock.ts'
import { type EmbeddingInput, type EmbedOptions, embed } from '../../src/embeddings.ts'
import type { UsageRecord } from '../../src/usage.ts'
import { failing, json, KEY, type Sent, type Upstream } from './door.ts'

const MODEL = 'openai/text-embedding-3-small'
const VECTORS = { object: 'list', model: MODEL, data: [{ object: 'embedding', index: 0, embedding: [0.5, -0.25] }] }
const answering =
  (usage: object, more: object = {}): Upstream =>
  () =>
    json(JSON.stringify({ ...VECTORS, ...more, usage: { prompt_tokens: 4, total_tokens: 4, ...usage } }))

/** Two providers in memory that sell vectors, and a door in front of them. */
function embedding(first: Upstream, second: Upstream = answering({ cost: 0.0000002 })) {
  const sent: Sent[] = []
  const records: UsageRecord[] = []
  const upstream = (provider: string, answer: Upstream) => ({
    apiKey: KEY,
    fetch: async (input: string | URL | Request, init?: RequestInit) => {
      const request = {
        provider,
        path: new URL(input instanceof Request ? input.url : input).pathname,
        body: JSON.parse(String(init?.body)),
        signal: init?.signal,
      }
      sent.push(request)
      return answer(request)
    },
  })
  const providers = [
    compatible({
      name: 'first',
      baseURL: 'https://first.example/v1',
      models: [MODEL],
      ...upstream('first', first),
    }),
    openrouter(upstream('openrouter', second)),
  ] as const
  const catalog = createCatalog()
  const prices = { input: 0.02, output: 0 }
  catalog.put('first', { date: '2026-01-01', source: 'user', models: [{ id: MODEL, prices }] })
  const sources = {
    providers,
    catalog,
    clock: systemClock,
    closing: createCancellation(),
    data: undefined,
    newId: () => 'call_1',
    note: (record: UsageRecord) => void records.push(record),
  }
  const bare: Router = createRouter({ providers, tasks: {} })
  const router = Object.assign({}, bare, {
    embed: (...[model, input, options]: Parameters<typeof embed>) => embed(model, input, options, sources),
  })
  const ask = openaiFetch(router)
  const post = (body: object, init: RequestInit = {}) =>
    ask('https://x.example/v1/embeddings', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: MODEL, ...body }),
      ...init,
    })
  return {
    ask,
    post,
    sent,
    records,
    run: (options: EmbedOptions = {}, input: EmbeddingInput = 'Hi') => embed(MODEL, input, options, sources),
  }
}

describe('vectors', () => {
  test('come through as they are, with what they cost, and are on the record', async () => {
    const { post, sent, records } = embedding(answering({}))
    const response = await post({ input: ['Hi there'], dimensions: 2, encoding_format: 'float' })
    expect(response.status).toBe(200)
    expect(sent.map(({ provider, path, body }) => [provider, path, body])).toEqual([
      ['first', '/v1/embeddings', { model: MODEL, input: ['Hi there'], dimensions: 2, encoding_format: 'float' }],
    ])
    expect(await response.json()).toMatchObject({
      ...VECTORS,
      usage: { prompt_tokens: 4, total_tokens: 4, cost: 8e-8 },
    })
    expect(records).toHaveLength(1)
    expect(records[0]).toMatchObject({
      task: 'embeddings',
      outcome: 'ok',
      provider: 'first',
      tokens: { prompt: 4, completion: 0, total: 4 },
      cost: { usd: 8e-8, source: 'computed' },
    })
    expect(response.headers.get('x-modelfirst-cost-usd')).toBe('8e-8')
  })

  test('come from the next provider when one fails, and the sum is the parts', async () => {
    const { run, sent, records } = embedding(failing(500))
    const { vectors, provider, usage } = await run()
    expect([vectors, provider]).toEqual([[[0.5, -0.25]], 'openrouter'])
    expect(usage.attempts.map(({ outcome, role }) => [outcome, role])).toEqual([
      ['server-error', 'first'],
      ['ok', 'failover'],
    ])
    expect(sent.length).toBe(2)
    expect(records[0]?.cost).toMatchObject({ usd: 0.0000002 })
  })

  test('a wrong request is asked once; errors are told without keys or texts', async () => {
    const { post, sent, records } = embedding(failing(400, { message: `bad ${KEY} canary-text` }))
    const response = await post({ input: 'canary-text' })
    expect([response.status, sent.length, records[0]?.outcome]).toEqual([400, 1, 'invalid-request'])
    const text = await response.text()
    expect(text).not.toContain('canary')
    expect(text).not.toContain(KEY)
  })

  test.each([
    ['a page', () => new Response('<html>')],
    ['no vectors', answering({}, { data: [] })],
    ['a vector of nothing', answering({}, { data: [{ index: 0, embedding: [] }] })],
    ['a vector that is none', answering({}, { data: [{ index: 0, embedding: null }] })],
    ['a place without a vector', answering({}, { data: [{ index: 0 }] })],
    ['one vector too many', answering({}, { data: [{ embedding: [1] }, { embedding: [2] }] })],
    ['an error in a 200', () => json('{"error":{"message":"no"}}')],
    ['a broken line', () => Promise.reject(new Error('reset'))],
  ] as [string, Upstream][])('%s passes for none', async (_, upstream) => {
    const { run } = embedding(upstream)
    expect((await run()).provider).toBe('openrouter')
  })

  test.each([
    [['one', 'other'], 2],
    [[1, 2, 3], 1],
    [[[1, 2], [3]], 2],
  ])('%j is %i: fewer are none, and each is told in its place', async (input, count) => {
    const vectors = Array.from({ length: count }, (_, index) => ({ index, embedding: [index] }))
    const right = embedding(answering({}, { data: vectors.toReversed() }))
    expect((await right.run({}, input)).vectors).toEqual(vectors.map((vector) => vector.embedding))
    const less = embedding(answering({}, { data: vectors.slice(1) }), answering({}, { data: vectors.slice(1) }))
    await expect(less.run({}, input)).rejects.toThrow('embeddings failed')
  })

  test('counts that nobody told are not told', async () => {
    const { post } = embedding(() => json(JSON.stringify(VECTORS)))
    expect(await (await post({ input: 'Hi' })).json()).not.toHaveProperty('usage')
  })

  test('a data rule holds: who gives no guarantee is not asked, and who enforces it is told', async () => {
    const { post, sent } = embedding(answering({}))
    await post({ input: 'Hi', provider: { zdr: true } })
    expect(sent.map(({ provider, body }) => [provider, body.provider])).toEqual([
      ['openrouter', { data_collection: 'deny', zdr: true }],
    ])
  })

  test('who gives up hears their own reason, and it is on the record', async () => {
    const { post, records } = embedding(
      ({ signal }) => new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
    )
    const controller = new AbortController()
    const response = post({ input: 'Hi' }, { signal: controller.signal })
    setTimeout(() => controller.abort(), 5)
    await expect(response).rejects.toThrow('aborted')
    expect(records[0]?.outcome).toBe('canceled')
  })

  test.each([
    [{ input: '' }, 'input'],
    [{ input: [] }, 'input'],
    [{ input: [1, 'a'] }, 'input'],
    [{ input: 'Hi', model: 5 }, 'model'],
    [{ input: 'Hi', stream: true }, 'stream'],
  ])('%o is refused for its %s', async (body, param) => {
    const { post, sent } = embedding(answering({}))
    const response = await post(body)
    expect([response.status, (await response.json()).error.param, sent.length]).toEqual([400, param, 0])
  })

  test('a model that nobody has is not found', async () => {
    const { post } = embedding(answering({}))
    expect((await post({ model: '', input: 'Hi' })).status).toBe(400)
    const closed = embed(
      'x',
      'Hi',
      {},
      {
        providers: [],
        catalog: createCatalog(),
        clock: systemClock,
        closing: createCancellation(),
        data: undefined,
        newId: () => 'call_1',
        note: () => {},
      },
    )
    await expect(closed).rejects.toSatisfy((error) => RouterError.is(error) && error.kind === 'model-gone')
  })

  test('OpenAI’s client reads them, in the form that it asks for by itself', async () => {
    const base64 = Buffer.from(new Float32Array([0.5, -0.25]).buffer).toString('base64')
    const { ask, sent } = embedding(answering({}, { data: [{ object: 'embedding', index: 0, embedding: base64 }] }))
    const client = new OpenAI({ apiKey: 'unused', fetch: ask, maxRetries: 0 })
    const { data } = await client.embeddings.create({ model: MODEL, input: 'Hi' })
    expect(sent[0]?.body.encoding_format).toBe('base64')
    expect(data[0]?.embedding).toEqual([0.5, -0.25])
  })
})
