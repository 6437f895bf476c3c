import { ConfigError, createRouter, groq, jsonSchema, openrouter, tool } from 'modelfirst'
import { ok, type Sandbox } from 'modelfirst/sandbox'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { fields, list } from '../src/fields.ts'
import { start } from './sandbox/client.ts'
import { hasty } from './support/router.ts'
import { ALL, speaking, twoModels } from './support/speaking.ts'

const ticket = z.object({
  label: z.enum(['billing', 'bug', 'other']),
  urgency: z.number().int().min(0).max(5),
  note: z.string().optional(),
})
const TICKET = { label: 'billing', urgency: 3 }

async function sandboxed(model: string, provider: string) {
  const sandbox = await start()
  const router = createRouter({
    providers: sandbox.providers(),
    random: hasty(),
    tasks: { sort: { model, provider, schema: ticket, request: { max_tokens: 500 } } },
  })
  return { sandbox, router }
}

function asked(sandbox: Sandbox) {
  return fields(sandbox.requests.at(-1)?.body) ?? {}
}

const weather = tool({ name: 'weather', input: z.object({ city: z.string() }) })

describe('the form in which a model is asked for a shape, held against what its provider takes', () => {
  test('Groq, a model with strict schemas: a schema, every property required, every object closed', async () => {
    const { sandbox, router } = await sandboxed('openai/gpt-oss-20b', 'groq')
    const { data, plan, text } = await router.complete('sort', 'Sort this.')
    expect(ticket.safeParse(data).success).toBe(true)
    expect(JSON.parse(text)).toMatchObject(data)
    expect(plan.steps[0]?.form).toBe('schema')
    expect(asked(sandbox).response_format).toMatchObject({
      type: 'json_schema',
      json_schema: {
        strict: true,
        schema: { required: ['label', 'urgency', 'note'], additionalProperties: false },
      },
    })
  })

  test('Groq, in pieces: JSON mode with the schema in words, since a schema is not streamed there', async () => {
    const { sandbox, router } = await sandboxed('openai/gpt-oss-20b', 'groq')
    sandbox.groq.script([ok(JSON.stringify(TICKET))])
    const { data, plan } = await router.stream('sort', 'Sort this.').completion
    expect(data).toEqual(TICKET)
    expect(plan.steps[0]?.form).toBe('json')
    expect(asked(sandbox)).toMatchObject({ stream: true, response_format: { type: 'json_object' } })
  })

  test("Groq, with the caller's own tools: a tool, since no format goes with them", async () => {
    const { sandbox, router } = await sandboxed('openai/gpt-oss-20b', 'groq')
    sandbox.groq.script([ok({ toolCalls: [{ name: 'give_answer', arguments: TICKET }] })])
    const { data, plan, toolCalls, finish, message, text } = await router.complete('sort', 'Sort this.', {
      tools: [weather],
    })
    expect(data).toEqual(TICKET)
    expect(JSON.parse(text)).toEqual(TICKET)
    expect(plan.steps[0]?.form).toBe('tool')
    // What goes to the history is an answer, and no call that nobody would ever answer.
    expect([toolCalls, finish.reason, message.tool_calls, message.content]).toEqual([[], 'stop', undefined, text])
    expect(asked(sandbox)).toMatchObject({ tool_choice: 'required' })
    expect(asked(sandbox).response_format).toBeUndefined()
  })

  test('Groq, a model that only has JSON mode: JSON mode, and the prompt says JSON', async () => {
    const { wire, bodies } = speaking(() => JSON.stringify(TICKET))
    const models = [{ id: 'house/json-only', abilities: ['json'] }] as const
    const router = createRouter({
      providers: [groq({ apiKey: 'gsk_test_0123456789', wire, models })],
      tasks: { sort: { model: 'house/json-only' as string, schema: ticket } },
    })
    expect((await router.complete('sort', 'Sort this.')).data).toEqual(TICKET)
    expect(bodies[0]?.response_format).toEqual({ type: 'json_object' })
    expect(JSON.stringify(bodies[0]?.messages)).toMatch(/json/i)
  })

  test('OpenRouter: a schema, and only of hosts that follow it', async () => {
    const { sandbox, router } = await sandboxed('openai/gpt-oss-120b', 'openrouter')
    const { data } = await router.complete('sort', 'Sort this.')
    expect(ticket.safeParse(data).success).toBe(true)
    expect(asked(sandbox)).toMatchObject({
      response_format: { type: 'json_schema' },
      provider: { require_parameters: true },
    })
    await router.complete('sort', 'Sort this.', {
      request: { openrouter: { preferences: { require_parameters: false, sort: 'price' } } },
    })
    expect(asked(sandbox).provider).toMatchObject({ require_parameters: false, sort: 'price' })
    await router.complete('sort', 'Sort this.', {
      request: { openrouter: { preferences: { sort: 'throughput', max_price: { prompt: 5 } } } },
    })
    expect(asked(sandbox).provider).toMatchObject({ require_parameters: true, sort: 'throughput' })
  })

  test('what OpenRouter is asked of others is not asked without a schema', async () => {
    const { sandbox, router } = await sandboxed('openai/gpt-oss-120b', 'openrouter')
    await router.complete({ model: 'openai/gpt-oss-120b', provider: 'openrouter' }, 'Hello')
    expect(asked(sandbox).provider).toBeUndefined()
  })

  const forms = [
    ['schema', ['schema', 'json', 'tools']],
    ['json', ['json', 'tools']],
    ['tool', ['tools']],
    ['text', []],
  ] as const

  test.each(forms)('the strictest that the offer takes: %s', async (form, abilities) => {
    const answer = (value: unknown) =>
      form === 'tool' ? { calls: [{ name: 'give_answer', json: JSON.stringify(value) }] } : JSON.stringify(value)
    const { router, bodies } = twoModels(() => answer(TICKET), { schema: ticket }, { abilities })
    const whole = await router.complete('ask', 'Sort this.')
    expect(whole.plan.steps[0]?.form).toBe(form)
    expect(whole.data).toEqual(TICKET)
    const streamed = await router.stream('ask', 'Sort this.').completion
    expect(streamed.data).toEqual(TICKET)
    expect(streamed.text).toBe(whole.text)
    expect(streamed.message).toEqual(whole.message)
    const [body] = bodies
    expect([body?.response_format !== undefined, body?.tools !== undefined]).toEqual([
      form === 'schema' || form === 'json',
      form === 'tool',
    ])
    // Said in words where nothing else says it.
    expect(JSON.stringify(body?.messages).includes('JSON Schema')).toBe(form === 'json' || form === 'text')
  })

  test.each(forms)('a root that is no object is put into one and taken out again: %s', async (form, abilities) => {
    const value = form === 'text' ? ['a', 'b'] : { value: ['a', 'b'] }
    const json = JSON.stringify(value)
    const said = form === 'tool' ? { calls: [{ name: 'give_answer', json }] } : json
    const { router } = twoModels(() => said, { schema: z.array(z.string()) }, { abilities })
    expect((await router.complete('ask', 'List.')).data).toEqual(['a', 'b'])
    const partials: unknown[] = []
    for await (const each of router.stream('ask', 'List.').partial) partials.push(each)
    expect(partials.at(-1)).toEqual(['a', 'b'])
  })

  test.each(forms)('a model that leaves the wrapping out is understood all the same: %s', async (form, abilities) => {
    const json = '["a", "b"]'
    const said = form === 'tool' ? { calls: [{ name: 'give_answer', json }] } : json
    const { router } = twoModels(() => said, { schema: z.array(z.string()) }, { abilities })
    expect((await router.complete('ask', 'List.')).data).toEqual(['a', 'b'])
  })

  test('a null that stands for what was left out is taken out; one that the schema knows stays', async () => {
    const schema = z.object({
      a: z.string().optional(),
      b: z.string().nullable(),
      c: z.array(z.object({ d: z.number().optional() })),
    })
    const { router } = twoModels(() => '{"a":null,"b":null,"c":[{"d":null},{"d":1}]}', { schema })
    expect((await router.complete('ask', 'Go.')).data).toEqual({ b: null, c: [{}, { d: 1 }] })
  })

  test('what no strict schema can say is asked for in JSON mode, and checked here', async () => {
    const schema = z.record(z.string(), z.number())
    let n = 0
    const { router, bodies } = twoModels(() => (++n === 1 ? '{"a":"one"}' : '{"a":1}'), { schema })
    const { data, usage } = await router.complete('ask', 'Count.')
    expect(data).toEqual({ a: 1 })
    expect(bodies[0]?.response_format).toEqual({ type: 'json_object' })
    expect(usage.attempts.map(({ role, outcome }) => [role, outcome])).toEqual([
      ['first', 'bad-output'],
      ['repair', 'ok'],
    ])
  })

  test('data are what comes out of the schema: its defaults and transforms are applied', async () => {
    const schema = z.object({ day: z.iso.date().transform((text) => new Date(text)), n: z.number().default(7) })
    const { router } = twoModels(() => '{"day":"2026-01-02"}', { schema }, { abilities: [] })
    expect((await router.complete('ask', 'When?')).data).toEqual({ day: new Date('2026-01-02'), n: 7 })
  })

  test('kind about wrapping: a fence, words around it, a trailing comma', async () => {
    const said = `Sure, here it is:\n\`\`\`json\n{"label": "bug", "urgency": 1,}\n\`\`\`\nAnything else?`
    const { router } = twoModels(() => said, { schema: ticket }, { abilities: [] })
    const { data, usage } = await router.complete('ask', 'Sort.')
    expect([data, usage.attempts.length]).toEqual([{ label: 'bug', urgency: 1 }, 1])
  })

  test("the schema stands in the place of a request's own format", async () => {
    const { router, bodies } = twoModels(() => JSON.stringify(TICKET), { schema: ticket })
    const { data } = await router.complete('ask', 'Sort.', { request: { response_format: { type: 'text' } } })
    expect(data).toEqual(TICKET)
    await router.complete('ask', {
      messages: [{ role: 'user', content: 'Sort.' }],
      response_format: { type: 'json_schema', json_schema: { name: 'other', schema: { type: 'object' } } },
    })
    for (const body of bodies) expect(fields(fields(body.response_format)?.json_schema)?.name).toBe('answer')
  })

  test("a call's schema stands in the place of its task's; without one, there are no data", async () => {
    const { router } = twoModels(() => '{"n":1}', { schema: ticket })
    const { data } = await router.complete('ask', 'Go.', {
      schema: jsonSchema<{ n: number }>({ type: 'object', properties: { n: { type: 'number' } } }),
    })
    expect(data.n).toBe(1)
    const plain = twoModels(() => '{"n":1}')
    expect((await plain.router.complete('ask', 'Go.')).data).toBeNull()
  })

  test('words of ours stand behind the first system text, the same in each call', async () => {
    const { router, bodies } = twoModels(
      () => JSON.stringify(TICKET),
      { schema: ticket, session: 'derived' },
      { abilities: ['json'] },
    )
    const system = { role: 'system' as const, content: 'You sort.' }
    const first = await router.complete('ask', [system, { role: 'user', content: 'One' }])
    await router.complete('ask', [
      system,
      { role: 'user', content: 'One' },
      first.message,
      { role: 'user', content: 'Two' },
    ])
    const [one, two] = bodies.map((body) => list(body.messages))
    expect(two?.slice(0, 3)).toEqual(one)
    expect(one?.map(({ role }) => role)).toEqual(['system', 'system', 'user'])
  })

  test('the marks of a cache stand at the same place from call to call', async () => {
    const { wire, bodies } = speaking(() => ({ text: JSON.stringify(TICKET), cost: 0.01 }))
    const router = createRouter({
      providers: [openrouter({ apiKey: 'sk-or-test-0123456789', wire })],
      random: hasty(),
      tasks: { sort: { model: 'anthropic/claude-sonnet-4.5', schema: ticket, session: 'derived' } },
    })
    const system = { role: 'system' as const, content: 'You sort. '.repeat(2000) }
    const first = await router.complete('sort', [system, { role: 'user', content: 'One' }])
    await router.complete('sort', [
      system,
      { role: 'user', content: 'One' },
      first.message,
      { role: 'user', content: 'Two' },
    ])
    const prefix = (body: object | undefined) => JSON.stringify(list(fields(body)?.messages)[0])
    expect(prefix(bodies[1])).toBe(prefix(bodies[0]))
    expect(bodies[0]?.response_format).toEqual(bodies[1]?.response_format)
  })

  test("the caller's choice of a tool is kept, and none of them means the answer", async () => {
    const said = { calls: [{ name: 'give_answer', json: JSON.stringify(TICKET) }] }
    const { router, bodies } = twoModels(() => said, { schema: ticket }, { abilities: ['tools'] })
    const options = (tool_choice: 'none' | 'auto' | { type: 'function'; function: { name: string } }) => ({
      tools: [weather],
      request: { tool_choice },
    })
    await router.complete('ask', 'Go.', options('none'))
    await router.complete('ask', 'Go.', options('auto'))
    await router.complete('ask', 'Go.', options({ type: 'function', function: { name: 'weather' } }))
    expect(bodies.map((body) => body.tool_choice)).toEqual([
      { type: 'function', function: { name: 'give_answer' } },
      'required',
      { type: 'function', function: { name: 'weather' } },
    ])
    const tools = [{ type: 'function', function: { name: 'weather' } }]
    const listed = { type: 'allowed_tools' as const, allowed_tools: { mode: 'auto' as const, tools } }
    await router.complete('ask', 'Go.', { tools: [weather], request: { tool_choice: listed } })
    // Else it could never answer.
    const answering = { type: 'function', function: { name: 'give_answer' } }
    expect(bodies.at(-1)?.tool_choice).toEqual({
      type: 'allowed_tools',
      allowed_tools: { mode: 'required', tools: [...tools, answering] },
    })
  })
})

describe('a schema that is none', () => {
  const garbage: readonly [string, unknown][] = [
    ['a string', 'ticket'],
    ['null', null],
    ['a plain JSON Schema', { type: 'object' }],
    ['a function', () => true],
    ['a number', 7],
    ['a date', z.object({ at: z.date() })],
    ['a bigint', z.bigint()],
    [
      'a schema of another library that cannot say itself',
      { '~standard': { version: 1, vendor: 'other', validate: () => ({ value: 1 }) } },
    ],
  ]

  test.each(garbage)('%s: the call says so in one line, and nothing is sent', async (_, schema) => {
    const { router, bodies } = twoModels(() => '{}')
    const error = await Reflect.apply(router.complete, router, ['ask', 'Go.', { schema }]).catch(
      (error: unknown) => error,
    )
    expect(ConfigError.is(error) && error.field).toBe('options.schema')
    expect(String(error)).not.toContain('\n')
    expect(bodies).toEqual([])
  })

  test.each(garbage)('%s: createRouter says at which task', (_, schema) => {
    const make = () =>
      Reflect.apply(createRouter, undefined, [
        {
          providers: [groq({ apiKey: 'gsk_test_0123456789' })],
          tasks: { sort: { model: 'openai/gpt-oss-20b', schema } },
        },
      ])
    const error = thrownBy(make)
    expect(ConfigError.is(error) && error.field).toBe('tasks.sort.schema')
    expect(String(error)).not.toContain('\n')
  })

  test('a bar that is no function is found where it stands', () => {
    const make = () =>
      Reflect.apply(createRouter, undefined, [
        {
          providers: [groq({ apiKey: 'gsk_test_0123456789' })],
          tasks: { sort: { model: 'openai/gpt-oss-20b', accept: 'yes' } },
        },
      ])
    const error = thrownBy(make)
    expect(ConfigError.is(error) && error.field).toBe('tasks.sort.accept')
  })

  test('no tool may have the name under which answers are taken, where there is a schema', async () => {
    const taken = tool({ name: 'give_answer', input: z.object({}) })
    const { router, bodies } = twoModels(() => 'Yes.', {}, { abilities: ALL })
    await expect(router.complete('ask', 'Go.', { tools: [taken], schema: ticket })).rejects.toThrow(/give_answer/)
    expect(bodies).toEqual([])
    expect((await router.complete('ask', 'Go.', { tools: [taken] })).text).toBe('Yes.')
    const request = { tools: [{ type: 'function' as const, function: { name: 'give_answer' } }] }
    const own = twoModels(() => 'Yes.', { schema: ticket, request }, { abilities: ALL })
    await expect(own.router.complete('ask', 'Go.')).rejects.toThrow(/give_answer/)
  })
})

function thrownBy(make: () => unknown): unknown {
  try {
    make()
  } catch (error) {
    return error
  }
  return null
}
