import type { ChatCompletionMessageParam } from 'openai/resources/chat/completions'
import {
  type Client,
  classOf,
  type Entrance,
  messageOf,
  numberIn,
  PLACE,
  readPlace,
  TICKET,
  TICKET_FORMAT,
  type Verbs,
  WEATHER,
} from './client.ts'

const said = (content: string): ChatCompletionMessageParam[] => [{ role: 'user', content }]

type Sdk = Pick<typeof import('openai'), 'OpenAI'> &
  Pick<typeof import('openai/helpers/zod'), 'zodFunction' | 'zodResponseFormat'>

function clientAt({ OpenAI }: Sdk, { origin, fetch, key }: Entrance) {
  return new OpenAI({
    apiKey: key,
    maxRetries: 0,
    logLevel: 'off',
    ...(origin !== undefined && { baseURL: `${origin}/v1` }),
    ...(fetch !== undefined && { fetch }),
  })
}

const common = {
  tell: (error: unknown) => ({ name: classOf(error), status: numberIn(error, 'status'), message: messageOf(error) }),
  errors: {
    limited: 'RateLimitError',
    missing: 'NotFoundError',
    denied: 'AuthenticationError',
    aborted: 'APIUserAbortError',
  },
}

/** `create` alone, as most programs use it. */
export const openaiCreate = (sdk: Sdk, version: string): Client => ({
  name: `openai ${version}, create`,
  ...common,
  open(entrance): Verbs {
    const { completions } = clientAt(sdk, entrance).chat
    return {
      async complete({ model, prompt, signal }) {
        const { choices, usage } = await completions.create({ model, messages: said(prompt) }, { signal })
        return { text: choices[0]?.message.content ?? '', tokens: usage?.total_tokens }
      },
      async stream({ model, prompt, signal }, hear) {
        const answer = { text: '', tokens: undefined as number | undefined }
        const stream = await completions.create({ model, messages: said(prompt), stream: true }, { signal })
        for await (const { choices, usage } of stream) {
          const text = choices[0]?.delta.content ?? ''
          answer.text += text
          if (text !== '') hear(text)
          answer.tokens = usage?.total_tokens ?? answer.tokens
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
          for (const call of message.tool_calls) {
            if (call.type !== 'function') throw new Error(`a call of type ${call.type}`)
            const content = weather(readPlace(call.function.arguments))
            messages.push({ role: 'tool', tool_call_id: call.id, content })
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

/** `.stream()`, `.parse()` with zod, and the tools runner. */
export const openaiHelpers = (sdk: Sdk, version: string): Client => ({
  name: `openai ${version}, its helpers`,
  ...common,
  open(entrance): Verbs {
    const { completions } = clientAt(sdk, entrance).chat
    return {
      async complete({ model, prompt, signal }) {
        const { choices, usage } = await completions.parse({ model, messages: said(prompt) }, { signal })
        return { text: choices[0]?.message.content ?? '', tokens: usage?.total_tokens }
      },
      async stream({ model, prompt, signal }, hear) {
        const stream = completions.stream({ model, messages: said(prompt) }, { signal })
        stream.on('content', hear)
        const { choices, usage } = await stream.finalChatCompletion()
        return { text: choices[0]?.message.content ?? '', tokens: usage?.total_tokens }
      },
      async forecast({ model, prompt, signal }, weather) {
        const { name, description } = WEATHER
        const tools = [sdk.zodFunction({ name, description, parameters: PLACE, function: weather })]
        const runner = completions.runTools({ model, messages: said(prompt), stream: true, tools }, { signal })
        const text = (await runner.finalContent()) ?? ''
        return { text, tokens: (await runner.totalUsage()).total_tokens }
      },
      async ticket({ model, prompt, signal }) {
        const { choices } = await completions.parse(
          { model, messages: said(prompt), response_format: sdk.zodResponseFormat(TICKET, 'ticket') },
          { signal },
        )
        return choices[0]?.message.parsed
      },
    }
  },
})
