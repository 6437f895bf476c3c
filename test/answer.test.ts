import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openai } from '../src/dialects/dialect.ts'
import { groq } from '../src/dialects/groq.ts'
import { openrouter } from '../src/dialects/openrouter.ts'
import { FAILURE_KINDS } from '../src/failure.ts'
import { runs } from './support/runs.ts'

const dialects = [openai, groq, openrouter]
const headers = new Headers()
const reply = { status: 200, headers }

function read(message: unknown, choice: object = { finish_reason: 'stop' }) {
  return openai.read({ choices: [{ ...choice, message }] }, reply)
}

const call = (over: object) => ({ id: 'a', type: 'function', function: { name: 'add', arguments: '{"a":1}' }, ...over })

describe('an answer', () => {
  test('joins text that comes in parts', () => {
    const content = [{ type: 'text', text: 'Hel' }, { type: 'text', text: 'lo' }, { type: 'image' }]
    expect(read({ content }).answer?.text).toBe('Hello')
  })

  test('keeps arguments that come as an object, for the history too', () => {
    const { answer } = read({ content: null, tool_calls: [call({ function: { name: 'add', arguments: { a: 1 } } })] })
    expect(answer?.toolCalls).toEqual([{ id: 'a', name: 'add', arguments: { a: 1 }, json: '{"a":1}' }])
    expect(answer?.message).toEqual({
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'a', type: 'function', function: { name: 'add', arguments: '{"a":1}' } }],
    })
  })

  test('gives a tool call without an id the same one in the answer and in the history', () => {
    const { answer } = read({ tool_calls: [call({ id: '' }), call({ id: undefined })] })
    expect(answer?.toolCalls.map(({ id }) => id)).toEqual(['call_0', 'call_1'])
    expect(answer?.message.tool_calls?.map(({ id }) => id)).toEqual(['call_0', 'call_1'])
  })

  test('takes no arguments for none', () => {
    const { answer } = read({ tool_calls: [call({ function: { name: 'now', arguments: '' } })] })
    expect(answer?.toolCalls[0]?.arguments).toEqual({})
    expect(answer?.message.tool_calls?.[0]?.function.arguments).toBe('{}')
  })

  test('says that it ends in a tool call even when the host says stop', () => {
    expect(read({ tool_calls: [call({})] }).answer?.finish).toEqual({ reason: 'tool-calls', raw: 'stop' })
  })

  test('with an empty refusal or an empty thought beside it has neither', () => {
    const { answer, failure } = read({ content: 'Hi', refusal: '', reasoning: '' })
    expect(failure).toBeNull()
    expect(answer?.reasoning).toBeNull()
    expect(answer?.message).toEqual({ role: 'assistant', content: 'Hi' })
  })

  test('that calls a tool is no refusal, whatever stands in that field', () => {
    expect(read({ content: null, refusal: '', tool_calls: [call({})] }).failure).toBeNull()
    expect(read({ content: null, refusal: 'I cannot.' }).failure?.kind).toBe('refused')
  })

  test.each([
    ['arguments cut in the middle', [call({ function: { name: 'add', arguments: '{"a":' } })]],
    ['a call without a name', [call({ function: { arguments: '{}' } })]],
    ['more calls than anyone makes', Array.from({ length: 129 }, () => call({}))],
  ])('with %s is bad output', (_, tool_calls) => {
    expect(read({ content: null, tool_calls }).failure?.kind).toBe('bad-output')
  })

  test.each([
    [{ content: '' }, null],
    [{ content: null, reasoning: '' }, ''],
    [{}, undefined],
  ])('of nothing, which ends for no reason, is empty: %j, %j', (message, finish_reason) => {
    expect(read(message, { finish_reason }).failure?.kind).toBe('empty')
  })

  test('of nothing that ends for a reason stands as it is', () => {
    expect(read({ content: '' }).failure).toBeNull()
    expect(read({ content: '' }, { finish_reason: 'length' }).answer?.finish.reason).toBe('length')
  })

  test('that ends in an error is a failure, with or without words about it', () => {
    expect(read({ content: 'Hel' }, { finish_reason: 'error' }).failure?.kind).toBe('server-error')
    expect(read({ content: 'Hel' }, { error: { code: 429 } }).failure?.kind).toBe('rate-limited')
  })

  test.each([
    ['no choices', {}],
    ['an empty list of choices', { choices: [] }],
    ['no message', { choices: [{ finish_reason: 'stop' }] }],
    ['a list', []],
    ['a string', 'Hello'],
    ['null', null],
  ])('that is %s is no answer', (_, body) => {
    for (const dialect of dialects) expect(dialect.read(body, reply).failure?.kind).toBe('bad-response')
  })

  test('counts only what is a count', () => {
    const usage = { prompt_tokens: '12', completion_tokens: 1.5, total_tokens: -1 }
    const { answer } = openai.read({ choices: [{ message: { content: 'Hi' } }], usage }, reply)
    expect(answer?.tokens).toEqual({
      prompt: null,
      cachedPrompt: null,
      cacheWrite: null,
      completion: null,
      reasoning: null,
      total: null,
    })
  })
})

describe('the reader', () => {
  const word = fc.oneof(
    fc.constantFrom('choices', 'message', 'content', 'tool_calls', 'function', 'arguments', 'usage', 'error', 'code'),
    fc.constantFrom('__proto__', 'constructor', 'then', 'toString', 'hasOwnProperty', 'toJSON', 'metadata', 'provider'),
    fc.string(),
  )
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 6 },
      fc.oneof(fc.string(), word, fc.double(), fc.boolean(), fc.constant(null)),
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.array(fc.tuple(word, tie('tree')), { maxLength: 5 }).map(objectOf),
    ),
  }))

  /** As `JSON.parse` makes them: `__proto__` is a key like any other. */
  function objectOf(entries: readonly (readonly [string, unknown])[]): object {
    return Object.fromEntries(entries)
  }

  const shaped = fc.record(
    {
      choices: fc.array(fc.record({ message: tree, finish_reason: tree, error: tree }, { requiredKeys: [] })),
      usage: tree,
      error: tree,
      provider: tree,
      model: tree,
    },
    { requiredKeys: [] },
  )

  test('never breaks, never touches the body, and ends in an answer, a failure of a known kind, or both', () => {
    fc.assert(
      fc.property(fc.oneof(tree, shaped), (body) => {
        const before = JSON.stringify(body)
        for (const dialect of dialects) {
          const { answer, failure } = dialect.read(body, reply)
          expect(answer !== null || failure !== null).toBe(true)
          if (failure !== null) expect(FAILURE_KINDS).toContain(failure.kind)
        }
        expect(JSON.stringify(body)).toBe(before)
      }),
      runs(),
    )
  })

  test('is not led astray by names that every object answers to', () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf']) {
      const body = JSON.parse(
        `{"provider":"${name}","service_tier":"${name}","choices":[{"finish_reason":"${name}","message":{"content":"Hi","${name}":{"polluted":true}}}]}`,
      )
      const { answer, failure } = openrouter.read(body, reply)
      expect(failure).toBeNull()
      expect(answer?.host).toBe(name.toLowerCase())
      expect(answer?.finish.reason).toBe('unknown')
      expect(answer?.message).toEqual({ role: 'assistant', content: 'Hi' })
    }
    expect('polluted' in {}).toBe(false)
  })

  test('gives nothing back that a promise would wait for', async () => {
    const body = JSON.parse('{"then":{},"choices":[{"message":{"content":"Hi","then":1},"finish_reason":"stop"}]}')
    expect((await openai.read(body, reply)).answer?.text).toBe('Hi')
  })

  test('survives huge arrays and deep nesting', () => {
    const deep = JSON.parse(`${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`)
    const parts = Array.from({ length: 200_000 }, () => ({ type: 'text', text: 'x' }))
    expect(read({ content: parts }).answer?.text).toHaveLength(200_000)
    expect(read({ content: deep }).failure).toBeNull()
    expect(read({ tool_calls: [call({ function: { name: 'add', arguments: deep } })] }).failure?.kind).toBe(
      'bad-output',
    )
    expect(openai.read({ choices: Array.from({ length: 100_000 }, () => null) }, reply).failure?.kind).toBe(
      'bad-response',
    )
    for (const dialect of dialects) {
      expect(FAILURE_KINDS).toContain(dialect.fail({ error: deep }, { status: 400, headers }).kind)
    }
  })
})
