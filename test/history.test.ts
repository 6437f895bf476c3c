import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createAssembly } from '../src/assembly.ts'
import type { AssistantMessage, ChatMessage } from '../src/chat.ts'
import { type Dialect, openai } from '../src/dialects/dialect.ts'
import { groq } from '../src/dialects/groq.ts'
import { openrouter } from '../src/dialects/openrouter.ts'
import { dropped } from '../src/history.ts'
import { ok } from '../src/sandbox/sandbox.ts'
import { target } from './dialects/requests.ts'
import { ask, start } from './sandbox/client.ts'
import { runs } from './support/runs.ts'

// biome-ignore lint/suspicious/noExplicitAny: what is sent is read by many paths, and a wrong one fails the test
type Loose = any

/** Where a conversation goes on, and what is taken there, written down from what the providers say. */
interface Place {
  readonly dialect: Dialect
  readonly model: string
  readonly ids: RegExp
  /** Keys of an answer; of other messages nothing is left that Groq does not know. */
  readonly keys: ReadonlySet<string> | null
  /** Formats of thoughts; `null`: plain text of no format. */
  readonly reads: ReadonlySet<string | null>
}

const ANY_ID = /^[\s\S]*$/
const NINE = /^[a-zA-Z0-9]{9}$/
const WORD = /^[a-zA-Z0-9_-]{1,64}$/
const OF_40 = /^[\s\S]{1,40}$/
const OF_64 = /^[\s\S]{1,64}$/
const GROQ_KEYS = new Set(['role', 'content', 'tool_calls', 'reasoning', 'tool_call_id'])
const PLAIN_KEYS = new Set('role content name tool_calls tool_call_id refusal audio function_call'.split(' '))

function behindOpenRouter(model: string, ids: RegExp, ...reads: (string | null)[]): Place {
  return { dialect: openrouter, model, ids, keys: null, reads: new Set(reads) }
}

const OPENAI_FORMATS = ['openai-responses-v1', 'azure-openai-responses-v1', 'bedrock-openai-responses-v1']
const PLACES: readonly Place[] = [
  behindOpenRouter('anthropic/claude-sonnet-4.5', WORD, 'anthropic-claude-v1'),
  behindOpenRouter('~anthropic/claude-sonnet-latest', WORD, 'anthropic-claude-v1'),
  behindOpenRouter('openai/gpt-5:nitro', OF_40, ...OPENAI_FORMATS),
  behindOpenRouter('openai/gpt-oss-120b', OF_64, null),
  behindOpenRouter('google/gemini-2.5-pro', ANY_ID, 'google-gemini-v1', null),
  behindOpenRouter('x-ai/grok-4', OF_64, 'xai-responses-v1', 'bedrock-xai-responses-v1', null),
  behindOpenRouter('meta/muse-1', OF_64, 'meta-responses-v1', null),
  behindOpenRouter('mistralai/mistral-medium-3.1', NINE, null),
  behindOpenRouter('deepseek/deepseek-v4-pro', OF_64, null),
  behindOpenRouter('moonshotai/kimi-k2', OF_64, null),
  { dialect: groq, model: 'openai/gpt-oss-120b', ids: OF_64, keys: GROQ_KEYS, reads: new Set() },
  { dialect: openai, model: 'gpt-5', ids: OF_40, keys: PLAIN_KEYS, reads: new Set() },
  { dialect: openai, model: 'mistral-large-latest', ids: NINE, keys: PLAIN_KEYS, reads: new Set() },
  { dialect: openai, model: 'claude-sonnet-4-5', ids: WORD, keys: PLAIN_KEYS, reads: new Set() },
]

function sentTo(
  { dialect, model }: Pick<Place, 'dialect' | 'model'>,
  messages: readonly ChatMessage[],
): readonly ChatMessage[] {
  const { messages: sent }: Loose = dialect.body({ messages }, target({ wireModel: model }))
  return sent
}

const to = (model: string) => (messages: readonly ChatMessage[]) => sentTo({ dialect: openrouter, model }, messages)

const question: ChatMessage = { role: 'user', content: 'And then?' }

/** What another model has thought, said and called; and what came of it. */
const signed = { type: 'reasoning.text', text: 'Hm.', signature: 'sig', format: 'anthropic-claude-v1', index: 0 }
const sealed = { type: 'reasoning.encrypted', data: 'x', id: 'rs_1', format: 'openai-responses-v1', index: 1 }
const summed = { type: 'reasoning.summary', summary: 'In short.', format: 'openai-responses-v1', index: 0 }
const plain = { type: 'reasoning.text', text: 'So.', format: 'unknown', index: 0 }
const nameless = { type: 'reasoning.text', text: 'Then.' }

function thought(...reasoning_details: unknown[]): ChatMessage {
  return { role: 'assistant', content: 'So it is.', reasoning: 'Hm.', reasoning_details }
}

function detailsSentTo(model: string, ...details: unknown[]): unknown {
  const [, answer]: Loose = to(model)([question, thought(...details), question])
  return answer.reasoning_details
}

describe('thoughts behind OpenRouter', () => {
  test('go on to a model that can read them, in their order and as they are', () => {
    expect(detailsSentTo('anthropic/claude-opus-4.5', signed, sealed, plain)).toEqual([signed])
    expect(detailsSentTo('openai/gpt-5', signed, summed, plain, sealed)).toEqual([summed, sealed])
    expect(detailsSentTo('z-ai/glm-4.6', signed, plain, nameless, sealed)).toEqual([plain, nameless])
    const azure = { ...sealed, format: 'azure-openai-responses-v1' }
    expect(detailsSentTo('openai/gpt-5', azure)).toEqual([azure])
    const xai = { ...sealed, format: 'xai-responses-v1' }
    expect(detailsSentTo('x-ai/grok-4', sealed, xai)).toEqual([xai])
    const gemini = { ...sealed, format: 'google-gemini-v1', id: 'tool_0_look' }
    expect(detailsSentTo('google/gemini-3-pro', signed, gemini)).toEqual([gemini])
  })

  test('stay behind where nobody can read them; their plain text goes on', () => {
    const [, answer] = to('openai/gpt-5')([question, thought(signed)])
    expect(answer).toEqual({ role: 'assistant', content: 'So it is.', reasoning: 'Hm.' })
  })

  test('without a format go on as long as they are plain, and nobody asks for a signature', () => {
    const strange = { ...sealed, format: null }
    const signedBySomebody = { ...signed, format: 'unknown' }
    const brandNew = { ...sealed, format: 'brand-new-v1' }
    for (const model of ['z-ai/glm-4.6', 'openai/gpt-oss-20b', 'google/gemini-2.5-flash', 'x-ai/grok-3-mini']) {
      expect(detailsSentTo(model, plain, strange, nameless, signedBySomebody, brandNew)).toEqual([plain, nameless])
    }
    for (const model of ['anthropic/claude-sonnet-4.5', 'openai/gpt-5']) {
      expect(detailsSentTo(model, plain, nameless)).toBeUndefined()
    }
  })

  test('leave an empty list for DeepSeek, which refuses an answer without one', () => {
    expect(detailsSentTo('deepseek/deepseek-v4-pro', signed)).toEqual([])
    expect(detailsSentTo('deepseek/deepseek-v4-pro')).toEqual([])
    expect(detailsSentTo('z-ai/glm-4.6', signed)).toBeUndefined()
    // One that was empty before is nobody's secret.
    expect(detailsSentTo('anthropic/claude-sonnet-4.5')).toEqual([])
  })

  test('go on as they are where OpenRouter chooses the model itself', () => {
    const messages = [question, thought(signed, sealed, plain)]
    for (const model of ['openrouter/auto', '@preset/support']) expect(to(model)(messages)).toBe(messages)
    const gpt = to('openai/gpt-5@preset/support')(messages)
    expect(gpt[1]).toMatchObject({ reasoning_details: [sealed] })
  })

  test('that are none at all are left out, or left to OpenRouter', () => {
    expect(detailsSentTo('openai/gpt-5', 'text', null, 7, sealed)).toEqual([sealed])
    const odd: Loose = [{ role: 'assistant', content: 'Hi', reasoning_details: 'text' }, 'Hi']
    expect(to('openai/gpt-5')(odd)).toBe(odd)
  })
})

function called(...ids: string[]): ChatMessage {
  const calls = ids.map((id) => ({ id, type: 'function' as const, function: { name: 'look', arguments: '{"at":1}' } }))
  return { role: 'assistant', content: null, tool_calls: calls }
}

function found(id: string): ChatMessage {
  return { role: 'tool', tool_call_id: id, content: `found ${id}` }
}

/** Ids in the order in which they stand: of each call, and of each result. */
function idsIn(messages: readonly ChatMessage[]): string[] {
  return messages.flatMap((message: Loose) => [
    ...(message.tool_calls ?? []).map((call: Loose) => call.id),
    ...(message.tool_call_id === undefined || message.tool_call_id === null ? [] : [message.tool_call_id]),
  ])
}

describe('ids of tool calls', () => {
  const KIMI = 'functions.look:0'
  const GEMINI = 'tool_0_structured_output_JReKueBpXBji8aKGW2ly'

  test('are renamed where the next model would refuse them, in call and result alike', () => {
    const sent = to('anthropic/claude-sonnet-4.5')([called(KIMI, 'toolu_01'), found('toolu_01'), found(KIMI)])
    const [first, second, third, fourth] = idsIn(sent)
    expect([second, third]).toEqual(['toolu_01', 'toolu_01'])
    expect(first).toMatch(NINE)
    expect(fourth).toBe(first)
    expect(sent[2]).toMatchObject({ content: `found ${KIMI}` })
  })

  test.each([
    ['mistralai/mistral-medium-3.1', 'f08pMIqJ9', 'call_78676120'],
    ['anthropic/claude-haiku-4.5', 'toolu_bdrk_01ADw53o3uvrGvccVaVYUX4G', KIMI],
    ['openai/gpt-5', 'fc_cfd32a4b-039c-4a3a-b595-6b8c7ac5d14b', GEMINI],
    ['openai/gpt-5', KIMI, ''],
    ['moonshotai/kimi-k2', KIMI, 'x'.repeat(65)],
    ['google/gemini-2.5-pro', GEMINI, null],
    ['google/gemini-2.5-pro', 'x'.repeat(200), null],
  ])('of %s stay as they are, such as %s, and not such as %s', (model, fits, strange) => {
    const clean = [called(fits), found(fits)]
    expect(to(model)(clean)).toBe(clean)
    if (strange === null) return
    expect(new Set(idsIn(to(model)([called(strange), found(strange)])))).toEqual(new Set([expect.stringMatching(NINE)]))
  })

  test('are never renamed to one that is there already', () => {
    const [name = ''] = idsIn(to('mistralai/codestral')([called('call_1')]))
    const ids = idsIn(to('mistralai/codestral')([called('call_1', name), found('call_1'), found(name)]))
    expect(ids[0]).toMatch(NINE)
    expect(ids[0]).not.toBe(name)
    expect(ids).toEqual([ids[0], name, ids[0], name])
  })

  test('have the same new name every time, however the conversation goes on', () => {
    const messages = [called('call_1'), found('call_1')]
    const once = to('mistralai/codestral')(messages)
    const later = to('mistralai/codestral')([...messages, called('call_2'), found('call_2')])
    expect(later.slice(0, 2)).toEqual(once)
    const elsewhere = sentTo({ dialect: openai, model: 'codestral-latest' }, messages)
    expect(elsewhere).toEqual(once)
  })

  test('that are none are left to whoever reads them', () => {
    const odd: Loose = [
      { role: 'assistant', content: null, tool_calls: [null, { id: 7 }] },
      { role: 'tool', content: '' },
    ]
    expect(to('mistralai/codestral')(odd)).toBe(odd)
  })
})

const id = fc.oneof(
  fc.constantFrom('call_1', 'functions.look:0', 'f08pMIqJ9', 'fc_cfd32a4b-039c-4a3a-b595-6b8c7ac5d14b', 'toolu_01'),
  fc.string({ maxLength: 80 }),
)
const detail = fc.record(
  {
    type: fc.constantFrom('reasoning.text', 'reasoning.summary', 'reasoning.encrypted'),
    text: fc.string(),
    signature: fc.option(fc.string()),
    data: fc.option(fc.string()),
    format: fc.constantFrom(
      null,
      'unknown',
      'anthropic-claude-v1',
      ...OPENAI_FORMATS,
      'google-gemini-v1',
      'xai-responses-v1',
      'meta-responses-v1',
      'constructor',
    ),
  },
  { requiredKeys: ['type'] },
)
const answer = fc.record(
  {
    role: fc.constant('assistant'),
    content: fc.option(fc.string()),
    reasoning: fc.string(),
    reasoning_details: fc.array(detail, { maxLength: 3 }),
    annotations: fc.array(fc.constant({ type: 'url_citation' }), { maxLength: 1 }),
    images: fc.constant([{ type: 'image_url', image_url: { url: 'data:,' } }]),
    tool_calls: fc.array(
      fc.record({
        id,
        type: fc.constant('function'),
        function: fc.record({ name: fc.string(), arguments: fc.string() }),
      }),
      { maxLength: 3 },
    ),
  },
  { requiredKeys: ['role', 'content'] },
)
const other = fc.oneof(
  fc.record({ role: fc.constantFrom('user', 'system'), content: fc.string() }),
  fc.record({ role: fc.constant('tool'), tool_call_id: id, content: fc.string() }),
)
const history = fc
  .array(fc.oneof(answer, other), { maxLength: 8 })
  // As it comes in over HTTP: no type has seen it.
  .map((messages) => messages as unknown as ChatMessage[])
const place = fc.constantFrom(...PLACES)

/** All that was said, without thoughts and without names that only tie call and result together. */
function saidIn(messages: readonly ChatMessage[]) {
  return messages.map(({ role, content, tool_calls: calls }: Loose) => ({
    role,
    content,
    calls: (calls ?? []).map((call: Loose) => call.function),
  }))
}

function expectTaken({ keys, ids, reads }: Place, sent: readonly ChatMessage[]): void {
  for (const name of idsIn(sent)) expect(name).toMatch(ids)
  for (const message of sent) {
    if (keys !== null) expect(Object.keys(message).filter((key) => !keys.has(key))).toEqual([])
    const { reasoning_details: details = [] }: Loose = message
    for (const { format = null, data, signature } of details) {
      const known = format !== 'unknown' && format !== 'constructor' ? format : null
      expect(reads).toContain(known)
      if (known === null) expect([data ?? null, signature ?? null]).toEqual([null, null])
    }
  }
}

describe('whatever is in a history', () => {
  test('nothing that was said is lost, and nothing goes out that is refused', () => {
    fc.assert(
      fc.property(history, place, (messages, where) => {
        const before = structuredClone(messages)
        const sent = sentTo(where, messages)
        expect(messages).toEqual(before)
        expect(saidIn(sent)).toEqual(saidIn(messages))
        expectTaken(where, sent)
      }),
      runs(),
    )
  })

  test('what is clean is passed on as it is, the very same list', () => {
    fc.assert(
      fc.property(history, place, (messages, where) => {
        const sent = sentTo(where, messages)
        expect(sentTo(where, sent)).toBe(sent)
      }),
      runs(),
    )
  })

  test('a call has one name before and one after, and so has each result', () => {
    fc.assert(
      fc.property(history, place, (messages, where) => {
        const [before, after] = [idsIn(messages), idsIn(sentTo(where, messages))]
        const pairs = new Set(before.map((name, index) => JSON.stringify([name, after[index]])))
        expect(after).toHaveLength(before.length)
        expect(pairs.size).toBe(new Set(before).size)
        expect(pairs.size).toBe(new Set(after).size)
      }),
      runs(),
    )
  })

  test('the beginning of it is the same when more has been said', () => {
    fc.assert(
      fc.property(history, history, place, (messages, more, where) => {
        const sent = sentTo(where, messages)
        expect(sentTo(where, [...messages, ...more]).slice(0, sent.length)).toEqual(sent)
      }),
      runs(),
    )
  })

  test('what is said to be dropped is a few words without content, and nothing where nothing was', () => {
    const words = /^((some )?[a-z_]+|other keys|cache marks) of \d+ messages?$|^\d+ tool call ids? mapped$/
    fc.assert(
      fc.property(history, place, (messages, where) => {
        const sent = sentTo(where, messages)
        const said = dropped(messages, sent)
        for (const line of said) expect(line).toMatch(words)
        expect(said.length).toBeLessThanOrEqual(20)
        expect(said.length === 0).toBe(JSON.stringify(withoutNull(sent)) === JSON.stringify(withoutNull(messages)))
      }),
      runs(),
    )
  })
})

function withoutNull(messages: readonly ChatMessage[]) {
  return messages.map((message) => Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null)))
}

describe('what was dropped', () => {
  const CHANGED: readonly ChatMessage[] = [
    { role: 'system', content: 'Be brief.' },
    thought(signed),
    { ...thought(signed, plain), annotations: [{ type: 'url_citation' }] } as ChatMessage,
    called('functions.look:0', 'functions.look:1'),
    found('functions.look:0'),
    found('functions.look:1'),
  ]

  test('is told by key and by number of messages', () => {
    const sentTo = (dialect: Dialect, wireModel: string) =>
      dropped(CHANGED, dialect.body({ messages: CHANGED }, target({ wireModel })).messages)
    expect(sentTo(openrouter, 'anthropic/claude-sonnet-4.5')).toEqual([
      'some reasoning_details of 1 message',
      '2 tool call ids mapped',
    ])
    expect(sentTo(openrouter, 'openai/gpt-5')).toEqual(['reasoning_details of 2 messages'])
    expect(sentTo(openrouter, 'deepseek/deepseek-v4-pro')).toEqual([
      'reasoning_details of 1 message',
      'some reasoning_details of 1 message',
    ])
    expect(sentTo(groq, 'openai/gpt-oss-20b')).toEqual(['annotations of 1 message', 'reasoning_details of 2 messages'])
    expect(sentTo(openai, 'mistral-large-latest')).toEqual([
      'annotations of 1 message',
      'reasoning of 2 messages',
      'reasoning_details of 2 messages',
      '2 tool call ids mapped',
    ])
  })

  test('does not count what was null, nor the marks of a cache that were added', () => {
    const messages: Loose = [{ role: 'assistant', content: 'Hi', refusal: null, audio: undefined, function_call: null }]
    expect(dropped(messages, sentTo({ dialect: groq, model: 'openai/gpt-oss-20b' }, messages))).toEqual([])
    const long: ChatMessage[] = [{ role: 'system', content: 'So. '.repeat(5000) }, question]
    const claude = target({ wireModel: 'anthropic/claude-sonnet-4.5', marks: true })
    const { messages: sent } = openrouter.body({ messages: long }, claude)
    expect(sent).not.toBe(long)
    expect(dropped(long, sent)).toEqual([])
  })

  test('tells of marks that were taken out', () => {
    const messages: Loose = [
      { role: 'user', content: [{ type: 'text', text: 'Hi', cache_control: { type: 'ephemeral' } }] },
    ]
    const sent = sentTo({ dialect: groq, model: 'openai/gpt-oss-20b' }, messages)
    expect(dropped(messages, sent)).toEqual(['cache marks of 1 message'])
  })

  test("does not tell the caller's own keys", () => {
    const messages: Loose = [{ role: 'user', content: 'Hi', 'sk-secret': 1, 'and more': 2 }]
    const sent = sentTo({ dialect: groq, model: 'openai/gpt-oss-20b' }, messages)
    expect(dropped(messages, sent)).toEqual(['other keys of 1 message'])
  })

  test('is nothing where nothing was sent', () => {
    expect(dropped(CHANGED, CHANGED)).toEqual([])
    expect(dropped(CHANGED, undefined)).toEqual([])
    expect(dropped(CHANGED, [])).toEqual([])
  })
})

describe('a conversation', () => {
  test('goes from one provider to the other and back, where what the other says of itself would be refused', async () => {
    const sandbox = await start()
    sandbox.openrouter.script([ok({ reasoning: 'Hm.', toolCalls: [{ name: 'look', arguments: { at: 1 } }] })])
    const tools = [{ type: 'function', function: { name: 'look', parameters: { type: 'object' } } }]
    const one = { model: 'anthropic/claude-sonnet-4.5', tools, reasoning: { effort: 'low' } }
    const messages: ChatMessage[] = [question]
    const first = await ask(sandbox.openrouter, { ...one, messages })
    const { message } = first.body.choices[0]
    expect(message.reasoning_details).toHaveLength(1)
    messages.push(message, found(message.tool_calls[0].id))
    const two = { model: 'openai/gpt-oss-20b', tools }
    expect((await ask(sandbox.groq, { ...two, messages })).status).toBe(400)
    const second = await ask(sandbox.groq, { ...two, messages: sentTo({ dialect: groq, model: two.model }, messages) })
    expect(second.status).toBe(200)
    messages.push(second.body.choices[0].message, question)
    const third = await ask(sandbox.openrouter, { ...one, messages: to(one.model)(messages) })
    expect(third.status).toBe(200)
    expect(to(one.model)(messages)).toBe(messages)
  })
})

const folder = fileURLToPath(new URL('../../shared/data/recordings/', import.meta.url))
const there = existsSync(folder)

interface Answered {
  readonly name: string
  readonly by: 'groq' | 'openrouter'
  readonly model: string
  readonly message: AssistantMessage
}

function answersIn(name: string): Answered[] {
  const { request, response } = JSON.parse(readFileSync(`${folder}${name}`, 'utf8'))
  if (response.status !== 200) return []
  const by = request.url.includes('openrouter.ai') ? 'openrouter' : 'groq'
  const chunks: string[] = response.chunksB64 ?? []
  const text =
    chunks.length === 0 ? response.body : Buffer.concat(chunks.map((each) => Buffer.from(each, 'base64'))).toString()
  const read = (body: unknown) =>
    (by === 'groq' ? groq : openrouter).read(body, { status: 200, headers: new Headers(response.headers) }).answer
  const answered = read(name.includes('-stream') ? assembled(text) : parsed(text))
  return answered === null || answered.message === null
    ? []
    : [{ name, by, model: answered.model ?? '', message: answered.message }]
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function assembled(text: string): unknown {
  const assembly = createAssembly()
  for (const line of text.split('\n')) if (line.startsWith('data: ')) assembly.take(line.slice(6), undefined, [])
  return assembly.body
}

describe.skipIf(!there)('answers that were really given', () => {
  const answers = there ? readdirSync(folder).sort().flatMap(answersIn) : []

  test('can be told from nothing', () => {
    expect(answers.length).toBeGreaterThan(30)
    expect(answers.filter(({ message }) => message.reasoning_details !== undefined).length).toBeGreaterThan(8)
    expect(answers.filter(({ message }) => message.tool_calls !== undefined).length).toBeGreaterThan(8)
  })

  test.each(PLACES)('go on to $dialect.name with $model', (where) => {
    for (const { message } of answers) {
      const results = (message.tool_calls ?? []).map(({ id }): ChatMessage => found(id))
      const messages: readonly ChatMessage[] = [question, message, ...results, question]
      const sent = sentTo(where, messages)
      expect(saidIn(sent)).toEqual(saidIn(messages))
      expectTaken(where, sent)
      expect(idsIn(sent).slice(results.length)).toEqual(idsIn(sent).slice(0, results.length))
    }
  })

  test('go back as they are to the model that gave them', () => {
    const changed = answers.flatMap(({ name, by, model, message }) => {
      const sent = sentTo({ dialect: by === 'groq' ? groq : openrouter, model }, [message])
      return JSON.stringify(sent) === JSON.stringify([message]) ? [] : [`${name} ${dropped([message], sent)}`]
    })
    expect(changed).toEqual([])
  })
})
