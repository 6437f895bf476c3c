import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { runs } from '../support/runs.ts'
import { messages, openDoor, openOwnDoor } from './door.ts'

const CANARY = 'canary9f2c'
const FIELDS = [
  'messages',
  'model',
  'models',
  'provider',
  'plugins',
  'session_id',
  'stream',
  'temperature',
  'max_tokens',
  'tools',
  'tool_choice',
  'response_format',
  'reasoning',
  'reasoning_effort',
  'metadata',
  'stop',
  'n',
  'preset',
  'transforms',
  'logprobs',
  'modalities',
  'user',
  'verbosity',
  'openrouter',
  'groq',
  '__proto__',
  'constructor',
  'then',
  'service_tier',
]

const word = fc.oneof(
  fc.constantFrom('', 'tiny', 'task:tiny', 'tiny:nitro', '@preset/x', '__proto__', 'constructor', CANARY),
  fc.string(),
)
const junk = fc.jsonValue({ maxDepth: 4 })
const content = fc.oneof(
  word,
  junk,
  fc.array(
    fc.record({ type: fc.oneof(word, junk), text: fc.oneof(word, junk), image_url: junk }, { requiredKeys: [] }),
  ),
)
const message = fc.record(
  {
    role: fc.oneof(fc.constantFrom('user', 'assistant', 'system', 'tool', 'function', 'developer'), junk),
    content,
    tool_calls: fc.oneof(junk, fc.array(fc.oneof(junk, fc.record({ id: junk, type: junk, function: junk })))),
    name: junk,
    tool_call_id: junk,
    reasoning_details: junk,
  },
  { requiredKeys: [] },
)
const body = fc
  .record(
    {
      model: fc.oneof({ weight: 4, arbitrary: fc.constantFrom('tiny', 'task:tiny') }, word, junk),
      messages: fc.oneof({ weight: 4, arbitrary: fc.array(fc.oneof({ weight: 3, arbitrary: message }, junk)) }, junk),
      more: fc.dictionary(fc.constantFrom(...FIELDS), fc.oneof(word, junk), { maxKeys: 4 }),
    },
    { requiredKeys: [] },
  )
  .map(({ more, ...rest }) => ({ ...more, ...rest }))

async function check(response: Response): Promise<void> {
  expect(response.status).toBeGreaterThanOrEqual(200)
  expect(response.status, await response.clone().text()).toBeLessThan(500)
  const text = await response.text()
  if (response.status === 200) return
  const { error } = JSON.parse(text)
  expect(Object.keys(error)).toEqual(['message', 'type', 'param', 'code'])
  expect(error.message).toMatch(/^[^\n\r]+$/)
}

// Whatever gets as far as a provider is answered there: then it is the provider's to judge.
describe('whatever is sent', () => {
  test('is an answer or an error of OpenAI’s shape that blames the request', async () => {
    const { post } = openOwnDoor({})
    await fc.assert(
      fc.asyncProperty(body, async (given) => check(await post(given))),
      runs(5),
    )
    expect(Object.prototype).not.toHaveProperty('polluted')
  })

  test('as text that is no JSON, or JSON that is no request', async () => {
    const { post } = openDoor()
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc.string().map((part) => `{"messages":[${part}`),
    )
    await fc.assert(
      fc.asyncProperty(text, async (given) => {
        const response = await post(given)
        expect(response.status).toBe(400)
        await check(response)
      }),
      runs(5),
    )
  })

  test('to any address, by any method, with any headers', async () => {
    const { ask } = openDoor()
    const url = fc.oneof(
      fc.webUrl({ withQueryParameters: true, withFragments: true }),
      fc.string(),
      fc
        .tuple(fc.string(), fc.constantFrom('/models', '/models/', '/embeddings', '/responses', '/chat/completions'))
        .map((parts) => parts.join('')),
      fc.constantFrom('//', '/models/%', '/v1/models/..', '/v1/%2e%2e/models/%00', 'http://a/v1/models/__proto__'),
    )
    const headers = fc.dictionary(
      fc.oneof(fc.constantFrom('content-type', 'content-length', 'x-session-id'), fc.string()),
      fc.string(),
    )
    const method = fc.oneof(fc.constantFrom('GET', 'POST', 'DELETE', 'OPTIONS', 'HEAD', 'TRACE'), fc.string())
    await fc.assert(
      fc.asyncProperty(url, method, headers, async (at, by, said) => {
        const response = await ask(at, { method: by, headers: said, body: '{}' })
        if (response.status === 501 || by.toUpperCase() === 'HEAD') return
        await check(response)
      }),
      runs(5),
    )
  })

  test('nothing of it comes back in an error', async () => {
    const { post } = openDoor()
    const spoiled = fc.constantFrom(
      { messages: [{ role: CANARY, content: 'x' }] },
      { messages: [{ role: 'user', content: { type: CANARY } }] },
      { messages, temperature: CANARY },
      { messages, provider: { only: CANARY } },
      { messages, metadata: { a: { b: CANARY } } },
      { messages, tools: [CANARY] },
      { messages, session_id: CANARY.repeat(600) },
    )
    await fc.assert(
      fc.asyncProperty(spoiled, async (given) => {
        const response = await post({ model: 'tiny', ...given })
        expect(response.status).toBe(400)
        expect(`${await response.text()}${JSON.stringify([...response.headers])}`).not.toContain(CANARY)
      }),
      runs(20),
    )
  })
})
