import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Caching } from '../src/caching.ts'
import type { ChatMessage, ChatRequest } from '../src/chat.ts'
import { openrouter } from '../src/dialects/openrouter.ts'
import { marked } from '../src/marks.ts'
import { readPrompt } from '../src/sandbox/prompt.ts'
import { ok } from '../src/sandbox/sandbox.ts'
import { target } from './dialects/requests.ts'
import { ask, type Loose, start } from './sandbox/client.ts'
import { runs } from './support/runs.ts'

const CACHING: Caching = { ttlMs: 300_000, least: 100, marked: true }
const MARK = { cache_control: { type: 'ephemeral' } }
const CLAUDE = target({ wireModel: 'anthropic/claude-sonnet-4.5', marks: true })

/** So many tokens of text, four characters each. */
function words(tokens: number, of = 'word'): string {
  return of.slice(0, 3).concat(' ').repeat(tokens)
}

const system = (tokens: number): ChatMessage => ({ role: 'system', content: words(tokens, 'sys') })
const user = (content: string): ChatMessage => ({ role: 'user', content })
const said = (content: string): ChatMessage => ({ role: 'assistant', content })
const called = (id: string): ChatMessage => ({
  role: 'assistant',
  content: null,
  tool_calls: [{ id, type: 'function', function: { name: 'look', arguments: '{}' } }],
})
const found = (id: string, content: string): ChatMessage => ({ role: 'tool', tool_call_id: id, content })

/** The places of the messages that carry a mark. */
function marksIn(messages: unknown): number[] {
  const all: Loose[] = Array.isArray(messages) ? messages : []
  return all.flatMap(({ content }, index) =>
    Array.isArray(content) && content.some((part) => part.cache_control !== undefined) ? [index] : [],
  )
}

function placed(messages: readonly ChatMessage[], promptTokens = 10_000): number[] {
  return marksIn(marked(messages, { caching: CACHING, promptTokens }))
}

describe('marks stand', () => {
  test('at the end of the instructions, of the conversation, and of its last question before that', () => {
    expect(placed([system(200), user('One?'), said('One.'), user('Two?'), said('Two.'), user('Three?')])).toEqual([
      0, 3, 5,
    ])
    expect(placed([system(200), system(9), user('One?')])).toEqual([1, 2])
    expect(placed([user('One?'), called('a'), found('a', 'It is so.')])).toEqual([0, 2])
    const work = [user('One?'), called('a'), found('a', 'So.'), called('b'), found('b', 'Or so.'), found('c', 'No.')]
    expect(placed([system(200), ...work])).toEqual([0, 1, 3, 6])
    expect(placed([system(200)])).toEqual([0])
    expect(placed([])).toEqual([])
  })

  test('on text only: not on a call without words, an empty answer, a picture', () => {
    expect(placed([user('One?'), called('a')])).toEqual([0])
    expect(placed([user('One?'), said(''), user('  \n')])).toEqual([0])
    const picture: ChatMessage = {
      role: 'user',
      content: [
        { type: 'text', text: 'What is this?' },
        { type: 'image_url', image_url: { url: 'https://pictures.example/cat.png' } },
      ],
    }
    expect(marked([picture], { caching: CACHING, promptTokens: 1000 })).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What is this?', ...MARK },
          { type: 'image_url', image_url: { url: 'https://pictures.example/cat.png' } },
        ],
      },
    ])
  })

  test('in the last part of several, the others stay what they are', () => {
    const parts: ChatMessage = {
      role: 'user',
      content: [
        { type: 'text', text: 'One' },
        { type: 'text', text: 'Two' },
      ],
    }
    expect(marked([parts], { caching: CACHING, promptTokens: 1000 })).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'One' },
          { type: 'text', text: 'Two', ...MARK },
        ],
      },
    ])
  })

  test('only where what stands before them is long enough to be kept', () => {
    const messages = [system(50), user('One?'), said(words(100)), user('Two?')]
    expect(marksIn(marked(messages, { caching: CACHING, promptTokens: 99 }))).toEqual([])
    expect(marksIn(marked(messages, { caching: CACHING, promptTokens: 170 }))).toEqual([3])
    // The same text, if its tokens are known to be shorter, or tools stand before it.
    expect(marksIn(marked(messages, { caching: CACHING, promptTokens: 350 }))).toEqual([0, 1, 3])
    const tools = [{ type: 'function', function: { name: 'look', description: words(100) } }]
    expect(marksIn(marked(messages, { caching: CACHING, promptTokens: 280, tools }))).toEqual([0, 1, 3])
  })

  test('nowhere when the cache needs none', () => {
    const messages = [system(2000), user('One?')]
    expect(marked(messages, { caching: { ...CACHING, marked: false }, promptTokens: 10_000 })).toBe(messages)
  })

  test('nowhere when the caller has placed one himself: in a part, a message, a tool', () => {
    const own: Loose[] = [
      [system(200), { role: 'user', content: [{ type: 'text', text: 'Hi', ...MARK }] }],
      [system(200), { role: 'user', content: [{ type: 'text', text: 'Hi', prompt_cache_breakpoint: {} }] }],
      [{ ...system(200), ...MARK }, user('Hi')],
    ]
    for (const messages of own) expect(marked(messages, { caching: CACHING, promptTokens: 10_000 })).toBe(messages)
    const messages = [system(200), user('Hi')]
    const tools = [{ type: 'function', function: { name: 'look' }, ...MARK }]
    expect(marked(messages, { caching: CACHING, promptTokens: 10_000, tools })).toBe(messages)
  })
})

const text = fc.oneof(
  fc.string(),
  fc.nat({ max: 400 }).map((tokens) => words(tokens)),
)
const part = fc.oneof(
  fc.record({ type: fc.constant('text'), text }),
  fc.constant({ type: 'image_url', image_url: { url: 'https://pictures.example/cat.png' } }),
)
const message: fc.Arbitrary<ChatMessage> = fc
  .record({
    role: fc.constantFrom('system', 'developer', 'user', 'assistant', 'tool'),
    content: fc.oneof(text, fc.constant(null), fc.array(part, { maxLength: 3 })),
  })
  .map((each) => each as unknown as ChatMessage)
const conversation = fc.array(message, { maxLength: 12 })

describe('whatever the conversation', () => {
  test('there are four marks at the most, the text is the same, and what was given is not touched', () => {
    fc.assert(
      fc.property(conversation, fc.nat({ max: 3000 }), (messages, promptTokens) => {
        const before = structuredClone(messages)
        const sent = marked(messages, { caching: CACHING, promptTokens })
        expect(messages).toEqual(before)
        expect(sent).toHaveLength(messages.length)
        expect(marksIn(sent).length).toBeLessThanOrEqual(4)
        const [one, two] = [readPrompt({ messages }), readPrompt({ messages: sent })]
        expect(two.text).toBe(one.text)
        expect(two.ends.filter(({ mark }) => mark !== undefined)).toHaveLength(marksIn(sent).length)
        // Marked once, it is the caller's own.
        if (marksIn(sent).length > 0) expect(marked(sent, { caching: CACHING, promptTokens })).toBe(sent)
      }),
      runs(2),
    )
  })

  test('whoever goes on with it sends the same beginning, marked or not', () => {
    fc.assert(
      fc.property(conversation, conversation, (messages, more) => {
        const short = readPrompt({ messages: marked(messages, { caching: CACHING, promptTokens: 5000 }) })
        const long = readPrompt({ messages: marked([...messages, ...more], { caching: CACHING, promptTokens: 9000 }) })
        expect(long.text.startsWith(short.text)).toBe(true)
      }),
      runs(2),
    )
  })
})

describe('requests to OpenRouter', () => {
  const messages = [system(2000), user('Hi')]
  const marksOf = (request: Partial<ChatRequest>, to = CLAUDE) =>
    marksIn(openrouter.body({ messages, ...request }, to).messages)

  test('carry marks where they are asked for and needed, and nowhere else', () => {
    expect(marksOf({})).toEqual([0, 1])
    expect(marksOf({}, { ...CLAUDE, marks: false })).toEqual([])
    expect(marksOf({}, target({ wireModel: 'anthropic/claude-sonnet-4.5' }))).toEqual([])
    expect(marksOf({}, { ...CLAUDE, wireModel: 'openai/gpt-5' })).toEqual([])
    expect(marksOf({}, { ...CLAUDE, wireModel: 'qwen/qwen3-max' })).toEqual([0, 1])
    expect(marksOf({}, { ...CLAUDE, wireModel: 'qwen/qwen3-max', hosts: ['somebody-else'] })).toEqual([])
    // Too short for this one.
    expect(marksOf({}, { ...CLAUDE, wireModel: 'anthropic/claude-haiku-4.5' })).toEqual([])
  })

  test('carry no other mark than that of the caller, wherever he has put it', () => {
    const tool = { type: 'function' as const, function: { name: 'look' }, ...MARK }
    const own: readonly Partial<ChatRequest>[] = [
      MARK as Partial<ChatRequest>,
      { openrouter: { extra: MARK } },
      { tools: [tool] },
      { openrouter: { extra: { tools: [tool] } } },
    ]
    for (const request of own) expect(marksOf(request)).toEqual([])
    expect(marksOf({ openrouter: { extra: { cache_control: null } } })).toEqual([0, 1])
  })
})

describe('in a conversation with a model that caches what is marked', () => {
  interface Turn {
    readonly cached: number
    readonly written: number
    readonly prompt: number
  }

  /** Each turn adds these messages, and then the answer. */
  async function talk(turns: readonly (readonly ChatMessage[])[], to = CLAUDE): Promise<Turn[]> {
    const { openrouter: vendor } = await start()
    vendor.script(turns.map((_, turn) => ok(words(40, `an${turn}`))))
    const history: ChatMessage[] = []
    const used: Turn[] = []
    for (const messages of turns) {
      history.push(...messages)
      const { status, body } = await ask(vendor, { ...openrouter.body({ messages: history }, to), max_tokens: 100 })
      expect(status).toBe(200)
      const { prompt_tokens: prompt, prompt_tokens_details: details } = body.usage
      used.push({ prompt, cached: details.cached_tokens, written: details.cache_write_tokens })
      const answer = body.choices[0].message
      if (messages.at(-1)?.role !== 'assistant') history.push(answer)
    }
    return used
  }

  test('each turn reads what the one before wrote', async () => {
    const [first, second, third, fourth] = await talk([
      [system(1500), user('One?')],
      [user(words(200, 'two'))],
      [user('Three?')],
      [user('Four?')],
    ])
    expect(first).toMatchObject({ cached: 0 })
    // All of the prompt is kept.
    expect(first?.written).toBe(first?.prompt)
    for (const [before, after] of [
      [first, second],
      [second, third],
      [third, fourth],
    ]) {
      expect(after?.cached).toBe((before?.cached ?? 0) + (before?.written ?? 0))
      expect((after?.cached ?? 0) + (after?.written ?? 0)).toBe(after?.prompt)
    }
  })

  test('so does each step of a work with tools', async () => {
    const steps = await talk([
      [system(1500), user('Look it up.'), called('a'), found('a', words(100, 'aaa'))],
      [called('b'), found('b', words(100, 'bbb')), called('c'), found('c', 'Nothing.')],
      [user('And now?')],
    ])
    steps.slice(1).forEach((step, index) => {
      const before = steps[index]
      expect(step.cached).toBe((before?.cached ?? 0) + (before?.written ?? 0))
    })
    expect(steps[2]?.cached).toBeGreaterThan(1700)
  })

  test('also after a step with more in it than is looked back over', async () => {
    const many = (of: string) =>
      [...'abcdefghijkl'].flatMap((name) => [found(`${of}${name}`, words(20, `${of}${name}`))])
    const steps = await talk([
      [system(1500), user('Look it all up.')],
      [called('a'), ...many('a')],
      [called('b'), ...many('b')],
      [called('c'), ...many('c')],
    ])
    steps.slice(1).forEach((step, index) => {
      const before = steps[index]
      expect(step.cached).toBe((before?.cached ?? 0) + (before?.written ?? 0))
    })
  })

  test('a conversation that grows long enough is kept from then on', async () => {
    const [first, second, third] = await talk([[system(300), user('One?')], [user(words(900))], [user('Three?')]])
    expect(first).toMatchObject({ cached: 0, written: 0 })
    expect(second?.cached).toBe(0)
    expect(second?.written).toBe(second?.prompt)
    expect(third?.cached).toBe(second?.prompt)
  })

  test('without marks nothing is kept', async () => {
    const turns = await talk([[system(1500), user('One?')], [user('Two?')]], { ...CLAUDE, marks: false })
    for (const turn of turns) expect(turn).toMatchObject({ cached: 0, written: 0 })
  })
})
