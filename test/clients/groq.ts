import Groq from 'groq-sdk'
import type { ChatCompletionMessageParam } from 'groq-sdk/resources/chat/completions'
import { type Client, classOf, messageOf, numberIn, readPlace, TICKET_FORMAT, type Verbs, WEATHER } from './client.ts'

const said = (content: string): ChatCompletionMessageParam[] => [{ role: 'user', content }]

export const groqSdk = (version: string): Client => ({
  name: `groq-sdk ${version}`,
  tell: (error) => ({ name: classOf(error), status: numberIn(error, 'status'), message: messageOf(error) }),
  errors: {
    limited: 'RateLimitError',
    missing: 'NotFoundError',
    denied: 'AuthenticationError',
    aborted: 'APIUserAbortError',
  },
  open({ origin, fetch, key }): Verbs {
    const { completions } = new Groq({
      apiKey: key,
      maxRetries: 0,
      logLevel: 'off',
      ...(origin !== undefined && { baseURL: origin }),
      ...(fetch !== undefined && { fetch }),
    }).chat
    return {
      async complete({ model, prompt, signal }) {
        const { choices, usage } = await completions.create({ model, messages: said(prompt) }, { signal })
        return { text: choices[0]?.message.content ?? '', tokens: usage?.total_tokens }
      },
      async stream({ model, prompt, signal }, hear) {
        const answer = { text: '', tokens: undefined as number | undefined }
        const stream = await completions.create({ model, messages: said(prompt), stream: true }, { signal })
        for await (const { choices, x_groq } of stream) {
          const text = choices[0]?.delta.content ?? ''
          answer.text += text
          if (text !== '') hear(text)
          answer.tokens = x_groq?.usage?.total_tokens ?? answer.tokens
        }
        // The SDK ends the loop quietly when it was aborted.
        signal?.throwIfAborted()
        return answer
      },
      async forecast({ model, prompt, signal }, weather) {
        const messages = said(prompt)
        const tools = [{ type: 'function' as const, function: { ...WEATHER } }]
        for (;;) {
          const { choices, usage } = await completions.create({ model, messages, tools }, { signal })
          const message = choices[0]?.message
          if (!message?.tool_calls?.length) return { text: message?.content ?? '', tokens: usage?.total_tokens }
          messages.push(message)
          for (const { id, function: call } of message.tool_calls) {
            messages.push({ role: 'tool', tool_call_id: id, content: weather(readPlace(call.arguments)) })
          }
        }
      },
      async ticket({ model, prompt, signal }) {
        const { choices } = await completions.create(
          { model, messages: said(prompt), response_format: TICKET_FORMAT },
          { signal },
        )
        return JSON.parse(choices[0]?.message.content ?? '')
      },
    }
  },
})
