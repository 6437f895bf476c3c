import { compatible, createRouter, openrouter, RouterError } from 'modelfirst'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FAILURE_KINDS } from '../../src/failure.ts'
import { readHosts, readListing } from '../../src/listing.ts'
import { leapingClock } from './clock.ts'

const PROTOTYPES = [Object.prototype, Array.prototype, Function.prototype, String.prototype, Promise.prototype]
const keysOf = () => PROTOTYPES.map((prototype) => Reflect.ownKeys(prototype))
let before: ReturnType<typeof keysOf>
beforeAll(() => {
  before = keysOf()
})
afterAll(() => {
  expect(keysOf()).toEqual(before)
  expect('polluted' in {}).toBe(false)
})

/** Answers each request with what the test has put here. */
let answer = () => new Response()
const options = { apiKey: 'sk-shapes-0123456789', models: ['small'], fetch: async () => answer() }
const clock = leapingClock()
const router = createRouter({
  clock,
  providers: [openrouter(options), compatible({ ...options, name: 'own', baseURL: 'https://api.example.com/v1' })],
  tasks: {
    first: { model: 'small' as string, provider: 'openrouter', limits: { attempts: 1 } },
    second: { model: 'small' as string, provider: 'own', limits: { attempts: 1 } },
  },
})
const TASKS = ['first', 'second'] as const

const whole = (body: string, status = 200) => {
  answer = () => new Response(body, { status, headers: { 'content-type': 'application/json' } })
}
const events = (chunks: readonly string[]) => {
  const text = chunks.map((chunk) => `data: ${chunk}\n\n`).join('')
  answer = () => new Response(text, { headers: { 'content-type': 'text/event-stream' } })
}

async function outcomeOf(task: (typeof TASKS)[number], streamed: boolean) {
  clock.leap()
  try {
    return await (streamed ? router.stream(task, 'Hi').completion : router.complete(task, 'Hi'))
  } catch (error) {
    if (!RouterError.is(error)) throw error
    expect(FAILURE_KINDS).toContain(error.kind)
    return error
  }
}

/** Names that objects answer to without having them, or that something looks for in any object. */
const NAMES = [
  '__proto__',
  'constructor',
  'prototype',
  'then',
  'toString',
  'toJSON',
  'valueOf',
  'hasOwnProperty',
  'length',
]
const VALUES = ['{"polluted":true,"prototype":{"polluted":true}}', '"x"', 'null']

/** Every value for every name in `npm run test:deep`; else the next one for each name in turn. */
const DEEP = process.env.MODELFIRST_DEEP === '1'

/** The JSON with a key more, at every object in it, for each name. */
function* withStrangers(sample: unknown): Generator<[string, string]> {
  const place = '"zz place":0'
  const mark = (at: unknown): unknown[] => {
    if (typeof at !== 'object' || at === null) return []
    const inside = Object.entries(at).flatMap(([key, value]) =>
      mark(value).map((marked) =>
        Array.isArray(at) ? Object.assign([...at], { [key]: marked }) : { ...at, [key]: marked },
      ),
    )
    return Array.isArray(at) ? inside : [{ 'zz place': 0, ...at }, ...inside]
  }
  for (const [turn, marked] of mark(sample).entries()) {
    const text = JSON.stringify(marked)
    for (const [index, name] of NAMES.entries()) {
      const values = DEEP ? VALUES : VALUES.filter((_, order) => order === (turn + index) % VALUES.length)
      for (const value of values) yield [name, text.replace(place, `"${name}":${value}`)]
    }
  }
}

const ANSWER = {
  id: 'gen-1',
  model: 'small',
  provider: 'Host',
  choices: [
    {
      index: 0,
      finish_reason: 'tool_calls',
      message: {
        role: 'assistant',
        content: [{ type: 'text', text: 'said' }],
        reasoning_details: [{ type: 'reasoning.text', text: 'thought', index: 0 }],
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'add', arguments: '{"a":1}' } }],
        annotations: [{ type: 'url', url: { title: 'a' } }],
      },
    },
  ],
  usage: {
    prompt_tokens: 5,
    completion_tokens: 3,
    cost: 0.001,
    prompt_tokens_details: { cached_tokens: 1 },
    completion_tokens_details: { reasoning_tokens: 1 },
    cost_details: { upstream_inference_cost: 0.001 },
  },
}
const DELTA = { ...ANSWER.choices[0]?.message, tool_calls: [{ index: 0, ...ANSWER.choices[0]?.message.tool_calls[0] }] }
const CHUNK = { ...ANSWER, choices: [{ index: 0, finish_reason: 'tool_calls', delta: DELTA }] }
const ERROR = {
  error: {
    code: 429,
    message: 'slow',
    metadata: { error_type: 'rate_limit_exceeded', limit_source: 'a' },
    availability: { code: 'x' },
  },
}
const ROW = {
  id: 'a/b',
  canonical_slug: 'a/b-1',
  architecture: { input_modalities: ['text'], output_modalities: ['text'] },
  top_provider: { max_completion_tokens: 9 },
  pricing: { prompt: '0.000001', completion: '0.000002', overrides: [{ min_prompt_tokens: 5, prompt: '0.000003' }] },
  supported_parameters: ['tools'],
}

describe('names that mean something to JavaScript are only names', () => {
  const seen = async (streamed: boolean) => {
    const outcomes = []
    for (const task of TASKS) {
      const outcome = await outcomeOf(task, streamed)
      if (RouterError.is(outcome)) throw outcome
      const { text, toolCalls, message, finish, usage } = outcome
      expect(Object.hasOwn(outcome, 'then') || Object.hasOwn(message, 'then')).toBe(false)
      expect(Object.getPrototypeOf(outcome)).toBe(Object.prototype)
      outcomes.push({ text, toolCalls, content: message.content, finish, tokens: usage.tokens, cost: usage.cost.usd })
    }
    return outcomes
  }

  test('anywhere in an answer', async () => {
    whole(JSON.stringify(ANSWER))
    const plain = await seen(false)
    expect([...withStrangers(ANSWER)].length).toBeGreaterThan(100)
    expect(plain[0]).toMatchObject({ text: 'said', toolCalls: [{ arguments: { a: 1 } }], cost: 0.001 })
    for (const [name, body] of withStrangers(ANSWER)) {
      whole(body)
      expect(await seen(false), `${name}: ${body}`).toEqual(plain)
    }
  })

  test('anywhere in a chunk', async () => {
    events([JSON.stringify(CHUNK), '[DONE]'])
    const plain = await seen(true)
    expect(plain[0]).toMatchObject({ text: 'said', toolCalls: [{ arguments: { a: 1 } }] })
    for (const [name, chunk] of withStrangers(CHUNK)) {
      events([chunk, '[DONE]'])
      expect(await seen(true), `${name}: ${chunk}`).toEqual(plain)
    }
  })

  test('anywhere in an error, whole or in a stream', async () => {
    for (const [name, body] of withStrangers(ERROR)) {
      for (const task of TASKS) {
        whole(body, 429)
        expect(await outcomeOf(task, false), `${name}: ${body}`).toMatchObject({ kind: 'rate-limited' })
        events([body])
        expect(await outcomeOf(task, true), `${name}: ${body}`).toMatchObject({ kind: 'rate-limited' })
      }
    }
  })

  test('anywhere in a list of models or of hosts', () => {
    const plain = readListing({ data: [ROW] })
    expect(plain).toMatchObject([{ id: 'a/b', prices: { input: 1, output: 2 } }])
    for (const [name, body] of withStrangers({ data: [ROW] })) {
      expect(readListing(JSON.parse(body)), `${name}: ${body}`).toEqual(plain)
    }
    const hosts = { data: { endpoints: [{ tag: 'host', provider_name: 'Host', pricing: ROW.pricing }] } }
    for (const [, body] of withStrangers(hosts)) expect(readHosts(JSON.parse(body))).toEqual(readHosts(hosts))
  })

  test('as the names of models, hosts, tools and ids', async () => {
    for (const name of NAMES) {
      const body = structuredClone(ANSWER)
      const [choice] = body.choices
      const [call] = choice?.message.tool_calls ?? []
      if (choice === undefined || call === undefined) throw new Error('no call')
      Object.assign(body, { id: name, model: name, provider: name, service_tier: name })
      Object.assign(choice, { native_finish_reason: name })
      call.id = name
      call.function.name = name
      call.function.arguments = `{"${name}":{"polluted":true}}`
      for (const task of TASKS) {
        whole(JSON.stringify(body))
        const host = task === 'first' ? name.toLowerCase() : null
        const called = { toolCalls: [{ id: name, name }], finish: { raw: name } }
        expect(await outcomeOf(task, false)).toMatchObject({ model: name, host, ...called })
        const error = { code: name, type: name, metadata: { error_type: name }, availability: { code: name } }
        whole(JSON.stringify({ error }), 429)
        expect(await outcomeOf(task, false)).toMatchObject({ kind: 'rate-limited' })
      }
      answer = () => Response.json({ data: [{ ...ROW, id: name }, ROW] })
      const { providers } = await router.catalog.refresh()
      expect(providers.own).toEqual({ models: 2 })
      expect(router.catalog.find(name)?.id).toBe(name)
    }
  })
})

describe('the number of a tool call', () => {
  const calling = (index: string, more = '') =>
    `{"choices":[{"index":0,"delta":{"tool_calls":[{"index":${index},"id":"a","function":{"name":"f","arguments":"{}"}}${more}]}}]}`
  const end = '{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}'

  test.each([
    '-1',
    '1.5',
    '128',
    '1000000000',
    '4294967295',
    '9007199254740992',
    '1e308',
    '"0"',
    '"__proto__"',
    'true',
    '{}',
    '[0]',
  ])('that is none ends the answer: %s', async (index) => {
    events([calling(index), end, '[DONE]'])
    const from = performance.now()
    for (const task of TASKS) expect(await outcomeOf(task, true)).toMatchObject({ kind: 'bad-response' })
    expect(performance.now() - from).toBeLessThan(2000)
  })

  test.each(['0', '127', 'null'])('may be %s', async (index) => {
    events([calling(index), end, '[DONE]'])
    for (const task of TASKS) {
      expect(await outcomeOf(task, true)).toMatchObject({ toolCalls: [{ id: 'a', name: 'f', arguments: {} }] })
    }
  })

  test('more than there can be are no answer, in one chunk or in many, numbered or not', async () => {
    const numbers = Array.from({ length: 200 }, (_, n) => n)
    const named = (n: number) => `{"index":${n},"id":"${n}","function":{"name":"f","arguments":"{}"}}`
    const chunk = (calls: readonly string[]) => `{"choices":[{"index":0,"delta":{"tool_calls":[${calls}]}}]}`
    const unnumbered = numbers.map((n) => `{"id":"${n}","function":{"name":"f","arguments":"{}"}}`)
    for (const chunks of [
      [chunk(numbers.map(named))],
      numbers.map((n) => chunk([named(n)])),
      [chunk(unnumbered)],
      unnumbered.map((each) => chunk([each])),
      // One number for all of them, each with an id of its own.
      numbers.map((n) => chunk([`{"index":0,"id":"${n}","function":{"name":"f","arguments":"{}"}}`])),
    ]) {
      events([...chunks, end, '[DONE]'])
      expect(await outcomeOf('first', true)).toMatchObject({ kind: 'bad-response' })
    }
    whole(JSON.stringify({ choices: [{ message: { tool_calls: numbers.map((n) => JSON.parse(named(n))) } }] }))
    expect(await outcomeOf('first', false)).toMatchObject({ kind: 'bad-output' })
  })

  test('arguments without an end are cut', async () => {
    const piece = `{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"${'x'.repeat(65_536)}"}}]}}]}`
    events(Array.from({ length: 40 }, () => piece))
    expect(await outcomeOf('first', true)).toMatchObject({ kind: 'bad-response' })
  })
})

describe('what is nested a hundred thousand deep', () => {
  const DEPTH = 100_000
  const lists = '['.repeat(DEPTH) + ']'.repeat(DEPTH)
  const objects = `${'{"a":'.repeat(DEPTH)}1${'}'.repeat(DEPTH)}`
  const message = (more: string) =>
    `{"id":"1","choices":[{"index":0,"finish_reason":"stop","message":{"content":"said",${more}}}]}`

  const PLACES: Readonly<Record<string, (deep: string) => string>> = {
    'the body': (deep) => deep,
    'the content': (deep) => message(`"content":${deep}`),
    'its parts': (deep) => message(`"content":[{"text":${deep}}]`),
    'what nobody reads': (deep) => message(`"other":${deep}`),
    'the details of a thought': (deep) => message(`"reasoning_details":[${deep}]`),
    annotations: (deep) => message(`"annotations":[${deep}]`),
    images: (deep) => message(`"images":[${deep}]`),
    arguments: (deep) => message(`"tool_calls":[{"id":"a","function":{"name":"f","arguments":${deep}}}]`),
    'arguments as text': (deep) =>
      message(`"tool_calls":[{"function":{"name":"f","arguments":${JSON.stringify(deep)}}}]`),
    'the usage': (deep) =>
      `{"choices":[{"message":{"content":"said"},"finish_reason":"stop"}],"usage":{"cost":${deep}}}`,
    'an error': (deep) => `{"error":${deep}}`,
    'the message of an error': (deep) => `{"error":{"message":${deep},"code":${deep},"metadata":${deep}}}`,
  }

  test.each(Object.keys(PLACES))('in %s breaks nothing', async (place) => {
    for (const deep of [lists, objects]) {
      const body = PLACES[place]?.(deep) ?? ''
      const chunk = body.replace('"message":{"content"', '"delta":{"content"')
      for (const task of TASKS) {
        const outcomes = []
        for (const status of [200, 400]) {
          whole(body, status)
          outcomes.push(await outcomeOf(task, false))
        }
        events([chunk, '[DONE]'])
        outcomes.push(await outcomeOf(task, true))
        for (const outcome of outcomes) {
          if (RouterError.is(outcome)) continue
          expect(outcome.finish.reason).not.toBe('unknown')
          // It can be sent back, or is refused in so many words.
          const history = [
            { role: 'user' as const, content: 'Hi' },
            outcome.message,
            { role: 'user' as const, content: 'And?' },
          ]
          whole('{"choices":[{"message":{"content":"more"},"finish_reason":"stop"}]}')
          const next = await router.complete(task, history).catch((error: unknown) => error)
          if (RouterError.is(next)) expect(next.kind).toBe('invalid-request')
          else expect(next).toMatchObject({ text: 'more' })
        }
      }
    }
  })

  test('in a list of models leaves the list as it was', async () => {
    for (const deep of [lists, objects]) {
      for (const body of [
        deep,
        `{"data":${deep}}`,
        `{"data":[{"id":${deep}}]}`,
        `{"data":[{"id":"a/b","pricing":${deep}}]}`,
      ]) {
        answer = () => new Response(body)
        const { own } = (await router.catalog.refresh()).providers
        expect(own !== undefined && ('error' in own || own.models === 1)).toBe(true)
      }
    }
  })
})
