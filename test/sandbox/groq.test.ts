import { describe, expect, it } from 'vitest'
import { virtualClock } from '../../src/sandbox/sandbox.ts'
import { ask, events, GPT, get, type Loose, post, start, tokens, user, WEATHER } from './client.ts'

const HI = { model: GPT, messages: [user('Hi')] }
const LLAMA = 'llama-3.3-70b-versatile'
const groqModels = [{ id: LLAMA, abilities: ['tools', 'json'], retires: '2999-01-01', maxOutput: 32_768 } as const]

async function refusal(body: object): Promise<Loose> {
  const { groq } = await start({ models: { groq: groqModels } })
  const answer = await ask(groq, { ...HI, ...body })
  return [answer.status, answer.body.error]
}

const invalid = (message: string, param?: string) => [
  400,
  { message, type: 'invalid_request_error', ...(param && { param }) },
]

describe('Groq refuses', () => {
  it.each<[what: string, body: object, message: string, param?: string]>([
    ['an unknown key', { session_id: 'x' }, "property 'session_id' is unsupported"],
    ['a misspelt key', { modle: 'x' }, "property 'modle' is unsupported, did you mean 'model'?"],
    ['several answers', { n: 2 }, "'n' : number must be at most 1"],
    ['log probabilities', { logprobs: true }, '`logprobs` is not supported with this model', 'logprobs'],
    ['too many tools', { tools: Array(129).fill(WEATHER) }, "'tools' : maximum number of items is 128"],
    [
      'more output than the model has',
      { max_completion_tokens: 70_000 },
      '`max_completion_tokens` must be less than or equal to `65536`, the maximum value for `max_completion_tokens` is less than the `context_window` for this model',
      'max_completion_tokens',
    ],
    [
      'JSON with tools',
      { tools: [WEATHER], response_format: { type: 'json_object' } },
      'json mode cannot be combined with tool/function calling',
    ],
    [
      'JSON that the messages do not mention',
      { response_format: { type: 'json_object' } },
      "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
      'messages',
    ],
    [
      'a format for thinking where there is none',
      { model: LLAMA, reasoning_format: 'parsed' },
      'reasoning_format is not supported with this model',
      'reasoning_format',
    ],
    [
      'a schema in a stream',
      { stream: true, response_format: { type: 'json_schema', json_schema: { name: 'a', schema: {} } } },
      'response format `json_schema` is not supported with streaming',
      'response_format',
    ],
    [
      'an image where there is only text',
      { messages: [user([{ type: 'image_url', image_url: { url: 'data:' } }])] },
      'messages[0].content must be a string',
    ],
    [
      'too long a prompt',
      { messages: [user(tokens(140_000))] },
      'Please reduce the length of the messages or completion.',
      'messages',
    ],
  ])('%s', async (_, body, message, param) => {
    expect(await refusal(body)).toEqual(invalid(message, param))
  })

  it('an unknown key in a message, and says in which', async () => {
    const messages = [user('Hi'), { role: 'assistant', content: 'Hello', reasoning_content: 'Hm' }, user('So?')]
    expect(await refusal({ messages })).toEqual(
      invalid(
        "'messages.1' : for 'role:assistant' the following must be satisfied[('messages.1' : property 'reasoning_content' is unsupported)]",
      ),
    )
    const marked = [user([{ type: 'text', text: 'Hi', cache_control: { type: 'ephemeral' } }])]
    expect((await refusal({ messages: marked }))[1].message).toContain("property 'cache_control' is unsupported")
  })

  it('a strict schema with an optional property', async () => {
    const schema = { type: 'object', properties: { a: { type: 'string' } }, required: [], additionalProperties: false }
    const response_format = { type: 'json_schema', json_schema: { name: 'a', strict: true, schema } }
    expect((await refusal({ response_format }))[1].message).toContain("Missing 'a'")
  })

  it('models it never had, and models it has no longer', async () => {
    expect(await refusal({ model: 'gpt-9' })).toEqual([
      404,
      {
        message: 'The model `gpt-9` does not exist or you do not have access to it.',
        type: 'invalid_request_error',
        code: 'model_not_found',
      },
    ])
    expect((await refusal({ model: 'llama3-70b-8192' }))[1].code).toBe('model_decommissioned')
  })

  it('a model from the day it retires', async () => {
    const clock = virtualClock(Date.UTC(2026, 2, 31, 23))
    const { groq } = await start({ clock, models: { groq: [{ id: 'short-lived', retires: '2026-04-01' }] } })
    expect((await ask(groq, { ...HI, model: 'short-lived' })).status).toBe(200)
    await clock.advance(3_600_000)
    expect((await ask(groq, { ...HI, model: 'short-lived' })).body.error.code).toBe('model_decommissioned')
  })

  it('wrong keys, wrong paths and broken bodies', async () => {
    const { groq, requests } = await start()
    const wrong = await ask({ ...groq, apiKey: 'wrong' }, HI)
    expect([wrong.status, wrong.body.error.code]).toEqual([401, 'invalid_api_key'])
    const lost = await get(groq, '/nothing')
    expect([lost.status, JSON.parse(await lost.text()).error.code]).toEqual([404, 'unknown_url'])
    expect((await ask(groq, '{"model":')).status).toBe(400)
    expect((await ask(groq, '[]')).status).toBe(400)
    expect((await ask(groq, 'x'.repeat(33 * 1024 * 1024))).status).toBe(413)
    expect((await ask(groq, HI)).status).toBe(200)
    expect(JSON.stringify(requests)).not.toContain(groq.apiKey)
  })
})

describe('Groq answers', () => {
  it('the same to the same request', async () => {
    const [one, other] = [await start({ seed: 3 }), await start({ seed: 3 })]
    const texts = await Promise.all([one, other].map(async ({ groq }) => (await ask(groq, HI)).body))
    expect({ ...texts[0], created: 0 }).toEqual({ ...texts[1], created: 0 })
  })

  it('with no more tokens than it may', async () => {
    const { groq } = await start()
    const { body } = await ask(groq, { ...HI, max_completion_tokens: 40 })
    expect([body.choices[0].finish_reason, body.usage.completion_tokens]).toEqual(['length', 40])
    expect(body.choices[0].message.content.length).toBeLessThanOrEqual(8 * 4)
  })

  it('its thinking where it is wanted', async () => {
    const { groq } = await start()
    const of = async (more: object) => (await ask(groq, { ...HI, ...more })).body.choices[0].message
    expect((await of({})).reasoning).toEqual(expect.any(String))
    expect((await of({ include_reasoning: false })).reasoning).toBeUndefined()
    expect((await of({ reasoning_format: 'raw' })).content).toMatch(/^<think>/)
  })

  it('with a call that follows the tool, and in words to what the tool says', async () => {
    const { groq } = await start()
    const question = user('What is the weather in Berlin?')
    const { body } = await ask(groq, { ...HI, messages: [question], tools: [WEATHER] })
    const { message, finish_reason } = body.choices[0]
    const call = message.tool_calls[0]
    expect([finish_reason, call.function.name]).toEqual(['tool_calls', 'get_weather'])
    expect(JSON.parse(call.function.arguments)).toEqual({
      city: expect.any(String),
      unit: expect.stringMatching(/^[cf]$/),
    })
    const result = { role: 'tool', tool_call_id: call.id, content: 'Sunny' }
    const { reasoning: _, ...assistant } = message
    const next = await ask(groq, { ...HI, messages: [question, assistant, result], tools: [WEATHER] })
    expect([next.status, next.body.choices[0].finish_reason]).toEqual([200, 'stop'])
  })

  it('streams with the usage at the end, once more when it is asked for', async () => {
    const { groq } = await start()
    const plain = await events(await post(groq, { ...HI, stream: true }))
    const last = plain.at(-2)
    expect(last.usage).toEqual(last.x_groq.usage)
    expect(plain.filter((chunk) => chunk.usage !== undefined)).toHaveLength(1)
    const asked = await events(await post(groq, { ...HI, stream: true, stream_options: { include_usage: true } }))
    expect(asked.at(-2)).toMatchObject({ choices: [], usage: last.usage, service_tier: 'on_demand' })
    const whole = await ask(groq, HI)
    expect(
      plain
        .slice(0, -1)
        .map((chunk) => chunk.choices[0].delta.content ?? '')
        .join(''),
    ).toBe(whole.body.choices[0].message.content)
  })

  it('takes an answer up where it was left', async () => {
    const { groq } = await start()
    const whole = (await ask(groq, HI)).body.choices[0].message.content
    const begun = { role: 'assistant', content: whole.slice(0, 21) }
    const rest = (await ask(groq, { ...HI, messages: [...HI.messages, begun] })).body.choices[0].message.content
    expect(begun.content + rest).toBe(whole)
  })

  it('lists its models with prices per token', async () => {
    const { groq } = await start()
    const { data } = JSON.parse(await (await get(groq, '/models')).text())
    const row = data.find(({ id }: { id: string }) => id === GPT)
    expect(row.pricing).toMatchObject({
      prompt: '0.000000075',
      completion: '0.0000003',
      input_cache_read: '0.0000000375',
    })
  })
})

describe('Groq limits', () => {
  it('requests by the day, with a header that says when all are back', async () => {
    const clock = virtualClock()
    const { groq } = await start({ clock, limits: { requestsPerDay: 1000, tokensPerMinute: 8000 } })
    const response = await post(groq, HI)
    const limit = (name: string) => response.headers.get(`x-ratelimit-${name}`)
    expect([limit('limit-requests'), limit('remaining-requests'), limit('reset-requests')]).toEqual([
      '1000',
      '999',
      '1m26.4s',
    ])
    const { usage } = JSON.parse(await response.text())
    expect(limit('remaining-tokens')).toBe(String(8000 - usage.total_tokens))
    expect(limit('reset-tokens')).toMatch(/^\d+(\.\d+)?ms$/)
  })

  it('tokens by the minute, what may be answered included', async () => {
    const clock = virtualClock()
    const { groq } = await start({ clock, limits: { tokensPerMinute: 8000 } })
    const large = await ask(groq, { ...HI, max_completion_tokens: 9000 })
    expect(large.status).toBe(413)
    expect(large.body.error.message).toContain('(TPM): Limit 8000, Requested 9004, please reduce')
    await ask(groq, { ...HI, messages: [user(tokens(6000))] })
    const refused = await post(groq, { ...HI, max_completion_tokens: 4000 })
    const wait = Number(refused.headers.get('retry-after'))
    expect(refused.status).toBe(429)
    expect(await refused.text()).toMatch(/Limit 8000, Used 60\d\d, Requested 4004\. Please try again in 1\d\.\d+s\./)
    await clock.advance(1000 * wait)
    expect((await ask(groq, { ...HI, max_completion_tokens: 4000 })).status).toBe(200)
  })

  it('requests by the minute, which no header shows', async () => {
    const { groq } = await start({ limits: { requestsPerMinute: 2 } })
    const statuses: number[] = []
    for (let count = 0; count < 3; count++) statuses.push((await ask(groq, HI)).status)
    expect(statuses).toEqual([200, 200, 429])
  })
})
