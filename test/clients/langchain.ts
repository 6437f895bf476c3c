import { type BaseMessage, HumanMessage, ToolMessage } from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import {
  type Client,
  classOf,
  type Entrance,
  messageOf,
  numberIn,
  PLACE,
  TICKET,
  type Verbs,
  WEATHER,
} from './client.ts'

type Sdk = Pick<typeof import('@langchain/openai'), 'ChatOpenAI'>

function modelAt({ ChatOpenAI }: Sdk, { origin, fetch, key }: Entrance, model: string) {
  return new ChatOpenAI({
    model,
    apiKey: key,
    maxRetries: 0,
    configuration: {
      logLevel: 'off',
      ...(origin !== undefined && { baseURL: `${origin}/v1` }),
      ...(fetch !== undefined && { fetch }),
    },
  })
}

const options = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { signal })

const toolOf = (weather: (input: { city: string }) => string) =>
  tool(async (input) => weather(input), {
    name: WEATHER.name,
    description: WEATHER.description,
    schema: PLACE,
  })

const common = {
  tell: (error: unknown) => ({ name: classOf(error), status: numberIn(error, 'status'), message: messageOf(error) }),
  errors: { limited: 'RateLimitError', missing: 'NotFoundError', denied: 'AuthenticationError', aborted: 'Error' },
}

/** `invoke`, `stream`, `bindTools`, `withStructuredOutput`. */
export const langchain = (sdk: Sdk, version: string): Client => ({
  name: `@langchain/openai ${version}`,
  ...common,
  open(entrance): Verbs {
    return {
      async complete({ model, prompt, signal }) {
        const message = await modelAt(sdk, entrance, model).invoke(prompt, options(signal))
        return { text: message.text, tokens: numberIn(message.usage_metadata, 'total_tokens') }
      },
      async stream({ model, prompt, signal }, hear) {
        const answer = { text: '', tokens: undefined as number | undefined }
        for await (const piece of await modelAt(sdk, entrance, model).stream(prompt, options(signal))) {
          answer.text += piece.text
          if (piece.text !== '') hear(piece.text)
          answer.tokens = numberIn(piece.usage_metadata, 'total_tokens') ?? answer.tokens
        }
        return answer
      },
      async forecast({ model, prompt, signal }, weather) {
        const given = toolOf(weather)
        const bound = modelAt(sdk, entrance, model).bindTools([given])
        const messages: BaseMessage[] = [new HumanMessage(prompt)]
        for (;;) {
          const message = await bound.invoke(messages, options(signal))
          messages.push(message)
          if (!message.tool_calls?.length)
            return { text: message.text, tokens: numberIn(message.usage_metadata, 'total_tokens') }
          for (const call of message.tool_calls) {
            const result = await given.invoke(call)
            if (!ToolMessage.isInstance(result)) throw new Error('a tool answered with no message')
            messages.push(result)
          }
        }
      },
      async ticket({ model, prompt, signal }) {
        return modelAt(sdk, entrance, model)
          .withStructuredOutput(TICKET, { name: 'ticket' })
          .invoke(prompt, options(signal))
      },
    }
  },
})
