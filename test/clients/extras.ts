import { ContextOverflowError } from '@langchain/core/errors'
import { ChatOpenAI } from '@langchain/openai'
import { HTTPClient, OpenRouter } from '@openrouter/sdk'
import Groq from 'groq-sdk'
import { fail, ok } from 'modelfirst/sandbox'
import OpenAI from 'openai'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
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
