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

type Sdk = Pick<
  typeof import('ai'),
  'generateObject' | 'generateText' | 'Output' | 'stepCountIs' | 'streamText' | 'tool'
> &
  Pick<typeof import('@ai-sdk/openai-compatible'), 'createOpenAICompatible'>

function providerAt({ createOpenAICompatible }: Sdk, { origin, fetch, key }: Entrance) {
  return createOpenAICompatible({
    name: 'modelfirst',
    apiKey: key,
    // It has no address of its own.
    baseURL: `${origin ?? 'https://router.invalid'}/v1`,
    includeUsage: true,
    supportsStructuredOutputs: true,
    ...(fetch !== undefined && { fetch }),
  })
}

const settings = ({ prompt, signal }: { prompt: string; signal?: AbortSignal }) => ({
  prompt,
  maxRetries: 0,
  ...(signal !== undefined && { abortSignal: signal }),
})

const toolsOf = ({ tool }: Sdk, weather: (input: { city: string }) => string) => ({
  [WEATHER.name]: tool({
    description: WEATHER.description,
    inputSchema: PLACE,
    execute: async (input) => weather(input),
  }),
})

const common = {
  tell: (error: unknown) => ({
    name: classOf(error),
    status: numberIn(error, 'statusCode'),
    message: messageOf(error),
  }),
  errors: { limited: 'APICallError', missing: 'APICallError', denied: 'APICallError', aborted: 'DOMException' },
}

/** `generateText`, `streamText`, `generateObject`. */
export const aiSdk = (sdk: Sdk, version: string): Client => ({
  name: `ai ${version}`,
  ...common,
  open(entrance): Verbs {
    const provider = providerAt(sdk, entrance)
    return {
      async complete(ask) {
        const { text, usage } = await sdk.generateText({ model: provider(ask.model), ...settings(ask) })
        return { text, tokens: usage.totalTokens }
      },
      async stream(ask, hear) {
        return heard(sdk.streamText({ model: provider(ask.model), ...settings(ask), onError: () => {} }), hear)
      },
      async forecast(ask, weather) {
        const tools = toolsOf(sdk, weather)
        const { text, totalUsage } = await sdk.generateText({
          model: provider(ask.model),
          ...settings(ask),
          tools,
          stopWhen: sdk.stepCountIs(5),
        })
        return { text, tokens: totalUsage.totalTokens }
      },
      async ticket(ask) {
        const { object } = await sdk.generateObject({ model: provider(ask.model), ...settings(ask), schema: TICKET })
        return object
      },
    }
  },
})

/** `Output.object`, and tools in a stream. */
export const aiSdkStreams = (sdk: Sdk, version: string): Client => ({
  name: `ai ${version}, streams and outputs`,
  ticketsInPieces: true,
  ...common,
  open(entrance): Verbs {
    const provider = providerAt(sdk, entrance)
    return {
      async complete(ask) {
        const { text, usage } = await sdk.generateText({ model: provider(ask.model), ...settings(ask) })
        return { text, tokens: usage.totalTokens }
      },
      async stream(ask, hear) {
        const given = sdk.streamText({ model: provider(ask.model), ...settings(ask), onError: () => {} })
        return heard(given, hear)
      },
      async forecast(ask, weather) {
        const tools = toolsOf(sdk, weather)
        const model = provider(ask.model)
        const given = sdk.streamText({
          model,
          ...settings(ask),
          tools,
          stopWhen: sdk.stepCountIs(5),
          onError: () => {},
        })
        return heard(given, () => {})
      },
      async ticket(ask) {
        const { output } = sdk.streamText({
          model: provider(ask.model),
          ...settings(ask),
          output: sdk.Output.object({ schema: TICKET }),
          onError: () => {},
        })
        return await output
      },
    }
  },
})

/** What failed is a part of this stream, and the text alone does not tell it. */
async function heard(
  stream: {
    fullStream: AsyncIterable<{ type: string; text?: string; error?: unknown }>
    usage: PromiseLike<{ totalTokens: number | undefined }>
  },
  hear: (text: string) => void,
) {
  let text = ''
  for await (const part of stream.fullStream) {
    if (part.type === 'error') throw part.error
    if (part.type === 'abort') throw new DOMException('aborted', 'AbortError')
    if (part.type === 'text-delta' && part.text !== undefined) {
      text += part.text
      hear(part.text)
    }
  }
  return { text, tokens: (await stream.usage).totalTokens }
}
