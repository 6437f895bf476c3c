import { compatible, createRouter, groq, openrouter, type Router, type TaskPolicy, type UsageRecord } from 'modelfirst'
import { type OpenAIFetchOptions, openaiFetch } from 'modelfirst/http'
import { hasty } from '../support/router.ts'
import { answerOf } from '../support/server.ts'

/** What went out to a provider: nothing leaves this process. */
export interface Sent {
  readonly provider: string
  readonly path: string
  readonly body: Record<string, unknown>
  readonly signal: AbortSignal | null | undefined
}

export type Upstream = (sent: Sent) => Response | Promise<Response>

export const KEY = 'sk-test-canary-0123456789'

type Upstreams = { readonly groq?: Upstream; readonly openrouter?: Upstream; readonly third?: Upstream }

interface World {
  readonly router: Router
  upstreams: Upstreams
  sent: Sent[]
  records: UsageRecord[]
}

const TASKS: Readonly<Record<string, TaskPolicy>> = {
  reply: { model: 'openai/gpt-oss-20b' },
  tiny: { model: 'tiny', provider: 'third', limits: { attempts: 1 } },
}

/** A router over Groq, OpenRouter and a third provider, all of them in memory. */
function worldOf(tasks: Readonly<Record<string, TaskPolicy>>, small: boolean): World {
  const upstream = (provider: keyof Upstreams) => ({
    apiKey: KEY,
    fetch: async (input: string | URL | Request, init?: RequestInit) => {
      const request: Sent = {
        provider,
        path: new URL(input instanceof Request ? input.url : input).pathname,
        body: typeof init?.body === 'string' ? JSON.parse(init.body) : {},
        signal: init?.signal,
      }
      world.sent.push(request)
      return (world.upstreams[provider] ?? (() => json(answerOf(`from ${provider}`))))(request)
    },
  })
  const third = compatible({
    name: 'third',
    baseURL: 'https://third.example/v1',
    models: ['tiny', 'text-embed'],
    ...upstream('third'),
  })
  const router: Router = createRouter({
    providers: small ? [third] : [groq(upstream('groq')), openrouter(upstream('openrouter')), third],
    tasks,
    random: hasty(),
    sinks: [(record) => void world.records.push(record)],
  })
  const world: World = { router, upstreams: {}, sent: [], records: [] }
  return world
}

let shared: World | null = null

/** A door to a router whose bundled catalogue is read once for all tests; where something fails, to one of its own. */
export function openDoor(upstreams: Upstreams = {}, options: OpenAIFetchOptions = {}) {
  shared ??= worldOf(TASKS, false)
  return doorTo(shared, upstreams, options)
}

/** A door to a router of its own: over the third provider alone, or over all of them. */
export function openOwnDoor(
  upstreams: Upstreams,
  more: { readonly options?: OpenAIFetchOptions; readonly tasks?: Readonly<Record<string, TaskPolicy>> } = {},
) {
  const small = Object.keys(upstreams).every((name) => name === 'third')
  const tasks = small ? { tiny: { model: 'tiny', provider: 'third' } } : TASKS
  return doorTo(worldOf({ ...tasks, ...more.tasks }, small), upstreams, more.options)
}

function doorTo(world: World, upstreams: Upstreams, options: OpenAIFetchOptions = {}) {
  const sent: Sent[] = []
  const records: UsageRecord[] = []
  Object.assign(world, { upstreams, sent, records })
  const { router } = world
  const ask = openaiFetch(router, options)
  const post = (body: unknown, init: { path?: string; headers?: Record<string, string>; signal?: AbortSignal } = {}) =>
    ask(`https://api.example/v1${init.path ?? '/chat/completions'}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...init.headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      ...(init.signal && { signal: init.signal }),
    })
  return { router, ask, post, sent, records }
}

export const messages = [{ role: 'user' as const, content: 'Hello there' }]

export function json(body: string, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(body, { status, headers: { 'content-type': 'application/json', ...headers } })
}

export function failing(status: number, error: object = {}, headers: Record<string, string> = {}): Upstream {
  return () => json(JSON.stringify({ error: { message: 'no', ...error } }), status, headers)
}

/** A stream of these chunks; a function in their midst is waited for. */
export function events(...parts: readonly (object | string | (() => Promise<void>))[]): Response {
  const encoder = new TextEncoder()
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      for (const part of parts) {
        if (typeof part === 'function') await part()
        else if (typeof part === 'string') controller.enqueue(encoder.encode(part))
        else controller.enqueue(encoder.encode(`data: ${JSON.stringify(part)}\n\n`))
      }
      controller.close()
    },
  })
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
}

export function delta(delta: object, more: object = {}, finish: string | null = null): object {
  return { id: 'gen-1', model: 'tiny', choices: [{ index: 0, delta, finish_reason: finish }], ...more }
}

export const LAST = { choices: [], usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } }
export const DONE = 'data: [DONE]\n\n'

/** What a client reads of a stream; the last one is left out, which says that there is no more. */
export async function chunksOf(response: Response): Promise<Record<string, unknown>[]> {
  const text = await response.text()
  return text
    .split('\n\n')
    .filter((line) => line !== '' && line !== 'data: [DONE]')
    .map((line) => JSON.parse(line.slice('data: '.length)))
}
