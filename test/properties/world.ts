import {
  type CallOptions,
  type Clock,
  compatible,
  createRouter,
  type DataTerms,
  type Provider,
  RouterError,
  type RouterEvent,
  type TaskPolicy,
  type UsageRecord,
  type Wire,
  type WireReply,
  type WireRequest,
} from 'modelfirst'
import { type QuickClock, quickClock } from './clock.ts'

/** What a provider does with one request, after so many milliseconds; below 0: at once, without a turn of the clock. */
export interface Act {
  readonly does:
    | 'answer'
    | 'refuse-content'
    | 'bad-arguments'
    | 'empty'
    | 'page'
    | 'cut'
    | 'break'
    | 'silent'
    | 'hang'
    | 'unreachable'
    | 'status'
  readonly afterMs: number
  readonly status?: number
  readonly code?: string
  /** Milliseconds, as `retry-after-ms` says them. */
  readonly hint?: number | null
}

export const ANSWER: Act = { does: 'answer', afterMs: 5 }

/** One request as the wire saw it. */
export interface Seen {
  readonly provider: string
  readonly model: string
  readonly at: number
  readonly act: Act
  /** When the reply's headers were there, or it failed, or it was given up. */
  endedAt: number | null
}

export interface Account {
  readonly name: string
  readonly models: readonly { readonly id: string; readonly context?: number; readonly usd?: number }[]
  readonly terms?: DataTerms
}

export interface Scene {
  readonly accounts: readonly Account[]
  /** What comes of each request, by `provider model`, in order; afterwards all is well. */
  readonly script: Readonly<Record<string, readonly Act[]>>
  readonly random: () => number
  readonly clock?: Clock
}

export interface World {
  readonly router: ReturnType<typeof createRouter<readonly Provider[], Record<string, never>>>
  readonly clock: QuickClock
  readonly seen: readonly Seen[]
  readonly events: readonly RouterEvent[]
}

/** How a call ended, seen from outside. */
export interface Ended {
  readonly usage: UsageRecord | null
  readonly error: RouterError | null
  readonly text: string | null
  readonly startedAt: number
  readonly settledAt: number
}

export async function createWorld({ accounts, script, random, clock: given }: Scene): Promise<World> {
  const clock = quickClock()
  const seen: Seen[] = []
  const events: RouterEvent[] = []
  const queues = new Map(Object.entries(script).map(([key, acts]) => [key, [...acts]]))
  const providers = accounts.map((account) =>
    compatible({
      name: account.name,
      baseURL: 'http://localhost/v1',
      wire: wireOf(account.name),
      models: account.models.map(({ id, context, usd }) => ({
        id,
        ...(context !== undefined && { context }),
        ...(usd !== undefined && { prices: { input: 0, output: 0, request: usd }, maxOutput: 100 }),
      })),
      ...(account.terms && { dataTerms: account.terms }),
    }),
  )

  function wireOf(provider: string): Wire {
    return {
      send(request) {
        const { model, stream } = asked(request)
        const act = queues.get(`${provider} ${model}`)?.shift() ?? ANSWER
        const noted: Seen = { provider, model, at: clock.now(), act, endedAt: null }
        seen.push(noted)
        const over = () => {
          noted.endedAt ??= clock.now()
        }
        return played(act, request, { clock: given ?? clock, model, stream }).finally(over)
      },
    }
  }

  const router = createRouter({
    providers,
    tasks: {},
    clock: given ?? clock,
    random,
    on: (event) => void events.push(event),
  })
  // The bundled lists come from a file, which no clock waits for.
  await router.ready()
  return { router, clock, seen, events }
}

/** Makes a call, whole or streamed to its end; it never rejects. */
export async function call(
  { router, clock }: Pick<World, 'router' | 'clock'>,
  policy: TaskPolicy,
  { streamed = false, ...options }: CallOptions & { readonly streamed?: boolean } = {},
): Promise<Ended> {
  const startedAt = clock.now()
  const settled = (part: Pick<Ended, 'usage' | 'error' | 'text'>): Ended => ({
    ...part,
    startedAt,
    settledAt: clock.now(),
  })
  try {
    if (streamed) {
      const stream = router.stream(policy, 'Hi', options)
      for await (const _ of stream);
      const { usage, text } = await stream.completion
      return settled({ usage, text, error: null })
    }
    const { usage, text } = await router.complete(policy, 'Hi', options)
    return settled({ usage, text, error: null })
  } catch (error) {
    if (!RouterError.is(error)) throw error
    return settled({ usage: error.usage, text: null, error })
  }
}

/** Lets time pass until all of them have ended. */
export async function ended<T>({ clock }: Pick<World, 'clock'>, calls: readonly Promise<T>[]): Promise<T[]> {
  let open = calls.length
  const counted = calls.map((each) =>
    each.finally(() => {
      open -= 1
    }),
  )
  const all = Promise.all(counted)
  all.catch(() => {})
  await clock.runUntil(() => open === 0)
  if (open > 0) throw new Error('a call never ended: nothing is left that it could wait for')
  return all
}

interface Playing {
  readonly clock: Clock
  readonly model: string
  readonly stream: boolean
}

function played(act: Act, { signal }: WireRequest, playing: Playing): Promise<WireReply> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const abort = () => {
      stopTimer()
      reject(signal.reason)
    }
    if (act.afterMs < 0) return act.does === 'unreachable' ? reject(refusedConnection()) : resolve(reply(act, playing))
    signal.addEventListener('abort', abort, { once: true })
    const stopTimer =
      act.does === 'hang'
        ? () => {}
        : playing.clock.timer(act.afterMs, () => {
            signal.removeEventListener('abort', abort)
            if (act.does === 'unreachable') reject(refusedConnection())
            else resolve(reply(act, playing))
          })
  })
}

function reply(act: Act, { model, stream }: Playing): WireReply {
  const said = (status: number, text: string, more: Record<string, string> = {}): WireReply => ({
    status,
    headers: new Headers({ 'content-type': 'application/json', ...more }),
    body: bytes([text], 'end'),
  })
  const whole = (message: object, reason: string | null = 'stop'): WireReply => {
    const choice = { index: 0, finish_reason: reason }
    const tokens = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 }
    if (!stream) {
      return said(200, JSON.stringify({ id: 'id', model, choices: [{ ...choice, message }], usage: tokens }))
    }
    const chunk = (part: object) => `data: ${JSON.stringify({ id: 'id', model, ...part })}\n\n`
    const text = [
      chunk({ choices: [{ index: 0, delta: message }] }),
      chunk({ choices: [{ ...choice, delta: {} }] }),
      chunk({ choices: [], usage: tokens }),
      'data: [DONE]\n\n',
    ]
    return said(200, text.join(''), { 'content-type': 'text/event-stream' })
  }
  const begun = stream ? [] : ['{"id":"id","model":"']
  const kind = stream ? 'text/event-stream' : 'application/json'
  const open = (texts: readonly string[], how: 'end' | 'error' | 'never'): WireReply => ({
    status: 200,
    headers: new Headers({ 'content-type': kind }),
    body: bytes(texts, how),
  })
  switch (act.does) {
    case 'refuse-content':
      return whole({ role: 'assistant', content: '' }, 'content_filter')
    case 'bad-arguments': {
      const called = { name: 'weather', arguments: '{"city": "Par' }
      return whole({ role: 'assistant', tool_calls: [{ index: 0, id: 'a', type: 'function', function: called }] })
    }
    case 'empty':
      return whole({ role: 'assistant', content: '' }, null)
    case 'page':
      return said(200, '<html>Hello</html>', { 'content-type': 'text/html' })
    case 'cut':
      return open(begun, 'error')
    case 'break': {
      const delta = { choices: [{ index: 0, delta: { role: 'assistant', content: 'Hel' } }] }
      return open(stream ? [`data: ${JSON.stringify(delta)}\n\n`] : begun, 'error')
    }
    case 'silent':
      return open(begun, 'never')
    case 'status': {
      const { status = 500, code, hint = null } = act
      const hints: Record<string, string> = hint === null ? {} : { 'retry-after-ms': String(hint) }
      return said(status, JSON.stringify({ error: { message: 'no', ...(code !== undefined && { code }) } }), hints)
    }
  }
  return whole({ role: 'assistant', content: 'Hello.' })
}

const encoder = new TextEncoder()

function bytes(texts: readonly string[], how: 'end' | 'error' | 'never'): ReadableStream<Uint8Array> {
  const left = [...texts]
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const text = left.shift()
        if (text !== undefined) controller.enqueue(encoder.encode(text))
        else if (how === 'end') controller.close()
        else if (how === 'error') controller.error(new TypeError('terminated'))
        else return new Promise(() => {})
      },
    },
    { highWaterMark: 0 },
  )
}

function asked({ body }: WireRequest): { model: string; stream: boolean } {
  const read: unknown = JSON.parse(body ?? '{}')
  if (typeof read !== 'object' || read === null || !('model' in read)) throw new Error('a request without a model')
  return { model: String(read.model), stream: 'stream' in read && read.stream === true }
}

function refusedConnection(): Error {
  return new TypeError('fetch failed', { cause: Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }) })
}
