import type { CompletionStream } from '../completion-stream.ts'
import type { EmbeddingInput, Embeddings, EmbedOptions } from '../embeddings.ts'
import { ConfigError, RouterError } from '../errors.ts'
import type { StreamEvent } from '../glue.ts'
import { type ToldError, told } from '../openai-error.ts'
import { checkOptions, expected } from '../options.ts'
import type { TaskPolicy } from '../policy.ts'
import type { Router } from '../router.ts'
import { type Manner, OPEN, type Opening, PLAIN_MANNER, responseOf, type StreamHead } from '../stream-response.ts'
import { BadRequest } from './bad-request.ts'
import { answerHeaders, chatAnswer, headerText } from './chat-answer.ts'
import { type AskedChat, createChatReader } from './chat-request.ts'
import { askedEmbeddings, embeddingsAnswer, embeddingsHeaders } from './embeddings.ts'
import { type Incoming, incomingOf, jsonOf } from './incoming.ts'
import { createModelPages } from './models.ts'
import { purposeOf } from './paths.ts'
import type { KnownProvider } from './preferences.ts'

export interface OpenAIFetchOptions {
  /** The task of requests that name no model. */
  readonly task?: string | undefined
  /** The rules under which bare model ids run: all of a policy but its models. Default: none but the router's own. */
  readonly policy?: Omit<TaskPolicy, 'model'> | undefined
  /** Longer requests are refused; default 32 MiB. */
  readonly maxBodyBytes?: number | undefined
}

/** Takes what `fetch` takes. */
export type OpenAIFetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

const MOST_BYTES = 32 * 1024 * 1024

/**
 * The router behind OpenAI's own protocol, in process: give it to any client as its `fetch`, or use it as the handler of
 * a server, a worker or a route. It answers `/chat/completions`, `/models` and `/embeddings` below any prefix, and never
 * rejects, except when the caller's own signal is aborted, as fetch does.
 *
 * @example
 * ```ts
 * const client = new OpenAI({ apiKey: 'unused', fetch: openaiFetch(router) })
 * await client.chat.completions.create({ model: 'task:reply', messages })
 * ```
 */
export function openaiFetch(router: Router, options: OpenAIFetchOptions = {}): OpenAIFetch {
  checkOptions(options, { of: 'openaiFetch', says: 'an object such as { task }', known: OPTIONS })
  const { task, policy, maxBodyBytes = MOST_BYTES } = options
  const { tasks, providers, embed } = knownOf(router)
  if (task !== undefined && !tasks.includes(task)) {
    throw new ConfigError('openaiFetch.task', `expected one of ${tasks.join(', ')}, got another name`)
  }
  const read = createChatReader({ tasks, providers, task, policy })
  const pages = createModelPages(router.catalog, tasks)

  async function chat(incoming: Incoming): Promise<Response> {
    const asked = read(await jsonOf(incoming, maxBodyBytes), incoming)
    if (asked.stream) return streamed(router.stream(asked.task, asked.input, asked.options), asked, mannerOf(incoming))
    const completion = await router.complete(asked.task, asked.input, asked.options)
    return new Response(chatAnswer(completion, asked.options.schema !== undefined), {
      headers: answerHeaders(completion),
    })
  }

  async function embeddings(incoming: Incoming): Promise<Response> {
    const { model, input, options } = askedEmbeddings(await jsonOf(incoming, maxBodyBytes), incoming)
    if (embed === undefined) {
      throw new BadRequest('this router has no embeddings', { status: 501, code: 'not_implemented' })
    }
    const vectors = await embed(model, input, options)
    return new Response(embeddingsAnswer(vectors), { headers: embeddingsHeaders(vectors) })
  }

  async function answer(incoming: Incoming): Promise<Response> {
    const { method, url } = incoming
    const purpose = purposeOf(url)
    switch (purpose.to) {
      case 'chat':
        allow(method, POST)
        return chat(incoming)
      case 'models':
      case 'model': {
        allow(method, GET)
        await router.ready()
        const page = purpose.to === 'model' ? pages.one(purpose.id) : pages.all()
        return new Response(method === 'HEAD' ? null : page, { headers: JSON_HEADERS })
      }
      case 'embeddings':
        allow(method, POST)
        return embeddings(incoming)
      case 'responses':
        throw new BadRequest('the responses API is not served here: use chat completions', {
          status: 501,
          code: 'not_implemented',
        })
    }
    throw new BadRequest('there is nothing here: ask /chat/completions, /models or /embeddings', {
      status: 404,
      code: 'unknown_url',
    })
  }

  return async (input, init) => {
    let incoming: Incoming | null = null
    try {
      incoming = incomingOf(input, init)
      incoming.signal?.throwIfAborted()
      return await answer(incoming)
    } catch (error) {
      const signal = incoming?.signal
      if (signal?.aborted === true) throw signal.reason
      return failed(error, incoming === null ? PLAIN_MANNER : mannerOf(incoming))
    }
  }
}

const OPTIONS = {
  task: expected('the name of a task', (value) => typeof value === 'string'),
  policy: expected('a policy without its models', (value) => typeof value === 'object' && value !== null),
  maxBodyBytes: expected('bytes above 0', (value) => typeof value === 'number' && value > 0),
}

type Embed = (model: string, input: EmbeddingInput, options: EmbedOptions) => Promise<Embeddings>

/** A router of somebody else's making may have less. */
function knownOf(router: {
  readonly tasks?: readonly string[]
  readonly providers?: readonly KnownProvider[]
  readonly embed?: Embed
}) {
  return { tasks: router.tasks ?? [], providers: router.providers ?? [], embed: router.embed }
}

const JSON_HEADERS = Object.freeze({ 'content-type': 'application/json' })
const POST = ['POST']
const GET = ['GET', 'HEAD']

function allow(method: string, methods: readonly string[]): void {
  if (methods.includes(method)) return
  const allowed = methods.join(', ')
  throw new BadRequest(`expected ${allowed} here`, {
    status: 405,
    code: 'method_not_allowed',
    headers: { allow: allowed },
  })
}

/** OpenRouter's and Groq's own clients ask below their own prefixes. */
export function mannerOf({ url }: { readonly url: string }): Manner {
  return { numbered: url.includes('/api/v1/'), usageTwice: url.includes('/openai/v1/') }
}

/** Waits until something can be seen: what fails before that is a status, and no 200 that breaks. */
async function streamed(stream: CompletionStream, asked: AskedChat, manner: Manner): Promise<Response> {
  const { events, completion, running } = openingOf(stream, asked)
  const next = await events.next()
  const first = next.done === true ? null : next.value
  const headers = streamHeaders(running, asked)
  return responseOf(events, { completion, running, first, manner, init: { headers } })
}

function openingOf(stream: CompletionStream & { [OPEN]?: () => Opening }, { input, task }: AskedChat): Opening {
  const opening = stream[OPEN]?.()
  if (opening !== undefined) return opening
  // A router of somebody else's making, which does what ours does.
  const events: AsyncIterator<StreamEvent> = stream[Symbol.asyncIterator]()
  const iterator: AsyncIterableIterator<StreamEvent, void> = {
    async next() {
      const { done, value } = await events.next()
      return done === true ? { done, value: undefined } : { done: false, value }
    },
    async return() {
      await events.return?.()
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator]: () => iterator,
  }
  const model = typeof task === 'string' ? task : String(Reflect.get(input, 'model') ?? '')
  return { events: iterator, completion: stream.completion, running: { model, created: 0 } }
}

function streamHeaders({ id, model, provider, host }: StreamHead, { task }: AskedChat): Record<string, string> {
  const headers: Record<string, string> = {
    'x-modelfirst-task': headerText(typeof task === 'string' ? task : 'ad hoc'),
  }
  if (id) headers['x-modelfirst-call'] = id
  if (model) headers['x-modelfirst-model'] = headerText(model)
  if (provider) headers['x-modelfirst-provider'] = provider
  if (host) headers['x-modelfirst-host'] = headerText(host)
  return headers
}

function failed(error: unknown, manner: Manner): Response {
  const toldError: ToldError & { readonly headers?: Readonly<Record<string, string>> } =
    error instanceof BadRequest ? { ...error, error: error.error, kind: null, retryAfterMs: null } : told(error)
  const { status, kind, retryAfterMs } = toldError
  const headers: Record<string, string> = { ...JSON_HEADERS, ...toldError.headers }
  if (kind !== null) headers['x-modelfirst-kind'] = kind
  if (retryAfterMs !== null) headers['retry-after'] = String(Math.ceil(retryAfterMs / 1000))
  // The plan has been walked to its end: another try is worth it only once something has changed.
  headers['x-should-retry'] = String(retryAfterMs !== null)
  const { usage } = RouterError.is(error) ? error : { usage: null }
  if (usage !== null) {
    headers['x-modelfirst-call'] = usage.id
    headers['x-modelfirst-task'] = headerText(usage.task)
    headers['x-modelfirst-attempts'] = String(usage.attempts.length)
    if (usage.cost.usd !== null) headers['x-modelfirst-cost-usd'] = String(usage.cost.usd)
  }
  return new Response(errorBody(toldError, manner), { status, headers })
}

function errorBody({ error, status }: ToldError, { numbered }: Manner): string {
  if (!numbered) return JSON.stringify({ error })
  const { message, ...metadata } = error
  return JSON.stringify({ error: { code: status, message, metadata } })
}
