import { expect, test } from 'vitest'
import { openDoor, openOwnDoor } from './door.ts'

const at = (path: string) => `https://api.example${path}`

test('tasks come first, then the models, as OpenAI lists them and with what OpenRouter tells', async () => {
  const { ask, router } = openDoor()
  const response = await ask(at('/v1/models'))
  expect(response.headers.get('content-type')).toBe('application/json')
  const { object, data } = await response.json()
  expect(object).toBe('list')
  expect(data.slice(0, 2).map((each: { id: string }) => each.id)).toEqual(['task:reply', 'task:tiny'])
  expect(data.length).toBe(2 + router.catalog.models().length)
  const listed = data.find((each: { id: string }) => each.id === 'openai/gpt-oss-20b')
  expect(listed).toMatchObject({
    object: 'model',
    owned_by: 'openai',
    created: expect.any(Number),
    context_length: 131_072,
    pricing: { prompt: expect.stringMatching(/^0\.\d+$/), completion: expect.stringMatching(/^0\.\d+$/) },
    architecture: { input_modalities: ['text'], output_modalities: ['text'] },
    supported_parameters: expect.arrayContaining(['tools', 'structured_outputs']),
  })
  for (const each of data) {
    expect(each).toMatchObject({ id: expect.any(String), object: 'model', created: expect.any(Number) })
    expect(Number.isNaN(each.created)).toBe(false)
  }
})

test.each(['/v1/models/openai/gpt-oss-20b', '/api/v1/models/openai%2Fgpt-oss-20b', '/models/gpt-oss-20b'])(
  '%s is one of them',
  async (path) => {
    const response = await openDoor().ask(at(path))
    expect([response.status, (await response.json()).id]).toEqual([200, 'openai/gpt-oss-20b'])
  },
)

test('a task is one of them too', async () => {
  expect(await (await openDoor().ask(at('/v1/models/task:reply'))).json()).toMatchObject({ id: 'task:reply' })
})

test('one that is not there is told with those next to it', async () => {
  const response = await openDoor().ask(at('/v1/models/openai/gpt-oss-20c'))
  expect(response.status).toBe(404)
  expect((await response.json()).error).toMatchObject({
    code: 'model_not_found',
    param: 'model',
    message: expect.stringContaining('openai/gpt-oss-20b'),
  })
})

test('a list that is only asked whether it is there has no body; one that is posted to is not there', async () => {
  const { ask } = openOwnDoor({})
  const head = await ask(at('/v1/models'), { method: 'HEAD' })
  expect([head.status, await head.text()]).toEqual([200, ''])
  const posted = await ask(at('/v1/models'), { method: 'POST', body: '{}' })
  expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
})
