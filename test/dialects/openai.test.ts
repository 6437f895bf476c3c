import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ChatMessage, ChatRequest } from '../../src/chat.ts'
import { openai } from '../../src/dialects/dialect.ts'
import { runs } from '../support/runs.ts'
import { anyRequest, target } from './requests.ts'

const ONLY_OPENROUTER =
  'models provider plugins transforms route session_id trace preset usage include_reasoning openrouter groq reasoning'.split(
    ' ',
  )
const LEFT_BEHIND = ['reasoning', 'reasoning_content', 'reasoning_details', 'annotations', 'images', 'id', 'model']

const hello: readonly ChatMessage[] = [{ role: 'user', content: 'Hello' }]
const local = target({ wireModel: 'qwen3:8b' })

function sent(request: object) {
  const { model: _, messages: __, ...settings } = openai.body({ messages: hello, ...request } as ChatRequest, local)
  return settings
}

describe('requests to a compatible endpoint', () => {
  test('hold nothing that only OpenRouter or Groq understands, in the body or in the history', () => {
    fc.assert(
      fc.property(anyRequest, (request) => {
        const before = structuredClone(request)
        const body = openai.body(request, local)
        expect(request).toEqual(before)
        expect(body.model).toBe('qwen3:8b')
        for (const key of [...ONLY_OPENROUTER, 'stream', 'stream_options']) expect(body).not.toHaveProperty([key])
        for (const message of JSON.parse(JSON.stringify(body.messages))) {
          for (const key of LEFT_BEHIND) expect(message).not.toHaveProperty(key)
          if (Array.isArray(message.content)) {
            for (const part of message.content) expect(part).not.toHaveProperty('cache_control')
          }
        }
      }),
      // Requests with all there is in them take long to make.
      runs(2),
    )
  })

  test('hold what nobody here knows: the endpoint may', () => {
    expect(sent({ chat_template_kwargs: { enable_thinking: false }, top_k: 3 })).toEqual({
      chat_template_kwargs: { enable_thinking: false },
      top_k: 3,
    })
  })

  test("ask for thinking by OpenAI's name", () => {
    expect(sent({ reasoning: { effort: 'low', exclude: true } })).toEqual({ reasoning_effort: 'low' })
    expect(sent({ reasoning_effort: 'high' })).toEqual({ reasoning_effort: 'high' })
    expect(sent({ reasoning_effort: 'default' })).toEqual({})
  })

  test('pass a clean history on as it is, the very same array', () => {
    const messages: readonly ChatMessage[] = [
      { role: 'system', content: 'Be brief.' },
      { role: 'assistant', content: null, tool_calls: [] },
      { role: 'tool', content: '3', tool_call_id: 'call_1' },
    ]
    expect(openai.body({ messages }, local).messages).toBe(messages)
  })

  test('keep settings of the name __proto__ what they are: settings', () => {
    const request = JSON.parse('{"messages":[],"__proto__":{"polluted":true}}')
    const body = openai.body(request, local)
    expect(Object.getPrototypeOf(body)).toBe(Object.prototype)
    expect(body.polluted).toBeUndefined()
  })
})

describe('errors of compatible endpoints', () => {
  const fail = (status: number, body: unknown) => openai.fail(body, { status, headers: new Headers() })

  test.each([
    [
      'in an array of one',
      429,
      [{ error: { code: 429, message: 'Quota exceeded', status: 'RESOURCE_EXHAUSTED' } }],
      'rate-limited',
      'Quota exceeded',
    ],
    [
      'without an envelope',
      400,
      { object: 'error', message: 'too long', code: 'context_length_exceeded' },
      'context-too-long',
      'too long',
    ],
    ['as a string', 404, { error: 'model "x" not found' }, 'model-gone', 'model "x" not found'],
    ['as plain text', 503, 'Service Unavailable', 'overloaded', 'Service Unavailable'],
    ['as a page, which is not quoted', 502, '<!DOCTYPE html><h1>Bad gateway</h1>', 'server-error', null],
    ['not at all', 500, undefined, 'server-error', null],
    ['with a code that every object has', 418, { error: { code: 'constructor' } }, 'invalid-request', null],
    ['with a redirect told inside an error', 400, { error: { code: 302 } }, 'invalid-request', null],
    ['as credit that is used up', 429, { error: { code: 'insufficient_quota', message: 'm' } }, 'out-of-credit', 'm'],
  ] as const)('are understood %s', (_, status, body, kind, detail) => {
    expect(fail(status, body)).toMatchObject({ kind, detail })
  })
})
