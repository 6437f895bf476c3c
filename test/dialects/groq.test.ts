import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ChatMessage, ChatRequest } from '../../src/chat.ts'
import { groq } from '../../src/dialects/groq.ts'
import { runs } from '../support/runs.ts'
import { anyRequest, target } from './requests.ts'

/** The closed schema of Groq's request, written down from its specification. */
const BODY = new Set(
  (
    'model messages citation_options compound_custom disable_tool_validation documents include_domains ' +
    'exclude_domains search_settings frequency_penalty presence_penalty function_call functions include_reasoning ' +
    'reasoning_format reasoning_effort logit_bias logprobs top_logprobs max_completion_tokens max_tokens metadata store ' +
    'n parallel_tool_calls response_format seed service_tier stop stream temperature top_p tool_choice tools user'
  ).split(' '),
)
/** Of each role; `name` is in the schema, but the documentation says it is a 400. */
const MESSAGE: Readonly<Record<string, ReadonlySet<string>>> = {
  system: new Set(['role', 'content']),
  developer: new Set(['role', 'content']),
  user: new Set(['role', 'content']),
  assistant: new Set(['role', 'content', 'tool_calls', 'reasoning']),
  tool: new Set(['role', 'content', 'tool_call_id']),
}
const EFFORTS = new Set(['none', 'default', 'low', 'medium', 'high'])
const TIERS = new Set(['auto', 'on_demand', 'flex', 'performance'])
const PART_MARKS = ['cache_control', 'prompt_cache_breakpoint']

const hello: readonly ChatMessage[] = [{ role: 'user', content: 'Hello' }]
const gptOss = target({ wireModel: 'openai/gpt-oss-20b' })
const qwen = target({ wireModel: 'qwen/qwen3.8-27b' })

function sent(request: Partial<ChatRequest>, to = gptOss) {
  const { model: _, messages: __, ...settings } = groq.body({ messages: hello, ...request }, to)
  return settings
}

describe("Groq's requests", () => {
  test('never hold a key outside its schema, whatever the request and its history hold', () => {
    fc.assert(
      fc.property(anyRequest, fc.constantFrom(gptOss, qwen, target({ abilities: new Set() })), (request, to) => {
        const body = groq.body(request, to)
        const strangers = Object.keys(body).filter((key) => !BODY.has(key))
        expect(strangers).toEqual([])
        const messages = JSON.parse(JSON.stringify(body.messages))
        expect(messages).toHaveLength(request.messages.length)
        for (const message of messages) {
          const unknown = Object.keys(message).filter((key) => !MESSAGE[message.role]?.has(key))
          expect(unknown).toEqual([])
          for (const [key, value] of Object.entries(message)) if (key !== 'content') expect(value).not.toBeNull()
          const parts = Array.isArray(message.content) ? message.content : []
          for (const part of parts) for (const mark of PART_MARKS) expect(part).not.toHaveProperty(mark)
        }
      }),
      // Requests with all there is in them take long to make.
      runs(2),
    )
  })

  test('hold only efforts and tiers that Groq has, and never both ways to hide the thinking', () => {
    fc.assert(
      fc.property(anyRequest, fc.constantFrom(gptOss, qwen), (request, to) => {
        const body = groq.body(request, to)
        if (body.reasoning_effort !== undefined) expect(EFFORTS).toContain(body.reasoning_effort)
        if (body.service_tier !== undefined) expect(TIERS).toContain(body.service_tier)
        expect('include_reasoning' in body && 'reasoning_format' in body).toBe(false)
        expect(body.max_tokens).toBeUndefined()
      }),
      // Requests with all there is in them take long to make.
      runs(2),
    )
  })

  test('are made without a mark on what they are made of', () => {
    fc.assert(
      fc.property(anyRequest, (request) => {
        const before = structuredClone(request)
        groq.body(request, gptOss)
        expect(request).toEqual(before)
      }),
      // Requests with all there is in them take long to make.
      runs(2),
    )
  })

  test('go to the model and with the messages of the plan, whatever the request says', () => {
    const request = { messages: hello, model: 'task:other', stream: true }
    expect(groq.body(request, gptOss)).toEqual({ model: 'openai/gpt-oss-20b', messages: hello })
  })

  test('pass a clean history on as it is, the very same array', () => {
    const messages: readonly ChatMessage[] = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
      { role: 'assistant', content: null, reasoning: 'Hm.', tool_calls: [] },
      { role: 'tool', content: '3', tool_call_id: 'call_1' },
    ]
    expect(groq.body({ messages }, gptOss).messages).toBe(messages)
  })

  test('leave the thinking of others out for a model that does not think', () => {
    const messages: readonly ChatMessage[] = [{ role: 'assistant', content: 'Hi', reasoning: 'Hm.' }]
    const body = groq.body({ messages, reasoning_effort: 'high' }, target({ abilities: new Set(['tools']) }))
    expect(body).toEqual({ model: 'openai/gpt-oss-20b', messages: [{ role: 'assistant', content: 'Hi' }] })
  })

  test.each([
    ['none', 'low', 'none'],
    ['minimal', 'low', 'low'],
    ['low', 'low', 'low'],
    ['default', 'medium', 'default'],
    ['medium', 'medium', 'medium'],
    ['high', 'high', 'high'],
    ['xhigh', 'high', 'high'],
    ['max', 'high', 'high'],
  ] as const)('ask with effort %s for %s of gpt-oss and for %s of qwen', (effort, ofGptOss, ofQwen) => {
    for (const request of [{ reasoning: { effort } }, { reasoning_effort: effort }]) {
      expect(sent(request).reasoning_effort).toBe(ofGptOss)
      expect(sent(request, qwen).reasoning_effort).toBe(ofQwen)
    }
  })

  test('hide the thinking of gpt-oss, which cannot be turned off, and of qwen in its own way', () => {
    expect(sent({ reasoning: { effort: 'none' } })).toEqual({ reasoning_effort: 'low', include_reasoning: false })
    expect(sent({ reasoning: { enabled: false } })).toEqual({ reasoning_effort: 'low', include_reasoning: false })
    expect(sent({ reasoning: { enabled: false } }, qwen)).toEqual({ reasoning_effort: 'none' })
    expect(sent({ reasoning: { exclude: true } })).toEqual({ include_reasoning: false })
    expect(sent({ reasoning: { exclude: true } }, qwen)).toEqual({ reasoning_format: 'hidden' })
    expect(sent({ reasoning: { max_tokens: 100 } })).toEqual({})
  })

  test("take Groq's own names over any other, wherever they stand, the format over the switch", () => {
    const excluded = { reasoning: { exclude: true } }
    expect(sent({ ...excluded, groq: { reasoning_format: 'parsed' } })).toEqual({ reasoning_format: 'parsed' })
    const top: object = { reasoning_format: 'raw', include_reasoning: true }
    expect(sent({ ...excluded, ...top }, qwen)).toEqual({ reasoning_format: 'raw' })
    const switched: object = { include_reasoning: true }
    expect(sent({ ...excluded, ...switched }, qwen)).toEqual({ include_reasoning: true })
  })

  test('name the longest answer by its newer name only', () => {
    expect(sent({ max_tokens: 5 })).toEqual({ max_completion_tokens: 5 })
    expect(sent({ max_tokens: 5, max_completion_tokens: 7 })).toEqual({ max_completion_tokens: 7 })
    expect(sent({ max_tokens: null })).toEqual({})
  })

  test.each([
    ['auto', 'auto'],
    ['default', 'on_demand'],
    ['on_demand', 'on_demand'],
    ['flex', 'flex'],
    ['performance', 'performance'],
    ['priority', 'auto'],
    ['fast', 'auto'],
    ['scale', undefined],
    ['constructor', undefined],
  ])('call the tier %s %s', (given, tier) => {
    const request: object = { service_tier: given }
    expect(sent(request).service_tier).toBe(tier)
  })
})

describe("Groq's answers", () => {
  const reply = { status: 200, headers: new Headers() }
  const choices = [{ message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }]
  const tokensOf = (usage?: object) => groq.read({ choices, usage }, reply).answer?.tokens

  test('count no cache and no thinking as none where Groq leaves them out', () => {
    expect(tokensOf({ prompt_tokens: 3, completion_tokens: 2 })).toEqual({
      prompt: 3,
      cachedPrompt: 0,
      cacheWrite: 0,
      completion: 2,
      reasoning: 0,
      total: 5,
    })
  })

  test('count nothing where there is no count', () => {
    const unknown = { prompt: null, cachedPrompt: null, completion: null, reasoning: null, total: null }
    expect(tokensOf()).toEqual({ ...unknown, cacheWrite: null })
    expect(tokensOf({})).toMatchObject(unknown)
  })

  test('never take the hardware statistics of x_groq for tokens', () => {
    const body = { choices, x_groq: { id: 'req_1', usage: { sram_cached_tokens: 9, dram_cached_tokens: 9 } } }
    expect(groq.read(body, reply).answer?.tokens.cachedPrompt).toBeNull()
  })
})
