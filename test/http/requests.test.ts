import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { messages, openDoor, openOwnDoor } from './door.ts'

const OSS = 'openai/gpt-oss-20b'

describe('which model, and where', () => {
  test.each([
    ['task:reply', OSS, 'groq', 'reply'],
    ['reply', OSS, 'groq', 'reply'],
    ['tiny', 'tiny', 'third', 'tiny'],
    [OSS, OSS, 'groq', 'ad hoc'],
    ['anthropic/claude-sonnet-4.5', 'anthropic/claude-sonnet-4.5', 'openrouter', 'ad hoc'],
    [`${OSS}:nitro`, `${OSS}:nitro`, 'openrouter', 'ad hoc'],
  ])('%s asks for %s at %s', async (model, wireModel, provider, task) => {
    const { post, sent, records } = openDoor()
    const response = await post({ model, messages })
    expect(response.status).toBe(200)
    expect(sent.map(({ provider, body }) => [provider, body.model])).toEqual([[provider, wireModel]])
    expect(response.headers.get('x-modelfirst-task')).toBe(task)
    expect(response.headers.get('x-modelfirst-provider')).toBe(provider)
    expect(response.headers.get('x-modelfirst-call')).toBe(records[0]?.id)
  })

  test('a request that names no model runs the usual task, where there is one', async () => {
    const { post, sent } = openDoor({}, { task: 'tiny' })
    expect((await post({ messages })).status).toBe(200)
    expect(sent[0]?.provider).toBe('third')
    const bare = await openDoor().post({ messages })
    expect(bare.status).toBe(400)
    expect(await bare.json()).toMatchObject({ error: { param: 'model', code: 'missing_model' } })
  })

  test('bare ids run under the rules that were given for them, tasks under their own', async () => {
    const { post, sent } = openDoor({}, { policy: { provider: 'openrouter', request: { max_tokens: 7 } } })
    await post({ model: OSS, messages })
    await post({ model: 'reply', messages })
    expect(sent.map(({ provider, body }) => [provider, body.max_tokens])).toEqual([
      ['openrouter', 7],
      ['groq', undefined],
    ])
  })

  test('each of several models is asked in turn, as OpenRouter does it, and a refusal leads on as well', async () => {
    const refusal = { error: { message: 'flagged', code: 'content_policy_violation' } }
    const { post, sent } = openOwnDoor({
      openrouter: ({ body }) =>
        new Response(JSON.stringify(body.model === 'anthropic/claude-sonnet-4.5' ? refusal : ANSWER), {
          status: body.model === 'anthropic/claude-sonnet-4.5' ? 400 : 200,
          headers: { 'content-type': 'application/json' },
        }),
    })
    const response = await post({ model: 'anthropic/claude-sonnet-4.5', models: ['openai/gpt-5-mini'], messages })
    expect(response.status).toBe(200)
    expect(sent.map(({ body }) => body.model)).toEqual(['anthropic/claude-sonnet-4.5', 'openai/gpt-5-mini'])
    expect(sent.every(({ body }) => body.models === undefined)).toBe(true)
  })
})

const ANSWER = {
  id: 'gen-7',
  model: 'openai/gpt-5-mini',
  provider: 'Azure',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'Yes.' },
      finish_reason: 'stop',
      native_finish_reason: 'completed',
    },
  ],
  usage: {
    prompt_tokens: 10,
    completion_tokens: 2,
    total_tokens: 12,
    cost: 0.0001,
    cost_details: {
      upstream_inference_cost: 0.0001,
      upstream_inference_prompt_cost: 0.00006,
      upstream_inference_completions_cost: 0.00004,
    },
    prompt_tokens_details: { cached_tokens: 4 },
  },
}

test('no request is taken for another that only looks like it', async () => {
  const models = [OSS, 'openai/gpt-oss-120b']
  const key = JSON.stringify([{ only: ['groq'] }, false])
  const { post, sent } = openOwnDoor({ groq: () => new Response(JSON.stringify({ ...ANSWER, model: OSS })) })
  for (const model of [`!${OSS}`, JSON.stringify(models), `${OSS} ${key}`, `${OSS} `]) await post({ model, messages })
  sent.length = 0
  await post({ model: OSS, messages, preset: 'mine' })
  await post({ models, messages })
  await post({ model: OSS, messages, provider: { only: ['groq'] } })
  await post({ model: OSS, messages })
  expect(sent.map(({ body }) => body.model)).toEqual([OSS, OSS, OSS, OSS])
})

describe('what OpenRouter’s preferences bind', () => {
  const asked = async (provider: object, more: object = {}) => {
    const { post, sent } = openDoor()
    const response = await post({ model: OSS, messages, provider, ...more })
    return { status: response.status, sent, error: response.status === 200 ? null : await response.json() }
  }
  const placesOf = async (provider: object) => (await asked(provider)).sent.map((each) => each.provider)

  test('without any, the router’s own order holds', async () => expect(await placesOf({})).toEqual(['groq']))

  test.each([
    ['a host that is a provider of the router’s is asked there', { order: ['groq', 'deepinfra'] }, 'groq'],
    ['another host comes first when it is named first', { order: ['deepinfra', 'groq'] }, 'openrouter'],
    ['nobody else is asked than who is named', { only: ['deepinfra'] }, 'openrouter'],
    ['a display name is a name', { only: ['Groq'] }, 'groq'],
    ['who is to be left out is left out', { ignore: ['groq'] }, 'openrouter'],
    ['terms of which nobody here gives a guarantee', { data_collection: 'deny' }, 'openrouter'],
    ['nothing kept', { zdr: true }, 'openrouter'],
    ['a number format that only hosts tell', { quantizations: ['fp8'] }, 'openrouter'],
    ['a price below ours', { max_price: { prompt: 0.00001 } }, 'openrouter'],
    ['a price above ours', { max_price: { prompt: '10', completion: 10 } }, 'groq'],
    ['text that may be distilled', { enforce_distillable_text: true }, 'openrouter'],
  ])('%s: %o', async (_, provider, place) => {
    expect(await placesOf(provider)).toEqual([place])
  })

  test('OpenRouter is told them in its own words', async () => {
    const provider = {
      only: ['deepinfra', 'groq'],
      ignore: ['groq'],
      sort: 'price',
      max_price: { prompt: 1 },
      zdr: true,
    }
    const { sent } = await asked(provider)
    expect(sent[0]?.body.provider).toMatchObject({ ...provider, data_collection: 'deny' })
  })

  test('hosts in between are asked for in between', async () => {
    const { post, sent } = openDoor({
      openrouter: () => new Response('{}', { status: 503 }),
      groq: () => new Response('{}', { status: 503 }),
    })
    await post({ model: OSS, messages, provider: { order: ['deepinfra', 'groq', 'together'], allow_fallbacks: false } })
    expect(sent.map(({ provider }) => provider).slice(0, 3)).toEqual(['openrouter', 'groq', 'openrouter'])
    expect(sent[0]?.body.provider).toMatchObject({ order: ['deepinfra'], allow_fallbacks: false })
    expect(sent[2]?.body.provider).toMatchObject({ order: ['groq', 'together'], allow_fallbacks: false })
  })

  test('saying that something may be kept takes no rule back', async () => {
    const { sent } = await asked({ zdr: false, data_collection: 'allow', only: ['deepinfra'] })
    expect(sent[0]?.body.provider).toEqual({ only: ['deepinfra'] })
  })

  test('a task follows data rules, and refuses what only its own policy could follow', async () => {
    const { post, sent } = openDoor()
    expect((await post({ model: 'reply', messages, provider: { data_collection: 'deny' } })).status).toBe(200)
    expect(sent[0]?.provider).toBe('openrouter')
    const refused = await post({ model: 'reply', messages, provider: { only: ['groq'] } })
    expect(refused.status).toBe(400)
    expect(await refused.json()).toMatchObject({ error: { param: 'provider.only', code: 'unsupported_parameter' } })
    const models = await post({ model: 'reply', models: [OSS], messages })
    expect(await models.json()).toMatchObject({ error: { param: 'models' } })
  })

  test('plugins, presets and tools of OpenRouter’s go where they are run', async () => {
    for (const more of [
      { plugins: [{ id: 'web' }] },
      { preset: 'mine' },
      { tools: [{ type: 'openrouter:web_search' }] },
    ]) {
      const { sent } = await asked({}, more)
      expect(sent[0]?.provider, JSON.stringify(more)).toBe('openrouter')
      expect(sent[0]?.body).toMatchObject(more)
    }
    const harmless = await asked({}, { plugins: [{ id: 'response-healing' }, { id: 'web', enabled: false }] })
    expect(harmless.sent[0]?.provider).toBe('groq')
  })

  test('a task that may run elsewhere refuses them rather than leave them out', async () => {
    const openrouter = () => new Response(JSON.stringify(ANSWER))
    const { post, sent } = openOwnDoor({ openrouter }, { tasks: { away: { model: OSS, provider: 'openrouter' } } })
    expect((await post({ model: 'away', messages, plugins: [{ id: 'web' }] })).status).toBe(200)
    expect(sent.map(({ provider, body }) => [provider, body.plugins])).toEqual([['openrouter', [{ id: 'web' }]]])
    for (const [param, more] of [
      ['plugins', { plugins: [{ id: 'web' }] }],
      ['preset', { preset: 'mine' }],
      ['tools', { tools: [{ type: 'openrouter:web_search' }] }],
    ] as const) {
      const refused = await post({ model: 'task:reply', messages, ...more })
      expect(await refused.json()).toMatchObject({ error: { param, code: 'unsupported_parameter' } })
    }
    expect(sent).toHaveLength(1)
    expect((await post({ model: 'reply', messages, plugins: [{ id: 'response-healing' }] })).status).toBe(200)
  })
})

describe('what else a request says', () => {
  test('a session, by the body or the header, holds the conversation together; its id goes nowhere', async () => {
    const { post, records, sent } = openDoor()
    await post({ model: 'openai/gpt-5-mini', messages, session_id: 'canary-session' })
    await post({ model: 'openai/gpt-5-mini', messages }, { headers: { 'x-session-id': 'canary-session' } })
    const [one, other] = records
    expect(one?.session).toBeTruthy()
    expect(other?.session).toBe(one?.session)
    expect(JSON.stringify([sent.map(({ body }) => body), records])).not.toContain('canary-session')
  })

  test('metadata is on the record', async () => {
    const { post, records } = openDoor()
    await post({ model: 'reply', messages, metadata: { customer: 'acme' } })
    expect(records[0]?.metadata).toEqual({ customer: 'acme' })
  })

  test('settings reach the provider that takes them; what is ours to say does not', async () => {
    const { post, sent } = openDoor()
    await post({
      model: 'openai/gpt-5-mini',
      messages,
      temperature: 0.5,
      max_tokens: 9,
      reasoning: { effort: 'low' },
      transforms: ['middle-out'],
      usage: { include: true },
      stream_options: { include_usage: true },
      n: 1,
      seed: null,
    })
    expect(sent[0]?.body).toMatchObject({
      temperature: 0.5,
      max_tokens: 9,
      reasoning: { effort: 'low' },
      transforms: ['middle-out'],
    })
    expect(sent[0]?.body).not.toHaveProperty('stream_options')
  })

  test('OpenRouter’s headers ask for its routing and its own cache', async () => {
    const { post, sent } = openDoor({
      openrouter: () => new Response(JSON.stringify({ ...ANSWER, openrouter_metadata: { requested: 'x' } })),
    })
    const headers = { 'x-openrouter-metadata': 'enabled', 'x-openrouter-cache': 'true' }
    const response = await post({ model: 'openai/gpt-5-mini', messages }, { headers })
    expect(await response.json()).toMatchObject({ openrouter_metadata: { requested: 'x' } })
    expect(sent.length).toBe(1)
  })
})

describe('what comes back', () => {
  test('an answer as both OpenAI’s and OpenRouter’s clients read it', async () => {
    const { post, records } = openDoor({ openrouter: () => new Response(JSON.stringify(ANSWER)) })
    const response = await post({ model: 'openai/gpt-5-mini', messages })
    const record = records[0]
    expect(await response.json()).toEqual({
      id: record?.id,
      object: 'chat.completion',
      created: Math.floor(Date.parse(record?.at ?? '') / 1000),
      model: 'openai/gpt-5-mini',
      provider: 'azure',
      system_fingerprint: null,
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Yes.', refusal: null },
          logprobs: null,
          finish_reason: 'stop',
          native_finish_reason: 'completed',
        },
      ],
      usage: {
        prompt_tokens: 10,
        completion_tokens: 2,
        total_tokens: 12,
        cost: 0.0001,
        cost_details: ANSWER.usage.cost_details,
        cache_discount: record?.cache.discountUsd ?? undefined,
        prompt_tokens_details: { cached_tokens: 4 },
        completion_tokens_details: {},
      },
    })
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'x-modelfirst-host': 'azure',
      'x-modelfirst-model': 'openai/gpt-5-mini',
      'x-modelfirst-attempts': '1',
      'x-modelfirst-cost-usd': '0.0001',
      'x-generation-id': 'gen-7',
    })
  })

  test('counts that nobody told are not told: usage is whole or not there', async () => {
    const { usage: _, ...silent } = ANSWER
    const { post } = openDoor({ openrouter: () => new Response(JSON.stringify(silent)) })
    expect(await (await post({ model: 'openai/gpt-5-mini', messages })).json()).not.toHaveProperty('usage')
  })

  test('after a failover the parts of the cost are not told: nobody knows them together', async () => {
    let asked = 0
    const { post } = openOwnDoor({
      openrouter: () => {
        asked += 1
        return asked === 1 ? new Response('{}', { status: 500 }) : new Response(JSON.stringify(ANSWER))
      },
    })
    const response = await post({ model: 'openai/gpt-5-mini', messages })
    expect(response.headers.get('x-modelfirst-attempts')).toBe('2')
    const { usage } = await response.json()
    expect(usage).not.toHaveProperty('cost_details')
    expect(usage.cost).toBe(0.0001)
  })

  test('logprobs, tool calls and sound come through', async () => {
    const message = {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'a', type: 'function', function: { name: 'look', arguments: '{"x":1}' } }],
      audio: { id: 's' },
    }
    const choice = { index: 0, message, logprobs: { content: [] }, finish_reason: 'tool_calls' }
    const { post } = openDoor({
      third: () => new Response(JSON.stringify({ ...ANSWER, model: 'tiny', choices: [choice] })),
    })
    const { choices } = await (await post({ model: 'tiny', messages })).json()
    expect(choices).toEqual([{ ...choice, message: { ...message, refusal: null } }])
  })
})

describe('an answer in a shape', () => {
  const schema = {
    type: 'object',
    properties: { label: { type: 'string' } },
    required: ['label'],
    additionalProperties: false,
  }
  const format = { type: 'json_schema', json_schema: { name: 'label', strict: true, schema } }
  const saying = (content: string) => () =>
    new Response(
      JSON.stringify({
        ...ANSWER,
        model: 'tiny',
        choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
      }),
    )

  test('is the JSON alone, whatever stands around it', async () => {
    for (const [content, clean] of [
      ['{ "label": "bug" }', '{ "label": "bug" }'],
      ['```json\n{"label":"bug"}\n```', '{"label":"bug"}'],
    ] as const) {
      const { post } = openOwnDoor({ third: saying(content) })
      const response = await post({ model: 'tiny', messages, response_format: format })
      expect((await response.json()).choices[0].message.content).toBe(clean)
    }
  })

  test('by a task’s own schema it is what the model has written, alone, also where the data is something else', async () => {
    const own = z.object({ label: z.string().transform((label) => new Date(label)) })
    for (const [content, clean] of [
      ['{ "label": "2026" }', '{ "label": "2026" }'],
      ['Here it is:\n```json\n{"label":"2026"}\n```', '{"label":"2026"}'],
    ] as const) {
      const tasks = { look: { model: 'tiny', provider: 'third', schema: own } }
      const { post } = openOwnDoor({ third: saying(content) }, { tasks })
      const response = await post({ model: 'look', messages })
      expect((await response.json()).choices[0].message.content).toBe(clean)
    }
    const { post } = openOwnDoor({ third: saying('```json\n{}\n```') })
    const plain = await (await post({ model: 'tiny', messages })).json()
    expect(plain.choices[0].message.content).toBe('```json\n{}\n```')
  })

  test('is asked for again when it is none, and never passed off for one', async () => {
    const { post, sent } = openOwnDoor({ third: saying('{"label":5}') })
    const response = await post({ model: 'tiny', messages, response_format: format })
    expect(response.status).toBe(502)
    expect(await response.json()).toMatchObject({ error: { code: 'bad_output' } })
    expect(sent.length).toBeGreaterThan(1)
  })
})

describe('how it can be asked', () => {
  test('with a Request, any prefix, and bodies that come in any form', async () => {
    const { ask } = openDoor()
    const text = JSON.stringify({ model: 'tiny', messages })
    const headers = { 'content-type': 'application/json; charset=utf-8' }
    const bodies: (() => BodyInit)[] = [
      () => text,
      () => new TextEncoder().encode(text),
      () => new Blob([text]),
      () => new Blob([text]).stream(),
    ]
    for (const body of bodies) {
      for (const path of ['/v1', '/api/v1', '/openai/v1', '', '/a/b/../v1', '//v1']) {
        const url = `https://api.example${path}/chat/completions`
        const init = { method: 'post', headers, duplex: 'half' as const }
        expect((await ask(url, { ...init, body: body() })).status, path).toBe(200)
        expect((await ask(new URL(url), { ...init, body: body() })).status, path).toBe(200)
        expect((await ask(new Request(url, { ...init, body: body() }))).status, path).toBe(200)
      }
    }
  })

  test('what init says stands above what the request says', async () => {
    const { ask } = openDoor()
    const request = new Request('https://api.example/v1/chat/completions', { method: 'PUT', body: '{}' })
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'tiny', messages }),
    }
    expect((await ask(request, init)).status).toBe(200)
  })
})
