import type { CompletionStream } from '../completion-stream.ts'
import type { EmbeddingInput, Embeddings, EmbedOptions } from '../embeddings.ts'
import { ConfigError, RouterError } from '../errors.ts'
import type { StreamEvent } from '../glue.ts'
import { type ToldError, told } from '../openai-error.ts'
import { checkOptions, expected } from '../options.ts'
import type { TaskPolicy } from '../policy.ts'
import type { Router } from '../router.ts'
import { linesOf, type Manner, OPEN, type Opening, STREAM_HEADERS, type StreamHead } from '../stream-response.ts'
import { BadRequest } from './bad-request.ts'
import { answerHeaders, chatAnswer, headerText } from './chat-answer.ts'
import { type AskedChat, createChatReader } from './chat-request.ts'
import { askedEmbeddings, embeddingsAnswer, embeddingsHeaders } from './embeddings.ts'
import { type Incoming, jsonOf } from './incoming.ts'
import { createModelPages } from './models.ts'
import { purposeOf } from './paths.ts'
import type { KnownProvider } from './preferences.ts'
import { unsupported } from './request-fields.ts'

export interface DoorOptions {
  /** The task of requests that name no model. */
  readonly task?: string | undefined
  /** The rules under which bare model ids run: all of a policy but its models. Default: none but the router's own. */
  readonly policy?: Omit<TaskPolicy, 'model'> | undefined
  /** Longer requests are refused; default 32 MiB. */
  readonly maxBodyBytes?: number | undefined
}

/** What goes out, however it travels: whole, or piece by piece as it is asked for. Whoever stops asking says `return`. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null | AsyncIterableIterator<string, void>
}

/** Never rejects, except when the caller's own signal is aborted, as fetch does. */
export type Door = (incoming: Incoming) => Promise<Answer>

const MOST_BYTES = 32 * 1024 * 1024

/** OpenAI's protocol, in front of a router. */
export function createDoor(router: Router, options: DoorOptions = {}): Door {
  checkOptions(options, { of: 'openaiFetch', says: 'an object such as { task }', known: OPTIONS })
  const { task, policy, maxBodyBytes = MOST_BYTES } = options
  const { tasks, providers, embed } = knownOf(router)
  if (task !== undefined && !tasks.includes(task)) {
    throw new ConfigError('openaiFetch.task', `expected one of ${tasks.join(', ')}, got another name`)
  }
  const read = createChatReader({ tasks, providers, task, policy })
  const pages = createModelPages(router.catalog, tasks)

  async function chat(incoming: Incoming): Promise<Answer> {
    const asked = read(await jsonOf(incoming, maxBodyBytes), incoming)
    if (asked.aggregators !== null) await checkSteps(asked, asked.aggregators)
    if (asked.stream) return streamed(router.stream(asked.task, asked.input, asked.options), asked, mannerOf(incoming))
    const completion = await router.complete(asked.task, asked.input, asked.options)
    return whole(chatAnswer(completion, asked.options.schema !== undefined), answerHeaders(completion))
  }

  /** A task says itself where it runs: what one of its steps would silently leave out is not asked for at all. */
  async function checkSteps({ task, input, options }: AskedChat, field: string): Promise<void> {
    if (typeof task !== 'string' || providers.every(({ hosts }) => hosts)) return
    const { steps } = await router.plan(task, input, options)
    if (steps.every((step) => providers.some(({ name, hosts }) => hosts && name === step.provider))) return
    throw unsupported(field, 'this task may run where it would be left out: leave it out, or name a model and no task')
  }

  async function embeddings(incoming: Incoming): Promise<Answer> {
    const { model, input, options } = askedEmbeddings(await jsonOf(incoming, maxBodyBytes), incoming)
    if (embed === undefined) {
      throw new BadRequest('this router has no embeddings', { status: 501, code: 'not_implemented' })
    }
    const vectors = await embed(model, input, options)
    return whole(embeddingsAnswer(vectors), embeddingsHeaders(vectors))
  }

  async function answer(incoming: Incoming): Promise<Answer> {
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
        return whole(method === 'HEAD' ? null : page, JSON_HEADERS)
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

  return async (incoming) => {
    const { signal } = incoming
    try {
      signal?.throwIfAborted()
      return await answer(incoming)
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason
      return failed(error, mannerOf(incoming))
    }
  }
}

function whole(body: string | null, headers: Readonly<Record<string, string>>): Answer {
  return { status: 200, headers, body }
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
function mannerOf({ url }: { readonly url: string }): Manner {
  return { numbered: url.includes('/api/v1/'), usageTwice: url.includes('/openai/v1/') }
}

/** Waits until something can be seen: what fails before that is a status, and no 200 that breaks. */
async function streamed(stream: CompletionStream, asked: AskedChat, manner: Manner): Promise<Answer> {
  const { events, completion, running } = openingOf(stream, asked)
  const next = await events.next()
  const first = next.done === true ? null : next.value
  const headers = streamHeaders(running, asked)
  return { status: 200, headers, body: linesOf(events, { completion, running, first, manner }) }
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
    ...STREAM_HEADERS,
    'x-modelfirst-task': headerText(typeof task === 'string' ? task : 'ad hoc'),
  }
  if (id) headers['x-modelfirst-call'] = id
  if (model) headers['x-modelfirst-model'] = headerText(model)
  if (provider) headers['x-modelfirst-provider'] = provider
  if (host) headers['x-modelfirst-host'] = headerText(host)
  return headers
}

/** Of whatever went wrong. */
export function failed(error: unknown, manner: Manner): Answer {
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
  return { status, headers, body: errorBody(toldError, manner) }
}

function errorBody({ error, status }: ToldError, { numbered }: Manner): string {
  if (!numbered) return JSON.stringify({ error })
  const { message, ...metadata } = error
  return JSON.stringify({ error: { code: status, message, metadata } })
}
