import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { ContextOverflowError } from '@langchain/core/errors'
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai'
import { HTTPClient, OpenRouter } from '@openrouter/sdk'
import { embed } from 'ai'
import Groq from 'groq-sdk'
import { compatible, createRouter } from 'modelfirst'
import { openaiFetch } from 'modelfirst/http'
import { fail, ok } from 'modelfirst/sandbox'
import OpenAI from 'openai'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { reply, serve } from '../support/server.ts'
import type { Fetch } from './client.ts'
import { inProcess, MODEL, type Stage, TASK } from './place.ts'

/** What one client alone has a word for. */
export function clientExtras(): void {
  let stage: Stage
  let openai: OpenAI
  let openrouter: OpenRouter
  const messages = [{ role: 'user' as const, content: 'Hello' }]
  beforeAll(async () => {
    stage = await inProcess.open()
    const { key: apiKey, fetch } = stage.entrance
    openai = new OpenAI({ apiKey, fetch, logLevel: 'off' })
    openrouter = new OpenRouter({ apiKey, httpClient: new HTTPClient(fetch === undefined ? {} : { fetcher: fetch }) })
  })
  beforeEach(() => stage.clear())
  afterAll(() => stage.close())
  const asked = () => stage.sandbox.requests.map(({ provider }) => provider)

  describe('the OpenAI SDK', () => {
    test('with its retries on, it does not send a call again that the router has given up', async () => {
      stage.sandbox.groq.script(() => fail(500))
      stage.sandbox.openrouter.script(() => fail(500))
      const outcome = await openai.chat.completions.create({ model: TASK, messages }).catch((error: unknown) => error)
      expect(outcome).toBeInstanceOf(OpenAI.APIError)
      expect(stage.records).toHaveLength(1)
    })

    test('beside the answer it reads who gave it and what it cost', async () => {
      const { data, response } = await openai.chat.completions.create({ model: TASK, messages }).withResponse()
      const [record] = stage.records
      expect(response.headers.get('x-modelfirst-provider')).toBe('groq')
      expect(response.headers.get('x-modelfirst-call')).toBe(record?.id)
      expect(data).toMatchObject({ provider: 'groq', usage: { cost: record?.cost.usd } })
    })

    test('it lists tasks and models, and finds one', async () => {
      const ids: string[] = []
      for await (const { id } of openai.models.list()) ids.push(id)
      expect(ids).toContain(TASK)
      expect(ids).toContain(MODEL)
      expect((await openai.models.retrieve(MODEL)).id).toBe(MODEL)
      await expect(openai.models.retrieve('openai/gpt-0')).rejects.toBeInstanceOf(OpenAI.NotFoundError)
    })

    test('the responses API is refused in words that say what to use', async () => {
      const outcome = openai.responses.create({ model: TASK, input: 'Hello' })
      await expect(outcome).rejects.toThrow(/chat completions/)
      expect(asked()).toEqual([])
    })

    test('what it says of itself and its key stay here', async () => {
      await openai.chat.completions.create({ model: TASK, messages })
      const sent = JSON.stringify(stage.sandbox.requests.map(({ headers, body }) => [headers, body]))
      expect(sent).not.toContain('x-stainless')
      expect(sent).not.toContain(stage.entrance.key)
    })
  })

  describe('@openrouter/sdk', () => {
    test("OpenRouter's own wishes hold, and bind the other providers too", async () => {
      const send = (more: object) =>
        openrouter.chat.send({ chatRequest: { model: MODEL, messages, stream: false, ...more } })
      await send({ provider: { only: ['groq'] } })
      await send({ provider: { ignore: ['groq'] } })
      expect(asked()[0]).toBe('groq')
      expect(asked().slice(1)).not.toContain('groq')
    })

    test('the next of its models answers when the first cannot', async () => {
      const served = 'openai/gpt-oss-20b'
      stage.sandbox.groq.script(({ body }) => (JSON.stringify(body).includes(MODEL) ? fail(404) : undefined))
      stage.sandbox.openrouter.script(({ body }) =>
        JSON.stringify(body).includes(`"model":"${MODEL}"`) ? fail(404) : undefined,
      )
      const answer = await openrouter.chat.send({
        chatRequest: { models: [MODEL, served], messages, stream: false },
      })
      expect('choices' in answer && answer.model).toContain('gpt-oss-20b')
    })

    test('it lists tasks and models', async () => {
      const { result } = await openrouter.models.list()
      const ids = result.data.map(({ id }) => id)
      expect(ids).toContain(TASK)
      expect(ids).toContain(MODEL)
    })
  })

  test('groq-sdk lists tasks and models', async () => {
    const { key: apiKey, fetch } = stage.entrance
    const { data } = await new Groq({ apiKey, ...(fetch !== undefined && { fetch }) }).models.list()
    expect(data.map(({ id }) => id)).toContain(TASK)
  })

  test('LangChain knows a conversation that is too long', async () => {
    const { key: apiKey, fetch } = stage.entrance
    const tooLong = fail(400, { code: 'context_length_exceeded' })
    stage.sandbox.groq.script(() => tooLong)
    stage.sandbox.openrouter.script(() => tooLong)
    const model = new ChatOpenAI({ model: TASK, apiKey, maxRetries: 0, configuration: { fetch, logLevel: 'off' } })
    const outcome = await model.invoke('Hello').catch((error: unknown) => error)
    expect(ContextOverflowError.isInstance(outcome)).toBe(true)
  })

  describe('vectors', () => {
    const model = 'openai/text-embedding-3-small'
    const vector = [0.5, -0.25]
    const ways: readonly (readonly [
      string,
      (at: { apiKey: string; fetch: Fetch }) => Promise<readonly number[] | undefined>,
    ])[] = [
      [
        'the OpenAI SDK, which asks for base64',
        async (at) => (await new OpenAI(at).embeddings.create({ model, input: 'Hello' })).data[0]?.embedding,
      ],
      [
        'the AI SDK',
        async (at) => {
          const provider = createOpenAICompatible({ name: 'modelfirst', baseURL: 'https://router.invalid/v1', ...at })
          return (await embed({ model: provider.embeddingModel(model), value: 'Hello' })).embedding
        },
      ],
      [
        'LangChain',
        ({ apiKey, fetch }) => new OpenAIEmbeddings({ model, apiKey, configuration: { fetch } }).embedQuery('Hello'),
      ],
    ]

    test.each(ways)('%s', async (_, ask) => {
      const server = await serve(({ body, response }) => {
        const { encoding_format } = JSON.parse(body)
        const bytes = Buffer.from(new Float32Array(vector).buffer).toString('base64')
        const embedding = encoding_format === 'base64' ? bytes : vector
        const data = [{ object: 'embedding', index: 0, embedding }]
        reply(
          response,
          200,
          JSON.stringify({ object: 'list', model, data, usage: { prompt_tokens: 1, total_tokens: 1 } }),
        )
      })
      const vectors = compatible({ name: 'vectors', baseURL: server.url, apiKey: 'sk-test', models: [model] })
      const router = createRouter({ providers: [vectors], tasks: {} })
      expect(await ask({ apiKey: 'nobody-reads-it', fetch: openaiFetch(router) })).toEqual(vector)
      await Promise.all([router.close(), server.close()])
    })
  })

  test('a picture goes through as it is', async () => {
    stage.sandbox.groq.script([ok('A parcel.')])
    const url = 'data:image/png;base64,iVBORw0KGgo='
    const image = { type: 'image_url' as const, image_url: { url } }
    await openai.chat.completions.create({
      model: 'meta-llama/llama-4-scout',
      messages: [{ role: 'user', content: [{ type: 'text', text: 'What is this?' }, image] }],
    })
    expect(JSON.stringify(stage.sandbox.requests.at(-1)?.body)).toContain(url)
  })
}
