import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import { fail } from '../../src/sandbox/sandbox.ts'
import { CLAUDE, GPT, start, WEATHER } from './client.ts'

describe.each([
  ['groq', GPT],
  ['openrouter', CLAUDE],
] as const)('the OpenAI SDK with %s', (name, model) => {
  async function client() {
    const sandbox = await start()
    const { url, apiKey } = sandbox[name]
    return { sandbox, openai: new OpenAI({ baseURL: url, apiKey, maxRetries: 0 }) }
  }
  const messages = [{ role: 'user' as const, content: 'What is the weather in Berlin?' }]

  it('reads an answer', async () => {
    const { openai } = await client()
    const answer = await openai.chat.completions.create({ model, messages })
    expect(answer.choices[0]?.message.content).toEqual(expect.any(String))
    expect(answer.usage?.total_tokens).toBeGreaterThan(0)
  })

  it('reads a stream, tool calls included', async () => {
    const { openai } = await client()
    const stream = openai.chat.completions.stream({ model, messages, tools: [{ ...WEATHER, type: 'function' }] })
    const whole = await stream.finalChatCompletion()
    const call = whole.choices[0]?.message.tool_calls?.[0]
    expect(call?.type === 'function' && JSON.parse(call.function.arguments)).toEqual({
      city: expect.any(String),
      unit: expect.any(String),
    })
  })

  it('reads errors', async () => {
    const { openai, sandbox } = await client()
    sandbox[name].script([fail(429, { retryAfter: 3 })])
    const error = await openai.chat.completions.create({ model, messages }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(OpenAI.RateLimitError)
  })

  it('reads the list of models', async () => {
    const { openai } = await client()
    const ids: string[] = []
    for await (const { id } of openai.models.list()) ids.push(id)
    expect(ids).toContain(model)
  })
})
