import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { runs } from '../support/runs.ts'
import { CLAUDE, GPT, post, start, user } from './client.ts'

const anything = fc.jsonValue({ maxDepth: 3 })
const message = fc.record(
  {
    role: fc.oneof(fc.constantFrom('system', 'user', 'assistant', 'tool', 'function'), anything),
    content: fc.oneof(
      fc.string(),
      fc.array(
        fc.oneof(
          fc.record(
            { type: fc.constantFrom('text', 'image_url'), text: anything, image_url: anything },
            { requiredKeys: [] },
          ),
          anything,
        ),
        { maxLength: 3 },
      ),
      anything,
    ),
    tool_calls: anything,
    reasoning: anything,
  },
  { requiredKeys: ['role'] },
)
const body = fc.record(
  {
    model: fc.oneof(fc.constantFrom(GPT, CLAUDE, `${GPT}:nitro`, 'openrouter/auto'), anything),
    messages: fc.oneof(
      { weight: 5, arbitrary: fc.array(message, { maxLength: 4 }) },
      { weight: 1, arbitrary: anything },
    ),
    models: anything,
    provider: fc.oneof(
      fc.record(
        {
          order: anything,
          only: anything,
          ignore: anything,
          sort: anything,
          max_price: anything,
          quantizations: anything,
        },
        { requiredKeys: [] },
      ),
      anything,
    ),
    tools: fc.oneof(
      fc.array(
        fc.record({
          type: anything,
          function: fc.oneof(fc.record({ name: fc.string(), parameters: anything }), anything),
        }),
        { maxLength: 2 },
      ),
      anything,
    ),
    tool_choice: fc.oneof(fc.constantFrom('required', 'auto', 'none'), anything),
    response_format: fc.oneof(
      fc.record({
        type: fc.constantFrom('json_object', 'json_schema'),
        json_schema: fc.record({ name: fc.string(), schema: anything, strict: fc.boolean() }),
      }),
      anything,
    ),
    max_tokens: anything,
    reasoning: anything,
    cache_control: anything,
    stream_options: anything,
    service_tier: anything,
  },
  { requiredKeys: ['messages'] },
)

describe.each(['groq', 'openrouter'] as const)('%s in the sandbox', (name) => {
  it('has an answer to whatever it is sent', async () => {
    const sandbox = await start()
    const provider = sandbox[name]
    await fc.assert(
      fc.asyncProperty(body, fc.boolean(), async (sent, stream) => {
        const response = await post(provider, { ...sent, stream })
        const text = await response.text()
        expect([response.status, text]).not.toEqual([500, expect.anything()])
        if (response.status === 200 && stream) expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
        else expect(JSON.parse(text)).toBeTypeOf('object')
      }),
      // Each over a socket.
      runs(5),
    )
    expect((await post(provider, { model: GPT, messages: [user('Still there?')] })).status).toBe(200)
  })

  it('closes at once, whatever is open', async () => {
    const sandbox = await start({ latency: 60_000 })
    const open = Promise.allSettled([
      post(sandbox[name], { model: GPT, messages: [user('Hi')] }),
      post(sandbox[name], { model: GPT, stream: true, messages: [user('Hi')] }).then((response) => response.text()),
    ])
    while (sandbox.requests.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    const before = performance.now()
    await sandbox.close()
    expect(performance.now() - before).toBeLessThan(1000)
    expect((await open).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  })
})

describe('the providers of a sandbox', () => {
  it("are the library's own, pointed at it", async () => {
    const sandbox = await start()
    expect(sandbox.providers().map((provider) => provider.name)).toEqual(['groq', 'openrouter'])
  })
})
