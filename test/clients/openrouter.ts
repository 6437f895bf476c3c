import { HTTPClient, OpenRouter } from '@openrouter/sdk'
import type { ChatMessages, ChatRequest, ChatResult } from '@openrouter/sdk/models'
import { type Client, classOf, messageOf, numberIn, readPlace, TICKET_FORMAT, type Verbs, WEATHER } from './client.ts'

const said = (content: string): ChatMessages[] => [{ role: 'user', content }]

export const openrouterSdk = (version: string): Client => ({
  name: `@openrouter/sdk ${version}`,
  tell: (error) => ({ name: classOf(error), status: numberIn(error, 'statusCode'), message: messageOf(error) }),
  errors: {
    limited: 'TooManyRequestsResponseError',
    missing: 'NotFoundResponseError',
    denied: 'UnauthorizedResponseError',
    aborted: 'RequestAbortedError',
  },
  open({ origin, fetch, key }): Verbs {
    const { chat } = new OpenRouter({
      apiKey: key,
      retryConfig: { strategy: 'none' },
      ...(origin !== undefined && { serverURL: `${origin}/api/v1` }),
      ...(fetch !== undefined && { httpClient: new HTTPClient({ fetcher: fetch }) }),
    })
    const options = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { signal })
    /** It tells the two kinds of answers apart at run time only. */
    const whole = async (chatRequest: ChatRequest, signal: AbortSignal | undefined): Promise<ChatResult> => {
      const result = await chat.send({ chatRequest: { ...chatRequest, stream: false } }, options(signal))
      if ('choices' in result) return result
      throw new Error('a stream that nobody asked for')
    }
    return {
      async complete({ model, prompt, signal }) {
        const { choices, usage } = await whole({ model, messages: said(prompt) }, signal)
        return { text: textOf(choices[0]?.message.content), tokens: usage?.totalTokens }
      },
      async stream({ model, prompt, signal }, hear) {
        const answer = { text: '', tokens: undefined as number | undefined }
        const chatRequest = { model, messages: said(prompt), stream: true as const }
        const stream = await chat.send({ chatRequest }, options(signal))
        if ('choices' in stream) throw new Error('a whole answer in the place of a stream')
        for await (const { choices, usage, error } of stream) {
          if (error !== undefined) throw new Error(error.message)
          const text = choices[0]?.delta.content ?? ''
          answer.text += text
          if (text !== '') hear(text)
          answer.tokens = usage?.totalTokens ?? answer.tokens
        }
        return answer
      },
      async forecast({ model, prompt, signal }, weather) {
        const messages = said(prompt)
        const tools = [{ type: 'function' as const, function: { ...WEATHER } }]
        for (;;) {
          const { choices, usage } = await whole({ model, messages, tools }, signal)
          const message = choices[0]?.message
          if (!message?.toolCalls?.length) return { text: textOf(message?.content), tokens: usage?.totalTokens }
          messages.push(message)
          for (const { id, function: call } of message.toolCalls) {
            messages.push({ role: 'tool', toolCallId: id, content: weather(readPlace(call.arguments)) })
          }
        }
      },
      async ticket({ model, prompt, signal }) {
        const { type, json_schema } = TICKET_FORMAT
        const responseFormat = { type, jsonSchema: { ...json_schema } }
        const { choices } = await whole({ model, messages: said(prompt), responseFormat }, signal)
        return JSON.parse(textOf(choices[0]?.message.content))
      },
    }
  },
})

function textOf(content: unknown): string {
  return typeof content === 'string' ? content : ''
}
